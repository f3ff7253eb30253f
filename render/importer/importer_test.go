package importer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/archive"
	"github.com/plumbline-dev/plumbline/fixtures/golden"
	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/importer"
)

// TestImport imports each archive in testdata and compares with the sections
// that begin with out/. A first line "form: space-cloud" or "adopt" sets an
// option. UPDATE=1 rewrites them.
func TestImport(t *testing.T) {
	t.Parallel()
	archive.Play(t, "testdata/*.txtar", []string{"out/"}, func(t *testing.T, a *txtar.Archive) []txtar.File {
		var o importer.Options
		o.Adopt = strings.Contains(string(a.Comment), "\nadopt\n")
		if strings.Contains(string(a.Comment), "\nform: space-cloud\n") {
			o.Form = definition.FormSpaceCloud
		}
		var in []importer.File
		for _, f := range a.Files {
			in = append(in, importer.File{Path: f.Name, Text: f.Data})
		}
		res := importer.Import(in, o)
		fixPoint(t, res.Files, o)
		return report(res)
	})
}

// report is a result as sections of an archive.
func report(res importer.Result) []txtar.File {
	var notes, violations strings.Builder
	for _, n := range res.Notes {
		fmt.Fprintln(&notes, n)
	}
	for _, v := range res.Violations {
		fmt.Fprintf(&violations, "%s %s\n", v.Code, v)
	}
	var out []txtar.File
	section := func(name, text string) {
		if text != "" {
			out = append(out, txtar.File{Name: name, Data: []byte(text)})
		}
	}
	section("out/notes", notes.String())
	section("out/violations", violations.String())
	for _, f := range res.Files {
		out = append(out, txtar.File{Name: "out/" + f.Path, Data: f.Text})
	}
	return out
}

type failer interface {
	Context() context.Context
	Helper()
	Errorf(format string, args ...any)
}

// fixPoint wants the import of what was imported to change nothing, as files
// and as one stream.
func fixPoint(t failer, files []importer.File, o importer.Options) {
	t.Helper()
	again := importer.Import(files, o)
	if len(again.Violations) > 0 {
		t.Errorf("imported again: %v", again.Violations)
	}
	if diff := cmp.Diff(text(files), text(again.Files)); diff != "" {
		t.Errorf("imported again (-first +again)\n%s", diff)
	}
}

func text(files []importer.File) map[string]string {
	out := map[string]string{}
	for _, f := range files {
		out[f.Path] = string(f.Text)
	}
	return out
}

// TestSameObjects: what is imported renders to the objects that the export
// itself renders to, in both forms, for every archive of fixtures/golden that
// is valid, and for the shop.
func TestSameObjects(t *testing.T) {
	t.Parallel()
	cases := golden.Cases(t)
	shop := golden.Case{Name: "shop", Options: render.Options{Environment: "production"}, Dir: "."}
	root := "../../fixtures/shop/environments/production"
	if err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			text, err := os.ReadFile(p)
			shop.Add(filepath.Base(p), text)
			return err
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, c := range append(cases, shop) {
		if c.Dir != "." || c.Options.Overlay != nil || c.Options.Keys != nil || c.Options.Closed || c.Options.RequireEncrypted {
			continue // an overlay, or files that are copied as they are
		}
		want := c.Render(t)
		if want.Objects.Len() == 0 {
			continue
		}
		compared++
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			for _, form := range []definition.Form{"", definition.FormSpaceCloud} {
				o := importer.Options{Form: form}
				res := importer.Import(filesOf(c.Files()), o)
				sameObjects(t, want, res, c.Options)
				fixPoint(t, res.Files, o)
			}
		})
	}
	if compared < 25 {
		t.Errorf("compared %d archives only", compared)
	}
}

// filesOf are the files that the command would read.
func filesOf(files fstest.MapFS) []importer.File {
	var out []importer.File
	for name, f := range files {
		hidden := strings.HasPrefix(name, ".") || strings.HasPrefix(name, "chart/")
		if !hidden && path.Ext(name) != "" {
			out = append(out, importer.File{Path: name, Text: f.Data})
		}
	}
	return out
}

