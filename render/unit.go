package render

import (
	"context"
	"fmt"
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// unit is what is rendered, and rendered again, as one: a service, a secret, a
// project, a plain object. It never changes; another takes its place.
type unit struct {
	inputs     []input
	objects    []*plumbline.Object // sorted by Ref
	violations []plumbline.Violation
	service    *rendered // of services
	judged     []judgement
	patched    []*patch // those whose target an object is
}

// input is something that a unit depends on: a parsed value, which is the same
// as long as its text is, and its place, which is a part of origins.
type input struct {
	def any
	src definition.Source
}

// unitKey identifies a unit: one of kind "service", "secret", "role", "project",
// "guard", or a plain object.
type unitKey struct {
	kind string
	name name
	ref  plumbline.Ref
}

// rendered is what the checks of the whole set need to know of a service.
type rendered struct {
	name     name
	mode     ServiceMode
	peer     plumbline.Peer   // all versions together
	peers    []plumbline.Peer // each version
	answers  []int            // the ports on which it is called
	versions []renderedVersion
	missing  []missing // secrets that nobody defines
}

// missing is a reference to what is not there.
type missing struct {
	id string
	at plumbline.Origin
}

// renderedVersion is what they need to know of a version.
type renderedVersion struct {
	name      string
	version   string
	id, at    plumbline.Origin // of the service's id, of the version
	guarded   bool
	addresses []address
}

// address is a service's address in an environment variable.
type address struct {
	to   name
	port int
	at   plumbline.Origin
}

// same tells whether nothing that concerns others changed.
func (r *rendered) same(o *rendered) bool {
	return r.mode == o.mode && samePeer(r.peer, o.peer) && slices.EqualFunc(r.peers, o.peers, samePeer) &&
		slices.Equal(r.answers, o.answers) && slices.Equal(r.missing, o.missing) &&
		slices.EqualFunc(r.versions, o.versions, func(a, b renderedVersion) bool {
			return a.name == b.name && a.version == b.version && a.id == b.id && a.at == b.at &&
				a.guarded == b.guarded && slices.Equal(a.addresses, b.addresses)
		})
}

func samePeer(a, b plumbline.Peer) bool {
	return a.Service == b.Service && a.Version == b.Version && a.Origin == b.Origin && a.Reach == b.Reach && a.Away == b.Away &&
		slices.Equal(a.Upstreams, b.Upstreams) && slices.Equal(a.Whitelist, b.Whitelist)
}

func (u *unit) violate(code string, at plumbline.Origin, message string, related ...plumbline.Origin) {
	u.violations = append(u.violations, plumbline.Violation{
		Code: code, Severity: plumbline.SeverityError, Origin: at, Message: message, Related: related,
	})
}

func (u *unit) warn(code string, at plumbline.Origin, message string, related ...plumbline.Origin) {
	u.violate(code, at, message, related...)
	u.violations[len(u.violations)-1].Severity = plumbline.SeverityWarning
}

func compareObjects(a, b *plumbline.Object) int { return a.Ref.Compare(b.Ref) }

// units are the units of the last rendering.
type units struct {
	byKey   map[unitKey]*unit
	faulty  map[unitKey]*unit // those of them with violations
	objects objects           // of all of them
	remarks bool              // their violations are others than in the last result
	patches *patches          // of what is rendered; nil: none
}

func newUnits() *units { return &units{byKey: map[unitKey]*unit{}, faulty: map[unitKey]*unit{}} }

// update brings a unit up to date: it is made by render unless the inputs are
// those of the last time. It returns the unit and the one whose place it took.
func (s *units) update(ctx context.Context, k unitKey, inputs []input, render func(*unit) error) (now, before *unit, err error) {
	if now, before, err = s.next(ctx, k, inputs, render); err == nil && now != before {
		s.put(k, now)
	}
	return now, before, err
}

// next is update without putting the unit in its place: it changes nothing.
func (s *units) next(ctx context.Context, k unitKey, inputs []input, render func(*unit) error) (now, before *unit, err error) {
	before = s.byKey[k]
	if s.patches != nil {
		inputs = append(inputs, input{def: s.patches})
	}
	if before != nil && slices.Equal(before.inputs, inputs) {
		return before, before, nil
	}
	now = &unit{inputs: inputs}
	if err := render(now); err != nil {
		return nil, before, err
	}
	if err := s.patches.apply(ctx, now); err != nil {
		return nil, before, err
	}
	slices.SortFunc(now.objects, compareObjects)
	now.large()
	if before != nil {
		now.keep(before)
	}
	return now, before, nil
}

// large refuses objects that no API server takes.
func (u *unit) large() {
	for _, o := range u.objects {
		if n := o.Body.Len(); n > MaxObject {
			u.violate(definition.CodeTooLarge, o.Origin, fmt.Sprintf("%s has %d bytes; the limit is %d: split it", o.Ref, n, MaxObject))
		}
	}
}

// keep puts the objects of the unit before in the place of equal ones, so that
// only what changed is another object.
func (u *unit) keep(before *unit) {
	for i, o := range u.objects {
		if n, ok := slices.BinarySearchFunc(before.objects, o, compareObjects); ok && before.objects[n].Same(o) {
			u.objects[i] = before.objects[n]
		}
	}
}

// put puts a unit in its place.
func (s *units) put(k unitKey, u *unit) {
	before := s.byKey[k]
	if before == nil {
		before = &unit{}
	}
	s.objects.replace(before.objects, u.objects)
	s.remarks = s.remarks || !slices.EqualFunc(before.violations, u.violations, plumbline.Violation.Equal)
	s.byKey[k] = u
	if delete(s.faulty, k); len(u.violations) > 0 {
		s.faulty[k] = u
	}
}

// drop takes a unit away, if it is there.
func (s *units) drop(k unitKey) bool {
	u := s.byKey[k]
	if u == nil {
		return false
	}
	s.objects.replace(u.objects, nil)
	s.remarks = s.remarks || len(u.violations) > 0
	delete(s.byKey, k)
	delete(s.faulty, k)
	return true
}

// sameRefs tells whether two units have objects of the same names.
func sameRefs(a, b *unit) bool {
	return slices.EqualFunc(a.objects, b.objects, func(x, y *plumbline.Object) bool { return x.Ref == y.Ref })
}
