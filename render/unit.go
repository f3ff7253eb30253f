package render

import (
	"cmp"
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/istio"
)

// unit is what is rendered, and rendered again, as one: a service, a secret, a
// project, a plain object. It is reused while its inputs are the same.
type unit struct {
	inputs     []input
	objects    []plumbline.Object // sorted
	violations []plumbline.Violation
	service    *rendered // of services
	plain      bool      // of plain objects
	live       bool
}

// input is something that a unit depends on: a parsed value, which is the same
// as long as its text is, and its place, which is a part of origins.
type input struct {
	def any
	src definition.Source
}

// unitKey identifies a unit.
type unitKey struct {
	kind string
	name name
	ref  plumbline.Ref // of plain objects
}

// rendered is what the checks of the whole set need to know of a service.
type rendered struct {
	mode    ServiceMode
	peer    plumbline.Peer
	answers []int    // the ports on which it is called
	guarded []string // names of the Knative Services with a guard
}

func (u *unit) violate(code string, at plumbline.Origin, message string) {
	u.violations = append(u.violations, plumbline.Violation{Code: code, Severity: plumbline.SeverityError, Origin: at, Message: message})
}

func (u *unit) warn(code string, at plumbline.Origin, message string) {
	u.violations = append(u.violations, plumbline.Violation{Code: code, Severity: plumbline.SeverityWarning, Origin: at, Message: message})
}

// unit returns the unit of a key, rendered by render unless the inputs are
// those of the last time.
func (a *assembly) unit(k unitKey, inputs []input, render func(*unit) error) (*unit, bool, error) {
	if u := a.units[k]; u != nil && slices.Equal(u.inputs, inputs) {
		u.live = true
		a.list = append(a.list, u)
		return u, true, nil
	}
	u := &unit{inputs: inputs, live: true}
	if err := render(u); err != nil {
		return nil, false, err
	}
	slices.SortFunc(u.objects, compareObjects)
	a.units[k] = u
	a.list = append(a.list, u)
	a.changed = append(a.changed, u)
	return u, false, nil
}

func compareObjects(a, b plumbline.Object) int {
	return cmp.Or(cmp.Compare(a.Wave, b.Wave), a.Ref.Compare(b.Ref))
}

// assembly is one run over all documents.
type assembly struct {
	*Renderer
	docs    *documents
	list    []*unit // of this run
	changed []*unit // of them, those rendered in this run
	stats   Stats
}

// assemble renders documents, checks them against each other, and merges.
func (r *Renderer) assemble(docs *documents) (Result, error) {
	for _, u := range r.units {
		u.live = false
	}
	a := &assembly{Renderer: r, docs: docs}
	services := docs.sorted()
	known, err := a.services(services)
	if err != nil {
		return Result{}, err
	}
	projects, err := a.projects(services)
	if err != nil {
		return Result{}, err
	}
	if err := a.support(services, known); err != nil {
		return Result{}, err
	}
	a.checks(services, known)
	return a.result(known, projects), nil
}

// services renders every service.
func (a *assembly) services(list []*service) (map[name]*rendered, error) {
	known := make(map[name]*rendered, len(list))
	for _, s := range list {
		sr := a.resolve(s)
		u, reused, err := a.unit(unitKey{kind: "service", name: s.name}, sr.inputs(), func(u *unit) error {
			return a.renderService(sr, u)
		})
		if err != nil {
			return nil, err
		}
		if reused {
			a.stats.Reused++
		} else {
			a.stats.Rendered++
		}
		known[s.name] = u.service
	}
	return known, nil
}

// projects renders Namespaces and what belongs to them, and lists the
// projects.
func (a *assembly) projects(list []*service) ([]string, error) {
	first := map[string]*service{}
	for _, s := range list {
		if _, ok := first[s.name.project]; !ok {
			first[s.name.project] = s
		}
	}
	own := map[string]bool{}
	for _, p := range a.docs.plain {
		if p.def.Ref.GroupKind() == (plumbline.GroupKind{Kind: "Namespace"}) {
			own[p.def.Ref.Name] = true
		}
	}
	var names []string
	for n := range first {
		names = append(names, n)
	}
	for n := range a.docs.projects {
		if first[n] == nil {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		p, defined := a.docs.projects[n]
		origin, at := p.src, definition.Pos{}
		if defined {
			at = p.def.At
		} else {
			v := first[n].versions[0]
			origin, at = v.src, v.def.At
			if !own[n] {
				a.docs.warn(definition.CodeProjectUndefined, origin.At(v.def.Project.At), plumbline.Origin{},
					"no document defines project "+n+": its Namespace is rendered all the same")
			}
		}
		in := []input{{p.def, origin}, {own[n], definition.Source{}}, {at, definition.Source{}}}
		if _, _, err := a.unit(unitKey{kind: "project", name: name{project: n}}, in, func(u *unit) error {
			return a.renderProject(u, p, n, origin.At(at), !own[n] || defined)
		}); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// support renders secrets, plain objects and the guard that all guards rest
// on.
func (a *assembly) support(services []*service, known map[name]*rendered) error {
	for k, s := range a.docs.secrets {
		if _, _, err := a.unit(unitKey{kind: "secret", name: k}, []input{{s.def, s.src}}, func(u *unit) error {
			return a.renderSecret(u, s)
		}); err != nil {
			return err
		}
	}
	for _, p := range a.docs.plain {
		k := unitKey{kind: "plain", ref: p.def.Ref, name: name{id: p.src.Path}}
		if _, _, err := a.unit(k, []input{{p.def, p.src}}, func(u *unit) error {
			u.plain = true
			return a.renderPlain(u, p)
		}); err != nil {
			return err
		}
	}
	for _, s := range services {
		if len(known[s.name].guarded) == 0 {
			continue
		}
		v := s.versions[0]
		origin := v.src.At(v.def.At)
		_, _, err := a.unit(unitKey{kind: "guard"}, []input{{v.def, v.src}}, func(u *unit) error {
			o, err := a.object(istio.RequireHeaders(), about{origin: origin, system: true})
			u.objects = append(u.objects, o)
			return err
		})
		return err
	}
	return nil
}
