package reconciler

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// applied is the outcome of one write, and what it says about drift.
type applied struct {
	plumbline.Outcome
	ownershipOnly bool
	taken         []plumbline.Field
}

// execute does what p intends, wave by wave: creates, configures and deletes. A
// failed object stops itself, and the later steps of a service that changes its
// mode; an API server that is not there stops the rest.
func (r *Reconciler) execute(ctx context.Context, p plumbline.Plan, objects plumbline.Objects) []applied {
	var out []applied
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
		order.hold(p.Changes[:n])
		results := r.wave(ctx, r.jobs(p.Changes[:n], objects, bulk), b)
		order.took(p.Changes[:n], results)
		out = append(out, results...)
		p.Changes = p.Changes[n:]
	}
	if len(out) > 0 && ctx.Err() == nil {
		r.outage.met(b.met, r.o.Now())
	}
	return out
}

// manyWrites are so many that connections of their own pay.
const manyWrites = 100

// jobs are the requests that changes ask for.
func (r *Reconciler) jobs(changes []plumbline.Change, objects plumbline.Objects, bulk bool) []*job {
	jobs := make([]*job, 0, len(changes))
	for _, c := range changes {
		j := &job{change: c, bulk: bulk}
		switch c.Op {
		case plumbline.OpCreate, plumbline.OpConfigure:
			j.object, _ = objects.Get(c.Ref)
		case plumbline.OpDelete:
		case plumbline.OpKeep, plumbline.OpSkip, plumbline.OpConflict:
			continue
		}
		jobs = append(jobs, j)
	}
	return jobs
}

// wave does jobs at once, as many as there are workers.
func (r *Reconciler) wave(ctx context.Context, jobs []*job, b *brake) []applied {
	var g errgroup.Group
	g.SetLimit(r.o.Workers)
	for _, j := range jobs {
		g.Go(func() error {
			r.do(ctx, j, b)
			return nil
		})
	}
	_ = g.Wait() // every job keeps its own error
	out := make([]applied, 0, len(jobs))
	for _, j := range jobs {
		if j.change.Op == plumbline.OpDelete {
			out = append(out, applied{Outcome: r.recordDelete(j.change.Ref, j.deleted)})
		} else {
			out = append(out, r.record(j.object, j.written))
		}
	}
	return out
}

// job is one request of a wave, with what came of it.
type job struct {
	change  plumbline.Change
	object  *plumbline.Object // nil for a delete
	bulk    bool              // it is one of many
	written written
	deleted deleted
}

// do sends the request of a job, unless the API server is known to be away. It
// touches no state of r, so it may run beside others.
func (r *Reconciler) do(ctx context.Context, j *job, b *brake) {
	if j.change.Op == plumbline.OpDelete {
		defer r.recovered("delete", &j.deleted.err)
		if j.deleted.err = b.pulled(); j.deleted.err == nil {
			j.deleted = r.delete(ctx, j.change.Ref)
			b.told(j.deleted.err)
		}
		return
	}
	defer r.recovered("apply", &j.written.err)
	if err := b.pulled(); err != nil {
		j.written.err = at(err, j.object)
		return
	}
	j.written = r.write(ctx, j)
	b.told(j.written.err)
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
		e.UID, e.Checksum, e.Verified, e.Shared = w.seen.UID, o.Checksum, drift.Verify(w.seen), w.shared
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
