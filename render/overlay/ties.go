package overlay

import (
	"maps"
	"path"
	"slices"
	"strings"
	"unique"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"

	"github.com/plumbline-dev/plumbline"
)

// entry is one of the entries of a kustomization file, by the index that it has
// under its field.
type entry struct {
	file, field string
	i           int
}

// ties say what must be built together: objects that kustomize looks at together
// because of their names, and what looks for them. What is never built apart is
// an atom: a file, or what one entry of a generator makes.
type ties struct {
	l     *loader
	byDir map[string]*kustomization
	index map[string]int // by directory, of a kustomization
	gvks  map[[2]string]resid.Gvk

	atoms      []string // of a file its path, of a generator that of its kustomization
	sets       []int    // by atom: another in the same set, or itself
	files      map[string]int
	generators map[entry]int

	crowds map[string][]member
	wanted map[entry]int  // an atom that an entry looks for; -1 where there is none
	max    int            // the most members
	over   *kustomization // at which there were more

	apart   bool // false: nobody can say before the build
	renames bool // a patch, a prefix or a suffix may change what services are called
}

// tied finds out what must be built together.
func (l *loader) tied() *ties {
	t := &ties{
		l: l, max: l.limits.objects, apart: true,
		byDir: map[string]*kustomization{}, index: map[string]int{}, gvks: map[[2]string]resid.Gvk{},
		files: map[string]int{}, generators: map[entry]int{},
		crowds: map[string][]member{}, wanted: map[entry]int{},
	}
	atom := func(name string) int {
		t.atoms = append(t.atoms, name)
		t.sets = append(t.sets, len(t.sets))
		return len(t.sets) - 1
	}
	for _, file := range slices.Sorted(maps.Keys(l.resources)) {
		t.files[file] = atom(file)
		t.apart = t.apart && !l.resources[file].odd
	}
	for i := range l.kustomizations {
		b := &l.kustomizations[i]
		t.byDir[b.dir], t.index[b.dir] = b, i
		for i := range b.k.ConfigMapGenerator {
			t.generators[entry{b.file, "configMapGenerator", i}] = atom(b.file)
		}
		for i := range b.k.SecretGenerator {
			t.generators[entry{b.file, "secretGenerator", i}] = atom(b.file)
		}
	}
	all := t.crowdOf(l.root)
	if t.over == nil {
		t.references(all)
	}
	return t
}

// set is the atom that stands for all that are built with a.
func (t *ties) set(a int) int {
	for t.sets[a] != a {
		t.sets[a] = t.sets[t.sets[a]]
		a = t.sets[a]
	}
	return a
}

// tie puts two into one set, of which the first atom stands for all.
func (t *ties) tie(a, b int) {
	a, b = t.set(a), t.set(b)
	t.sets[max(a, b)] = min(a, b)
}

func (t *ties) idOf(o *objectName) resid.ResId {
	key := [2]string{o.apiVersion, o.kind}
	gvk, ok := t.gvks[key]
	if !ok {
		group, version := resid.ParseGroupVersion(o.apiVersion)
		gvk = resid.NewGvk(group, version, o.kind)
		t.gvks[key] = gvk
	}
	return resid.NewResIdWithNamespace(gvk, o.name, o.namespace)
}

// references ties what refers to others to those that get another name, or whose
// namespace is written beside the name. Kustomize finds them by a value that is
// a name which the object had, within a namespace.
func (t *ties) references(all []member) {
	byName := map[string][]*member{}
	unknown := map[string]int{}
	for i := range all {
		m := &all[i]
		m.unknown = m.unknown || m.any(func(id resid.ResId) bool { return !mayBeName(id.Name) })
		if m.unknown {
			if m.global() {
				t.apart = false
				return
			}
			if first, ok := unknown[m.space()]; ok {
				t.tie(first, m.atom)
			}
			unknown[m.space()] = m.atom
		}
		if !m.mayBeMeant() {
			continue
		}
		for id := m.ids; id != nil; id = id.was {
			if list := byName[id.id.Name]; len(list) == 0 || list[len(list)-1] != m {
				byName[id.id.Name] = append(list, m)
			}
		}
	}
	if len(byName)+len(unknown) == 0 {
		return
	}
	written := t.written(byName)
	for i := range all {
		t.refer(&all[i], byName, written)
		for space, with := range unknown {
			if m := &all[i]; m.space() == space || m.global() || isBinding(m.id()) {
				t.tie(m.atom, with)
			}
		}
	}
}

// mayBeMeant tells of an object that kustomize may look for by name, to write
// another name or its namespace.
func (m *member) mayBeMeant() bool {
	switch id := m.id(); {
	case id.ApiVersion() == plumbline.APIVersion:
		return m.renamed() && id.Kind == "ServiceSecret"
	case keepsName(id):
		return false
	case isBound(id):
		return true
	}
	return m.renamed()
}

// written are the names among those in byName that the patches and annotations
// of a kustomization hold, by its index.
func (t *ties) written(byName map[string][]*member) map[int][]string {
	out := map[int][]string{}
	for i := range t.l.kustomizations {
		b := &t.l.kustomizations[i]
		note := func(value string) {
			if byName[value] != nil {
				out[i] = append(out[i], value)
			}
		}
		for _, value := range b.k.CommonAnnotations {
			note(value)
		}
		for _, p := range b.k.Patches {
			f := t.l.patchFacts(b, p)
			if f.mentions.anything {
				out[i] = slices.Sorted(maps.Keys(byName))
				break
			}
			for h := range f.mentions.names {
				note(h.Value())
			}
		}
	}
	return out
}

