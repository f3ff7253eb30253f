package guardrail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"
	kyaml "sigs.k8s.io/yaml"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/archive"
)

// Each archive holds policies (policy*.yaml), a choice of built-in rules
// (builtin.yaml), objects and definitions, and what comes of them: "out/errors"
// of rules that are wrong, or "out/violations". UPDATE=1 rewrites them.
func TestGolden(t *testing.T) {
	t.Parallel()
	archive.Play(t, "testdata/*.txtar", []string{"out/"}, func(t *testing.T, in *txtar.Archive) []txtar.File {
		return []txtar.File{outcome(t, in)}
	})
}

func outcome(t *testing.T, archive *txtar.Archive) txtar.File {
	t.Helper()
	rules, err := rulesOf(t, archive)
	var set *Set
	if err == nil {
		set, err = Compile(rules)
	}
	if err != nil {
		if k := plumbline.KindOf(err); k != plumbline.KindUsage {
			t.Errorf("kind %s", k)
		}
		return txtar.File{Name: "out/errors", Data: []byte(err.Error() + "\n")}
	}
	checked, err := set.Start("production").Next(t.Context(), objectsOf(t, archive, "objects.yaml"), objectsOf(t, archive, "definitions.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, v := range checked.Violations() {
		fmt.Fprintf(&b, "%s %s\n", v.Code, v)
	}
	if strings.Contains(b.String(), "hunter2") {
		t.Errorf("a secret is shown:\n%s", b.String())
	}
	return txtar.File{Name: "out/violations", Data: b.Bytes()}
}

func rulesOf(t *testing.T, archive *txtar.Archive) ([]Rule, error) {
	t.Helper()
	var rules []Rule
	var errs []error
	for _, f := range archive.Files {
		switch {
		case strings.HasPrefix(f.Name, "policy"):
			more, err := Parse(f.Name, f.Data)
			rules, errs = append(rules, more...), append(errs, err)
		case f.Name == "builtin.yaml":
			var choices []Choice
			if err := yaml.Unmarshal(f.Data, &choices); err != nil {
				t.Fatal(err)
			}
			for _, c := range choices {
				r, err := Builtin(c)
				if err != nil {
					err = plumbline.Errorf(plumbline.KindUsage, "", "%w", err)
				}
				rules, errs = append(rules, r), append(errs, err)
			}
		}
	}
	return rules, errors.Join(errs...)
}

// objectsOf are the documents of a file of the archive.
func objectsOf(t *testing.T, archive *txtar.Archive, name string) plumbline.Objects {
	t.Helper()
	var list []*plumbline.Object
	for _, f := range archive.Files {
		if f.Name != name {
			continue
		}
		for d := yaml.NewDecoder(bytes.NewReader(f.Data)); ; {
			var n yaml.Node
			err := d.Decode(&n)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, objectOf(t, &n, plumbline.Origin{Path: name, Line: n.Content[0].Line}))
		}
	}
	return plumbline.ObjectsOf(list...)
}

func objectOf(t testing.TB, n *yaml.Node, at plumbline.Origin) *plumbline.Object {
	t.Helper()
	text, err := yaml.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	body, err := kyaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	var meta struct {
		APIVersion, Kind string
		Metadata         struct{ Name, Namespace string }
	}
	if err := kyaml.Unmarshal(text, &meta); err != nil {
		t.Fatal(err)
	}
	group, version, found := strings.Cut(meta.APIVersion, "/")
	if !found {
		group, version = "", group
	}
	sum := sha256.Sum256(body)
	return &plumbline.Object{
		Ref:     plumbline.Ref{Group: group, Kind: meta.Kind, Namespace: meta.Metadata.Namespace, Name: meta.Metadata.Name},
		Version: version, Origin: at, Project: meta.Metadata.Namespace, Body: plumbline.NewBody(body), Checksum: hex.EncodeToString(sum[:]),
		System: meta.Kind == "Namespace",
	}
}

func object(t testing.TB, text string, line int) *plumbline.Object {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	return objectOf(t, &n, plumbline.Origin{Path: "x.yaml", Line: line})
}

