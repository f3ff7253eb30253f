package render

import (
	"context"
	"maps"
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/istio"
)

// assembly is one run over what changed.
type assembly struct {
	*Renderer
	rendered   int  // services
	structural bool // something changed that concerns more than one unit
	remarked   bool // something is to be said that is not in the last result, or not any more
}

// overview is what is known of all services together. It stays as it is while
// changes concern single services only.
type overview struct {
	services   []*rendered // sorted
	modes      []ServiceMode
	peers      []plumbline.Peer
	projects   []string
	violations []plumbline.Violation
}

// assemble renders what changed and puts the result together.
func (r *Renderer) assemble(ctx context.Context) (Result, error) {
	a := &assembly{Renderer: r, structural: r.last == nil}
	for _, step := range []func(context.Context) error{a.patches, a.services, a.secrets, a.roles, a.plain, a.together} {
		if err := step(ctx); err != nil {
			return Result{}, err
		}
	}
	if err := a.limits.allow(a.units.objects.settle().Len()); err != nil {
		return Result{}, err
	}
	a.asData()
	unused := r.units.patches.unused(r.units)
	a.remarked = a.remarked || r.index.dirty.remarks || r.units.remarks || !slices.EqualFunc(unused, r.unused, plumbline.Violation.Equal)
	r.unused = unused
	r.index.dirty, r.units.remarks = newDirty(), false
	return a.result(), nil
}

// serviceBlock is how many services are rendered before they are put in their
// places: enough for all cores, and few beside all that there are.
const serviceBlock = 512

// services renders the services that changed: beside each other, and put in
// their places one after the other.
func (a *assembly) services(ctx context.Context) error {
	for names := range slices.Chunk(a.index.changedServices(), serviceBlock) {
		done := make([]updated, len(names))
		err := inParallel(ctx, len(a.pens), len(names), func(worker, i int) (err error) {
			done[i], err = a.service(ctx, a.pens[worker], names[i])
			return err
		})
		if err != nil {
			return err
		}
		for i, n := range names {
			a.place(unitKey{kind: "service", name: n}, done[i])
		}
	}
	return nil
}

// updated is the unit of a service and the one whose place it takes, which is
// itself where nothing changed; nil where there is none.
type updated struct{ now, before *unit }

// service renders a service, if anything that it depends on changed. It changes
// nothing that others see.
func (a *assembly) service(ctx context.Context, p *pen, n name) (u updated, err error) {
	k := unitKey{kind: "service", name: n}
	s := a.index.services[n]
	if s == nil || len(s.versions) == 0 {
		return updated{}, nil
	}
	r := a.resolve(s)
	u.now, u.before, err = a.units.next(ctx, k, r.inputs(), func(now *unit) error { return p.service(ctx, r, now, a.units.byKey[k]) })
	return u, err
}

// place puts the unit of a service in its place.
func (a *assembly) place(k unitKey, u updated) {
	switch {
	case u.now == nil:
		a.units.drop(k)
		a.structural = true
		return
	case u.now == u.before:
		return
	case u.before == nil || !u.now.service.same(u.before.service) || !sameRefs(u.now, u.before):
		a.structural = true
	}
	a.units.put(k, u.now)
	a.rendered++
}

func (a *assembly) secrets(ctx context.Context) error {
	for n := range a.index.dirty.secrets {
		k := unitKey{kind: "secret", name: n}
		list := a.index.secrets[n]
		if len(list) == 0 {
			a.structural = a.units.drop(k) || a.structural
			continue
		}
		now, before, err := a.units.update(ctx, k, inputsOf(list), func(u *unit) error {
			duplicates(u, list, "secret "+n.id, func(s *definition.Secret) definition.Pos { return s.ID.At })
			return a.renderSecret(u, list[0])
		})
		if err != nil {
			return err
		}
		a.structural = a.structural || before == nil || !sameRefs(now, before)
	}
	return nil
}

