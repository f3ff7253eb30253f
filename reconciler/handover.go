package reconciler

import (
	"context"
	"errors"

	"github.com/plumbline-dev/plumbline"
)

// Reasons of changes that wait for a step before them.
const (
	// reasonInPlace comes with an error of its own.
	reasonInPlace = "what is to make way for it is not gone yet"
	// reasonHeld is of what waits for something else that carries the error.
	reasonHeld = "a step before it is not done; its service changes its mode"
	// reasonFinalizer is of a delete that was asked for.
	reasonFinalizer = "its deletion waits for a finalizer"
)

// rival is the object of the other kind that wants the same name: Knative makes
// a Service of the name of each Route.
func rival(ref plumbline.Ref) (other plumbline.Ref, ok bool) {
	switch {
	case isKind(ref, "", "Service"):
		ref.Group, ref.Kind = "serving.knative.dev", "Route"
	case isKind(ref, "serving.knative.dev", "Route"):
		ref.Group, ref.Kind = "", "Service"
	default:
		return plumbline.Ref{}, false
	}
	return ref, true
}

// refuseNames refuses what needs a name whose holder may not be deleted, because
// an annotation in Git, or what the operator allows, keeps it.
func refuseNames(p *plumbline.Plan) {
	if len(p.ModeChanges) == 0 {
		return
	}
	kept := map[plumbline.Ref]string{}
	for _, c := range p.Changes {
		if c.Wave == plumbline.WaveRelease && c.Op == plumbline.OpKeep && c.Reason != reasonFinalizer {
			kept[c.Ref] = c.Reason
		}
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		other, ok := rival(c.Ref)
		why := kept[other]
		if ok && why != "" && c.Wave == plumbline.WaveClaim && (c.Op == plumbline.OpCreate || c.Reason == reasonInPlace) {
			c.Op, c.Reason = plumbline.OpConflict, other.Kind+" "+other.Name+" must go first, and stays: "+why
		}
	}
}

// steps holds back the later steps of services while something before them is
// not done. No service waits for another.
type steps struct {
	of     func(plumbline.Ref) service
	modes  map[service]plumbline.ModeChange
	undone map[service]string // the reason of what waits
	begun  map[service]bool   // those that have come to their first step
	errs   map[service]error  // those of reasonUnready
	// unready are the errors of the changes that wait for one of those.
	unready unread
}

// newSteps are the steps of a plan; of tells to which service an object belongs.
// A service whose new Service or Route cannot be made now is held back from the
// start, so that nothing is deleted to make way for it.
func newSteps(p plumbline.Plan, of func(plumbline.Ref) service) *steps {
	s := &steps{of: of, modes: byService(p.ModeChanges), undone: map[service]string{}, begun: map[service]bool{}, errs: map[service]error{}, unready: unread{}}
	for _, c := range p.Changes {
		if c.Wave == plumbline.WaveClaim && (c.Op == plumbline.OpConflict || c.Op == plumbline.OpSkip && c.Reason != reasonInPlace) {
			s.undone[of(c.Ref)] = reasonHeld
		}
	}
	return s
}

// hold turns those of the changes of one wave that have to wait into skipped
// ones.
func (s *steps) hold(changes []plumbline.Change) {
	if len(s.undone) == 0 {
		return
	}
	for i := range changes {
		c := &changes[i]
		of := s.of(c.Ref)
		_, staged := s.modes[of]
		why := s.undone[of]
		if why == "" || staged && c.Wave < plumbline.WaveRelease {
			continue
		}
		switch c.Op {
		case plumbline.OpCreate, plumbline.OpConfigure, plumbline.OpDelete:
			if c.Op, c.Reason = plumbline.OpSkip, why; why == reasonUnready {
				s.unready[c.Ref], s.undone[of] = s.errs[of], reasonHeld
			}
		case plumbline.OpSkip:
			if c.Reason == reasonInPlace {
				c.Reason = why // what is in its place was not asked to go
			}
		case plumbline.OpKeep, plumbline.OpConflict:
		}
	}
}

// took takes in one wave: what was intended, and what came of it.
func (s *steps) took(changes []plumbline.Change, results []applied) {
	for _, c := range changes {
		if c.Op != plumbline.OpSkip || c.Reason != reasonInPlace {
			continue
		}
		if of := s.of(c.Ref); of != (service{}) {
			s.undone[of] = reasonHeld
		}
	}
	if len(s.modes) == 0 {
		return
	}
	for _, c := range changes {
		if _, ok := s.modes[s.of(c.Ref)]; !ok {
			continue
		}
		switch {
		case c.Op == plumbline.OpConflict, c.Op == plumbline.OpSkip && c.Reason != reasonNeverMade:
			s.wait(c.Ref, reasonHeld)
		case c.Op == plumbline.OpKeep && c.Reason == reasonFinalizer:
			s.wait(c.Ref, reasonInPlace)
		}
	}
	for _, a := range results {
		switch {
		case a.Err != nil:
			s.wait(a.Ref, reasonHeld)
		case a.Health == plumbline.HealthTerminating:
			s.wait(a.Ref, reasonInPlace)
		}
	}
}

// wait notes why the later steps of an object's service wait. reasonInPlace is
// kept once it is noted: that an object is not gone yet is no error by itself, so
// what waits for it must carry the error that has the run tried again.
func (s *steps) wait(ref plumbline.Ref, why string) {
	of := s.of(ref)
	if _, ok := s.modes[of]; ok && s.undone[of] != reasonInPlace {
		s.undone[of] = why
	}
}

// errInPlace is the error of reasonInPlace.
var errInPlace = errors.New(reasonInPlace)

// vacated finds, of the objects that stand in the place of new ones, the
// Services that Knative made for Routes which are gone or about to go: what
// removes them is Kubernetes' garbage collector. A Route that is in no inventory
// is asked for.
func (r *Reconciler) vacated(ctx context.Context, p *plumbline.Plan, there found, objects plumbline.Objects) unread {
	standing := map[plumbline.Ref]int{} // by Route
	asked := map[plumbline.GroupKind][]plumbline.Ref{}
	for i := range p.Changes {
		c := &p.Changes[i]
		o := there[c.Ref]
		route, ok := rival(c.Ref)
		if c.Op != plumbline.OpConflict || !ok || o == nil || o.Controller != "Route "+c.Ref.Name {
			continue
		}
		if _, wanted := objects.Get(route); wanted {
			continue
		}
		if e, listed := r.inv.Get(route); listed && e.Owned() {
			c.Op, c.Reason = plumbline.OpSkip, reasonInPlace
			continue
		}
		standing[route] = i
		asked[route.GroupKind()] = append(asked[route.GroupKind()], route)
	}
	if len(standing) == 0 {
		return nil
	}
	routes, failed := r.lookup(ctx, asked)
	out := unread{}
	for route, i := range standing {
		c := &p.Changes[i]
		switch o, read := routes[route]; {
		case read && (o == nil || o.Deleting):
			c.Op, c.Reason = plumbline.OpSkip, reasonInPlace
		case !read && plumbline.KindOf(failed[route]) != plumbline.KindWaiting: // else no such kind is served
			c.Op, c.Reason = plumbline.OpSkip, reasonUnread
			out[c.Ref] = failed[route]
		}
	}
	return out
}
