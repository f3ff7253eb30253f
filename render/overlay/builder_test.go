package overlay

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// hashed is a repository that knows the hashes of its files, and what was read.
type hashed struct {
	fstest.MapFS
	reads []string
}

type hashedInfo struct {
	fs.FileInfo
	hash string
}

func (i hashedInfo) ContentHash() string { return i.hash }

func (h *hashed) Stat(name string) (fs.FileInfo, error) {
	info, err := fs.Stat(h.MapFS, name)
	if err != nil || info.IsDir() {
		return info, err
	}
	return hashedInfo{info, fmt.Sprintf("%x", sha256.Sum256(h.MapFS[name].Data))}, nil
}

func (h *hashed) Open(name string) (fs.File, error) {
	if f := h.MapFS[name]; f != nil && f.Data != nil {
		h.reads = append(h.reads, name)
	}
	return h.MapFS.Open(name)
}

func (h *hashed) set(name, text string) { h.MapFS[name] = &fstest.MapFile{Data: []byte(text)} }

func configMap(name, value string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: shop}, data: {a: %s}}\n", name, value)
}

// TestBuilderBuildsWhatChanged: of an overlay that was built before, only the
// changed file is read, beside the kustomizations, and only its part is built.
func TestBuilderBuildsWhatChanged(t *testing.T) {
	t.Parallel()
	repo := &hashed{MapFS: fstest.MapFS{}}
	var list strings.Builder
	for i := range 100 {
		name := fmt.Sprintf("m%d", i)
		repo.set("base/"+name+".yaml", configMap(name, "x"))
		list.WriteString("\n- " + name + ".yaml")
	}
	repo.set("base/kustomization.yaml", "resources:"+list.String())
	repo.set("env/kustomization.yaml", "resources: [../base]\nnamespace: moved\n")
	b := &Builder{}
	build := func() string {
		t.Helper()
		repo.reads = nil
		out, err := b.Build(t.Context(), repo, "env", detach)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	first, before := build(), b.parts
	if len(before) < 4 {
		t.Fatalf("%d parts", len(before))
	}
	if again := build(); again != first || len(repo.reads) != 2 {
		t.Errorf("nothing changed; read %s", repo.reads)
	}
	repo.set("base/m7.yaml", configMap("m7", "y"))
	changed := build()
	if want := strings.Replace(first, "path: ../base/m7.yaml\\nline: 1\\nproject: shop\\n\"}}, data: {a: x}", "path: ../base/m7.yaml\\nline: 1\\nproject: shop\\n\"}}, data: {a: y}", 1); changed == first || changed != want {
		t.Error(cmp.Diff(want, changed))
	}
	slices.Sort(repo.reads)
	if diff := cmp.Diff([]string{"base/kustomization.yaml", "base/m7.yaml", "env/kustomization.yaml"}, repo.reads); diff != "" {
		t.Error(diff)
	}
	kept := 0
	for sum := range b.parts {
		if _, ok := before[sum]; ok {
			kept++
		}
	}
	if kept != len(before)-1 || len(b.parts) != len(before) {
		t.Errorf("of %d parts %d were kept", len(before), kept)
	}
}

// TestBuilderForgetsNothingThatCounts: a Builder that has seen another state of a
// repository builds what a new one builds.
func TestBuilderForgetsNothingThatCounts(t *testing.T) {
	t.Parallel()
	again := 0
	rapid.Check(t, func(rt *rapid.T) {
		repo := &hashed{MapFS: fstest.MapFS{}}
		b := &Builder{size: 1}
		drawState(rt, repo)
		if _, err := b.Build(t.Context(), repo, "env", detach); err != nil {
			rt.Fatal(err)
		}
		before := maps.Clone(b.parts)
		drawState(rt, repo)
		got, err := b.Build(t.Context(), repo, "env", detach)
		want, _, wantErr := buildIn(t.Context(), repo.MapFS, "env", -1)
		if diff := cmp.Diff(want, resultOf(got, err)); diff != "" {
			rt.Fatalf("%v, new %v\n%s", err, wantErr, diff)
		}
		for sum, part := range b.parts {
			if before[sum] == part {
				again++
				break
			}
		}
	})
	if again < 1 {
		t.Errorf("%d times a part was used again", again)
	}
}

// drawState puts services that call each other, and ConfigMaps, into a
// repository, or others in their place.
func drawState(rt *rapid.T, repo *hashed) {
	var list []string
	for i := range 3 {
		name := fmt.Sprintf("s%d", i)
		calls := fmt.Sprintf("s%d", (i+rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(rt, "calls"))%3)
		repo.set(name+"/a.yaml", "apiVersion: plumbline.dev/v1\nkind: ServiceVersion\nmetadata: {name: "+name+"-v1, namespace: p-"+name+"}\n"+
			"spec: {id: "+name+", version: v1, tasks: [{id: a, docker: {image: a}}], upstreams: [{projectId: p-"+calls+", service: "+calls+"}]}\n")
		repo.set(name+"/kustomization.yaml", "resources: [a.yaml]\n"+rapid.SampledFrom([]string{"", "", "namePrefix: q-\n"}).Draw(rt, "prefix"))
		if rapid.SampledFrom([]bool{true, true, true, false}).Draw(rt, "there") {
			list = append(list, "../"+name)
		}
		if rapid.Bool().Draw(rt, "map") {
			repo.set("env/m"+name+".yaml", configMap("m"+name, rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "value")))
			list = append(list, "m"+name+".yaml")
		}
	}
	repo.set("env/p.yaml", "- {op: add, path: /data/p, value: "+rapid.SampledFrom([]string{"q", "q", "q", "r"}).Draw(rt, "patch")+"}\n")
	repo.set("env/kustomization.yaml", "resources: ["+strings.Join(list, ", ")+"]\npatches: [{path: p.yaml, target: {kind: ConfigMap}}]\n"+
		rapid.SampledFrom([]string{"", "", "", "commonAnnotations: {note: x}\n"}).Draw(rt, "note"))
}
