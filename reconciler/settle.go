package reconciler

import (
	"context"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// settle asks the API server, by a dry-run that writes nothing, whether
// suspects drifted. It is for when they may not be healed.
func (r *Reconciler) settle(ctx context.Context, refs []plumbline.Ref) {
	now := r.o.Now()
	var jobs []*job
	for _, ref := range refs {
		d := r.drifts[ref]
		if !r.allowed(d) {
			continue
		}
		seen, live := r.watch.Get(ref)
		if !live {
			d.due = now.Add(settleEvery) // it just left the watch, which is an event of its own
			continue
		}
		r.settled[ref] = now
		o, _ := r.desired.Get(ref)
		jobs = append(jobs, r.question(o, seen))
	}
	b := r.outage.braked(now)
	r.together(ctx, jobs, b)
	for _, j := range jobs {
		if !j.left {
			j.late(ctx)
		}
	}
}

// question is a dry-run of an object; its answer is taken in by answered.
func (r *Reconciler) question(o *plumbline.Object, seen drift.Observation) *job {
	var w written
	j := &job{ref: o.Ref, op: "settle"}
	j.do = func(ctx context.Context) error {
		w = r.send(ctx, sending{object: o, body: o.Body, seen: seen, pinned: true, force: true, dryRun: true})
		return w.err
	}
	j.late = func(context.Context) {
		w.err = j.err
		if d := r.drifts[o.Ref]; d != nil {
			r.answered(o.Ref, d, seen, w)
		}
	}
	return j
}

// answered takes in what a dry-run said of a suspect.
func (r *Reconciler) answered(ref plumbline.Ref, d *drifted, seen drift.Observation, w written) {
	now := r.o.Now()
	switch {
	case unsent(w.err):
		d.due = now.Add(time.Second)
	case w.err != nil:
		d.tries++
		d.why = "whether it drifted is not known: " + oneLine(w.err.Error())
		d.due = now.Add(backoff(d.tries, 5*time.Minute))
		if d.shift && r.shiftFailed(ref, d.why) {
			return
		}
		r.log.Warn("a suspect is not settled", keyObject, ref.String(), keyErr, w.err)
	case !w.ownershipOnly && moved(seen, w.seen):
		before := d.verdict
		d.verdict, d.seen, d.shift = exposed(*d, w.taken), now, false
		r.notice(d, before)
	default:
		if e, _ := r.inv.Get(ref); seen.Own != nil {
			e.Verified = drift.Verify(seen)
			r.inv.Put(e)
			r.healDirty = true
		}
		delete(r.drifts, ref)
	}
}

// moved tells whether a dry-run would have changed the object: its answer has
// another time, or another field set, in our entry, or another generation.
func moved(before, after drift.Observation) bool {
	if before.Own == nil || after.Own == nil {
		return true
	}
	return before.Own.Time != after.Own.Time || before.Own.Fields != after.Own.Fields || before.Generation != after.Generation
}
