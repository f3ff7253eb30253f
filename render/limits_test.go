package render

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/overlay"
)

// What is too much for one environment ends the rendering with the file at
// which it was noticed, at the first rendering and after a change alike; what
// is within the limits is rendered afterwards.
func TestLimits(t *testing.T) {
	t.Parallel()
	config := func(name string) string {
		return "{apiVersion: v1, kind: ConfigMap, metadata: {name: " + name + ", namespace: shop}}\n"
	}
	list := "{apiVersion: v1, kind: List, items: [" + strings.TrimSpace(config("v")) + ", " + strings.TrimSpace(config("w")) + "]}\n"
	for name, tt := range map[string]struct {
		limits func(*limits)
		more   map[string]string
		want   string
	}{
		"files":   {func(m *limits) { m.files = 3 }, map[string]string{"env/c.yaml": config("c"), "env/d.yaml": config("d")}, "env/sub/b.yaml: read env: more than 3 files"},
		"hidden":  {func(m *limits) { m.files = 3 }, map[string]string{"env/.x.yaml": "", "env/.y.yaml": ""}, "env/b.yaml: read env: more than 3 files"},
		"bytes":   {func(m *limits) { m.bytes = 1 << 20 }, map[string]string{"env/big.yaml": "# " + strings.Repeat("x", 1<<20)}, "env/big.yaml: read env: more than 1 MiB"},
		"values":  {func(m *limits) { m.values = 30 }, map[string]string{"env/alias.yaml": "{x: &a [1, 2, 3, 4, 5, 6], y1: *a, y2: *a, y3: *a}\n"}, "env/alias.yaml: read env: more than 30 values"},
		"items":   {func(m *limits) { m.definitions = 3 }, map[string]string{"env/list.yaml": list}, "env/sub/b.yaml: read env: more than 3 definitions"},
		"faults":  {func(m *limits) { m.problems = 3 }, map[string]string{"env/bad.yaml": strings.Repeat("---\n{apiVersion: v1, kind: ConfigMap}\n", 4)}, "env/bad.yaml: read env: more than 3 problems in the definitions, up to this file: put right what is alike in many, such as env/bad.yaml:2:1: ConfigMap needs metadata.name"},
		"objects": {func(m *limits) { m.objects = 3 }, map[string]string{"env/list.yaml": list}, "render: the definitions make 4 objects; the limit is 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			few := fstest.MapFS{"env/a.yaml": {Data: []byte(config("a"))}, "env/sub/b.yaml": {Data: []byte(config("b"))}}
			if name == "hidden" {
				few["env/b.yaml"] = few["env/sub/b.yaml"]
				delete(few, "env/sub/b.yaml")
			}
			many := fstest.MapFS{}
			for k, v := range few {
				many[k] = v
			}
			for k, v := range tt.more {
				many[k] = &fstest.MapFile{Data: []byte(v)}
			}
			fresh, used := limited(t, tt.limits), limited(t, tt.limits)
			if _, err := used.Render(t.Context(), few, "env"); err != nil {
				t.Fatal(err)
			}
			for what, r := range map[string]*Renderer{"at first": fresh, "after a change": used} {
				if _, err := r.Render(t.Context(), many, "env"); plumbline.KindOf(err) != plumbline.KindInvalid || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s: %v, want %q", what, err, tt.want)
				}
				if res, err := r.Render(t.Context(), few, "env"); err != nil || res.Objects.Len() != 2 {
					t.Errorf("%s, and back: %d objects, %v", what, res.Objects.Len(), err)
				}
			}
		})
	}
}

