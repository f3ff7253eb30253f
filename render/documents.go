package render

import (
	"cmp"
	"maps"
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// placed is a parsed value with the place of its document.
type placed[T any] struct {
	def *T
	src definition.Source
}

// name identifies what belongs to a project.
type name struct{ project, id string }

func (n name) compare(o name) int {
	return cmp.Or(cmp.Compare(n.project, o.project), cmp.Compare(n.id, o.id))
}

// service is all that the files say of one service.
type service struct {
	name     name
	versions []placed[definition.Version] // sorted by name, none twice
	routes   placed[definition.Routes]
}

// documents is the content of a tree, gathered by what it is about. Of two
// documents about the same thing the first counts, and the other is a
// violation.
type documents struct {
	services map[name]*service
	routes   map[name]placed[definition.Routes]
	secrets  map[name]placed[definition.Secret]
	projects map[string]placed[definition.Project]
	plain    []placed[definition.Plain]

	violations []plumbline.Violation
	skipped    []Skip
	files      int
	count      int
	parsed     int
}

func (d *documents) violate(code string, at plumbline.Origin, related plumbline.Origin, message string) {
	v := plumbline.Violation{Code: code, Severity: plumbline.SeverityError, Origin: at, Message: message}
	if !related.IsZero() {
		v.Related = []plumbline.Origin{related}
	}
	d.violations = append(d.violations, v)
}

func (d *documents) warn(code string, at plumbline.Origin, related plumbline.Origin, message string) {
	d.violate(code, at, related, message)
	d.violations[len(d.violations)-1].Severity = plumbline.SeverityWarning
}

// add takes in a document.
func (d *documents) add(doc *definition.Document, src definition.Source) {
	d.count++
	for _, v := range doc.Violations {
		d.violations = append(d.violations, src.Place(v))
	}
	if doc.Skipped != "" {
		d.skipped = append(d.skipped, Skip{Origin: src.At(definition.Pos{Line: 1}), Reason: doc.Skipped})
	}
	if d.services == nil {
		d.services = map[name]*service{}
		d.routes = map[name]placed[definition.Routes]{}
		d.secrets = map[name]placed[definition.Secret]{}
		d.projects = map[string]placed[definition.Project]{}
	}
	for _, v := range doc.Versions {
		d.addVersion(placed[definition.Version]{v, src})
	}
	for _, v := range doc.Routes {
		k := name{v.Project.Value, v.ID.Value}
		if first, ok := d.routes[k]; ok {
			d.duplicate("the routes of service "+k.id, src.At(v.ID.At), first.src.At(first.def.ID.At))
			continue
		}
		d.routes[k] = placed[definition.Routes]{v, src}
	}
	for _, v := range doc.Secrets {
		k := name{v.Project.Value, v.ID.Value}
		if first, ok := d.secrets[k]; ok {
			d.duplicate("secret "+k.id, src.At(v.ID.At), first.src.At(first.def.ID.At))
			continue
		}
		d.secrets[k] = placed[definition.Secret]{v, src}
	}
	for _, v := range doc.Projects {
		if first, ok := d.projects[v.ID.Value]; ok {
			d.duplicate("project "+v.ID.Value, src.At(v.ID.At), first.src.At(first.def.ID.At))
			continue
		}
		d.projects[v.ID.Value] = placed[definition.Project]{v, src}
	}
	for _, v := range doc.Plain {
		d.plain = append(d.plain, placed[definition.Plain]{v, src})
	}
}

func (d *documents) duplicate(what string, at, first plumbline.Origin) {
	d.violate(definition.CodeDuplicate, at, first, what+" is defined twice: remove one")
}

func (d *documents) addVersion(v placed[definition.Version]) {
	k := name{v.def.Project.Value, v.def.ID.Value}
	s := d.services[k]
	if s == nil {
		s = &service{name: k}
		d.services[k] = s
	}
	for _, o := range s.versions {
		if definition.Slug(o.def.Version.Value) != definition.Slug(v.def.Version.Value) {
			continue
		}
		at, first := v.src.At(v.def.Version.At), o.src.At(o.def.Version.At)
		if o.def.Version.Value == v.def.Version.Value {
			d.duplicate("version "+v.def.Version.Value+" of service "+k.id, at, first)
		} else {
			d.violate(definition.CodeNameClash, at, first,
				"versions "+o.def.Version.Value+" and "+v.def.Version.Value+" of service "+k.id+" are both named "+v.def.Name()+": rename one")
		}
		return
	}
	s.versions = append(s.versions, v)
}

// sorted are the services by name, complete with their routes.
func (d *documents) sorted() []*service {
	for k, r := range d.routes {
		if s := d.services[k]; s != nil {
			s.routes = r
			continue
		}
		d.violate(definition.CodeRouteService, r.src.At(r.def.ID.At), plumbline.Origin{},
			"routes of service "+k.id+" in project "+k.project+", which nobody defines"+d.hint(k))
	}
	out := slices.SortedFunc(maps.Values(d.services), func(a, b *service) int { return a.name.compare(b.name) })
	for _, s := range out {
		if len(s.versions) > 1 {
			slices.SortFunc(s.versions, func(a, b placed[definition.Version]) int {
				return cmp.Compare(a.def.Name(), b.def.Name())
			})
		}
	}
	return out
}

// hint names the service of the same project whose name is nearest.
func (d *documents) hint(k name) string {
	var ids []string
	for o := range d.services {
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
