package overlay

import (
	"path"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"
)

// member is an object on its way through the kustomizations: what kustomize will
// have called it, found out without building anything.
type member struct {
	source   *objectName // what its file says; nil when it is generated
	atom     int         // what it comes from
	ids      *ident      // the last first
	touched  *touch
	unknown  bool // a patch gives it a name that is not known before the build
	hashed   bool // its name gets a hash of its content
	replaced bool // a replacement writes into it
}

// ident is what an object is called, and what it was called before.
type ident struct {
	id  resid.ResId
	was *ident
}

// touch is a kustomization whose patches may write names into an object.
type touch struct {
	by   int // index of the kustomization
	more *touch
}

func (m *member) id() resid.ResId { return m.ids.id }

// space is the namespace that it is in, of which kustomize has one for objects of
// the cluster too.
func (m *member) space() string { return m.ids.id.EffectiveNamespace() }

func (m *member) global() bool { return m.ids.id.IsClusterScoped() }

// called gives it another id.
func (m *member) called(id resid.ResId) {
	if id != m.ids.id {
		m.ids = &ident{id, m.ids}
	}
}

// any tells whether one of its ids is such.
func (m *member) any(is func(resid.ResId) bool) bool {
	for i := m.ids; i != nil; i = i.was {
		if is(i.id) {
			return true
		}
	}
	return false
}

// equals tells whether kustomize may take it for the object that id says.
func (m *member) equals(id resid.ResId) bool {
	if m.unknown {
		return m.any(func(own resid.ResId) bool { return own.Gvk.Equals(id.Gvk) && own.IsNsEquals(id) })
	}
	return m.any(id.Equals)
}

// renamed tells whether its name is another in the end.
func (m *member) renamed() bool {
	if m.unknown || m.hashed {
		return true
	}
	for i := m.ids.was; i != nil; i = i.was {
		if i.id.Name != m.ids.id.Name {
			return true
		}
	}
	return false
}

// crowd is what one kustomization, with its components, has gathered.
type crowd struct {
	members []member
	now     map[resid.ResId]int // the atom of what is called so; nil when it is to be made
}

// crowdOf gathers what a kustomization puts out, as kustomize does.
func (t *ties) crowdOf(dir string) []member {
	if out, ok := t.crowds[dir]; ok {
		return out
	}
	var c crowd
	t.gather(&c, t.byDir[dir])
	t.crowds[dir] = c.members
	return c.members
}

// gather adds to c what kustomization b has, and does to it what b says. A
// component does it to the crowd of what uses it.
func (t *ties) gather(c *crowd, b *kustomization) {
	if b == nil || t.over != nil {
		return
	}
	for _, value := range b.k.Resources {
		t.resource(c, b, path.Join(b.dir, value))
	}
	for i := range b.k.ConfigMapGenerator {
		t.generated(c, b, entry{b.file, "configMapGenerator", i}, "ConfigMap", b.k.ConfigMapGenerator[i].GeneratorArgs)
	}
	for i := range b.k.SecretGenerator {
		t.generated(c, b, entry{b.file, "secretGenerator", i}, "Secret", b.k.SecretGenerator[i].GeneratorArgs)
	}
	for _, value := range b.k.Components {
		t.gather(c, t.byDir[path.Join(b.dir, value)])
	}
	t.patches(c, b)
	t.move(c, b.k.Namespace)
	t.affix(c, b.k.NamePrefix, b.k.NameSuffix)
	t.replicas(c, b)
	t.replacements(c, b)
}

func (t *ties) resource(c *crowd, b *kustomization, target string) {
	file := t.l.resources[target]
	if file == nil {
		from := t.byDir[target]
		if from == nil || from.k.Kind == types.ComponentKind {
			return // kustomize says so
		}
		for _, m := range t.crowdOf(target) {
			t.add(c, b, m)
		}
		return
	}
	atom := t.files[target]
	for i := range file.objects {
		o := &file.objects[i]
		t.add(c, b, member{source: o, atom: atom, ids: &ident{id: t.idOf(o)}})
	}
}

