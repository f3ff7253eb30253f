package reconciler

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// drifted is an object that is, or may be, not as we applied it.
type drifted struct {
	verdict plumbline.Verdict
	// drifted is what the verdict was before the object became suspect.
	drifted *plumbline.Verdict
	by      plumbline.Field // to name if a suspect turns out to have drifted
	since   time.Time       // when it was first judged so
	seen    time.Time       // when it was last judged
	due     time.Time       // not to be settled or healed before; zero: at once
	tries   int             // failed tries to heal or settle it
	told    bool            // that it drifted was told
	left    bool            // it is not going to be healed by itself
	why     string          // why it is not healed, for the status
	shift   bool            // it is part of a shift, which tells of all of them
}

// look judges objects of which something changed.
func (r *Reconciler) look(ctx context.Context, refs []plumbline.Ref) {
	r.takeDefinitions(ctx)
	r.wakeUnready(refs)
	slices.SortFunc(refs, plumbline.Ref.Compare)
	gone := map[plumbline.GroupKind][]plumbline.Ref{}
	for _, ref := range slices.Compact(refs) {
		e, listed := r.inv.Get(ref)
		o, live := r.watch.Get(ref)
		switch {
		case r.aside.has(ref):
			continue // it is looked at when what is under way is over
		case !listed, !e.Owned():
			continue // not ours, or the next run claims it
		case live:
			r.each(ref, func() { r.judge(r.decide(e, o), drift.Suspicion(e.Verified, o)) })
		default:
			if ok, _ := r.watch.Synced(ref.GroupKind()); !ok {
				r.askLater(ref, 0) // whether it is there shows once its kind is observed again
				continue
			}
			gone[ref.GroupKind()] = append(gone[ref.GroupKind()], ref)
		}
	}
	r.lookGone(ctx, gone)
}

// lookGone asks the API server for objects that left the watch: deleted, or
// only without our labels.
func (r *Reconciler) lookGone(ctx context.Context, gone map[plumbline.GroupKind][]plumbline.Ref) {
	if len(gone) == 0 {
		return
	}
	found, failed := r.lookup(ctx, gone)
	r.notRead(ctx, failed)
	r.fresh = found
	for ref, o := range found {
		r.each(ref, func() { r.lookMissing(ref, o) })
	}
}

// notRead notes objects that nobody answered for, to ask for them again.
func (r *Reconciler) notRead(ctx context.Context, failed unread) {
	if len(failed) == 0 || ctx.Err() != nil {
		return
	}
	var one error // they are most likely the same
	for _, err := range failed {
		one = err
	}
	for ref := range failed {
		r.askLater(ref, askedFor(one))
	}
	r.log.Warn("objects that left the watch are asked for again", keyObjects, len(failed), keyErr, one)
}

// askLater notes an object to ask the API server for, not sooner than after.
func (r *Reconciler) askLater(ref plumbline.Ref, after time.Duration) {
	if len(r.askAgain) == 0 {
		r.asked++
		r.askAt = r.o.Now().Add(max(after, backoff(r.asked, longestWait)))
	}
	r.askAgain[ref] = true
}

// lookMissing judges an object that left the watch by what was read of it, nil
// for nothing.
func (r *Reconciler) lookMissing(ref plumbline.Ref, o *drift.Observation) {
	e, _ := r.inv.Get(ref)
	switch {
	case r.leaving(ref) && (o == nil || o.UID != e.UID):
		r.forget(ref) // it was on its way out, or someone took it away
	case o == nil:
		r.judge(plumbline.Verdict{Ref: ref, State: plumbline.StateMissing}, plumbline.Field{})
	default:
		if o.UID == e.UID {
			r.watch.Set(*o)
		}
		r.judge(r.decide(e, *o), drift.Suspicion(e.Verified, *o))
	}
}

// each deals with one object: a bug in that is told, and the others go on. The
// object's next event is another chance.
func (r *Reconciler) each(ref plumbline.Ref, f func()) {
	if err := r.guard("judge", func() error { f(); return nil }); err != nil {
		r.log.Error("an object is not judged", keyObject, ref.String(), keyErr, err)
	}
}

