package sarif_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/plumbline-dev/plumbline"
	ours "github.com/plumbline-dev/plumbline/cmd/plumbline/internal/sarif"
	"github.com/plumbline-dev/plumbline/fixtures/golden"
)

// TestWrite: what is wrong in the archives of fixtures/golden, as SARIF, has no
// field that the format does not have, fits the schema that OASIS published (it
// comes with the reader), and says all that the violations say.
func TestWrite(t *testing.T) {
	t.Parallel()
	var in []ours.Result
	for _, c := range golden.Cases(t) {
		for _, v := range c.Render(t).Violations {
			in = append(in, ours.Result{Environment: c.Name, Violation: v})
		}
	}
	if len(in) < 200 {
		t.Errorf("%d violations", len(in))
	}
	var b bytes.Buffer
	if err := ours.Write(&b, "dev", in, false); err != nil {
		t.Fatal(err)
	}
	compare(t, in, b.Bytes())
}

// compare reads the output by another's types.
func compare(t *testing.T, in []ours.Result, out []byte) {
	t.Helper()
	strict := json.NewDecoder(bytes.NewReader(out))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&sarif.Report{}); err != nil {
		t.Error(err)
	}
	report, err := sarif.FromBytes(out)
	if err != nil {
		t.Fatal(err)
	}
	report.Runs[0].NewlineSequences = []string{"\n"} // the reader makes it empty, which the schema refuses
	if err := report.Validate(); err != nil {
		t.Error(err)
	}
	run := report.Runs[0]
	if len(run.Results) != len(in) {
		t.Fatalf("%d results of %d violations", len(run.Results), len(in))
	}
	for i, r := range run.Results {
		v := in[i]
		rule := run.Tool.Driver.Rules[r.RuleIndex]
		if *r.RuleID != v.Code || *rule.ID != v.Code || rule.Help == nil || *r.Message.Text != v.Message || r.Level != string(v.Severity) {
			t.Errorf("%s: %s became %v of rule %v", v.Environment, v, r, rule)
		}
		if v.Origin.Path == "" {
			continue
		}
		at := r.Locations[0].PhysicalLocation
		line, column := 0, 0
		if at.Region != nil {
			line = *at.Region.StartLine
			if at.Region.StartColumn != nil {
				column = *at.Region.StartColumn
			}
		}
		if got := (plumbline.Origin{Path: *at.ArtifactLocation.URI, Line: line, Column: column}); got != v.Origin {
			t.Errorf("%s: %s is at %s", v.Environment, v, got)
		}
		if len(r.RelatedLocations) != len(v.Related) {
			t.Errorf("%s: %s has %d related places", v.Environment, v, len(r.RelatedLocations))
		}
	}
}

// With strict, what stops a build is an error.
func TestStrict(t *testing.T) {
	t.Parallel()
	v := plumbline.Violation{Code: "PL3008", Severity: plumbline.SeverityWarning, Message: "m", Origin: plumbline.Origin{Path: "a b/ü.yaml", Line: 3, Column: 7}}
	for strict, want := range map[bool]string{true: `"level": "error"`, false: `"level": "warning"`} {
		var b bytes.Buffer
		if err := ours.Write(&b, "dev", []ours.Result{{Violation: v}}, strict); err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{want, `"uri": "a%20b/%C3%BC.yaml"`, `"startLine": 3`, `"startColumn": 7`, `"ruleIndex": 0`, `"version": "2.1.0"`} {
			if !strings.Contains(b.String(), part) { // as it is spelled: Go reads keys in any case
				t.Errorf("strict %v: no %s in\n%s", strict, part, b.String())
			}
		}
	}
}
