package overlay

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plumbline-dev/plumbline"
)

// TestCopiesOfCopies: what grows with each kustomization that uses the one before
// twice is refused before it is built, at the kustomization that is too much.
func TestCopiesOfCopies(t *testing.T) {
	t.Parallel()
	repo := fstest.MapFS{
		"d0/kustomization.yaml": {Data: []byte("resources: [a.yaml]")},
		"d0/a.yaml":             {Data: []byte(configMap("a", "x"))},
	}
	for i := 1; i < 40; i++ {
		for _, side := range []string{"l", "r"} {
			repo[fmt.Sprintf("d%d%s/kustomization.yaml", i, side)] = &fstest.MapFile{Data: fmt.Appendf(nil, "resources: [../d%d]\nnamePrefix: %s\n", i-1, side)}
		}
		repo[fmt.Sprintf("d%d/kustomization.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "resources: [../d%dl, ../d%dr]\n", i, i)}
	}
	b := &Builder{limits: limits{objects: 8, bytes: 1 << 20}}
	if out, err := b.Build(t.Context(), repo, "d3", nil); err != nil || strings.Count(string(out), "---\n") != 8 {
		t.Errorf("8 objects: %v\n%s", err, out)
	}
	for _, dir := range []string{"d4", "d12"} {
		_, err := b.Build(t.Context(), repo, dir, nil)
		want := "d4/kustomization.yaml: build overlay: the overlay puts out more than 8 objects: use fewer copies of a base, or make several environments of it"
		if err == nil || err.Error() != want || plumbline.KindOf(err) != plumbline.KindInvalid {
			t.Errorf("%s: %v, want %s", dir, err, want)
		}
	}
}

// TestLargePatch: what patches make of objects counts, not only what files hold.
func TestLargePatch(t *testing.T) {
	t.Parallel()
	repo := fstest.MapFS{}
	var list []string
	for i := range 14 {
		name := fmt.Sprintf("m%d", i)
		repo[name+".yaml"] = &fstest.MapFile{Data: []byte(configMap(name, "x"))}
		list = append(list, name+".yaml")
	}
	repo["p.yaml"] = &fstest.MapFile{Data: []byte("- {op: add, path: /data/b, value: " + strings.Repeat("x", 20<<10) + "}\n")}
	repo["kustomization.yaml"] = &fstest.MapFile{Data: []byte("resources: [" + strings.Join(list, ", ") + "]\npatches: [{path: p.yaml, target: {kind: ConfigMap}}]\n")}
	for _, size := range []int{1, 32} {
		b := &Builder{size: size, limits: limits{objects: 100, bytes: 1 << 18}}
		_, err := b.Build(t.Context(), repo, ".", nil)
		want := "kustomization.yaml: build overlay: the overlay puts out more than 0.25 MiB of objects: use fewer copies of a base, or make several environments of it"
		if err == nil || err.Error() != want {
			t.Errorf("in parts of %d: %v, want %s", size, err, want)
		}
		b.limits.bytes = 1 << 19
		if _, err := b.Build(t.Context(), repo, ".", nil); err != nil {
			t.Error(err)
		}
	}
}