func mustCompile(t testing.TB, text string) *Set {
	t.Helper()
	rules, err := Parse("policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	set, err := Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

const oneRule = `{apiVersion: plumbline.dev/v1, kind: Policy, spec: {rules: [{name: small, expression: "object.data.state == 'ok'"}]}}`

// A commit costs the evaluation of what changed: nothing where nothing did, one
// where one object did, none where it only moved.
func TestNextLooksAtWhatChanged(t *testing.T) {
	t.Parallel()
	config := func(name, n string, line int) *plumbline.Object {
		return object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: "+name+", namespace: shop}, data: {state: "+n+"}}", line)
	}
	var list []*plumbline.Object
	for i := range 100 {
		list = append(list, config(fmt.Sprintf("c%d", i), "ok", i))
	}
	objects := plumbline.ObjectsOf(list...)
	c := mustCompile(t, oneRule).Start("production")
	for _, step := range []struct {
		what   string
		change func()
		looked int
		at     []int // lines of the violations
	}{
		{"at first all are looked at", func() {}, 100, nil},
		{"nothing changed", func() {}, 0, nil},
		{"one became wrong", func() { objects = objects.With(list[7].Ref, config("c7", "bad", 7)) }, 1, []int{7}},
		{"another one too", func() { objects = objects.With(list[9].Ref, config("c9", "bad", 9)) }, 1, []int{7, 9}},
		{"it moved to another line", func() { objects = objects.With(list[7].Ref, config("c7", "bad", 70)) }, 0, []int{9, 70}},
		{"one is gone", func() { objects = objects.Without(list[9].Ref) }, 0, []int{70}},
		{"the other is right again", func() { objects = objects.With(list[7].Ref, config("c7", "ok", 70)) }, 1, nil},
	} {
		step.change()
		next, err := c.Next(t.Context(), objects, plumbline.Objects{})
		if err != nil {
			t.Fatal(err)
		}
		var at []int
		for _, v := range next.Violations() {
			at = append(at, v.Origin.Line)
		}
		if next.looked != step.looked || !cmp.Equal(at, step.at) {
			t.Errorf("%s: looked at %d, violations at lines %v; want %d, %v", step.what, next.looked, at, step.looked, step.at)
		}
		c = next
	}
}

// The same object gives the same message, in whatever order a map lies.
func TestMessagesAreTheSameEachTime(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, `{apiVersion: plumbline.dev/v1, kind: Policy, spec: {rules: [
		{name: keys, expression: "object.kind == 'x'", messageExpression: "object.data.map(k, k + object.data[k].map(l, l).join('')).join(' ')"}]}}`)
	o := object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {d: {r: 1, q: 2, p: 3}, c: {}, b: {b: 1, a: 1}, a: {}, e: {}, f: {}}}", 1)
	for range 50 {
		c, err := set.Start("production").Next(t.Context(), plumbline.ObjectsOf(o), plumbline.Objects{})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Violations()[0].Message; got != "ConfigMap c: rule keys: a bab c dpqr e f" {
			t.Fatal(got)
		}
	}
}

// Who gives up gets an error and no verdict, and the verdict before stands.
func TestNextEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {state: bad}}", 1)
	start := mustCompile(t, oneRule).Start("production")
	c, err := start.Next(ctx, plumbline.ObjectsOf(o), plumbline.Objects{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if c, err = c.Next(t.Context(), plumbline.ObjectsOf(o), plumbline.Objects{}); err != nil || len(c.Violations()) != 1 {
		t.Errorf("afterwards %v, %v", c.Violations(), err)
	}
}

// A rule that is cheap by estimate and dear on one object is stopped there, and
// does not hold.
func TestCostIsLimited(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, `{apiVersion: plumbline.dev/v1, kind: Policy, spec: {rules: [
		{name: pairs, expression: "object.data.all(a, object.data.all(b, a != 'x' || b != 'y'))"}]}}`)
	var b strings.Builder
	b.WriteString("{apiVersion: v1, kind: ConfigMap, metadata: {name: large}, data: {")
	for i := range 500 {
		fmt.Fprintf(&b, "k%d: '', ", i)
	}
	b.WriteString("}}")
	c, err := set.Start("production").Next(t.Context(), plumbline.ObjectsOf(object(t, b.String(), 3)), plumbline.Objects{})
	if err != nil {
		t.Fatal(err)
	}
	vs := c.Violations()
	if len(vs) != 1 || vs[0].Code != CodeUnevaluated || vs[0].Severity != plumbline.SeverityError || !strings.Contains(vs[0].Message, "cost limit exceeded") {
		t.Errorf("violations %v", vs)
	}
}

