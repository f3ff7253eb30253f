package definition_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/definition/reference"
)

// fieldsOf are the fields of package reference in a form, named as messages
// name them: "a task: docker". Those of metadata are there once for each kind.
func fieldsOf(form definition.Form) map[string][]reference.Field {
	out := map[string][]reference.Field{}
	var add func(m *reference.Mapping)
	add = func(m *reference.Mapping) {
		for _, f := range m.Fields {
			if !f.In(form) {
				continue
			}
			out[m.Name+": "+f.Key] = append(out[m.Name+": "+f.Key], f)
			if f.Of != nil && m.Name+f.Key != "the documentmeta" { // meta is not read key by key
				add(f.Of)
			}
		}
	}
	for _, k := range reference.Kinds() {
		if k.In(form) {
			add(k.Envelope(form))
		}
	}
	return out
}

// TestReferenceIsComplete: package reference lists the fields that documents
// are read for, in each form, no more and no fewer, and describes each.
func TestReferenceIsComplete(t *testing.T) {
	t.Parallel()
	read := map[definition.Form]map[string]bool{definition.FormPlumbline: {}, definition.FormSpaceCloud: {}}
	for _, text := range documents(t) {
		definition.ParseObserved(text, func(form definition.Form, what string, known []string, _ string) {
			for _, k := range known {
				read[form][what+": "+k] = true
			}
		})
	}
	for form, fields := range read {
		listed := fieldsOf(form)
		for f := range fields {
			if len(listed[f]) == 0 {
				t.Errorf("%s: %s is read, and reference does not list it", form, f)
			}
		}
		for f := range listed {
			if !fields[f] {
				t.Errorf("%s: reference lists %s, and no document was read for it", form, f)
			}
		}
	}
	for _, form := range []definition.Form{definition.FormPlumbline, definition.FormSpaceCloud} {
		for name, fields := range fieldsOf(form) {
			for _, f := range fields {
				if !strings.HasSuffix(f.Doc, ".") {
					t.Errorf("%s: the description %q is no sentence", name, f.Doc)
				}
			}
		}
	}
}

// TestHabits: what a message sends people to is there, and what they wrote is
// not.
func TestHabits(t *testing.T) {
	t.Parallel()
	mappings := map[string]*reference.Mapping{}
	var add func(m *reference.Mapping)
	add = func(m *reference.Mapping) {
		mappings[m.Name] = m
		for _, f := range m.Fields {
			if f.Of != nil {
				add(f.Of)
			}
		}
	}
	for _, k := range reference.Kinds() {
		add(k.Spec)
	}
	for what, keys := range definition.Habits() {
		for key, path := range keys {
			if slices.ContainsFunc(mappings[what].Fields, func(f reference.Field) bool { return f.Key == key && f.In(definition.FormPlumbline) }) {
				t.Errorf("%s has a field %s", what, key)
			}
			at := mappings[what]
			for step := range strings.SplitSeq(path, ".") {
				if at == nil {
					break // below a mapping of text any key may stand
				}
				i := slices.IndexFunc(at.Fields, func(f reference.Field) bool { return f.Key == step })
				if i < 0 {
					t.Fatalf("%s: there is no %s", what, path)
				}
				at = at.Fields[i].Of
			}
		}
	}
}

// documents are those of all archives, and of testdata/convert.
func documents(t *testing.T) [][]byte {
	t.Helper()
	var out [][]byte
	for _, pattern := range []string{"../../fixtures/golden/*.txtar", "testdata/convert/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, f := range files {
			a, err := txtar.ParseFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range append(archiveFiles(a), a.Comment) {
				chunks, _ := definition.Split(text)
				for _, c := range chunks {
					out = append(out, c.Text)
				}
			}
		}
	}
	return out
}

func archiveFiles(a *txtar.Archive) [][]byte {
	var out [][]byte
	for _, f := range a.Files {
		if !strings.HasPrefix(f.Name, "out/") {
			out = append(out, f.Data)
		}
	}
	return out
}

// manifest is a rendered object.
type manifest struct {
	kind   string // as package reference has it: "Knative Service"
	fields map[string]any
}

func manifests(t *testing.T, objects plumbline.Objects) []manifest {
	t.Helper()
	var out []manifest
	for _, o := range plumbline.InWaves(objects) {
		m := manifest{kind: o.Ref.Kind}
		if o.Ref.Group == "serving.knative.dev" {
			m.kind = "Knative " + m.kind
		}
		if err := json.Unmarshal(o.Body.Reveal(), &m.fields); err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

// places complains about fields of manifests that reference names and no
// archive renders.
func (l *listing) places(t *testing.T, fields map[string][]reference.Field) {
	t.Helper()
	for _, p := range slices.SortedFunc(maps.Keys(l.shown), func(a, b pair) int { return strings.Compare(a.field+a.mode, b.field+b.mode) }) {
		said := false
		for _, f := range fields[p.field] {
			becomes := f.Becomes.In(p.mode)
			said = said || becomes != ""
			if strings.HasPrefix(becomes, "nothing: ") || becomes == "" {
				continue
			}
			for place := range strings.SplitSeq(becomes, "; ") {
				if !l.has(p, place) {
					t.Errorf("%s in mode %s: no archive that shows it renders %s", p.field, p.mode, place)
				}
			}
		}
		if !said {
			t.Errorf("%s in mode %s: reference does not say what it becomes", p.field, p.mode)
		}
	}
}

func (l *listing) has(p pair, place string) bool {
	kind, path, _ := strings.Cut(place, ": ")
	for _, a := range l.shown[p] {
		for _, m := range a.objects {
			if m.kind == kind && isThere(m.fields, steps(path)) {
				return true
			}
		}
	}
	return false
}

// steps splits "a.b[].c["d.e"].*" into a, b, [], c, d.e and *.
func steps(path string) []string {
	var out []string
	for path != "" {
		switch {
		case strings.HasPrefix(path, `["`):
			key, rest, _ := strings.Cut(path[2:], `"]`)
			out, path = append(out, key), rest
		case strings.HasPrefix(path, "[]"):
			out, path = append(out, "[]"), path[2:]
		case strings.HasPrefix(path, "."):
			path = path[1:]
		default:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			out, path = append(out, path[:end]), path[end:]
		}
	}
	return out
}

// isThere tells whether something stands at a path: [] is some item of a list,
// * some key of a mapping.
func isThere(v any, path []string) bool {
	if len(path) == 0 {
		return v != nil
	}
	switch at := v.(type) {
	case []any:
		return path[0] == "[]" && slices.ContainsFunc(at, func(item any) bool { return isThere(item, path[1:]) })
	case map[string]any:
		if path[0] == "*" {
			return slices.ContainsFunc(slices.Collect(maps.Values(at)), func(item any) bool { return isThere(item, path[1:]) })
		}
		return isThere(at[path[0]], path[1:])
	}
	return false
}

// TestSteps: a test of the test, which must not find what is not there.
func TestSteps(t *testing.T) {
	t.Parallel()
	object := map[string]any{"a": []any{map[string]any{"b.c": "x"}}, "d": map[string]any{}}
	for path, want := range map[string]bool{
		`a`: true, `a[]`: true, `a[]["b.c"]`: true, `a[].*`: true, `d`: true,
		`a[].c`: false, `d.*`: false, `d[]`: false, `e`: false, `a["b.c"]`: false,
	} {
		if got := isThere(object, steps(path)); got != want {
			t.Errorf("%s: %v, %s", path, got, fmt.Sprint(steps(path)))
		}
	}
}