// add adds one. Two of one name are kustomize's to refuse: it must see both.
func (t *ties) add(c *crowd, b *kustomization, m member) {
	if len(c.members) >= t.max {
		if t.over == nil {
			t.over = b
		}
		return
	}
	if c.now == nil {
		c.now = make(map[resid.ResId]int, len(c.members)+1)
		for i := range c.members {
			c.now[effective(c.members[i].id())] = c.members[i].atom
		}
	}
	key := effective(m.id())
	if twin, ok := c.now[key]; ok {
		t.tie(twin, m.atom)
	}
	c.now[key] = m.atom
	c.members = append(c.members, m)
}

func effective(id resid.ResId) resid.ResId {
	id.Namespace = id.EffectiveNamespace()
	return id
}

// generated adds what a generator makes, or puts it in the place of what it
// merges with.
func (t *ties) generated(c *crowd, b *kustomization, e entry, kind string, args types.GeneratorArgs) {
	m := member{atom: t.generators[e], ids: &ident{id: resid.NewResIdWithNamespace(resid.NewGvk("", "v1", kind), args.Name, args.Namespace)}}
	hash := func(o *types.GeneratorOptions) bool { return o != nil && o.DisableNameSuffixHash }
	m.hashed = !hash(args.Options) && !hash(b.k.GeneratorOptions)
	found := false
	for i := range c.members {
		if o := &c.members[i]; o.equals(m.id()) {
			found = true
			t.renames = true
			o.hashed = o.hashed || m.hashed
			t.tie(o.atom, m.atom)
		}
	}
	if !found {
		t.add(c, b, m)
	}
}

// patches notes what patches look for, and what they may change.
func (t *ties) patches(c *crowd, b *kustomization) {
	writes := len(b.k.CommonAnnotations) > 0
	for i, p := range b.k.Patches {
		f := t.l.patchFacts(b, p)
		t.apart = t.apart && !f.odd
		t.renames = t.renames || f.renames || f.ids
		writes = true
		if p.Target != nil {
			if f.renames {
				t.rename(c, p.Target)
			}
			continue
		}
		for _, o := range f.lone {
			id := t.idOf(&o)
			t.look(c, entry{b.file, "patches", i}, func(m *member) bool {
				if !m.equals(id) {
					return false
				}
				m.unknown = m.unknown || f.renames
				return true
			})
		}
	}
	for i := range c.members {
		if writes {
			c.members[i].touched = &touch{t.index[b.dir], c.members[i].touched}
		}
	}
}

// rename marks what a patch may give another name.
func (t *ties) rename(c *crowd, target *types.Selector) {
	selects, err := types.NewSelectorRegex(target)
	if err != nil {
		return // kustomize says so
	}
	for i := range c.members {
		if m := &c.members[i]; selects.MatchGvk(m.id().Gvk) {
			m.unknown = true
		}
	}
}

// look notes which objects an entry of a kustomization looks for.
func (t *ties) look(c *crowd, e entry, is func(m *member) bool) (first int) {
	first = -1
	for i := range c.members {
		m := &c.members[i]
		if !is(m) {
			continue
		}
		if first < 0 {
			first = m.atom
		}
		t.tie(first, m.atom)
	}
	switch was, seen := t.wanted[e]; {
	case seen && (was < 0) != (first < 0):
		t.apart = false // a component that finds it here and not there
	case seen && first >= 0:
		t.tie(was, first)
	default:
		t.wanted[e] = first
	}
	return first
}