// All rules on all objects take a bounded amount of work: past it the commit is
// refused, with the rule that took the most. Once there is less to look at, what
// was left out is caught up on.
func TestTotalIsLimited(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, `{apiVersion: plumbline.dev/v1, kind: Policy, spec: {rules: [
		{name: cheap, expression: "object.kind != 'x'"},
		{name: dear, expression: "object.data.all(k, object.data[k] != 'bad')"}]}}`)
	var list []*plumbline.Object
	for i := range 100 {
		list = append(list, object(t, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: c%02d}, data: {a: '', b: '', c: '', d: %s}}", i, map[bool]string{true: "bad", false: "''"}[i == 99]), i+1))
	}
	next := func(c Checked, list []*plumbline.Object) Checked {
		t.Helper()
		c, err := c.Next(t.Context(), plumbline.ObjectsOf(list...), plumbline.Objects{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one := next(set.Start("production"), list[:1]).spent
	set.maxTotal = 50 * one

	c := next(set.Start("production"), list)
	vs := c.Violations()
	if c.looked != 51 || len(vs) != 1 || vs[0].Code != CodeUnevaluated || vs[0].Severity != plumbline.SeverityError || !strings.Contains(vs[0].Message, "rule dear (policy.yaml:3) alone took") {
		t.Errorf("looked at %d of 100: %v", c.looked, vs)
	}
	if again := next(c, list); again.looked != 0 || len(again.Violations()) != 1 {
		t.Errorf("the same again: looked at %d, %v", again.looked, again.Violations())
	}
	// The first half goes, so the second is looked at, and is within the limit.
	c = next(c, list[51:])
	if vs := c.Violations(); c.looked != 49 || len(vs) != 1 || vs[0].Origin.Line != 100 {
		t.Errorf("looked at %d of the other half: %v", c.looked, vs)
	}
	if fresh := next(set.Start("production"), list[51:]); fresh.spent != c.spent || !cmp.Equal(fresh.Violations(), c.Violations()) {
		t.Errorf("from scratch %d units, %v; in steps %d, %v", fresh.spent, fresh.Violations(), c.spent, c.Violations())
	}
}

// FuzzRule: whatever an operator writes is refused with a place, or ends, and
// shows no secret.
func FuzzRule(f *testing.F) {
	for _, seed := range []string{
		"true", "object.data.x == 'y'", "containers.all(c, c.image != '')", "definition.spec.tasks[0].id", "object.data.x", "1/0 == object.x",
		"object.data.all(a, object.data.all(b, object.data.all(c, object.data.all(d, a+b+c+d != ''))))",
		"[1,2,3].map(a, [1,2,3].map(b, [1,2,3].map(c, object))).size() > 0",
		strings.Repeat("(", 300) + "object" + strings.Repeat(")", 300),
		strings.Repeat("object.x && ", 500) + "true",
		"object.data.x.matches('(a+)+$')", "object.data.x.matches('((((a{50}){50}){50}){50})')",
		"'a'.replace('a','aaaaaaaaaa').replace('a','aaaaaaaaaa').replace('a','aaaaaaaaaa').replace('a','aaaaaaaaaa').replace('a','aaaaaaaaaa').replace('a','aaaaaaaaaa').replace('a','aaaaaaaaaa').replace('a','aaaaaaaaaa') == object.kind",
		"lists.range(1000000000).size() == object.x", "[object].flatten(1000000).size() == 1", "'%s'.format([object]) == ''", "\x00", "object[",
		"timestamp(object.data.x) > timestamp('2020-01-01T00:00:00Z')", "duration('999999999h') > duration(object.kind)", "pod.?x.?y.orValue(object) == 1",
	} {
		f.Add(seed, seed)
	}
	secret := object(f, "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: shop}, data: {x: aHVudGVyMg==}}", 1)
	deployment := object(f, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: shop}, spec: {template: {spec: {containers: [{name: a, image: 'x:1'}]}}}}", 2)
	objects := plumbline.ObjectsOf(secret, deployment)
	f.Fuzz(func(t *testing.T, expression, message string) {
		at := plumbline.Origin{Path: "p.yaml", Line: 1}
		set, err := Compile([]Rule{{
			Name: "fuzzed", Severity: plumbline.SeverityError, Origin: at,
			Expression: Source{expression, at}, MessageExpression: Source{message, at},
		}})
		if err != nil {
			if plumbline.KindOf(err) != plumbline.KindUsage || !strings.Contains(err.Error(), "p.yaml:") {
				t.Errorf("error %v", err)
			}
			return
		}
		c, err := set.Start("production").Next(t.Context(), objects, objects)
		if err != nil {
			t.Fatal(err)
		}
		if limit := uint64(2 * objects.Len() * 2 * MaxCost); c.spent > limit {
			t.Errorf("%d units; the limit is %d", c.spent, limit)
		}
		for _, v := range c.Violations() {
			if len(v.Message) > 3*maxMessage || strings.Contains(v.Message, "aHVudGVyMg") || strings.Contains(v.Message, "\n") {
				t.Errorf("message %q", v.Message)
			}
		}
	})
}

// FuzzParse: whatever a policy file holds is refused with its name, or gives
// rules that have all that Compile needs.
func FuzzParse(f *testing.F) {
	f.Add(oneRule)
	f.Add("a: &a [*a]")
	f.Add("{apiVersion: plumbline.dev/v1, kind: Policy, spec: {rules: [null, 1, {name: x}, {name: [], kinds: {}}]}}")
	f.Add("---\n---\n%YAML 1.2\n")
	f.Add("{apiVersion: plumbline.dev/v1, kind: Policy, spec: {parameters: {a: &a [*a]}, rules: [{name: x, severity: fatal, kinds: [Pod/], expression: !!binary eA==}]}}")
	f.Add("a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nspec: {parameters: {x: [*c,*c,*c,*c,*c,*c,*c,*c]}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines := 1 // as YAML 1.1 counts them, or more
		for _, end := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
			lines += strings.Count(text, end)
		}
		rules, err := Parse("p.yaml", []byte(text))
		if err != nil {
			for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
				var p *plumbline.Error
				if !errors.As(e, &p) || p.Kind != plumbline.KindUsage || p.Origin.Path != "p.yaml" || p.Origin.Line > lines {
					t.Errorf("%v: not a mistake in one of %d lines", e, lines)
				}
			}
			return
		}
		for _, r := range rules {
			if r.Name == "" || r.Severity == "" || strings.TrimSpace(r.Expression.Text) == "" || r.Origin.Line < 1 || r.Origin.Line > lines {
				t.Errorf("rule %+v", r)
			}
		}
	})
}