// askedAgain looks once more at the objects that nobody answered for, when it
// is time, and is when that will be.
func (r *Reconciler) askedAgain(ctx context.Context) time.Time {
	if len(r.askAgain) > 0 && !r.o.Now().Before(r.askAt) {
		refs := slices.Collect(maps.Keys(r.askAgain))
		clear(r.askAgain)
		r.look(ctx, refs)
	}
	if len(r.askAgain) == 0 {
		r.asked = 0
		return time.Time{}
	}
	return r.askAt
}

// forget strikes an object that is gone, or not ours any more, out of the
// inventory, and all that is remembered of it.
func (r *Reconciler) forget(ref plumbline.Ref) {
	r.inv.Drop(ref)
	delete(r.drifts, ref)
	delete(r.history, ref)
	delete(r.settled, ref)
	delete(r.foreign, ref)
	delete(r.aside.slow, ref)
}

// leaving tells whether an object is on its way out: the deployed commit is
// known, and does not define it.
func (r *Reconciler) leaving(ref plumbline.Ref) bool {
	_, wanted := r.desired.Get(ref)
	return !wanted && r.baseKnown && r.desired.Len() > 0 // a commit of nothing is never deployed
}

// judge takes in a verdict; by is who is to blame if a suspect turns out to
// have drifted.
func (r *Reconciler) judge(v plumbline.Verdict, by plumbline.Field) {
	switch v.State {
	case plumbline.StateInSync:
		delete(r.drifts, v.Ref)
		return
	case plumbline.StateTerminating, plumbline.StateUnknown:
		return
	case plumbline.StateSuspect, plumbline.StateDrifted, plumbline.StateMissing:
	}
	now := r.o.Now()
	if r.leaving(v.Ref) {
		return
	}
	d := r.drifts[v.Ref]
	if d == nil {
		d = &drifted{since: now}
		r.drifts[v.Ref] = d
	}
	before := d.verdict
	d.verdict, d.by, d.seen = v, by, now
	if d.shift = r.shifted(v, now); d.shift {
		if before.State != v.State || d.due.Before(now) {
			d.due = r.settleAt(v.Ref, now)
		}
		return
	}
	r.notice(d, before)
}

// notice takes in the new verdict on an object after the one before it.
func (r *Reconciler) notice(d *drifted, before plumbline.Verdict) {
	v, now := d.verdict, r.o.Now()
	r.shifts.settled(v.Ref)
	if v.State == plumbline.StateSuspect {
		if before.State == plumbline.StateDrifted {
			d.drifted = &before
		}
		d.due = r.settleAt(v.Ref, now)
		if before.State != plumbline.StateSuspect {
			r.o.Progress(Event{Kind: EventSuspect, Verdict: v})
		}
		return
	}
	if d.told && before.State == v.State && slices.Equal(before.Managers(), v.Managers()) {
		return
	}
	d.told = true
	h := r.history[v.Ref].Drifted(v, now)
	r.history[v.Ref] = h
	d.due = h.NextHeal()
	r.tellDrift(v)
}

// tellDrift says that an object drifted.
func (r *Reconciler) tellDrift(v plumbline.Verdict) {
	log := r.log.With(keyObject, v.Ref.String(), keyState, string(v.State))
	if v.Reason != "" {
		log = log.With(keyReason, v.Reason)
	}
	if len(v.Fields) > 0 {
		var paths []string
		for _, f := range v.Fields {
			paths = append(paths, f.Path)
		}
		log = log.With(keyFields, paths, keyManagers, v.Managers())
	}
	log.Warn("drift")
	r.o.Progress(Event{Kind: EventDrift, Verdict: v, UID: r.uid(v.Ref), Fight: r.history[v.Ref].Fight != nil})
}

// settleEvery is how often one suspect may be settled.
const settleEvery = time.Minute

// settleAt is when a suspect may be settled: the first at once, then one per
// object and minute.
func (r *Reconciler) settleAt(ref plumbline.Ref, now time.Time) time.Time {
	if last, ok := r.settled[ref]; ok && last.Add(settleEvery).After(now) {
		return last.Add(settleEvery)
	}
	return time.Time{}
}
