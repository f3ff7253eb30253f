package render_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/golden"
	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// sameResult compares results, bodies included, but for what a rendering had
// to do.
func sameResult(a, b render.Result) string {
	a.Stats, b.Stats = render.Stats{}, render.Stats{}
	lists := cmp.Transformer("list", func(o plumbline.Objects) []plumbline.Object {
		var list []plumbline.Object
		for _, o := range o.All() {
			list = append(list, *o)
		}
		return list
	})
	return cmp.Diff(a, b, cmp.AllowUnexported(plumbline.Body{}), lists)
}

// pool is the documents of all archives: good, bad, and clashing ones.
func pool(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, c := range golden.Cases(t) {
		for name, f := range c.Files() {
			if len(f.Data) > 1<<16 || strings.Contains(name, "kustomization") || strings.Contains(name, "chart/") || name == "bomb.yaml" {
				continue
			}
			chunks, _ := definition.Split(f.Data)
			for _, c := range chunks {
				out = append(out, string(c.Text))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestIncrementalIsTheSame: whatever happens to the files, a Renderer that has
// seen them before, by their hashes, says what a new one says of the bare files.
func TestIncrementalIsTheSame(t *testing.T) {
	t.Parallel()
	docs := pool(t)
	rapid.Check(t, func(t *rapid.T) {
		options := render.Options{Environment: "production", HashKey: []byte("key"), Definitions: true, Overlay: concatenation, Patch: golden.NewPatch}
		kept, err := render.New(options)
		if err != nil {
			t.Fatal(err)
		}
		files := fstest.MapFS{"env": {Mode: 0o755 | fs.ModeDir}}
		for step := range rapid.IntRange(1, 8).Draw(t, "steps") {
			for range rapid.IntRange(0, 4).Draw(t, "edits") {
				edit(t, files, docs)
			}
			fresh, err := render.New(options)
			if err != nil {
				t.Fatal(err)
			}
			want, err := fresh.Render(t.Context(), files, "env")
			if err != nil {
				t.Fatal(err)
			}
			got, err := kept.Render(t.Context(), newHashedFS(maps.Clone(files)), "env")
			if err != nil {
				t.Fatal(err)
			}
			if diff := sameResult(want, got); diff != "" {
				t.Fatalf("step %d (-new +kept)\n%s", step, diff)
			}
		}
	})
}

// edit does something to files: writes or deletes one, moves one or a directory,
// renames a project, makes the whole an overlay or undoes that.
func edit(t *rapid.T, files fstest.MapFS, docs []string) {
	file := rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("env/%s%d.yaml", rapid.SampledFrom([]string{"", "a/", "a/b/", "c/"}).Draw(t, "directory"), rapid.IntRange(0, 4).Draw(t, "file"))
	})
	const kustomization = "env/kustomization.yaml"
	switch rapid.IntRange(0, 9).Draw(t, "edit") {
	case 0:
		delete(files, file.Draw(t, "delete"))
	case 1:
		from, to := file.Draw(t, "from"), file.Draw(t, "to")
		if f, ok := files[from]; ok {
			delete(files, from)
			files[to] = f
		}
	case 2:
		from, to := "env/a/", rapid.SampledFrom([]string{"env/d/", "env/c/"}).Draw(t, "to")
		for name, f := range maps.Clone(files) {
			if rest, ok := strings.CutPrefix(name, from); ok {
				delete(files, name)
				files[to+rest] = f
			}
		}
	case 3:
		rename := strings.NewReplacer("shop", "bank", "bank", "shop")
		for name, f := range files {
			if strings.HasSuffix(name, ".yaml") {
				files[name] = &fstest.MapFile{Data: []byte(rename.Replace(string(f.Data)))}
			}
		}
	case 4:
		if _, ok := files[kustomization]; ok {
			delete(files, kustomization)
		} else {
			files[kustomization] = &fstest.MapFile{}
		}
	default:
		text := ""
		for _, d := range rapid.SliceOfN(rapid.SampledFrom(docs), 1, 3).Draw(t, "documents") {
			text += "---\n" + strings.TrimPrefix(d, "---\n") + "\n"
		}
		files[file.Draw(t, "write")] = &fstest.MapFile{Data: []byte(text)}
	}
}

// concatenation is an overlay that changes nothing.
func concatenation(_ context.Context, fsys fs.FS, dir string, convert func(plumbline.Origin, []byte) (definition.Detached, bool, error)) ([]byte, error) {
	var out []byte
	err := fs.WalkDir(fsys, dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "kustomization.yaml" {
			return err
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		chunks, _ := definition.Split(text)
		for _, c := range chunks {
			detached, _, err := convert(plumbline.Origin{Path: name, Line: c.Before + 1}, c.Text)
			if err != nil {
				return err
			}
			doc, err := detached.Bytes()
			if err != nil {
				return err
			}
			out = append(append(out, "---\n"...), doc...)
			out = append(out, '\n')
		}
		return nil
	})
	return out, err
}

// TestEmptyAfterAnOverlay: a directory in which an overlay was and nothing is has
// nothing, though its files are what the tree of files knew.
func TestEmptyAfterAnOverlay(t *testing.T) {
	t.Parallel()
	kept, err := render.New(render.Options{Environment: "production", HashKey: []byte("key"), Overlay: concatenation})
	if err != nil {
		t.Fatal(err)
	}
	for _, files := range []fstest.MapFS{
		{"env/a.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n")}, "env/kustomization.yaml": {}},
		{"env": {Mode: 0o755 | fs.ModeDir}},
	} {
		got, err := kept.Render(t.Context(), files, "env")
		if err != nil {
			t.Fatal(err)
		}
		if want := len(files) - 1; got.Objects.Len() != want {
			t.Errorf("%d objects of %d files, want %d", got.Objects.Len(), len(files), want)
		}
	}
}

