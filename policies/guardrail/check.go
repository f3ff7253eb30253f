package guardrail

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/plumbline-dev/plumbline"
)

// maxMessage is the longest message of a rule, in bytes.
const maxMessage = 400

// Checked is what came of checking one commit. It is immutable.
type Checked struct {
	set         *Set
	environment string
	objects     checkedList
	definitions checkedList
	looked      int // at how many objects and definitions
}

// checkedList is one of the two kinds of things that rules are about.
type checkedList struct {
	all      plumbline.Objects
	findings plumbline.RefMap[*finding]
}

// finding is what is wrong with one object.
type finding struct{ violations []plumbline.Violation }

// Start is the state in which nothing was checked.
func (s *Set) Start(environment string) Checked { return Checked{set: s, environment: environment} }

// Next checks the objects and definitions of another commit. What is as it was
// is not looked at, and what only moved to another line is not evaluated again.
// The error is the end of ctx.
func (c Checked) Next(ctx context.Context, objects, definitions plumbline.Objects) (Checked, error) {
	next := Checked{set: c.set, environment: c.environment}
	if c.set == nil {
		return next, nil
	}
	var err error
	if next.objects, err = next.list(ctx, c.objects, objects, c.set.objects); err != nil {
		return c, err
	}
	next.definitions, err = next.list(ctx, c.definitions, definitions, c.set.definitions)
	if err != nil {
		return c, err
	}
	return next, nil
}

func (c *Checked) list(ctx context.Context, old checkedList, all plumbline.Objects, rules []*compiled) (checkedList, error) {
	now := checkedList{all: all, findings: old.findings}
	if len(rules) == 0 {
		return now, nil
	}
	for ref := range old.all.Diff(all) {
		if err := ctx.Err(); err != nil {
			return old, err
		}
		object, ok := all.Get(ref)
		if !ok {
			now.findings = now.findings.Without(ref)
			continue
		}
		before, known := old.findings.Get(ref)
		if last, had := old.all.Get(ref); had && last.Checksum == object.Checksum && !isSecret(ref) {
			if known {
				now.findings = now.findings.With(ref, before.moved(object.Origin))
			}
			continue
		}
		c.looked++
		found, err := c.check(ctx, object, rules)
		switch {
		case err != nil:
			return old, err
		case len(found) > 0:
			now.findings = now.findings.With(ref, &finding{found})
		case known:
			now.findings = now.findings.Without(ref)
		}
	}
	return now, nil
}

// moved is the finding at another place.
func (f *finding) moved(to plumbline.Origin) *finding {
	vs := slices.Clone(f.violations)
	for i := range vs {
		vs[i].Origin = to
	}
	return &finding{vs}
}

// Violations are sorted.
func (c Checked) Violations() []plumbline.Violation {
	var vs []plumbline.Violation
	for _, list := range []checkedList{c.objects, c.definitions} {
		for _, f := range list.findings.All() {
			vs = append(vs, f.violations...)
		}
	}
	return plumbline.SortViolations(vs)
}

// isSecret: the checksum of a Secret may say nothing, where there is no key.
func isSecret(r plumbline.Ref) bool { return r.Kind == "Secret" && r.Group == "" }

// check evaluates the rules that are about an object. What Plumbline renders
// without being asked is exempt: nobody could put it right.
func (c *Checked) check(ctx context.Context, o *plumbline.Object, rules []*compiled) ([]plumbline.Violation, error) {
	var about []*compiled
	for _, r := range rules {
		if r.kinds == nil || r.kinds[o.Ref.GroupKind()] {
			about = append(about, r)
		}
	}
	if o.System || len(about) == 0 {
		return nil, nil
	}
	body, err := o.Redacted()
	if err == nil {
		var m map[string]any
		if m, err = decode(body); err == nil {
			return c.evaluate(ctx, o, m, about)
		}
	}
	return nil, &plumbline.Error{Op: "check policies", Kind: plumbline.KindInternal, Ref: o.Ref, Origin: o.Origin, Err: err}
}

func (c *Checked) evaluate(ctx context.Context, o *plumbline.Object, m map[string]any, rules []*compiled) ([]plumbline.Violation, error) {
	pod := podOf(m)
	vars := map[string]any{
		varObject: m, varDefinition: m, varPod: pod, varContainers: containersOf(pod),
		varProject: map[string]string{"name": o.Project, "environment": c.environment},
	}
	var vs []plumbline.Violation
	for _, r := range rules {
		vars[varParams] = r.params
		v := plumbline.Violation{Severity: r.Severity, Origin: o.Origin, Rule: r.Name}
		out, _, err := r.holds.ContextEval(ctx, vars)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		holds, isBool := out.(types.Bool)
		switch {
		case err != nil:
			v.Code, v.Message = CodeUnevaluated, fmt.Sprintf("%s: rule %s ended with an error, so it does not hold: %s", o.Ref, r.Name, short(err.Error()))
		case !isBool:
			v.Code, v.Message = CodeUnevaluated, fmt.Sprintf("%s: rule %s is not true or false, so it does not hold: it is a %s", o.Ref, r.Name, out.Type())
		case bool(holds):
			continue
		default:
			v.Code, v.Message = CodeRule, fmt.Sprintf("%s: rule %s: %s", o.Ref, r.Name, r.says(ctx, vars))
		}
		vs = append(vs, v)
	}
	return vs, nil
}

// says is the rule's message for an object. Where its expression ends with an
// error, the fixed message stands in.
func (r *compiled) says(ctx context.Context, vars any) string {
	if text, ok := evaluateText(ctx, r.message, vars); ok && strings.TrimSpace(text) != "" {
		return short(text)
	}
	if r.Message != "" {
		return short(r.Message)
	}
	return short("does not hold: " + r.Expression.Text)
}

func evaluateText(ctx context.Context, program cel.Program, vars any) (string, bool) {
	if program == nil {
		return "", false
	}
	out, _, err := program.ContextEval(ctx, vars)
	if err != nil {
		return "", false
	}
	text, ok := out.Value().(string)
	return text, ok
}

// short is a text on one line, not too long.
func short(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(s) <= maxMessage {
		return s
	}
	s = s[:maxMessage]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}
