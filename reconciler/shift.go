package reconciler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// Shift is a change in the ownership of a whole kind that nobody's edit made:
// its CustomResourceDefinition changed, or the API server lost who owns what.
// It is told once, never for each object.
type Shift struct {
	Kind    plumbline.GroupKind
	Objects int    // it concerns so far
	Reason  string // "its CustomResourceDefinition changed"
}

// String is one line for people.
func (s Shift) String() string {
	return fmt.Sprintf("%s of kind %s: %s", objects(s.Objects), s.Kind.Kind, s.Reason)
}

// shift is a Shift that is being settled, at a bounded rate.
type shift struct {
	Shift
	pending map[plumbline.Ref]bool // its objects: whether they are still to be settled
	until   time.Time              // what is lost before then belongs to it
	busy    time.Time              // it is told as going on until then, so that the status does not flap
	values  int                    // objects that held other values, and were healed
	failed  string                 // why one of them is not settled
}

// shifts are the changes of ownership that are being settled, and the losses
// that could become one.
type shifts struct {
	open   map[plumbline.GroupKind]*shift
	recent map[plumbline.GroupKind]map[plumbline.Ref]time.Time
}

// shiftWindow is how long losses of ownership are counted together.
const shiftWindow = time.Minute

// shiftAt is how many objects of a kind must lose ownership within shiftWindow
// to count as one shift: more than 5 % of the objects of the kind that we own,
// but at least 10 and at most 50.
func shiftAt(owned int) int { return max(10, min(50, owned/20+1)) }

// Reasons of a Shift.
const (
	reasonLost       = "ownership lost by the server"
	reasonRedefined  = "its CustomResourceDefinition changed"
	reasonOldVersion = "a version that fields were owned in is not served any more"
)

// lost notes that an object lost fields that nobody owns now. It tells whether
// that is part of a shift; begun are the objects of a shift that this loss makes
// one, sorted. owned counts the objects of a kind in the inventory.
func (s *shifts) lost(ref plumbline.Ref, owned func(plumbline.GroupKind) int, now time.Time) (part bool, begun []plumbline.Ref) {
	gk := ref.GroupKind()
	if at := s.open[gk]; at != nil {
		at.add(ref, now)
		return true, nil
	}
	recent := s.recent[gk]
	if recent == nil {
		recent = map[plumbline.Ref]time.Time{}
		s.recent[gk] = recent
	}
	recent[ref] = now
	for old, at := range recent {
		if now.Sub(at) > shiftWindow {
			delete(recent, old)
		}
	}
	if len(recent) < shiftAt(0) || len(recent) < shiftAt(owned(gk)) {
		return false, nil
	}
	for r := range recent {
		begun = append(begun, r)
	}
	slices.SortFunc(begun, plumbline.Ref.Compare)
	return true, begun
}

func (s *shift) add(ref plumbline.Ref, now time.Time) {
	s.pending[ref] = true
	s.Objects = len(s.pending)
	s.until, s.busy = now.Add(shiftWindow), now.Add(recheckAfter)
}

// has tells whether an object waits to be settled as part of a shift.
func (s *shifts) has(ref plumbline.Ref) bool {
	at := s.open[ref.GroupKind()]
	return at != nil && at.pending[ref]
}

// settled takes an object out of the shift that it is part of.
func (s *shifts) settled(ref plumbline.Ref) {
	if at := s.open[ref.GroupKind()]; at != nil {
		at.done(ref)
	}
}

func (s *shift) done(ref plumbline.Ref) {
	if s.pending[ref] {
		s.pending[ref] = false
	}
}

// left counts the objects that are still to be settled.
func (s *shift) left() int {
	n := 0
	for _, pending := range s.pending {
		if pending {
			n++
		}
	}
	return n
}

// shifted tells whether a verdict is part of a shift, and begins one when it
// is one loss of many.
func (r *Reconciler) shifted(v plumbline.Verdict, now time.Time) bool {
	if !drift.Loss(v) {
		return v.State == plumbline.StateSuspect && r.shifts.has(v.Ref)
	}
	part, begun := r.shifts.lost(v.Ref, r.inv.Owned, now)
	if len(begun) > 0 {
		r.beginShift(v.Ref.GroupKind(), reasonLost, begun)
	}
	return part
}

// beginShift tells, once, that the ownership of objects of one kind moved, and
// makes them one thing to be settled.
func (r *Reconciler) beginShift(gk plumbline.GroupKind, why string, refs []plumbline.Ref) {
	now := r.o.Now()
	s, known := r.shifts.open[gk]
	if !known {
		s = &shift{Shift: Shift{Kind: gk, Reason: why}, pending: map[plumbline.Ref]bool{}}
		r.shifts.open[gk] = s
		delete(r.shifts.recent, gk)
	}
	s.until = now.Add(shiftWindow)
	for _, ref := range refs {
		s.add(ref, now)
		if d := r.drifts[ref]; d != nil {
			d.shift = true
		}
	}
	if known {
		return
	}
	r.log.Warn("ownership moved", keyKind, gk.String(), keyReason, why, keyObjects, s.Objects)
	r.o.Progress(Event{Kind: EventShift, Shift: s.Shift})
}

