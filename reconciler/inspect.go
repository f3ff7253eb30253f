package reconciler

import (
	"context"
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// Inspection is what inventory and metadata tell of an environment.
type Inspection struct {
	Found    bool // there is an inventory
	Record   state.Record
	Objects  int // entries of the inventory
	Planned  int // entries that never became objects, or not yet
	Services int
	// Verdicts are of every object that is not in sync, sorted by Ref. A
	// suspect's Fields name who touched it last: whether it drifted, only an
	// apply or a dry-run would tell.
	Verdicts []plumbline.Verdict
	Blind    []string // kinds that cannot be watched
}

// Inspect tells how an environment stands, from the cluster alone: no
// repository is read and nothing is written. With watch it tells again after
// every change, until ctx ends. A Reconciler inspects once.
func (r *Reconciler) Inspect(ctx context.Context, watch bool, tell func(Inspection) error) error {
	ctx, cancel := context.WithCancel(ctx)
	r.posts = posts{lifetime: ctx}
	r.o.ReadOnly = true
	r.newWatch()
	defer func() {
		cancel()
		r.watch.Wait()
	}()
	if err := r.start(ctx); err != nil {
		return err
	}
	for {
		r.watch.Take()
		if err := tell(r.inspect(ctx)); err != nil || !watch {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.watch.Changed():
		}
	}
}

func (r *Reconciler) inspect(ctx context.Context) Inspection {
	in := Inspection{
		Found: !r.lost, Record: r.rec, Objects: r.inv.Len(), Services: r.inv.Services(), Blind: r.watch.Failing(),
	}
	gone := map[plumbline.GroupKind][]plumbline.Ref{}
	for _, ref := range r.inv.Refs() {
		e, _ := r.inv.Get(ref)
		o, live := r.watch.Get(ref)
		synced, _ := r.watch.Synced(ref.GroupKind())
		switch {
		case !e.Owned():
			in.Planned++
		case !synced:
			in.Verdicts = append(in.Verdicts, plumbline.Verdict{Ref: ref, State: plumbline.StateUnknown, Reason: "its kind is not observed"})
		case live:
			in.add(e, o)
		default:
			gone[ref.GroupKind()] = append(gone[ref.GroupKind()], ref)
		}
	}
	found, failed := r.lookup(ctx, gone)
	for _, refs := range gone {
		for _, ref := range refs {
			e, _ := r.inv.Get(ref)
			o, err := found[ref], failed[ref]
			switch {
			case err != nil:
				in.Verdicts = append(in.Verdicts, plumbline.Verdict{Ref: ref, State: plumbline.StateUnknown, Reason: oneLine(err.Error())})
			case o != nil:
				in.add(e, *o)
			default:
				in.Verdicts = append(in.Verdicts, plumbline.Verdict{Ref: ref, State: plumbline.StateMissing})
			}
		}
	}
	slices.SortFunc(in.Verdicts, func(a, b plumbline.Verdict) int { return a.Ref.Compare(b.Ref) })
	return in
}

// add takes in the verdict on an object that is there.
func (in *Inspection) add(e state.Entry, o drift.Observation) {
	v := drift.Decide(e.Verified, o)
	if v.State == plumbline.StateInSync {
		return
	}
	if v.State == plumbline.StateSuspect {
		if by := drift.Suspicion(e.Verified, o); by.Manager != "" {
			v.Fields = []plumbline.Field{by}
		}
	}
	in.Verdicts = append(in.Verdicts, v)
}
