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
	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/definition"
)

const fieldsFile = "testdata/fields.txt"

// pair is a field of the language in a mode: "a task: image", "knative". What
// does not belong to one service has the mode "all".
type pair struct{ field, mode string }

// unsupported are the pairs that no archive can show, with the reason.
func unsupported() map[pair]string {
	out := map[pair]string{}
	for _, mode := range []render.Mode{render.ModeKnative, render.ModeKnativeDirect} {
		for _, field := range []string{
			"a trigger: authRef", "authRef: secretMapping", "an entry of secretMapping: param", "an entry of secretMapping: key",
		} {
			out[pair{field, string(mode)}] = "asks for the mode deployment"
		}
	}
	for _, field := range []string{
		"a route: requestRetries", "a route: requestTimeout", "a route: matchers", "a matcher: url", "a matcher: headers",
		"url: type", "url: value", "url: ignoreCase", "a header: key", "a header: type", "a header: value",
		"a target: host", "a target: scheme",
	} {
		out[pair{field, string(render.ModeKnative)}] = "asks for the mode knative-direct"
	}
	return out
}

func serviceModes() []string {
	return []string{string(render.ModeKnative), string(render.ModeKnativeDirect), string(render.ModeDeployment)}
}

// TestEveryFieldInEveryMode: each field of plumbline.dev/v1 is rendered by an
// archive of fixtures/golden in each mode, or there is a reason why not.
// UPDATE=1 rewrites the list.
func TestEveryFieldInEveryMode(t *testing.T) {
	t.Parallel()
	l := listing{fields: map[string]bool{}, shown: map[pair]string{}}
	files, err := filepath.Glob("../../fixtures/golden/*.txtar")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d archives: %v", len(files), err)
	}
	for _, f := range files {
		l.archive(t, f)
	}
	got := l.text(t)
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
	fields map[string]bool // that service documents can have: true where they belong to one service
	shown  map[pair]string // the first archive
}

// archive notes the fields of an archive's documents: all that there can be,
// and, where it renders, those that are there.
func (l *listing) archive(t *testing.T, file string) {
	t.Helper()
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	modes := modesOf(t, a)
	for _, f := range a.Files {
		if strings.HasPrefix(f.Name, "out/") {
			continue
		}
		chunks, _ := definition.Split(f.Data)
		for _, c := range chunks {
			l.document(c.Text, modes, filepath.Base(file))
		}
	}
}

func (l *listing) document(text []byte, modes map[string]string, file string) {
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
	if !of && len(d.Secrets)+len(d.Roles)+len(d.Projects) == 0 {
		return
	}
	for _, f := range known {
		l.fields[f] = l.fields[f] || of
	}
	mode := "all"
	if of {
		mode = modes[service]
	}
	if modes == nil || mode == "" {
		return
	}
	for _, f := range used {
		if _, ok := l.shown[pair{f, mode}]; !ok {
			l.shown[pair{f, mode}] = file
		}
	}
}

// modesOf are the modes of an archive's services; nil where it does not render.
func modesOf(t *testing.T, a *txtar.Archive) map[string]string {
	t.Helper()
	o, files := render.Options{}, fstest.MapFS{}
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
		return nil
	}
	modes := map[string]string{}
	for _, s := range res.Services {
		modes[s.Project+"/"+s.Service] = string(s.Mode)
	}
	return modes
}

// text is one line a pair, and complains about those that nobody shows.
func (l *listing) text(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	reasons := unsupported()
	for _, f := range slices.Sorted(maps.Keys(l.fields)) {
		modes := []string{"all"}
		if l.fields[f] {
			modes = serviceModes()
		}
		for _, mode := range modes {
			p := pair{f, mode}
			file, shown := l.shown[p]
			reason, refused := reasons[p]
			switch {
			case shown && refused:
				t.Errorf("%s in mode %s: %s shows it, and it is listed as unsupported: %s", f, mode, file, reason)
			case !shown && !refused:
				t.Errorf("%s in mode %s: no archive shows it, and there is no reason why not", f, mode)
			case refused:
				file = "unsupported: " + reason
			}
			delete(reasons, p)
			fmt.Fprintf(&b, "%-50s %-15s %s\n", f, mode, file)
		}
	}
	for p := range reasons {
		t.Errorf("%s in mode %s is listed as unsupported, and there is no such field", p.field, p.mode)
	}
	return b.String()
}