func BenchmarkNext(b *testing.B) {
	var rules []Rule
	for _, r := range Catalogue() {
		if parametersOf(r.Name) == nil {
			rules = append(rules, r)
		}
	}
	set, err := Compile(rules)
	if err != nil {
		b.Fatal(err)
	}
	var list []*plumbline.Object
	for i := range 1000 {
		list = append(list, object(b, fmt.Sprintf("{apiVersion: apps/v1, kind: Deployment, metadata: {name: d%d, namespace: shop}, spec: {template: {spec: {containers: [{name: a, image: 'x:1', resources: {limits: {memory: 1Gi}}}]}}}}", i), 1))
	}
	objects := plumbline.ObjectsOf(list...)
	b.Run("1000 objects", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if c, err := set.Start("x").Next(b.Context(), objects, plumbline.Objects{}); err != nil || c.looked != 1000 {
				b.Fatal(c.looked, err)
			}
		}
	})
	b.Run("one of them changed", func(b *testing.B) {
		c, err := set.Start("x").Next(b.Context(), objects, plumbline.Objects{})
		if err != nil {
			b.Fatal(err)
		}
		other := *list[500]
		other.Checksum = "another"
		changed := objects.With(other.Ref, &other)
		b.ReportAllocs()
		for b.Loop() {
			if next, err := c.Next(b.Context(), changed, plumbline.Objects{}); err != nil || next.looked != 1 {
				b.Fatal(next.looked, err)
			}
		}
	})
}
