package definition_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/golden"
	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/definition/reference"
)

const fieldsFile = "testdata/fields.txt"

// pair is a field of the language in a mode: "a task: image", "knative". What
// does not belong to one service has the mode "all".
type pair struct{ field, mode string }

// modesFor are the modes of documents that belong to one service, or of others.
func modesFor(service bool) []string {
	if !service {
		return []string{"all"}
	}
	return []string{string(plumbline.ModeKnative), string(plumbline.ModeKnativeDirect), string(plumbline.ModeDeployment)}
}

// TestEveryFieldInEveryMode: each field of plumbline.dev/v1 is rendered by an
// archive of fixtures/golden in each mode, or package reference has a reason why
// not; and where reference says that it becomes a field of a manifest, some
// archive renders that field. UPDATE=1 rewrites the list, from which
// docs/definitions.md is written.
func TestEveryFieldInEveryMode(t *testing.T) {
	t.Parallel()
	l := listing{fields: map[pair]bool{}, shown: map[pair][]shown{}}
	files, err := filepath.Glob("../../fixtures/golden/*.txtar")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d archives: %v", len(files), err)
	}
	// The first that shows a pair stands for it: one that is about fields, if it
	// can be, and not one that is about mistakes.
	rank := func(file string) int {
		switch name := filepath.Base(file); {
		case strings.HasPrefix(name, "fields-"):
			return 0
		case strings.HasPrefix(name, "bad-"):
			return 2
		}
		return 1
	}
	slices.SortStableFunc(files, func(a, b string) int { return rank(a) - rank(b) })
	for _, f := range files {
		l.archive(t, f)
	}
	got := l.text(t, fieldsOf(definition.FormPlumbline))
	l.places(t, fieldsOf(definition.FormPlumbline))
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(fieldsFile, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(fieldsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("UPDATE=1 rewrites (-file +got)\n%s", diff)
	}
}

// listing is what the archives show.
type listing struct {
	fields map[pair]bool    // that documents can have
	shown  map[pair][]shown // in the order of the archives
}

// shown is an archive that renders a field, with the objects that may show it.
type shown struct {
	file    string
	objects []manifest
}

// archive notes the fields of an archive's documents: all that there can be,
// and, where it renders, those that are there.
func (l *listing) archive(t *testing.T, file string) {
	t.Helper()
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	modes, objects := rendered(t, a)
	for _, f := range a.Files {
		if strings.HasPrefix(f.Name, "out/") {
			continue
		}
		chunks, _ := definition.Split(f.Data)
		for _, c := range chunks {
			l.document(c.Text, modes, shown{filepath.Base(file), objects})
		}
	}
}

func (l *listing) document(text []byte, modes map[string]string, archive shown) {
	var used []string
	var known []string
	d := definition.ParseObserved(text, func(form definition.Form, what string, keys []string, key string) {
		if form != definition.FormPlumbline {
			return
		}
		for _, k := range keys {
			known = append(known, what+": "+k)
		}
		if slices.Contains(keys, key) {
			used = append(used, what+": "+key)
		}
	})
	service := ""
	switch {
	case len(d.Versions) > 0:
		service = d.Versions[0].Project.Value + "/" + d.Versions[0].ID.Value
	case len(d.Routes) > 0:
		service = d.Routes[0].Project.Value + "/" + d.Routes[0].ID.Value
	}
	of := service != ""
	if !of && len(d.Secrets)+len(d.Roles)+len(d.Projects)+len(d.Posts) == 0 {
		return
	}
	for _, f := range known {
		for _, mode := range modesFor(of) {
			l.fields[pair{f, mode}] = true
		}
	}
	mode := "all"
	if of {
		mode = modes[service]
	}
	if modes == nil || mode == "" {
		return
	}
	for _, f := range used {
		if p := (pair{f, mode}); len(l.shown[p]) == 0 || l.shown[p][len(l.shown[p])-1].file != archive.file {
			l.shown[p] = append(l.shown[p], archive)
		}
	}
}

// rendered are the modes of an archive's services and its objects; nothing where
// it does not render.
func rendered(t *testing.T, a *txtar.Archive) (map[string]string, []manifest) {
	t.Helper()
	o, files := render.Options{Patch: golden.NewPatch}, fstest.MapFS{}
	for line := range strings.Lines(string(a.Comment)) {
		if f, ok := strings.CutPrefix(strings.TrimSpace(line), "feature: "); ok {
			o.Knative.Features = append(o.Knative.Features, f)
		}
		o.KEDA = o.KEDA || strings.TrimSpace(line) == "keda: true"
	}
	for _, f := range a.Files {
		if !strings.HasPrefix(f.Name, "out/") {
			files[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	r, err := render.New(o)
	if err != nil {
		t.Fatal(err)
	}
	res, err := r.Render(t.Context(), files, ".")
	if err != nil {
		t.Fatal(err)
	}
	if len(plumbline.Errors(res.Violations)) > 0 {
		return nil, nil
	}
	modes := map[string]string{}
	for _, s := range res.Services {
		modes[s.Project+"/"+s.Service] = string(s.Mode)
	}
	return modes, manifests(t, res.Objects)
}

// text is one line a pair, and complains about those that nobody shows.
func (l *listing) text(t *testing.T, fields map[string][]reference.Field) string {
	t.Helper()
	var b strings.Builder
	names := map[string]bool{}
	for p := range l.fields {
		names[p.field] = true
	}
	for _, f := range slices.Sorted(maps.Keys(names)) {
		for _, mode := range slices.Concat(modesFor(false), modesFor(true)) {
			if !l.fields[pair{f, mode}] {
				continue
			}
			archives, reason := l.shown[pair{f, mode}], ""
			if of := fields[f]; len(of) > 0 {
				reason = of[0].Becomes.Unsupported(mode)
			}
			file := "unsupported: " + reason
			switch {
			case len(archives) > 0 && reason != "":
				t.Errorf("%s in mode %s: %s shows it, and package reference says it is unsupported: %s", f, mode, archives[0].file, reason)
			case len(archives) == 0 && reason == "":
				t.Errorf("%s in mode %s: no archive shows it, and package reference has no reason why not", f, mode)
			case len(archives) > 0:
				file = archives[0].file
			}
			fmt.Fprintf(&b, "%-50s %-15s %s\n", f, mode, file)
		}
	}
	return b.String()
}
