package reconciler

import (
	"context"
	"slices"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// drifted is an object that is, or may be, not as we applied it.
type drifted struct {
	verdict plumbline.Verdict
	by      plumbline.Field // to name if a suspect turns out to have drifted
	since   time.Time       // when it was first judged so
	seen    time.Time       // when it was last judged
	due     time.Time       // not to be settled or healed before; zero: at once
	tries   int             // failed tries to heal or settle it
	told    bool            // that it drifted was told
	left    bool            // it is not going to be healed by itself
	why     string          // why it is not healed, for the status
}

// look judges objects of which something changed.
func (r *Reconciler) look(ctx context.Context, refs []plumbline.Ref) {
	var bug error // recovered has said it all; the next event is another chance
	defer r.recovered("judge", &bug)
	slices.SortFunc(refs, plumbline.Ref.Compare)
	gone := map[plumbline.GroupKind][]plumbline.Ref{}
	for _, ref := range slices.Compact(refs) {
		e, listed := r.inv.Get(ref)
		o, live := r.watch.Get(ref)
		switch {
		case !listed, !e.Owned():
			continue // not ours, or the next run claims it
		case live:
			r.judge(drift.Decide(e.Verified, o), drift.Suspicion(e.Verified, o))
		default:
			if ok, _ := r.watch.Synced(ref.GroupKind()); ok {
				gone[ref.GroupKind()] = append(gone[ref.GroupKind()], ref)
			}
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
	found, err := r.lookup(ctx, gone)
	if err != nil {
		if ctx.Err() == nil {
			r.log.Warn("objects that left the watch are asked for again", keyErr, err)
			for _, refs := range gone {
				r.askAgain = append(r.askAgain, refs...)
			}
			r.askAt = r.o.Now().Add(askAgainAfter)
		}
		return
	}
	r.fresh = found
	for ref, o := range found {
		e, _ := r.inv.Get(ref)
		_, wanted := r.desired[ref]
		switch {
		case !wanted && r.baseKnown && (o == nil || o.UID != e.UID):
			r.forget(ref) // it was on its way out, or someone took it away
		case o == nil:
			r.judge(plumbline.Verdict{Ref: ref, State: plumbline.StateMissing}, plumbline.Field{})
		default:
			if o.UID == e.UID {
				r.watch.Set(*o)
			}
			r.judge(drift.Decide(e.Verified, *o), drift.Suspicion(e.Verified, *o))
		}
	}
}

// askAgainAfter is how soon objects that left the watch are asked for again,
// when the API server did not answer.
const askAgainAfter = 2 * time.Second

// askedAgain looks once more at the objects that nobody answered for, when it
// is time, and is when that will be.
func (r *Reconciler) askedAgain(ctx context.Context) time.Time {
	if len(r.askAgain) > 0 && !r.o.Now().Before(r.askAt) {
		refs := r.askAgain
		r.askAgain = nil
		r.look(ctx, refs)
	}
	if len(r.askAgain) == 0 {
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
	if _, wanted := r.desired[v.Ref]; !wanted && r.baseKnown && len(r.desired) > 0 {
		return // on its way out
	}
	d := r.drifts[v.Ref]
	if d == nil {
		d = &drifted{since: now}
		r.drifts[v.Ref] = d
	}
	before := d.verdict
	d.verdict, d.by, d.seen = v, by, now
	if v.State == plumbline.StateSuspect {
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
