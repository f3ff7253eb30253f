package reconciler

import (
	"context"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// applied is the outcome of one write, and what it says about drift.
type applied struct {
	plumbline.Outcome
	ownershipOnly bool
	taken         []plumbline.Field
}

// execute does what p intends, wave by wave: creates, configures and deletes. A
// failed object stops itself, and the later steps of a service that changes its
// mode; an API server that is not there stops the rest. It also returns the
// errors of what waits for something to become ready.
func (r *Reconciler) execute(ctx context.Context, p plumbline.Plan, objects plumbline.Objects) (out []applied, waiting unread) {
	b := r.outage.braked(r.o.Now())
	bulk := len(p.Changes) >= manyWrites
	if bulk {
		defer r.o.Client.EndBulk()
	}
	order := newSteps(p, planInput{Desired: objects, Inventory: r.inv.Entries()}.serviceOf)
	for len(p.Changes) > 0 && ctx.Err() == nil {
		n := 1
		for n < len(p.Changes) && p.Changes[n].Wave == p.Changes[0].Wave {
			n++
		}
		r.awaitReady(ctx, order, p.Changes, n, objects)
		order.hold(p.Changes[:n])
		results := r.wave(ctx, r.requests(p.Revision, p.Changes[:n], objects, bulk), b)
		order.took(p.Changes[:n], results)
		out = append(out, results...)
		p.Changes = p.Changes[n:]
	}
	if len(out) > 0 && ctx.Err() == nil {
		r.outage.met(b.met, r.o.Now())
	}
	return out, order.unready
}

// manyWrites are so many that connections of their own pay.
const manyWrites = 100

// requests are those that changes of a commit ask for; with commit "" of a heal.
func (r *Reconciler) requests(commit string, changes []plumbline.Change, objects plumbline.Objects, bulk bool) []*request {
	out := make([]*request, 0, len(changes))
	for _, c := range changes {
		switch c.Op {
		case plumbline.OpCreate, plumbline.OpConfigure, plumbline.OpDelete:
			q := r.request(commit, c, objects)
			q.bulk = bulk
			out = append(out, q)
		case plumbline.OpKeep, plumbline.OpSkip, plumbline.OpConflict:
		}
	}
	return out
}

// wave does requests at once, as many as there are workers.
func (r *Reconciler) wave(ctx context.Context, requests []*request, b *brake) []applied {
	jobs := make([]*job, 0, len(requests))
	for _, q := range requests {
		jobs = append(jobs, &q.job)
	}
	r.together(ctx, jobs, b)
	out := make([]applied, 0, len(requests))
	for _, q := range requests {
		out = append(out, r.take(q))
	}
	return out
}

// request is one change of a wave, with what came of it.
type request struct {
	job
	commit  string // "" for a heal
	change  plumbline.Change
	object  *plumbline.Object // nil for a delete
	entry   state.Entry       // of it in the inventory
	bulk    bool              // it is one of many
	before  *drifted          // what was known of its drift; nil for none
	written written
	deleted deleted
}

func (r *Reconciler) request(commit string, c plumbline.Change, objects plumbline.Objects) *request {
	q := &request{commit: commit, change: c}
	q.entry, _ = r.inv.Get(c.Ref)
	if d := r.drifts[c.Ref]; d != nil {
		before := *d
		q.before = &before
	}
	q.ref, q.op = c.Ref, "apply"
	q.late = func(context.Context) { r.takeLateRequest(q) }
	if c.Op == plumbline.OpDelete {
		q.op = "delete"
		q.do = func(ctx context.Context) error {
			q.deleted = r.delete(ctx, q.entry)
			return q.deleted.err
		}
		return q
	}
	q.object, _ = objects.Get(c.Ref)
	q.do = func(ctx context.Context) error {
		q.written = r.write(ctx, q)
		return q.written.err
	}
	return q
}

// take takes in what came of a request, as far as it did.
func (r *Reconciler) take(q *request) applied {
	switch {
	case q.left:
		out := plumbline.Outcome{
			Ref: q.ref, Origin: q.change.Origin, Action: plumbline.ActionFailed, Health: plumbline.HealthUnknown,
			Err: unanswered(q.ref, q.change.Origin),
		}
		r.o.Progress(Event{Kind: EventOutcome, Outcome: out})
		return applied{Outcome: out}
	case q.object == nil:
		q.deleted.err = q.err
		return applied{Outcome: r.recordDelete(q.ref, q.deleted)}
	default:
		q.written.err = q.err
		if unsent(q.err) {
			q.written.err = at(q.err, q.object)
		}
		return r.record(q.object, q.written)
	}
}

// takeLateRequest takes in what came of a request that nobody waited for. The
// head is looked at again: it may be done now.
func (r *Reconciler) takeLateRequest(q *request) {
	q.left = false
	a := r.take(q)
	try, tried := r.head.tries[q.ref]
	delete(r.head.tries, q.ref)
	switch {
	case q.commit == "" && q.before != nil:
		r.takeHeal(*q.before, a)
	case a.Err != nil && q.commit == r.head.commit.SHA:
		r.head.tries[q.ref] = r.next(try, a.Err)
	case a.Err == nil:
		r.settleDrift(q.before, a)
	}
	if tried || q.commit != "" {
		r.head.done, r.head.retry = false, r.o.Now()
	}
}

// record takes the result of a write into inventory and watch.
func (r *Reconciler) record(o *plumbline.Object, w written) applied {
	out := plumbline.Outcome{Ref: o.Ref, Origin: o.Origin, Health: plumbline.HealthUnknown}
	switch {
	case w.err != nil:
		out.Action, out.Err = plumbline.ActionFailed, w.err
	case w.created:
		out.Action = plumbline.ActionCreated
	case w.seen.ResourceVersion == w.before:
		out.Action = plumbline.ActionUnchanged
	default:
		out.Action = plumbline.ActionConfigured
	}
	if w.foreign {
		r.forget(o.Ref)
	}
	if w.err == nil {
		e := entryOf(o)
		e.UID, e.Checksum, e.Verified = w.seen.UID, o.Checksum, drift.Verify(w.seen)
		e.Shared, e.Adopted = w.shared, w.adopted
		r.inv.Put(e)
		r.watch.Set(w.seen)
		delete(r.drifts, o.Ref)
		if w.moved {
			r.beginShift(o.Ref.GroupKind(), reasonOldVersion, []plumbline.Ref{o.Ref})
		}
	}
	r.o.Progress(Event{Kind: EventOutcome, Outcome: out, UID: w.seen.UID})
	return applied{Outcome: out, ownershipOnly: w.ownershipOnly, taken: w.taken}
}
