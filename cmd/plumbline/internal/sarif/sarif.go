// Package sarif writes violations in SARIF 2.1.0, the format in which code
// hosts and editors take the findings of tools.
//
// In go violations and what the runbook says of their codes, out comes JSON.
package sarif

import (
	"encoding/json"
	"io"
	"net/url"
	"path"
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/runbook"
)

const (
	version   = "2.1.0"
	schemaURI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	language  = "en"
	root      = "ROOT" // what paths are relative to: the repository, or the working directory
)

// Result is a violation in an environment.
type Result struct {
	Environment string
	plumbline.Violation
}

// Write writes the results of one run of Plumbline. With strict, warnings count
// as errors.
func Write(w io.Writer, tool string, results []Result, strict bool) error {
	r := run{
		Tool:        driver{Driver: component{Name: "plumbline", Version: tool, Language: language, Rules: []rule{}}},
		Language:    language,
		ColumnKind:  "unicodeCodePoints",
		BaseURIs:    map[string]artifact{root: {Description: &text{Text: "The root of the repository, or the working directory where there is none."}}},
		Results:     make([]result, 0, len(results)),
		Invocations: []invocation{{Successful: true}},
	}
	r.Tool.Driver.Rules = rules(results)
	for _, v := range results {
		index := slices.IndexFunc(r.Tool.Driver.Rules, func(known rule) bool { return known.ID == v.Code })
		r.Results = append(r.Results, newResult(v, index, strict))
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(log{Schema: schemaURI, Version: version, Runs: []run{r}})
}

// rules are those that some result is about, in the order of their codes.
func rules(results []Result) []rule {
	out := []rule{}
	for _, c := range runbook.Chapters() {
		for _, e := range c.Entries {
			if slices.ContainsFunc(results, func(r Result) bool { return r.Code == e.Code }) {
				out = append(out, rule{ID: e.Code, Short: text{Text: e.Title}, Full: text{Text: e.Means}, Help: text{Text: e.Fix}})
			}
		}
	}
	return out
}

func newResult(v Result, index int, strict bool) result {
	level := "error"
	if v.Severity == plumbline.SeverityWarning && !strict {
		level = "warning"
	}
	out := result{
		RuleID: v.Code, RuleIndex: index, Level: level, Message: text{Text: v.Message},
		Properties: map[string]string{"environment": v.Environment},
	}
	if v.Rule != "" {
		out.Properties["rule"] = v.Rule
	}
	if l := newLocation(v.Origin); l != nil {
		out.Locations = []location{*l}
	}
	for _, o := range v.Related {
		if l := newLocation(o); l != nil {
			out.Related = append(out.Related, *l)
		}
	}
	return out
}

// newLocation is a place, as far as it is known.
func newLocation(o plumbline.Origin) *location {
	if o.Path == "" {
		return nil
	}
	at := artifact{URI: (&url.URL{Path: o.Path}).String(), Base: root}
	if path.IsAbs(o.Path) {
		at = artifact{URI: (&url.URL{Scheme: "file", Path: o.Path}).String()}
	}
	out := &location{Physical: physical{Artifact: at}}
	if o.Line > 0 {
		out.Physical.Region = &region{Line: o.Line, Column: o.Column}
	}
	return out
}

// The parts of a SARIF file that are written here.
type (
	log struct {
		Schema  string `json:"$schema"`
		Version string `json:"version"`
		Runs    []run  `json:"runs"`
	}
	run struct {
		Tool        driver              `json:"tool"`
		Invocations []invocation        `json:"invocations"`
		BaseURIs    map[string]artifact `json:"originalUriBaseIds"`
		Language    string              `json:"language"`
		ColumnKind  string              `json:"columnKind"`
		Results     []result            `json:"results"`
	}
	driver struct {
		Driver component `json:"driver"`
	}
	component struct {
		Name     string `json:"name"`
		Version  string `json:"version"`
		Language string `json:"language"`
		Rules    []rule `json:"rules"`
	}
	invocation struct {
		Successful bool `json:"executionSuccessful"`
	}
	rule struct {
		ID    string `json:"id"`
		Short text   `json:"shortDescription"`
		Full  text   `json:"fullDescription"`
		Help  text   `json:"help"`
	}
	result struct {
		RuleID     string            `json:"ruleId"`
		RuleIndex  int               `json:"ruleIndex"`
		Level      string            `json:"level"`
		Message    text              `json:"message"`
		Locations  []location        `json:"locations,omitempty"`
		Related    []location        `json:"relatedLocations,omitempty"`
		Properties map[string]string `json:"properties"`
	}
	text struct {
		Text string `json:"text"`
	}
	location struct {
		Physical physical `json:"physicalLocation"`
	}
	physical struct {
		Artifact artifact `json:"artifactLocation"`
		Region   *region  `json:"region,omitempty"`
	}
	artifact struct {
		URI         string `json:"uri,omitempty"`
		Base        string `json:"uriBaseId,omitempty"`
		Description *text  `json:"description,omitempty"`
	}
	region struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn,omitempty"`
	}
)