// refer ties m to what it may refer to.
func (t *ties) refer(m *member, byName map[string][]*member, written map[int][]string) {
	seen := map[string]bool{}
	var follow func(name string)
	follow = func(name string) {
		if len(byName[name]) == 0 || seen[name] {
			return
		}
		seen[name] = true
		for _, o := range byName[name] {
			if o != m && t.inReach(m, o) {
				t.tie(m.atom, o.atom)
				follow(o.id().Name) // a name that was written may be one to look for
			}
		}
	}
	if m.replaced || m.source != nil && m.source.mentions.anything {
		for name := range byName {
			follow(name)
		}
		return
	}
	if m.source != nil {
		for h := range m.source.mentions.names {
			follow(h.Value())
		}
	}
	for w := m.touched; w != nil; w = w.more {
		for _, name := range written[w.by] {
			follow(name)
		}
	}
}

// inReach tells whether kustomize looks for o on behalf of m.
func (t *ties) inReach(m, o *member) bool {
	if !o.renamed() && !isBinding(m.id()) {
		return false
	}
	return m.space() == o.space() || m.global() || o.global() || m.id().Kind == "RoleBinding"
}

// isBinding tells of the kinds in which kustomize writes the namespace of
// another object beside its name, and isBound of those others.
func isBinding(id resid.ResId) bool {
	switch id.Group {
	case "rbac.authorization.k8s.io", "admissionregistration.k8s.io", "apiregistration.k8s.io":
		return true
	}
	return false
}

func isBound(id resid.ResId) bool {
	return id.Group == "" && (id.Kind == "ServiceAccount" || id.Kind == "Service")
}

// patchFacts are what a patch does beside changing objects one by one.
type patchFacts struct {
	lone     []objectName // objects that it looks for
	mentions mentions
	renames  bool // changes the name of an object
	ids      bool // changes what a service is called
	odd      bool // does what cannot be told before the build
}

// patchFacts reads a patch, once.
func (l *loader) patchFacts(b *kustomization, p types.Patch) *patchFacts {
	text := []byte(p.Patch)
	if p.Path != "" {
		text = l.raws[path.Join(b.dir, p.Path)]
	}
	key := patchKey{string(text), p.Target == nil, p.Options != nil && (p.Options.AllowNameChange || p.Options.AllowKindChange)}
	if f, ok := l.facts[key]; ok {
		return f
	}
	f := &patchFacts{odd: strings.Contains(string(text), internalNotes) || p.Options != nil && p.Options.AllowKindChange}
	l.facts[key] = f
	docs, err := decode(text)
	f.odd = f.odd || err != nil
	for _, doc := range docs {
		f.mentions.add(doc.Content[0])
		switch n := doc.Content[0]; n.Kind {
		case yaml.SequenceNode:
			for _, op := range n.Content {
				f.operation(op)
			}
		case yaml.MappingNode:
			f.merge(n, key)
		default:
			f.odd = true
		}
	}
	return f
}

type patchKey struct {
	text          string
	lone, renames bool
}

// internalNotes is in the keys of what kustomize notes in objects.
const internalNotes = "internal.config.kubernetes.io"

// operation is one of a JSON patch.
func (f *patchFacts) operation(op *yaml.Node) {
	pointers := []string{scalar(op, "path")}
	if value(op, "from") != nil {
		pointers = append(pointers, scalar(op, "from"))
	}
	for _, pointer := range pointers {
		switch pointer {
		case "", "/", "/apiVersion", "/kind", "/metadata", "/metadata/namespace":
			f.odd = true
		case "/metadata/name":
			f.renames = true
		case "/spec", "/spec/", "/spec/id":
			f.ids = true
		}
	}
}

// merge is a strategic merge patch.
func (f *patchFacts) merge(n *yaml.Node, key patchKey) {
	meta := value(n, "metadata")
	if directive := value(n, "$patch"); directive != nil {
		f.odd = f.odd || directive.Value != "delete"
	}
	notes := value(meta, "annotations")
	f.odd = f.odd || meta != nil && meta.Kind != yaml.MappingNode || value(meta, "$patch") != nil ||
		notes != nil && (notes.Kind != yaml.MappingNode || value(notes, "$patch") != nil)
	if spec := value(n, "spec"); spec != nil {
		f.ids = f.ids || value(spec, "id") != nil || value(spec, "$patch") != nil || spec.Kind != yaml.MappingNode
	}
	f.renames = f.renames || key.renames
	if key.lone {
		f.lone = append(f.lone, nameOf(n))
	}
}

// mentions are the values of a document that may be names of objects.
type mentions struct {
	names    map[unique.Handle[string]]bool
	anything bool // too many to be kept
}

// maxMentions is how many are kept of a document.
const maxMentions = 1000

func (s *mentions) add(n *yaml.Node) {
	switch n.Kind {
	case yaml.ScalarNode:
		if !mayBeName(n.Value) {
			return
		}
		if s.names == nil {
			s.names = map[unique.Handle[string]]bool{}
		}
		if s.anything = s.anything || len(s.names) >= maxMentions; !s.anything {
			s.names[unique.Make(n.Value)] = true
		}
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			s.add(n.Content[i])
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			s.add(c)
		}
	}
}

// mentioned are those of an object, which are not among the values of a secret
// or a ConfigMap.
func mentioned(n *yaml.Node) (s mentions) {
	holder := slices.Contains([]string{"Secret", "ServiceSecret", "ConfigMap"}, scalar(n, "kind"))
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i].Value; !holder || key != "data" && key != "stringData" && key != "binaryData" && key != "spec" {
			s.add(n.Content[i+1])
		}
	}
	return s
}

// mayBeName tells of text that kustomize may look for as a name.
func mayBeName(text string) bool {
	return text != "" && len(text) <= maxName && !strings.ContainsAny(text, " \n/{}\"")
}

// maxName is the most bytes of a name.
const maxName = 253
