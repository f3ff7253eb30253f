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

// execute writes the creates and configures of p, wave by wave. A failed
// object stops only itself; an API server that is not there stops the rest.
func (r *Reconciler) execute(ctx context.Context, p plumbline.Plan, objects plumbline.Objects) []applied {
	var out []applied
	b := r.outage.braked(r.o.Now())
	for len(p.Changes) > 0 {
		n := 1
		for n < len(p.Changes) && p.Changes[n].Wave == p.Changes[0].Wave {
			n++
		}
		out = append(out, r.wave(ctx, p.Changes[:n], objects, b)...)
		p.Changes = p.Changes[n:]
	}
	if len(out) > 0 && ctx.Err() == nil {
		r.outage.met(b.met, r.o.Now())
	}
	return out
}

// wave writes objects at once, as many as there are workers.
func (r *Reconciler) wave(ctx context.Context, changes []plumbline.Change, objects plumbline.Objects, b *brake) []applied {
	type job struct {
		object *plumbline.Object
		result written
	}
	var jobs []*job
	var g errgroup.Group
	g.SetLimit(r.o.Workers)
	for _, c := range changes {
		if c.Op != plumbline.OpCreate && c.Op != plumbline.OpConfigure {
			continue
		}
		o, _ := objects.Get(c.Ref)
		j := &job{object: o}
		jobs = append(jobs, j)
		g.Go(func() error {
			defer r.recovered("apply", &j.result.err)
			if err := b.pulled(); err != nil {
				j.result.err = at(err, o)
				return nil
			}
			j.result = r.write(ctx, o, c)
			b.told(j.result.err)
			return nil
		})
	}
	_ = g.Wait() // every job keeps its own error
	out := make([]applied, 0, len(jobs))
	for _, j := range jobs {
		out = append(out, r.record(j.object, j.result))
	}
	return out
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