// TestPlaceDoesNotMatter: the order of documents and the names of files change
// nothing but origins.
func TestPlaceDoesNotMatter(t *testing.T) {
	t.Parallel()
	var docs []string
	for _, f := range fleet(6) {
		docs = append(docs, string(f.Data))
	}
	slices.Sort(docs)
	var want []plumbline.Object
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		rnd.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
		files := fstest.MapFS{}
		for _, d := range docs {
			name := fmt.Sprintf("env/%d/%d.yaml", rnd.IntN(3), rnd.IntN(5))
			f := files[name]
			if f == nil {
				f = &fstest.MapFile{}
				files[name] = f
			}
			f.Data = append(f.Data, "---\n"+d...)
		}
		var got []plumbline.Object
		for _, o := range mustRender(t, newRenderer(t), files).Objects.All() {
			got = append(got, *o)
			got[len(got)-1].Origin = plumbline.Origin{}
		}
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(plumbline.Body{})); diff != "" || len(got) == 0 {
			t.Fatalf("%d objects (-first +now)\n%s", len(got), diff)
		}
	}
}

// TestOnlyWhatChanged: one change, one document parsed, one service rendered;
// and files that did not change are not read.
func TestOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	const n = 40
	r := newRenderer(t)
	files := newHashedFS(fleet(n))
	first := mustRender(t, r, files)
	if s := first.Stats; s.Rendered != n || s.Parsed != 2*n+4 || s.Files != 2*n+4 {
		t.Fatalf("%+v", s)
	}
	service := "env/project-3/service-00007.yaml"
	steps := []struct {
		name             string
		change           func()
		parsed, rendered int
		reads            []string
		objects          []string // whose checksum changes
	}{
		{"nothing", func() {}, 0, 0, nil, nil},
		{
			"image", func() { files.set(service, fleetService("project-3", 7, "2")) }, 1, 1,
			[]string{service},
			[]string{"serving.knative.dev/Service project-3/service-7-v1"},
		},
		{
			"comment", func() { files.set(service, "# a comment\n"+fleetService("project-3", 7, "2")) }, 1, 1,
			[]string{service},
			nil,
		},
		{"secret", func() {
			files.set("env/project-3/secret-00007.yaml", strings.Replace(fleetSecret("project-3", 7), "example-only", "changed", 1))
		}, 1, 1, []string{"env/project-3/secret-00007.yaml"}, []string{"Secret project-3/secret-7", "serving.knative.dev/Service project-3/service-7-v1"}},
		{"broken", func() { files.set(service, "kind: [") }, 1, 0, []string{service}, nil},
		// The document is in the cache, and so is its file's content.
		{"back", func() { files.set(service, "# a comment\n"+fleetService("project-3", 7, "2")) }, 0, 1, nil, nil},
	}
	before := first.Objects
	for _, step := range steps {
		files.reads = nil
		step.change()
		res := mustRender(t, r, files)
		if res.Stats.Parsed != step.parsed || res.Stats.Rendered != step.rendered {
			t.Errorf("%s: %+v", step.name, res.Stats)
		}
		if diff := cmp.Diff(step.reads, files.reads); diff != "" {
			t.Errorf("%s: read (-want +got)\n%s", step.name, diff)
		}
		if res.Objects.Len() == 0 {
			continue
		}
		if diff := cmp.Diff(step.objects, changedObjects(before, res.Objects)); diff != "" {
			t.Errorf("%s: changed (-want +got)\n%s", step.name, diff)
		}
		before = res.Objects
	}
}

// changedObjects are the objects whose content changed, and those that are gone.
func changedObjects(before, after plumbline.Objects) []string {
	var out []string
	for ref := range before.Diff(after) {
		old, was := before.Get(ref)
		now, is := after.Get(ref)
		switch {
		case !is:
			out = append(out, "gone: "+ref.String())
		case !was || old.Checksum != now.Checksum:
			out = append(out, ref.String())
		}
	}
	return out
}

// TestMovedFileIsNotRead: a file under another name is the same content.
func TestMovedFileIsNotRead(t *testing.T) {
	t.Parallel()
	files := fleet(3)
	r := newRenderer(t)
	first := mustRender(t, r, newHashedFS(files))
	files["env/other/moved.yaml"] = files["env/project-1/service-00001.yaml"]
	delete(files, "env/project-1/service-00001.yaml")
	moved := newHashedFS(files)
	res := mustRender(t, r, moved)
	if len(moved.reads) > 0 || res.Stats.Parsed > 0 || len(changedObjects(first.Objects, res.Objects)) > 0 {
		t.Errorf("read %v, %+v, changed %v", moved.reads, res.Stats, changedObjects(first.Objects, res.Objects))
	}
	for _, o := range res.Objects.All() {
		if o.Service == "service-1" && o.Origin.Path != "env/other/moved.yaml" {
			t.Errorf("%s is from %s", o.Ref, o.Origin)
		}
	}
}
