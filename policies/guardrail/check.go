package guardrail

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

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
	looked      int    // at how many objects and definitions
	spent       uint64 // units, on all that was evaluated and is still there
	dearest     dearest
}

// dearest is the rule that took the most of the units of one run.
type dearest struct {
	rule  *compiled
	units uint64
}

// checkedList is one of the two kinds of things that rules are about.
type checkedList struct {
	all      plumbline.Objects
	findings plumbline.RefMap[*finding]
}

// finding is what is wrong with one object, and what it took to find out.
type finding struct {
	violations []plumbline.Violation
	units      uint64
}

// Start is the state in which nothing was checked.
func (s *Set) Start(environment string) Checked { return Checked{set: s, environment: environment} }

// Next checks the objects and definitions of another commit. What is as it was
// is not looked at, and what only moved to another line is not evaluated again.
// Where all rules on all objects take more than the limit, the evaluation stops,
// and a violation says so. The error is the end of ctx.
func (c Checked) Next(ctx context.Context, objects, definitions plumbline.Objects) (Checked, error) {
	next := Checked{set: c.set, environment: c.environment, spent: c.spent}
	if c.set == nil {
		return next, nil
	}
	units := map[*compiled]uint64{}
	var err error
	if next.objects, err = next.list(ctx, c.objects, objects, c.set.objects, units); err != nil {
		return c, err
	}
	next.definitions, err = next.list(ctx, c.definitions, definitions, c.set.definitions, units)
	if err != nil {
		return c, err
	}
	for _, r := range slices.Concat(c.set.objects, c.set.definitions) {
		if units[r] > next.dearest.units {
			next.dearest = dearest{r, units[r]}
		}
	}
	return next, nil
}

// list brings one of the lists up to date; units counts what each rule took.
func (c *Checked) list(ctx context.Context, old checkedList, all plumbline.Objects, rules []*compiled, units map[*compiled]uint64) (checkedList, error) {
	now := checkedList{all: all, findings: old.findings}
	if len(rules) == 0 {
		return now, nil
	}
	var changed []*plumbline.Object
	for name := range old.all.Diff(all) {
		object, ok := all.Get(name)
		before, known := old.findings.Get(name)
		if last, had := old.all.Get(name); ok && had && last.Checksum == object.Checksum && !isSecret(name) {
			if known && len(before.violations) > 0 {
				now.findings = now.findings.With(name, before.moved(object.Origin))
			}
			continue
		}
		if known {
			c.spent -= before.units
			now.findings = now.findings.Without(name)
		}
		if ok {
			changed = append(changed, object)
		}
	}
	var found []*finding
	var at []plumbline.Ref
	for _, object := range changed {
		if err := ctx.Err(); err != nil {
			return old, err
		}
		if c.spent > c.set.maxTotal { // the next commit has to look at it
			now.all = now.all.Without(object.Ref)
			continue
		}
		c.looked++
		f, err := c.check(ctx, object, rules, units)
		if err != nil {
			return old, err
		}
		if f != nil {
			c.spent += f.units
			found, at = append(found, f), append(at, object.Ref)
		}
	}
	now.findings = withFindings(now.findings, at, found)
	return now, nil
}

// withFindings adds findings, which are in the order of their Refs.
func withFindings(m plumbline.RefMap[*finding], at []plumbline.Ref, found []*finding) plumbline.RefMap[*finding] {
	if m.Len() == 0 {
		return plumbline.RefMapOf(len(found), func(i int) (plumbline.Ref, *finding) { return at[i], found[i] })
	}
	for i, f := range found {
		m = m.With(at[i], f)
	}
	return m
}

// moved is the finding at another place.
func (f *finding) moved(to plumbline.Origin) *finding {
	vs := slices.Clone(f.violations)
	for i := range vs {
		vs[i].Origin = to
	}
	return &finding{vs, f.units}
}

// over is the complaint about rules that take too much together.
func (c Checked) over() []plumbline.Violation {
	if c.set == nil || c.spent <= c.set.maxTotal {
		return nil
	}
	v := plumbline.Violation{
		Code: CodeUnevaluated, Severity: plumbline.SeverityError,
		Message: fmt.Sprintf("the rules take more than %d units of work on this commit: not all of them were evaluated, and nothing is applied", c.set.maxTotal),
	}
	if r := c.dearest.rule; r != nil {
		v.Rule = r.Name
		v.Message += fmt.Sprintf("; rule %s (%s) alone took %d: name in its kinds what it is about, or nest fewer loops", r.Name, r.Origin, c.dearest.units)
	}
	return []plumbline.Violation{v}
}

// Violations are sorted.
func (c Checked) Violations() []plumbline.Violation {
	vs := c.over()
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
// without being asked is exempt: nobody could put it right. It is nil where no
// rule is about the object.
func (c *Checked) check(ctx context.Context, o *plumbline.Object, rules []*compiled, units map[*compiled]uint64) (*finding, error) {
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
			return c.evaluate(ctx, o, m, about, units)
		}
	}
	return nil, &plumbline.Error{Op: "check policies", Kind: plumbline.KindInternal, Ref: o.Ref, Origin: o.Origin, Err: err}
}

func (c *Checked) evaluate(ctx context.Context, o *plumbline.Object, m map[string]any, rules []*compiled, units map[*compiled]uint64) (*finding, error) {
	pod := podOf(m)
	vars := map[string]any{
		varObject: m, varDefinition: m, varPod: pod, varContainers: containersOf(pod),
		varProject: map[string]string{"name": o.Project, "environment": c.environment},
	}
	f := &finding{}
	for _, r := range rules {
		vars[varParams] = r.params
		v := plumbline.Violation{Severity: r.Severity, Origin: o.Origin, Rule: r.Name}
		out, details, err := r.holds.ContextEval(ctx, vars)
		took := unitsOf(details)
		f.units += took
		units[r] += took
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
			text, took := r.says(ctx, vars)
			f.units += took
			units[r] += took
			v.Code, v.Message = CodeRule, fmt.Sprintf("%s: rule %s: %s", o.Ref, r.Name, text)
		}
		f.violations = append(f.violations, v)
	}
	return f, nil
}

// unitsOf is what an evaluation took. One that was stopped has nothing to show
// for it: it took all that it may.
func unitsOf(details *cel.EvalDetails) uint64 {
	if details != nil {
		if cost := details.ActualCost(); cost != nil {
			return 1 + *cost
		}
	}
	return MaxCost
}

// says is the rule's message for an object, and what it took. Where its
// expression ends with an error, the fixed message stands in.
func (r *compiled) says(ctx context.Context, vars any) (message string, took uint64) {
	if r.message != nil {
		out, details, err := r.message.ContextEval(ctx, vars)
		took = unitsOf(details)
		if text, ok := textOf(out); err == nil && ok && strings.TrimSpace(text) != "" {
			return short(text), took
		}
	}
	if r.Message != "" {
		return short(r.Message), took
	}
	return short("does not hold: " + r.Expression.Text), took
}

func textOf(v ref.Val) (string, bool) {
	if v == nil {
		return "", false
	}
	text, ok := v.Value().(string)
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
