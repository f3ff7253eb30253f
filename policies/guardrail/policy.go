// Package guardrail checks what is about to be applied against rules that the
// operator writes in CEL.
//
// Rules go in (Parse, Builtin), and are compiled once (Compile); objects and
// definitions go in, violations come out (Set.Check). Checked.Next looks only at
// what changed since. A rule sees no value of a Secret, costs a bounded amount
// of work whatever it says, and where it cannot be evaluated it does not hold.
// The package does no I/O and reads no clock.
package guardrail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline"
)

// The codes of guardrails.
const (
	// CodeRule: a rule does not hold.
	CodeRule = "PL0006"
	// CodeUnevaluated: a rule ended with an error, which counts as not holding.
	CodeUnevaluated = "PL0007"
)

// Rule is one guardrail as it is written.
type Rule struct {
	Name     string
	Severity plumbline.Severity
	// Kinds are those that it is about; empty for all.
	Kinds []plumbline.GroupKind
	// Expression is true of what is allowed.
	Expression Source
	// Message says what to do; MessageExpression, where there is one, says it of
	// the object at hand.
	Message           string
	MessageExpression Source
	// Parameters are the variable params.
	Parameters map[string]any
	Origin     plumbline.Origin
	// About is a sentence for the documentation; of built-in rules only.
	About string
}

// Source is an expression with the place of its first character.
type Source struct {
	Text   string
	Origin plumbline.Origin
}

const opRead = "read policy"

// MaxPolicy is the largest file of policies, in bytes.
const MaxPolicy = 1 << 20

// The keys of a policy document.
type document struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec struct {
		Parameters map[string]any `yaml:"parameters"`
		Rules      []yaml.Node    `yaml:"rules"`
	} `yaml:"spec"`
}

type ruleDocument struct {
	Name              string    `yaml:"name"`
	Severity          string    `yaml:"severity"`
	Kinds             []string  `yaml:"kinds"`
	Expression        yaml.Node `yaml:"expression"`
	Message           string    `yaml:"message"`
	MessageExpression yaml.Node `yaml:"messageExpression"`
}

// Parse reads the policies of a file. The error joins one plumbline.Error of
// KindUsage, with its line, for every mistake.
func Parse(file string, text []byte) ([]Rule, error) {
	p := parser{file: file}
	if len(text) > MaxPolicy {
		p.errorf(0, "the file has %d bytes; the limit is %d: split it", len(text), MaxPolicy)
		return nil, errors.Join(p.errs...)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			p.yamlError(err)
			break
		}
		if len(n.Content) > 0 && n.Content[0].Tag != "!!null" {
			p.document(n.Content[0])
		}
	}
	if len(p.rules) == 0 && len(p.errs) == 0 {
		p.errorf(0, "no policy: expected documents of kind Policy")
	}
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	return p.rules, nil
}

type parser struct {
	file  string
	rules []Rule
	errs  []error
}

func (p *parser) errorf(line int, format string, args ...any) {
	p.errs = append(p.errs, &plumbline.Error{
		Op: opRead, Kind: plumbline.KindUsage, Origin: plumbline.Origin{Path: p.file, Line: line}, Err: fmt.Errorf(format, args...),
	})
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// yamlError takes the lines out of the YAML package's messages.
func (p *parser) yamlError(err error) {
	messages := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	var types *yaml.TypeError
	if errors.As(err, &types) {
		messages = types.Errors
	}
	for _, m := range messages {
		line := 0
		if at := yamlLine.FindStringSubmatch(m); at != nil {
			m = m[len(at[0]):]
			_, _ = fmt.Sscan(at[1], &line)
		}
		p.errorf(line, "%s", m)
	}
}

// decode fills a struct and refuses keys that it does not have.
func (p *parser) decode(n *yaml.Node, into any, keys ...string) bool {
	if n.Kind != yaml.MappingNode {
		p.errorf(n.Line, "not a mapping")
		return false
	}
	good := true
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i]; !slices.Contains(keys, k.Value) {
			p.errorf(k.Line, "unknown key %q; known are %s", k.Value, strings.Join(keys, ", "))
			good = false
		}
	}
	if err := n.Decode(into); err != nil {
		p.yamlError(err)
		return false
	}
	return good
}

func (p *parser) document(n *yaml.Node) {
	var d document
	if !p.decode(n, &d, "apiVersion", "kind", "metadata", "spec") {
		return
	}
	if d.APIVersion != plumbline.APIVersion || d.Kind != "Policy" {
		p.errorf(n.Line, "expected apiVersion: %s and kind: Policy", plumbline.APIVersion)
		return
	}
	if spec := value(n, "spec"); spec != nil && !p.decode(spec, &struct{}{}, "parameters", "rules") {
		return
	}
	if len(d.Spec.Rules) == 0 {
		p.errorf(n.Line, "spec.rules: a policy needs at least one rule")
	}
	for i := range d.Spec.Rules {
		p.rule(&d.Spec.Rules[i], d.Spec.Parameters)
	}
}

func value(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

var (
	ruleName  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	groupKind = regexp.MustCompile(`^(([a-z0-9.-]+)/)?([A-Z][A-Za-z0-9]*)$`)
)

func (p *parser) rule(n *yaml.Node, parameters map[string]any) {
	var d ruleDocument
	if !p.decode(n, &d, "name", "severity", "kinds", "expression", "message", "messageExpression") {
		return
	}
	r := Rule{
		Name: d.Name, Severity: plumbline.SeverityError, Message: d.Message, Parameters: parameters,
		Origin:     plumbline.Origin{Path: p.file, Line: n.Line},
		Expression: p.source(d.Expression), MessageExpression: p.source(d.MessageExpression),
	}
	at := func(key string) int {
		if v := value(n, key); v != nil {
			return v.Line
		}
		return n.Line
	}
	if !ruleName.MatchString(d.Name) {
		p.errorf(at("name"), "name: %q is not a name of lower-case letters, digits and dashes", d.Name)
	}
	switch d.Severity {
	case "":
	case string(plumbline.SeverityError), string(plumbline.SeverityWarning):
		r.Severity = plumbline.Severity(d.Severity)
	default:
		p.errorf(at("severity"), "severity: %q is neither error nor warning", d.Severity)
	}
	for _, k := range d.Kinds {
		m := groupKind.FindStringSubmatch(k)
		if m == nil {
			p.errorf(at("kinds"), "kinds: %q is not a kind like \"apps/Deployment\"", k)
			continue
		}
		r.Kinds = append(r.Kinds, plumbline.GroupKind{Group: m[2], Kind: m[3]})
	}
	if strings.TrimSpace(r.Expression.Text) == "" {
		p.errorf(at("expression"), "expression: missing: what is true of everything that is allowed")
	}
	p.rules = append(p.rules, r)
}

// source is the text of a node, with the place at which it begins.
func (p *parser) source(n yaml.Node) Source {
	s := Source{Text: n.Value, Origin: plumbline.Origin{Path: p.file, Line: n.Line}}
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		s.Origin.Line++
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		s.Origin.Column = n.Column + 1
	default:
		s.Origin.Column = n.Column
	}
	return s
}