func (a *assembly) plain(ctx context.Context) error {
	for ref := range a.index.dirty.plain {
		a.structural = true
		k := unitKey{kind: "plain", ref: ref}
		list := a.index.plain[ref]
		if len(list) == 0 {
			a.units.drop(k)
			continue
		}
		if _, _, err := a.units.update(ctx, k, inputsOf(list), func(u *unit) error {
			for _, p := range list[1:] {
				u.violate(definition.CodeDuplicateObject, p.at(p.def.At), ref.String()+" is defined twice: remove one", list[0].at(list[0].def.At))
			}
			return a.renderPlain(ctx, u, list[0])
		}); err != nil {
			return err
		}
	}
	return nil
}

func inputsOf[T any](list []placed[T]) []input {
	out := make([]input, len(list))
	for i, p := range list {
		out[i] = input{p.def, p.src}
	}
	return out
}

// duplicates reports all but the first of a list.
func duplicates[T any](u *unit, list []placed[T], what string, pos func(*T) definition.Pos) {
	for _, p := range list[1:] {
		u.violate(definition.CodeDuplicate, p.at(pos(p.def)), what+" is defined twice: remove one", list[0].at(pos(list[0].def)))
	}
}

// together does what concerns all: projects, the guard that all guards rest
// on, and the checks between services.
func (a *assembly) together(ctx context.Context) error {
	if !a.structural && !a.index.dirty.projects {
		return nil
	}
	o := overview{}
	for k, u := range a.units.byKey {
		if k.kind == "service" {
			o.services = append(o.services, u.service)
		}
	}
	slices.SortFunc(o.services, func(x, y *rendered) int { return x.name.compare(y.name) })
	for _, s := range o.services {
		o.modes = append(o.modes, s.mode)
		o.peers = append(o.peers, s.peers...)
	}
	if err := a.projects(ctx, &o); err != nil {
		return err
	}
	if err := a.requireHeaders(ctx, &o); err != nil {
		return err
	}
	c := check{index: a.index, services: o.services, known: make(map[name]*rendered, len(o.services))}
	for _, s := range o.services {
		c.known[s.name] = s
	}
	c.run(a.units)
	o.violations = append(o.violations, c.violations...)
	a.remarked = !slices.EqualFunc(a.all.violations, o.violations, plumbline.Violation.Equal)
	a.all = o
	return nil
}

// projects renders Namespaces and what belongs to them.
func (a *assembly) projects(ctx context.Context, o *overview) error {
	first := map[string]*rendered{}
	for _, s := range o.services {
		if first[s.name.project] == nil {
			first[s.name.project] = s
		}
	}
	wanted := map[string]bool{}
	for n := range first {
		wanted[n] = true
	}
	for n := range a.index.projects {
		wanted[n] = true
	}
	o.projects = slices.Sorted(maps.Keys(wanted))
	for _, n := range o.projects {
		list := a.index.projects[n]
		_, own := a.index.plain[plumbline.Ref{Kind: "Namespace", Name: n}]
		p := projectInput{name: n, namespace: !own || len(list) > 0}
		if len(list) > 0 {
			p.origin, p.control = list[0].at(list[0].def.At), list[0].def.Control
		} else {
			p.origin = first[n].peer.Origin
			if !own {
				o.violations = append(o.violations, plumbline.Violation{
					Code: definition.CodeProjectUndefined, Severity: plumbline.SeverityWarning, Origin: first[n].versions[0].id,
					Message: "no document defines project " + n + ": its Namespace is rendered all the same",
				})
			}
		}
		in := append(inputsOf(list), input{def: p})
		if _, _, err := a.units.update(ctx, unitKey{kind: "project", name: name{project: n}}, in, func(u *unit) error {
			if len(list) > 0 {
				duplicates(u, list, "project "+n, func(p *definition.Project) definition.Pos { return p.ID.At })
			}
			return a.renderProject(u, p)
		}); err != nil {
			return err
		}
	}
	for k := range a.units.byKey {
		if k.kind == "project" && !wanted[k.name.project] {
			a.units.drop(k)
		}
	}
	return nil
}

