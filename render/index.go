package render

import (
	"cmp"
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// placed is a parsed value with the place of its document.
type placed[T any] struct {
	def *T
	src definition.Source
}

// at is a place inside the value's document.
func (p placed[T]) at(pos definition.Pos) plumbline.Origin { return p.src.At(pos) }

// name identifies what belongs to a project.
type name struct{ project, id string }

func (n name) compare(o name) int {
	return cmp.Or(cmp.Compare(n.project, o.project), cmp.Compare(n.id, o.id))
}

// service is all that the files say of one service. It is complete: of things
// that are there twice it holds both.
type service struct {
	name     name
	versions []placed[definition.Version] // by name, then by place
	routes   []placed[definition.Routes]  // by place
}

// index gathers documents by what they are about, and remembers what changed:
// adding and removing a document costs what it holds, however many there are.
type index struct {
	services map[name]*service
	secrets  map[name][]placed[definition.Secret]
	roles    map[name][]placed[definition.Role]
	projects map[string][]placed[definition.Project]
	plain    map[plumbline.Ref][]placed[definition.Plain]
	data     map[plumbline.Ref][]placed[definition.Data]
	posts    []placed[definition.PostRender] // by place
	// users are the services that name a secret, whether it is there or not.
	users map[name]map[name]bool
	notes map[definition.Source]note
	docs  int
	// hidden counts documents of which not even the name is known: secrets that
	// nobody seems to define may be among them.
	hidden int

	dirty dirty
}

// note is what a document says of itself: violations, or why it was skipped.
type note struct {
	violations []plumbline.Violation // placed
	skipped    string
	closed     string
}

// dirty is what changed since the last rendering.
type dirty struct {
	services map[name]bool
	secrets  map[name]bool
	roles    map[name]bool
	plain    map[plumbline.Ref]bool
	data     map[plumbline.Ref]bool
	projects bool
	remarks  bool // what the files themselves are blamed for, or skipped for
}

func newDirty() dirty {
	return dirty{services: map[name]bool{}, secrets: map[name]bool{}, roles: map[name]bool{}, plain: map[plumbline.Ref]bool{}, data: map[plumbline.Ref]bool{}}
}

func newIndex() *index {
	return &index{
		services: map[name]*service{},
		secrets:  map[name][]placed[definition.Secret]{},
		roles:    map[name][]placed[definition.Role]{},
		projects: map[string][]placed[definition.Project]{},
		plain:    map[plumbline.Ref][]placed[definition.Plain]{},
		data:     map[plumbline.Ref][]placed[definition.Data]{},
		users:    map[name]map[name]bool{},
		notes:    map[definition.Source]note{},
		dirty:    newDirty(),
	}
}

// allDirty marks everything that is there as changed.
func (x *index) allDirty() {
	mark(x.dirty.services, x.services)
	mark(x.dirty.secrets, x.secrets)
	mark(x.dirty.roles, x.roles)
	mark(x.dirty.plain, x.plain)
	x.dirty.projects = true
}

func mark[K comparable, V any](dirty map[K]bool, all map[K]V) {
	for k := range all {
		dirty[k] = true
	}
}

// add takes in a document.
func (x *index) add(doc *definition.Document, src definition.Source) {
	x.docs++
	if doc.Hidden {
		x.hide(1)
	}
	if len(doc.Violations) > 0 || doc.Skipped != "" || doc.Closed != "" {
		n := note{skipped: doc.Skipped, closed: doc.Closed}
		for _, v := range doc.Violations {
			n.violations = append(n.violations, src.Place(v))
		}
		x.notes[src], x.dirty.remarks = n, true
	}
	for _, v := range doc.Versions {
		s := x.service(name{v.Project.Value, v.ID.Value})
		s.versions = insert(s.versions, placed[definition.Version]{v, src}, func(v *definition.Version) string { return v.Name() })
		for _, id := range v.Secrets() {
			x.use(name{s.name.project, id.Value}, s.name)
		}
		for _, id := range v.ScalingSecrets() {
			x.use(name{s.name.project, id.Value}, s.name)
		}
	}
	for _, v := range doc.Routes {
		s := x.service(name{v.Project.Value, v.ID.Value})
		s.routes = insert(s.routes, placed[definition.Routes]{v, src}, nil)
	}
	for _, v := range doc.Secrets {
		k := name{v.Project.Value, v.ID.Value}
		x.secrets[k] = insert(x.secrets[k], placed[definition.Secret]{v, src}, nil)
		x.dirty.secrets[k] = true
	}
	for _, v := range doc.Roles {
		k := name{v.Project.Value, v.ID.Value}
		x.roles[k] = insert(x.roles[k], placed[definition.Role]{v, src}, nil)
		x.dirty.roles[k] = true
	}
	for _, v := range doc.Projects {
		x.projects[v.ID.Value] = insert(x.projects[v.ID.Value], placed[definition.Project]{v, src}, nil)
		x.dirty.projects = true
	}
	for _, v := range doc.Plain {
		x.plain[v.Ref] = insert(x.plain[v.Ref], placed[definition.Plain]{v, src}, nil)
		x.dirty.plain[v.Ref] = true
	}
	for _, v := range doc.Posts {
		x.posts = insert(x.posts, placed[definition.PostRender]{v, src}, nil)
	}
	for i := range doc.Data {
		f := &doc.Data[i]
		x.data[f.Ref] = insert(x.data[f.Ref], placed[definition.Data]{f, src}, nil)
		x.dirty.data[f.Ref] = true
	}
}

// remove takes a document out that was added.
func (x *index) remove(doc *definition.Document, src definition.Source) {
	x.docs--
	if doc.Hidden {
		x.hide(-1)
	}
	if _, noted := x.notes[src]; noted {
		delete(x.notes, src)
		x.dirty.remarks = true
	}
	for _, v := range doc.Versions {
		s := x.service(name{v.Project.Value, v.ID.Value})
		s.versions = without(s.versions, placed[definition.Version]{v, src})
		x.tidy(s)
	}
	for _, v := range doc.Routes {
		s := x.service(name{v.Project.Value, v.ID.Value})
		s.routes = without(s.routes, placed[definition.Routes]{v, src})
		x.tidy(s)
	}
	for _, v := range doc.Secrets {
		k := name{v.Project.Value, v.ID.Value}
		removeFrom(x.secrets, k, placed[definition.Secret]{v, src})
		x.dirty.secrets[k] = true
	}
	for _, v := range doc.Roles {
		k := name{v.Project.Value, v.ID.Value}
		removeFrom(x.roles, k, placed[definition.Role]{v, src})
		x.dirty.roles[k] = true
	}
	for _, v := range doc.Projects {
		removeFrom(x.projects, v.ID.Value, placed[definition.Project]{v, src})
		x.dirty.projects = true
	}
	for _, v := range doc.Plain {
		removeFrom(x.plain, v.Ref, placed[definition.Plain]{v, src})
		x.dirty.plain[v.Ref] = true
	}
	for _, v := range doc.Posts {
		x.posts = without(x.posts, placed[definition.PostRender]{v, src})
	}
	for i := range doc.Data {
		f := &doc.Data[i]
		removeFrom(x.data, f.Ref, placed[definition.Data]{f, src})
		x.dirty.data[f.Ref] = true
	}
}

// hide counts hidden documents. The first and the last make a difference to the
// checks between documents.
func (x *index) hide(n int) {
	before := x.hidden > 0
	x.hidden += n
	x.dirty.projects = x.dirty.projects || before != (x.hidden > 0)
}

// service finds or makes a service, which is about to change.
func (x *index) service(k name) *service {
	s := x.services[k]
	if s == nil {
		s = &service{name: k}
		x.services[k] = s
	}
	x.dirty.services[k] = true
	return s
}

func (x *index) tidy(s *service) {
	if len(s.versions) == 0 && len(s.routes) == 0 {
		delete(x.services, s.name)
	}
}

// use notes that a service names a secret. It is not forgotten when the service
// does not any more: then the service is looked at once too often.
func (x *index) use(secret, service name) {
	users := x.users[secret]
	if users == nil {
		users = make(map[name]bool, 1)
		x.users[secret] = users
	}
	users[service] = true
}

// changedServices are the services to look at again, sorted: those whose own
// documents changed, and those that name a secret that did.
func (x *index) changedServices() []name {
	for k := range x.dirty.secrets {
		x.dirtyUsers(k)
	}
	for ref := range x.dirty.plain {
		if ref.Group == "" && ref.Kind == "Secret" {
			x.dirtyUsers(name{ref.Namespace, ref.Name})
		}
	}
	out := make([]name, 0, len(x.dirty.services))
	for k := range x.dirty.services {
		out = append(out, k)
	}
	slices.SortFunc(out, name.compare)
	return out
}

func (x *index) dirtyUsers(secret name) {
	for k := range x.users[secret] {
		if x.services[k] == nil {
			delete(x.users[secret], k)
			continue
		}
		x.dirty.services[k] = true
	}
}

// insert adds p to a list that is sorted by key, where there is one, and place.
// The list is copied: units keep the old one.
func insert[T any](list []placed[T], p placed[T], key func(*T) string) []placed[T] {
	i, _ := slices.BinarySearchFunc(list, p, func(a, b placed[T]) int {
		c := 0
		if key != nil {
			c = cmp.Compare(key(a.def), key(b.def))
		}
		return cmp.Or(c, cmp.Compare(a.src.Path, b.src.Path), cmp.Compare(a.src.Before, b.src.Before))
	})
	out := make([]placed[T], 0, len(list)+1)
	out = append(out, list[:i]...)
	out = append(out, p)
	return append(out, list[i:]...)
}

func without[T any](list []placed[T], p placed[T]) []placed[T] {
	out := make([]placed[T], 0, len(list))
	for i, o := range list {
		if o == p {
			return append(out, list[i+1:]...)
		}
		out = append(out, o)
	}
	return out
}

func removeFrom[K comparable, T any](m map[K][]placed[T], k K, p placed[T]) {
	if m[k] = without(m[k], p); len(m[k]) == 0 {
		delete(m, k)
	}
}

// hint names the service of the same project whose name is nearest.
func (x *index) hint(k name) string {
	var ids []string
	for o, s := range x.services {
		if o.project == k.project && len(s.versions) > 0 {
			ids = append(ids, o.id)
		}
	}
	slices.Sort(ids)
	if near := definition.Nearest(k.id, ids); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// secretHint names the secret of the same project whose id is nearest.
func (x *index) secretHint(k name) string {
	var ids []string
	for o := range x.secrets {
		if o.project == k.project {
			ids = append(ids, o.id)
		}
	}
	slices.Sort(ids)
	if near := definition.Nearest(k.id, ids); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}
