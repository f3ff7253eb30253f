package overlay

import (
	"context"
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
)

// Each archive in testdata is a repository. Its comment begins with the
// directory to build; "out" is the result, "read" the files that were read,
// "err" the error, one line a problem. UPDATE=1 rewrites the three.
func TestBuild(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			testArchive(t, file)
		})
	}
}

func testArchive(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(archive.Comment), "\n")
	dir, ok := strings.CutPrefix(first, "build: ")
	if !ok {
		t.Fatal("the comment does not begin with \"build: \"")
	}
	repo := &recorder{fs: fstest.MapFS{}}
	want := map[string]string{}
	golden := txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		switch f.Name {
		case "out", "err", "read":
			want[f.Name] = string(f.Data)
		default:
			repo.fs[f.Name] = &fstest.MapFile{Data: f.Data}
			golden.Files = append(golden.Files, f)
		}
	}
	got := map[string]string{}
	out, err := Build(t.Context(), repo, dir, convertForTest)
	if err != nil {
		got["err"] = err.Error() + "\n"
	} else {
		got["out"] = string(out)
		got["read"] = strings.Join(repo.files(), "\n") + "\n"
	}
	if os.Getenv("UPDATE") != "" {
		for _, name := range []string{"err", "out", "read"} {
			if got[name] != "" {
				golden.Files = append(golden.Files, txtar.File{Name: name, Data: []byte(got[name])})
			}
		}
		if err := os.WriteFile(file, txtar.Format(&golden), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(got["err"], "hunter2") {
		t.Error("the error holds a secret value")
	}
	if got["err"] != "" && plumbline.KindOf(err) != plumbline.KindInvalid {
		t.Errorf("kind %s", plumbline.KindOf(err))
	}
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
func convertForTest(at plumbline.Origin, doc []byte) (text []byte, again bool, err error) {
	var d struct {
		API  string            `json:"api"`
		Meta map[string]string `json:"meta"`
		Spec map[string]any    `json:"spec"`
	}
	if err := yaml.Unmarshal(doc, &d); err != nil || d.API == "" {
		return doc, true, err
	}
	if strings.HasSuffix(d.API, "refused") {
		return nil, true, fmt.Errorf("%s: refused", at.Path)
	}
	d.Spec["id"], d.Spec["version"] = d.Meta["id"], d.Meta["version"]
	text, err = yaml.Marshal(map[string]any{
		"apiVersion": plumbline.APIVersion, "kind": "ServiceVersion",
		"metadata": map[string]any{"name": d.Meta["id"] + "-" + d.Meta["version"], "namespace": d.Meta["project"]},
		"spec":     d.Spec,
	})
	return text, true, err
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

func FuzzBuild(f *testing.F) {
	f.Add("resources: [x.yaml]", "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}")
	f.Add("patches: [{path: x.yaml}]", "- {op: add}")
	f.Fuzz(func(t *testing.T, kustomization, x string) {
		repo := fstest.MapFS{"a/kustomization.yaml": {Data: []byte(kustomization)}, "a/x.yaml": {Data: []byte(x)}}
		if out, err := Build(t.Context(), repo, "a", nil); err != nil && out != nil {
			t.Error("an error and a result")
		}
	})
}
