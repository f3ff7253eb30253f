package overlay

import (
	"path"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/plumbline-dev/plumbline"
)

// kustomization is one that was loaded.
type kustomization struct {
	dir, file string
	text      []byte // as written
	k         types.Kustomization

	replaced []int // by index in k, that in text of a replacement; those of a file of its own have the same
}

// written is the index in the file of the entry with index i under a field.
func (b *kustomization) written(field string, i int) int {
	if field == "replacements" && i < len(b.replaced) {
		return b.replaced[i]
	}
	return i
}

// inline puts replacements that stand in a file of their own into the
// kustomization, where each can be kept or left out.
func (b *kustomization) inline(raws map[string][]byte) {
	var list []types.ReplacementField
	for i, r := range b.k.Replacements {
		some := []types.ReplacementField{r}
		if in := replacementsIn(raws[path.Join(b.dir, r.Path)]); r.Path != "" && r.Source == nil && len(r.Targets) == 0 && len(in) > 0 {
			some = make([]types.ReplacementField, 0, len(in))
			for _, one := range in {
				some = append(some, types.ReplacementField{Replacement: one})
			}
		}
		list = append(list, some...)
		b.replaced = append(b.replaced, slices.Repeat([]int{i}, len(some))...)
	}
	b.k.Replacements = list
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
		{"replicas", func(k *types.Kustomization) int { return len(k.Replicas) }, func(k *types.Kustomization, n int) { k.Replicas = k.Replicas[:n] }},
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

// maxTries bounds the builds that look for a fault in one kustomization.
const maxTries = 40

// attempt builds parts again, with fewer entries.
type attempt struct {
	l     *loader
	parts []*part
	errs  map[*part]error // why they fail
	names bool            // what fails is that references cannot follow names, not a build
}

// explain says what is wrong, and where.
func (a *attempt) explain() error {
	at, found := a.blame()
	if !found {
		at = plumbline.Origin{Path: a.l.file}
	}
	return a.l.explain(a.errs[a.parts[0]], at)
}

// fails tells whether a build of the directory of b fails in one of the parts,
// with the entries of k in place of its own.
func (a *attempt) fails(b *kustomization, k types.Kustomization) bool {
	var names []*renames
	for i, p := range a.parts {
		if a.l.stopped() != nil {
			return true
		}
		if !slices.ContainsFunc(p.kustomizations, func(o kustomization) bool { return o.file == b.file }) {
			continue
		}
		out, err := p.build(b.dir, &kustomization{dir: b.dir, file: b.file, k: k})
		if err != nil {
			// The one that failed is likely to fail the next time.
			a.parts = slices.Insert(slices.Delete(a.parts, i, i+1), 0, p)
			return true
		}
		names = append(names, out.names)
	}
	return a.names && global.do(func() error { return follow(names) }) != nil
}

// blame is the entry of a kustomization file on which a build fails. Kustomize
// does not say which, so the build is done again with fewer and fewer of them.
func (a *attempt) blame() (at plumbline.Origin, found bool) {
	l := a.l
	for i := range l.kustomizations { // those that others use come first
		b := &l.kustomizations[i]
		if b.k.Kind == types.ComponentKind || !a.fails(b, b.k) {
			continue
		}
		at := plumbline.Origin{Path: b.file}
		tries := maxTries
		k := b.k
		for _, e := range removable() {
			with := k
			n := e.count(&k)
			if n == 0 {
				continue
			}
			e.keep(&k, 0)
			if a.fails(b, k) {
				continue
			}
			first := sort.Search(n-1, func(i int) bool {
				some := with
				e.keep(&some, i+1)
				tries--
				return tries < 0 || a.fails(b, some)
			})
			if e.keep(&with, first+1); len(a.parts) > 1 {
				a.fails(b, with) // the part in which it is this entry comes first
			}
			if tries >= 0 {
				at.Line = entryLine(b.text, e.field, b.written(e.field, first))
			}
			break
		}
		return at, true
	}
	return plumbline.Origin{}, false
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
