package overlay

import (
	"path"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/types"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/plumbline-dev/plumbline"
)

// kustomization is one that was loaded.
type kustomization struct {
	dir, file string
	text      []byte // as written
	k         types.Kustomization

	// resources and patches are the indexes of those of k in text; nil: all.
	resources, patches []int
}

// written is the index in the file of the entry with index i under a field.
func (b kustomization) written(field string, i int) int {
	switch {
	case field == "resources" && b.resources != nil:
		return b.resources[i]
	case field == "patches" && b.patches != nil:
		return b.patches[i]
	}
	return i
}

// entries are those under one field of a kustomization.
type entries struct {
	field string
	count func(k *types.Kustomization) int
	keep  func(k *types.Kustomization, n int) // the first n only
}

// removable are the fields in which kustomize may find fault, the one that it
// applies last first.
func removable() []entries {
	text := func(field string, of func(k *types.Kustomization) *string) entries {
		return entries{
			field,
			func(k *types.Kustomization) int { return min(len(*of(k)), 1) },
			func(k *types.Kustomization, n int) {
				if n == 0 {
					*of(k) = ""
				}
			},
		}
	}
	return []entries{
		{"replacements", func(k *types.Kustomization) int { return len(k.Replacements) }, func(k *types.Kustomization, n int) { k.Replacements = k.Replacements[:n] }},
		text("namePrefix", func(k *types.Kustomization) *string { return &k.NamePrefix }),
		text("nameSuffix", func(k *types.Kustomization) *string { return &k.NameSuffix }),
		text("namespace", func(k *types.Kustomization) *string { return &k.Namespace }),
		{"patches", func(k *types.Kustomization) int { return len(k.Patches) }, func(k *types.Kustomization, n int) { k.Patches = k.Patches[:n] }},
		{"components", func(k *types.Kustomization) int { return len(k.Components) }, func(k *types.Kustomization, n int) { k.Components = k.Components[:n] }},
		{"secretGenerator", func(k *types.Kustomization) int { return len(k.SecretGenerator) }, func(k *types.Kustomization, n int) { k.SecretGenerator = k.SecretGenerator[:n] }},
		{"configMapGenerator", func(k *types.Kustomization) int { return len(k.ConfigMapGenerator) }, func(k *types.Kustomization, n int) { k.ConfigMapGenerator = k.ConfigMapGenerator[:n] }},
		{"resources", func(k *types.Kustomization) int { return len(k.Resources) }, func(k *types.Kustomization, n int) { k.Resources = k.Resources[:n] }},
	}
}

// maxTries bounds the builds that look for a fault.
const maxTries = 40

// blame is the entry of a kustomization file on which a build fails. Kustomize
// does not say which, so the build is done again with fewer and fewer of them.
func (l *loader) blame(p part) (at plumbline.Origin, found bool) {
	tries := maxTries
	fails := func(b kustomization, k types.Kustomization) bool {
		if tries--; tries < 0 || l.stopped() != nil {
			return true
		}
		return l.write(b.file, k) == nil && l.failsIn(b.dir)
	}
	for _, b := range p.kustomizations { // those that others use come first
		if b.k.Kind == types.ComponentKind || !fails(b, b.k) {
			continue
		}
		at := plumbline.Origin{Path: b.file}
		k := b.k
		for _, e := range removable() {
			with := k
			n := e.count(&k)
			if n == 0 {
				continue
			}
			e.keep(&k, 0)
			if fails(b, k) {
				continue
			}
			first := sort.Search(n-1, func(i int) bool {
				some := with
				e.keep(&some, i+1)
				return fails(b, some)
			})
			if tries >= 0 {
				at.Line = entryLine(b.text, e.field, b.written(e.field, first))
			}
			break
		}
		return at, true
	}
	return plumbline.Origin{}, false
}

func (l *loader) failsIn(dir string) bool {
	_, err := l.run(dir)
	return err != nil
}

// write puts a kustomization into memory.
func (l *loader) write(file string, k types.Kustomization) error {
	text, err := sigsyaml.Marshal(k)
	if err != nil {
		return err
	}
	return l.memory.WriteFile(path.Join(root, file), text)
}

// entryLine is the line of the entry with index i under a field.
func entryLine(text []byte, field string, i int) int {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return 0
	}
	v := value(doc.Content[0], field)
	switch {
	case v == nil:
		return 0
	case v.Kind == yaml.SequenceNode && i < len(v.Content):
		return v.Content[i].Line
	}
	return v.Line
}

// advice is what to do about an error of kustomize, "" where it says so itself.
func advice(text string) string {
	switch {
	case strings.Contains(text, "no resource matches strategic merge patch"):
		return ": correct the patch's kind, name or namespace, or remove it"
	case strings.Contains(text, "produces ID conflict"):
		return ": two objects get one name: give the directories of one a namespace or a prefix of their own"
	case strings.Contains(text, "already registered id"):
		return ": it is defined twice: remove one"
	case strings.Contains(text, "missing path"), strings.Contains(text, "missing value"), strings.Contains(text, "doc is missing"):
		return ": the object has no such field: correct the path, or use op: add"
	case strings.Contains(text, "unable to parse SM or JSON patch"):
		return ": write an object with apiVersion, kind and metadata.name, or a list of {op, path, value}"
	case strings.Contains(text, "must specify a target for JSON patch"):
		return ": add target: {kind, name}"
	}
	return ""
}