// requireHeaders renders the guard that all guards rest on, if there are any.
func (a *assembly) requireHeaders(ctx context.Context, o *overview) error {
	k := unitKey{kind: "guard"}
	for _, s := range o.services {
		for _, v := range s.versions {
			if !v.guarded {
				continue
			}
			_, _, err := a.units.update(ctx, k, []input{{def: s.peer.Origin}}, func(u *unit) error {
				// Guards of other environments may rest on it: it stays.
				keep := definition.Control{Control: plumbline.Control{KeepOnPrune: true}}
				done, err := a.pens[0].object(istio.RequireHeaders(), about{origin: s.peer.Origin, system: true, control: keep})
				u.objects = append(u.objects, done)
				return err
			})
			return err
		}
	}
	a.units.drop(k)
	return nil
}

// result puts together what the run found.
func (a *assembly) result() Result {
	res := Result{
		Projects: a.all.projects, Services: a.all.modes, Peers: a.all.peers, Definitions: a.data,
		Stats: Stats{
			Files: a.tree.root.holds.files, Documents: a.index.docs, Parsed: a.tree.fresh,
			Rendered: a.rendered, Reused: len(a.all.services) - a.rendered,
		},
	}
	a.tree.fresh = 0
	if a.last != nil && !a.remarked {
		res.Violations, res.Skipped, res.Closed = a.last.Violations, a.last.Skipped, a.last.Closed
	} else {
		a.remarks(&res)
	}
	if objects := a.units.objects.settle(); len(plumbline.Errors(res.Violations)) == 0 {
		res.Objects = objects
	}
	return res
}

// remarks gathers all that is to be said of the files, but for the objects.
func (a *assembly) remarks(res *Result) {
	res.Violations = append(res.Violations, a.fileViolations...)
	res.Violations = append(res.Violations, a.all.violations...)
	res.Violations = append(res.Violations, a.patchViolations...)
	res.Skipped = append(res.Skipped, a.tree.root.allSkipped()...)
	res.Closed = append(res.Closed, a.closed...)
	for src, n := range a.index.notes {
		res.Violations = append(res.Violations, n.violations...)
		if n.skipped != "" {
			res.Skipped = append(res.Skipped, Skip{Origin: src.At(definition.Pos{Line: 1}), Reason: n.skipped})
		}
		if n.closed != "" {
			res.Closed = append(res.Closed, Skip{Origin: src.At(definition.Pos{Line: 1}), Reason: n.closed})
		}
	}
	for _, u := range a.units.faulty {
		res.Violations = append(res.Violations, u.violations...)
	}
	if len(plumbline.Errors(res.Violations)) == 0 { // else objects are missing that may be meant
		res.Violations = append(res.Violations, a.unused...)
	}
	res.Violations = definition.Cut(plumbline.SortViolations(withoutDerived(res.Violations)), a.limits.problems)
	slices.SortFunc(res.Skipped, Skip.compare)
	slices.SortFunc(res.Closed, Skip.compare)
}

// withoutDerived drops what is said of a service's mode where its file has
// errors of its own: a port that is not understood is no port, which is a
// reason for another mode, and so for a second complaint about one mistake.
// Likewise, what Knative says of a place of which we said something already.
func withoutDerived(vs []plumbline.Violation) []plumbline.Violation {
	faulty, said := map[string]bool{}, map[plumbline.Origin]bool{}
	for _, v := range vs {
		if v.Severity == plumbline.SeverityError && !definition.OfMode(v.Code) {
			faulty[v.Origin.Path] = true
			said[v.Origin] = said[v.Origin] || v.Code != definition.CodeKnative
		}
	}
	return slices.DeleteFunc(vs, func(v plumbline.Violation) bool {
		return definition.OfMode(v.Code) && faulty[v.Origin.Path] || v.Code == definition.CodeKnative && said[v.Origin]
	})
}