// What an overlay puts out counts likewise, though few files make it: the error
// names the kustomization.
func TestLimitsOfOverlay(t *testing.T) {
	t.Parallel()
	kustomization := "resources: [p, q]"
	files := func(text string) fstest.MapFS {
		out := fstest.MapFS{
			"env/kustomization.yaml": {Data: []byte(kustomization)},
			"base/a.yaml":            {Data: []byte(text)}, "base/kustomization.yaml": {Data: []byte("resources: [a.yaml]")},
		}
		for _, copied := range []string{"p", "q"} {
			out["env/"+copied+"/kustomization.yaml"] = &fstest.MapFile{Data: []byte("resources: [../../base]\nnamePrefix: " + copied + "-\n")}
		}
		return out
	}
	many := "a: b"
	for i := range 100 {
		many += fmt.Sprintf(", k%d: v", i)
	}
	small := "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}\n"
	for name, tt := range map[string]struct {
		limits func(*limits)
		base   string
		want   string
	}{
		"bytes":       {func(m *limits) { m.bytes = 1 << 20 }, strings.TrimSuffix(small, "}\n") + ", data: {a: " + strings.Repeat("x", 600<<10) + "}}\n", "more than 1 MiB of definitions"},
		"values":      {func(m *limits) { m.values = 100 }, strings.TrimSuffix(small, "}\n") + ", data: {" + many + "}}\n", "more than 100 values"},
		"definitions": {func(m *limits) { m.definitions = 3 }, small + "---\n" + strings.Replace(small, "name: a", "name: b", 1), "more than 3 definitions and objects"},
		"problems":    {func(m *limits) { m.problems = 1 }, strings.Replace(small, "}}", ", labels: {a: [b]}}}", 1), "more than 1 problems in the definitions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := limited(t, tt.limits)
			r.opts.Overlay = (&overlay.Builder{}).Build
			for range 2 {
				_, err := r.Render(t.Context(), files(tt.base), "env")
				if want := "env/kustomization.yaml: render overlay: " + tt.want; plumbline.KindOf(err) != plumbline.KindInvalid || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
				if len(r.tree.parsed) > 0 {
					t.Errorf("%d documents are kept", len(r.tree.parsed))
				}
			}
			if res, err := r.Render(t.Context(), files(small), "env"); err != nil || res.Objects.Len() != 2 {
				t.Errorf("and back: %d objects, %v, %v", res.Objects.Len(), err, res.Violations)
			}
		})
	}
}

func limited(t *testing.T, change func(*limits)) *Renderer {
	t.Helper()
	r, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	change(&r.limits)
	return r
}

// More problems than are listed are counted, and one error among those that are
// not listed is an error.
func TestProblemsAreCut(t *testing.T) {
	t.Parallel()
	var vs []plumbline.Violation
	for i := range 5 {
		vs = append(vs, plumbline.Violation{Severity: plumbline.SeverityWarning, Origin: plumbline.Origin{Path: "a", Line: i + 1}, Message: fmt.Sprint(i)})
	}
	if got := definition.Cut(vs, 5); len(got) != 5 {
		t.Errorf("cut to %v", got)
	}
	if got := definition.Cut(vs, 3); len(got) != 4 || got[3].String() != "a:4: warning: 2 more problems are not listed: put these right first" {
		t.Errorf("cut to %v", got)
	}
	bad := slices.Clone(vs)
	bad[4].Severity = plumbline.SeverityError
	if got := definition.Cut(bad, 3); len(plumbline.Errors(got)) != 1 || bad[3].Severity != plumbline.SeverityWarning {
		t.Errorf("the error is lost: %v", got)
	}
}

// Aliases that grow over the limit are noticed before all of them have.
func TestAliasesOfAFile(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [" + strings.Repeat("x,", 99) + "x]\nb: &b [" + strings.Repeat("*a,", 99) + "*a]\nc: [" + strings.Repeat("*b,", 19) + "*b]\n"
	var file strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&file, "---\nn: %d\n%s", i, bomb)
	}
	r := limited(t, func(*limits) {})
	_, err := r.Render(t.Context(), fstest.MapFS{"bomb.yaml": {Data: []byte(file.String())}}, ".")
	if plumbline.KindOf(err) != plumbline.KindInvalid || !strings.HasPrefix(err.Error(), "bomb.yaml: read .: more than 5000000 values") {
		t.Error(err)
	}
	if len(r.tree.contents)+len(r.tree.parsed) > 0 {
		t.Errorf("%d files and %d documents are kept", len(r.tree.contents), len(r.tree.parsed))
	}
}

// A file over the limit is not read, and not forgotten either.
func TestLargeFile(t *testing.T) {
	t.Parallel()
	r := limited(t, func(*limits) {})
	files := fstest.MapFS{
		"a.yaml":   {Data: []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}")},
		"big.yaml": {Data: make([]byte, definition.MaxFile+1)},
	}
	for range 2 {
		res, err := r.Render(t.Context(), files, ".")
		if err != nil {
			t.Fatal(err)
		}
		if vs := res.Violations; len(vs) != 1 || vs[0].String() != "big.yaml: the file has 33554433 bytes; the limit is 33554432: split it" || res.Objects.Len() > 0 {
			t.Errorf("%d objects, %v", res.Objects.Len(), vs)
		}
	}
}