// recheck makes every object of a kind unverified: what our entries say is not
// what it was. They are settled after a while, so that the API server has
// taken in what changed.
func (r *Reconciler) recheck(gk plumbline.GroupKind, why string) {
	due := r.o.Now().Add(recheckAfter)
	var refs []plumbline.Ref
	for _, ref := range r.inv.Refs() {
		e, _ := r.inv.Get(ref)
		_, live := r.watch.Get(ref)
		if ref.GroupKind() != gk || !e.Owned() || !live {
			continue
		}
		e.Verified = drift.Record{}
		r.inv.Put(e)
		refs = append(refs, ref)
		d := r.drifts[ref]
		if d == nil {
			d = &drifted{since: r.o.Now()}
			r.drifts[ref] = d
		}
		if !d.told {
			d.verdict, d.seen, d.due, d.shift = plumbline.Verdict{Ref: ref, State: plumbline.StateSuspect, Reason: drift.ReasonUnverified}, r.o.Now(), due, true
		}
	}
	if len(refs) > 0 {
		r.beginShift(gk, why, refs)
	}
}

// recheckAfter is how long an API server may take to serve a kind by its new
// definition. Settled before, an object would be verified by the old one.
const recheckAfter = 5 * time.Second

// takeShifted takes in that an object of a shift was settled, and whether it
// held other values. Its own line would be one of hundreds.
func (r *Reconciler) takeShifted(ref plumbline.Ref, values bool) {
	s := r.shifts.open[ref.GroupKind()]
	if s == nil {
		return
	}
	s.failed = ""
	if values {
		s.values++
	}
}

// shiftFailed notes why an object of a shift is not settled, and tells whether
// that was said before.
func (r *Reconciler) shiftFailed(ref plumbline.Ref, why string) bool {
	s := r.shifts.open[ref.GroupKind()]
	if s == nil {
		return false
	}
	said := s.failed != ""
	s.failed = why
	return said
}

// endShifts ends those of which every object is settled and nothing was lost
// for a while, and is when to look again.
func (r *Reconciler) endShifts() time.Time {
	now := r.o.Now()
	var next time.Time
	for gk, s := range r.shifts.open {
		for ref := range s.pending {
			if d := r.drifts[ref]; d == nil || !d.shift {
				s.done(ref)
			}
		}
		if s.left() > 0 {
			continue // choose knows when they are due
		}
		if s.until.After(now) {
			next = earliest(next, s.until)
			if s.busy.After(now) {
				next = earliest(next, s.busy)
			}
			continue
		}
		r.log.Info("ownership settled", keyKind, gk.String(), keyObjects, s.Objects, keyHealed, s.values)
		delete(r.shifts.open, gk)
	}
	return next
}

// status returns the drift status as it is, unless it is success and
// objects of a whole kind are being checked: then it is pending, because nobody
// knows yet whether they drifted, or error where one of them cannot be checked.
func (s *shifts) status(st plumbline.Status, now time.Time) plumbline.Status {
	kinds := make([]*shift, 0, len(s.open))
	for _, at := range s.open {
		if at.left() > 0 || at.busy.After(now) {
			kinds = append(kinds, at)
		}
	}
	if len(kinds) == 0 || st.State != plumbline.StatusSuccess {
		return st
	}
	slices.SortFunc(kinds, func(a, b *shift) int { return a.Kind.Compare(b.Kind) })
	st.State = plumbline.StatusPending
	st.Description = describe("Checking "+kinds[0].Kind.Kind+": "+kinds[0].Reason, len(kinds)-1)
	for _, at := range kinds {
		if at.failed != "" {
			st.State, st.Description = plumbline.StatusError, describe("drift is not known of "+at.Kind.Kind+": "+at.failed, len(kinds)-1)
			break
		}
	}
	return st
}

// takeDefinitions rechecks the kinds whose CustomResourceDefinition is another
// than when their objects were verified.
func (r *Reconciler) takeDefinitions(ctx context.Context) {
	news := r.watch.TakeDefinitions()
	redefined := false
	for _, gk := range slices.SortedFunc(maps.Keys(news), plumbline.GroupKind.Compare) {
		before := r.rec.Definitions[gk.String()]
		if before == news[gk] {
			continue
		}
		if r.rec.Definitions == nil {
			r.rec.Definitions = map[string]string{}
		}
		r.rec.Definitions[gk.String()], r.recordDirty = news[gk], true
		if before != "" {
			redefined = true
			r.recheck(gk, reasonRedefined)
		}
	}
	if redefined {
		r.rediscover(ctx)
	}
}

// rediscover asks the API server anew what it serves, and watches what is
// served in another version now.
func (r *Reconciler) rediscover(ctx context.Context) {
	err := r.o.Client.Refresh(ctx)
	if err == nil {
		err = r.watch.Reopen(ctx, r.posts.lifetime)
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("what the cluster serves is not read", keyErr, err)
	}
}

// rediscoverGone looks for kinds whose watch is refused because nothing is
// served there: they may be served in another version, or again. It is when to
// look again.
func (r *Reconciler) rediscoverGone(ctx context.Context) time.Time {
	if !r.watch.Vanished() {
		r.gone = gone{}
		return time.Time{}
	}
	now := r.o.Now()
	if r.gone.at.IsZero() {
		r.gone.at = now.Add(goneAfter)
	}
	if !now.Before(r.gone.at) {
		r.rediscover(ctx)
		r.gone.tries++
		r.gone.at = now.Add(backoff(r.gone.tries, time.Minute))
	}
	return r.gone.at
}

// gone is the search for kinds that are not served where they were.
type gone struct {
	tries int
	at    time.Time // of the next try
}

// goneAfter is how long the API server may take to say where a kind is served.
const goneAfter = 200 * time.Millisecond