func sameObjects(t failer, want render.Result, res importer.Result, o render.Options) {
	t.Helper()
	if len(res.Violations) > 0 {
		t.Errorf("import: %v", res.Violations)
		return
	}
	files := fstest.MapFS{}
	for _, f := range res.Files {
		files[f.Path] = &fstest.MapFile{Data: f.Text}
	}
	got, err := rendered(t.Context(), files, o)
	if err != nil {
		t.Errorf("render: %v", err)
		return
	}
	for _, v := range plumbline.Errors(got.Violations) {
		t.Errorf("%v", v)
	}
	if diff := cmp.Diff(bodies(want.Objects), bodies(got.Objects)); diff != "" {
		t.Errorf("objects (-export +import)\n%s\n%s", diff, txtar.Format(&txtar.Archive{Files: report(res)}))
	}
}

func rendered(ctx context.Context, files fstest.MapFS, o render.Options) (render.Result, error) {
	r, err := render.New(o)
	if err != nil {
		return render.Result{}, err
	}
	return r.Render(ctx, files, ".")
}

func bodies(objects plumbline.Objects) map[string]string {
	out := map[string]string{}
	for ref, o := range objects.All() {
		out[ref.String()] = fmt.Sprintf("%s\nwave %d, %+v, system %v", o.Body.Reveal(), o.Wave, o.Control, o.System)
	}
	return out
}

// TestGenerated: the same of services that nobody thought of, spelled as
// exports spell them.
func TestGenerated(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := render.Options{Environment: "test", KEDA: true}
		files := fstest.MapFS{}
		for i := range rapid.IntRange(1, 3).Draw(t, "documents") {
			doc, err := json.MarshalIndent(service(t, fmt.Sprintf("s%d", i)), "", " ")
			if err != nil {
				t.Fatal(err)
			}
			files[fmt.Sprintf("%d.json", i)] = &fstest.MapFile{Data: doc}
		}
		files["secret.json"] = &fstest.MapFile{Data: secretDocument(t)}
		want, err := rendered(t.Context(), files, o)
		if err != nil {
			t.Fatal(err)
		}
		form := rapid.SampledFrom([]definition.Form{"", definition.FormSpaceCloud}).Draw(t, "form")
		res := importer.Import(filesOf(files), importer.Options{Form: form})
		if len(plumbline.Errors(want.Violations)) > 0 {
			t.Fatalf("generated what is not valid: %v", plumbline.Errors(want.Violations))
		}
		sameObjects(t, want, res, o)
		fixPoint(t, res.Files, importer.Options{Form: form})
	})
}

// value is text that YAML has trouble with.
func value(t *rapid.T) string {
	odd := []string{"", "yes", "1.10", "null", "~", "0x10", "2020-01-01", " x", "x ", "a: b", "#c", "a\nb", "a\n", "\na", "a \nb", "a\n\n", "\t", "<<", "[fill]", "é\u2028", "|", "- a", "%", "@x", "'\"", "\u0085"}
	return rapid.OneOf(rapid.SampledFrom(odd), rapid.StringOfN(rapid.RuneFrom([]rune("ab:#\n\t \"'-{}[]é,&*")), 0, 12, -1)).Draw(t, "value")
}

