package overlay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/archive"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// Each archive in testdata is a repository. Its comment begins with the
// directory to build; "out" is the result, "read" the files that were read,
// "err" the error, one line a problem. UPDATE=1 rewrites the three.
func TestBuild(t *testing.T) {
	t.Parallel()
	archive.Play(t, "testdata/*.txtar", []string{"out", "read", "err"}, build)
}

func build(t *testing.T, in *txtar.Archive) []txtar.File {
	first, _, _ := strings.Cut(string(in.Comment), "\n")
	dir, ok := strings.CutPrefix(first, "build: ")
	if !ok {
		t.Fatal("the comment does not begin with \"build: \"")
	}
	repo := &recorder{fs: fstest.MapFS{}}
	for _, f := range in.Files {
		repo.fs[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	out, err := Build(t.Context(), repo, dir, convertForTest)
	if err == nil {
		return []txtar.File{
			{Name: "out", Data: out},
			{Name: "read", Data: []byte(strings.Join(repo.files(), "\n") + "\n")},
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("the error holds a secret value")
	}
	if plumbline.KindOf(err) != plumbline.KindInvalid {
		t.Errorf("kind %s", plumbline.KindOf(err))
	}
	return []txtar.File{{Name: "err", Data: []byte(err.Error() + "\n")}}
}

// recorder remembers which files were opened.
type recorder struct {
	fs fstest.MapFS

	mu     sync.Mutex
	opened map[string]bool
}

func (r *recorder) Open(name string) (fs.File, error) {
	f, err := r.fs.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && !info.IsDir() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.opened == nil {
			r.opened = map[string]bool{}
		}
		r.opened[name] = true
	}
	return f, nil
}

func (r *recorder) Stat(name string) (fs.FileInfo, error) { return fs.Stat(r.fs, name) }

func (r *recorder) files() (names []string) {
	for name := range r.opened {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// convertForTest stands in for the definition language: enough to see that a
// document that is no Kubernetes object becomes one.
func convertForTest(at plumbline.Origin, doc []byte) (out definition.Detached, again bool, err error) {
	var d struct {
		API  string            `json:"api"`
		Meta map[string]string `json:"meta"`
		Spec map[string]any    `json:"spec"`
	}
	if err := yaml.Unmarshal(doc, &d); err != nil || d.API == "" {
		return definition.Detached{Text: doc}, true, err
	}
	if strings.HasSuffix(d.API, "refused") {
		return out, true, fmt.Errorf("%s: refused", at.Path)
	}
	d.Spec["id"], d.Spec["version"] = d.Meta["id"], d.Meta["version"]
	out.Text, err = yaml.Marshal(map[string]any{
		"apiVersion": plumbline.APIVersion, "kind": "ServiceVersion",
		"metadata": map[string]any{"name": d.Meta["id"] + "-" + d.Meta["version"], "namespace": d.Meta["project"]},
		"spec":     d.Spec,
	})
	return out, true, err
}

func TestBuildStopsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	repo := fstest.MapFS{"kustomization.yaml": {Data: []byte("resources: []")}}
	if _, err := Build(ctx, repo, ".", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	// A nil file system makes kustomize panic; the next build must go on.
	err := global.do(func() error {
		_, err := kustomize(filesys.FileSystem(nil), "/")
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "kustomize panicked") {
		t.Fatal(err)
	}
	repo := fstest.MapFS{"kustomization.yaml": {Data: []byte("namespace: x")}}
	if _, err := Build(t.Context(), repo, ".", nil); err != nil {
		t.Error(err)
	}
}

func TestBuildsAtOnce(t *testing.T) {
	t.Parallel()
	repo := fstest.MapFS{
		"kustomization.yaml": {Data: []byte("resources: [c.yaml]")},
		"c.yaml":             {Data: []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}")},
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := Build(t.Context(), repo, ".", nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestLocal(t *testing.T) {
	t.Parallel()
	for _, tt := range [][3]string{
		{".", "a/b", "./a/b"},
		{"a", "a/b", "./b"},
		{"a/b", "a/c", "./../c"},
		{"a/b", "c/d", "./../../c/d"},
		{"a", ".", "./../"},
	} {
		if got := local(tt[0], tt[1]); got != tt[2] {
			t.Errorf("from %s to %s: %s, want %s", tt[0], tt[1], got, tt[2])
		}
	}
}

// TestLinks: links are followed inside the repository and nowhere else.
func TestLinks(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	const object = "{apiVersion: v1, kind: ConfigMap, metadata: {name: hunter2}}"
	write(filepath.Join(outside, "x.yaml"), object)
	write(filepath.Join(outside, "base", "kustomization.yaml"), "resources: [../x.yaml]")
	write(filepath.Join(dir, "in.yaml"), object)
	for _, d := range []string{"fine", "file", "base", "patch", "loop"} {
		write(filepath.Join(dir, d, "kustomization.yaml"), map[string]string{
			"fine": "resources: [in.yaml]", "file": "resources: [out.yaml]", "base": "resources: [out]",
			"patch": "resources: [../in.yaml]\npatches: [{path: out.yaml, target: {kind: ConfigMap}}]", "loop": "resources: [again]",
		}[d])
	}
	link("../in.yaml", "fine/in.yaml")
	link(filepath.Join(outside, "x.yaml"), "file/out.yaml")
	link(filepath.Join(outside, "base"), "base/out")
	link(filepath.Join(outside, "x.yaml"), "patch/out.yaml")
	link("../loop", "loop/again")
	fenced, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fenced.Close() //nolint:errcheck // opened for reading
	for d, want := range map[string]string{
		"fine": "", "file": "file/kustomization.yaml:1: build overlay: resources: out.yaml is a link that leads out of the repository, or nowhere: commit a copy",
		"base":  "base/kustomization.yaml:1: build overlay: resources: out is a link that leads out of the repository, or nowhere: commit a copy",
		"patch": "patch/kustomization.yaml:2: build overlay: patches: out.yaml is a link that leads out of the repository, or nowhere: commit a copy",
		"loop":  "is a link that leads out of the repository, or nowhere: commit a copy", // by way of itself
	} {
		_, err := Build(t.Context(), fenced.FS(), d, nil)
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", d, err, want)
		}
	}
}

// TestDeep: kustomizations that use each other without end are told before they
// fill the memory.
func TestDeep(t *testing.T) {
	t.Parallel()
	repo := fstest.MapFS{}
	for i := range 60 {
		repo[fmt.Sprintf("d%d/kustomization.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "resources: [../d%d]", i+1)}
	}
	_, err := Build(t.Context(), repo, "d0", nil)
	want := "d49/kustomization.yaml:1: build overlay: resources: more than 50 kustomizations use each other: a link may lead to where it lies"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// FuzzBuild builds in "a" what an archive holds. Nothing but its files is read,
// and the parts make the whole.
func FuzzBuild(f *testing.F) {
	for _, files := range []string{
		"-- a/kustomization.yaml --\nresources: [x.yaml]\n-- a/x.yaml --\n{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}\n",
		"-- a/kustomization.yaml --\npatches: [{path: x.yaml}]\n-- a/x.yaml --\n- {op: add}\n",
	} {
		f.Add([]byte(files))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		repo := &recorder{fs: fstest.MapFS{}}
		for _, file := range txtar.Parse(text).Files {
			if len(repo.fs) < 8 && fs.ValidPath(file.Name) {
				repo.fs[file.Name] = &fstest.MapFile{Data: file.Data}
			}
		}
		out, err := (&Builder{size: 1}).Build(t.Context(), repo, "a", detach)
		if err != nil && out != nil {
			t.Error("an error and a result")
		}
		if plumbline.KindOf(err) == plumbline.KindInternal {
			t.Error(err)
		}
		for _, name := range repo.files() {
			if repo.fs[name] == nil {
				t.Errorf("%s was read", name)
			}
		}
		whole, wholeErr := (&Builder{size: -1}).Build(t.Context(), repo, "a", detach)
		if !bytes.Equal(whole, out) || (err == nil) != (wholeErr == nil) {
			t.Errorf("as a whole %v, in parts %v\n%s", wholeErr, err, cmp.Diff(string(whole), string(out)))
		}
	})
}

// FuzzPatch applies what may be a patch to an object.
func FuzzPatch(f *testing.F) {
	f.Add("Deployment", "tier=front", "- {op: add, path: /spec/replicas, value: 3}")
	f.Add(".*", "", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [{name: a, image: b}]}}}}")
	f.Fuzz(func(t *testing.T, kind, labels, text string) {
		p, err := NewPatch(definition.PatchTarget{Kind: kind, LabelSelector: labels}, text)
		if err != nil {
			return
		}
		ref := plumbline.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "a"}
		body := []byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"shop","labels":{"tier":"front"}},"spec":{"replicas":1,"template":{"spec":{"containers":[{"name":"a"}]}}}}`)
		if !p.Selects(ref, "v1") {
			return
		}
		out, selected, err := p.Apply(body)
		if err == nil && selected && !json.Valid(out) {
			t.Errorf("%q", out)
		}
		if err != nil && strings.Contains(err.Error(), "panicked") {
			t.Error(err)
		}
	})
}