// move gives all the namespace of a kustomization.
func (t *ties) move(c *crowd, namespace string) {
	if namespace == "" {
		return
	}
	c.now = make(map[resid.ResId]int, len(c.members))
	for i := range c.members {
		m := &c.members[i]
		id := m.id()
		switch {
		case id.Group == "" && id.Kind == "Namespace":
			id.Name = namespace
		case !id.IsClusterScoped():
			id.Namespace = namespace
		}
		m.called(id)
		key := effective(id)
		if twin, ok := c.now[key]; ok {
			t.tie(twin, m.atom)
		}
		c.now[key] = m.atom
	}
}

// affix puts something before and after all names but those that kustomize
// leaves alone.
func (t *ties) affix(c *crowd, prefix, suffix string) {
	if prefix+suffix == "" {
		return
	}
	t.renames = true
	c.now = nil
	for i := range c.members {
		m := &c.members[i]
		id := m.id()
		if keepsName(id) {
			continue
		}
		id.Name = prefix + id.Name
		m.called(id)
		id.Name += suffix
		m.called(id)
	}
}

func keepsName(id resid.ResId) bool {
	return id.Kind == "CustomResourceDefinition" || id.Kind == "Namespace" ||
		id.Kind == "APIService" && id.Group == "apiregistration.k8s.io"
}

// replicas looks for each name in objects of all kinds, of which kustomize wants
// one at least that has replicas.
func (t *ties) replicas(c *crowd, b *kustomization) {
	for i, r := range b.k.Replicas {
		t.look(c, entry{b.file, "replicas", i}, func(m *member) bool {
			return m.unknown || m.any(func(id resid.ResId) bool { return id.Name == r.Name })
		})
	}
}

// replacements ties sources to their targets.
func (t *ties) replacements(c *crowd, b *kustomization) {
	for i, r := range b.k.Replacements {
		if r.Path != "" {
			t.apart = false // not understood: kustomize says so
			continue
		}
		source := -1
		if r.Source != nil {
			from := *r.Source
			source = t.look(c, entry{b.file, "replacements", i}, func(m *member) bool {
				sel := from.ResId
				if m.unknown {
					sel.Name = ""
				}
				return m.any(func(id resid.ResId) bool { return id.IsSelectedBy(sel) })
			})
		}
		for _, to := range r.Targets {
			if to != nil && to.Select != nil {
				t.target(c, source, to)
			}
		}
	}
}

func (t *ties) target(c *crowd, source int, to *types.TargetSelector) {
	for _, field := range to.FieldPaths {
		t.apart = t.apart && leavesIdentity(field)
		t.renames = t.renames || !leavesService(field)
	}
	t.apart = t.apart && len(to.FieldPaths) > 0 // the name
	selects, err := types.NewTargetSelectorRegex(&types.TargetSelector{Select: to.Select})
	if err != nil {
		return // kustomize says so
	}
	nameless := *to.Select
	nameless.Name = ""
	loosely, err := types.NewTargetSelectorRegex(&types.TargetSelector{Select: &nameless})
	if err != nil {
		return
	}
	for i := range c.members {
		m := &c.members[i]
		if !m.any(selects.Selects) && !(m.unknown && m.any(loosely.Selects)) {
			continue
		}
		m.replaced = true
		if source >= 0 {
			t.tie(source, m.atom)
		}
	}
}

// leavesIdentity tells of a path of fields that is not that of what an object is
// called, or of what kustomize notes in it.
func leavesIdentity(field string) bool {
	top, rest, _ := strings.Cut(field, ".")
	switch top {
	case "metadata":
		part, key, _ := strings.Cut(rest, ".")
		return (part == "labels" || part == "annotations") && key != "" && !strings.HasPrefix(key, "*")
	case "apiVersion", "kind", "":
		return false
	}
	return !strings.ContainsAny(top, "*[]\\'\"")
}

// leavesService tells of a path of fields that is not that of a service's id.
func leavesService(field string) bool {
	top, rest, _ := strings.Cut(field, ".")
	if top != "spec" {
		return true
	}
	part, _, _ := strings.Cut(rest, ".")
	return part != "" && part != "id" && !strings.ContainsAny(part, "*[]\\'\"")
}