func service(t *rapid.T, id string) map[string]any {
	b := rapid.Bool()
	maybe := func(m map[string]any, key string, v any) {
		if b.Draw(t, key) {
			m[key] = v
		}
	}
	env := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "variables") {
		env[rapid.StringMatching(`[A-Z][A-Z0-9_]{0,6}`).Draw(t, "name")+"_"] = value(t)
	}
	resources := map[string]any{"cpu": rapid.IntRange(0, 900).Draw(t, "cpu"), "memory": rapid.IntRange(0, 900).Draw(t, "memory")}
	maybe(resources, "gpu", map[string]any{"type": rapid.SampledFrom([]string{"", "nvdia", "amd"}).Draw(t, "gpu type"), "value": rapid.IntRange(0, 2).Draw(t, "gpus")})
	docker := map[string]any{"image": "app:1", "cmd": rapid.SliceOfN(rapid.StringMatching(`[a-z.\-]{1,4}`), 0, 3).Draw(t, "cmd")}
	maybe(docker, "imagePullPolicy", rapid.SampledFrom([]string{"always", "pull-if-not-exists", "Sometimes"}).Draw(t, "policy"))
	ports := []any{map[string]any{"name": "http-0-x", "protocol": rapid.SampledFrom([]string{"http", "HTTP", "h2c", "tcp"}).Draw(t, "protocol"), "port": rapid.IntRange(80, 9000).Draw(t, "port")}}
	if b.Draw(t, "two ports") {
		ports = append(ports, map[string]any{"name": "web", "protocol": "web", "port": 9001})
	}
	task := map[string]any{"id": id, "docker": docker, "env": env, "resources": resources, "ports": ports}
	maybe(task, "runtime", rapid.SampledFrom([]string{"", "image", "code"}).Draw(t, "runtime"))
	maybe(task, "secrets", []string{"login"})
	spec := map[string]any{"tasks": []any{task}}
	low := rapid.IntRange(0, 3).Draw(t, "min")
	maybe(spec, "scale", map[string]any{"minReplicas": max(1, low), "maxReplicas": 4, "concurrency": rapid.IntRange(0, 9).Draw(t, "concurrency"), "mode": rapid.SampledFrom([]string{"", "parallel", "per-second"}).Draw(t, "mode")})
	maybe(spec, "autoScale", map[string]any{
		"minReplicas": max(1, low), "maxReplicas": 5, "coolDownInterval": rapid.IntRange(0, 300).Draw(t, "cool"),
		"triggers": []any{map[string]any{"name": "T", "type": "requests-per-second", "metadata": map[string]any{"target": "7"}}},
	})
	maybe(spec, "labels", map[string]any{"app": id, "space-cloud.io/version": "0.21", "team": rapid.SampledFrom([]string{"", "true", "1.0", "a"}).Draw(t, "team")})
	peer := rapid.SampledFrom([]map[string]any{
		{"projectId": "p", "service": "*"},
		{"projectId": "p", "service": "other.p.svc.cluster.local.p.svc.cluster.local"},
		{"projectId": "q", "service": "x"},
		{"projectId": "*", "service": "*"},
	})
	spec["whitelists"] = rapid.SliceOfN(peer, 0, 3).Draw(t, "whitelists")
	spec["upstreams"] = rapid.SliceOfN(peer, 0, 3).Draw(t, "upstreams")
	maybe(spec, "statsInclusionPrefixes", rapid.SampledFrom([]string{"", "a,b", "http.inbound,cluster_manager,listener_manager"}).Draw(t, "stats"))
	return map[string]any{
		"api": "/v1/runner/{project}/services/{id}/{version}", "type": "service",
		"meta": map[string]any{"project": "p", "id": id, "version": rapid.SampledFrom([]string{"v1", "1.10", "2"}).Draw(t, "version")},
		"spec": spec,
	}
}

func secretDocument(t *rapid.T) []byte {
	doc, err := json.Marshal(map[string]any{
		"api": "/v1/runner/{project}/secrets/{id}", "type": "secret", "meta": map[string]any{"project": "p", "id": "login"},
		"spec": map[string]any{"type": "file", "rootPath": "/etc/login", "data": map[string]any{"a.txt": "x" + value(t), "b": "y" + value(t)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestPlaceholdersAreRefused: what an export did not hold is never rendered.
func TestPlaceholdersAreRefused(t *testing.T) {
	t.Parallel()
	res := importer.Import([]importer.File{{Path: "s.yaml", Text: []byte(`
api: /v1/runner/{project}/secrets/{id}
type: secret
meta: {project: p, id: login}
spec: {type: env, data: {PASSWORD: ""}}
`)}}, importer.Options{})
	if len(res.Files) != 1 {
		t.Fatalf("%v", res)
	}
	got, err := rendered(t.Context(), fstest.MapFS{"s.yaml": {Data: res.Files[0].Text}}, render.Options{})
	if err != nil {
		t.Fatal(err)
	}
	errs := plumbline.Errors(got.Violations)
	if len(errs) != 1 || errs[0].Code != definition.CodePlaceholder || got.Objects.Len() > 0 {
		t.Errorf("%v, %d objects", got.Violations, got.Objects.Len())
	}
}
