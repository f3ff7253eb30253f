package reconciler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// Result of processing one commit. It is what the sync status is made of.
type Result struct {
	Commit     plumbline.Commit
	Plan       plumbline.Plan
	Total      int // desired objects
	Outcomes   []plumbline.Outcome
	Violations []plumbline.Violation
	Prune      PruneDecision
	Closed     string        // why nothing is written now; empty when it may be
	Err        error         // of the run as a whole
	Took       time.Duration // from the plan to the last prune

	// begun says that the commit could be written, as far as it differs: the
	// cluster is, or is becoming, what it says.
	begun bool
	// unread are the objects of which nobody knows whether they exist, and those
	// that wait for others to become ready.
	unread unread
}

// reconcile brings the cluster to the objects of a commit, as far as the
// commit, the gate and the cluster allow. What it did is in the Result even
// where Err is set.
func (r *Reconciler) reconcile(ctx context.Context, c plumbline.Commit, rendered Rendered) Result {
	res := Result{Commit: c, Total: rendered.Objects.Len(), Violations: rendered.Violations}
	if res.Err = rendered.refused(); res.Err != nil {
		return res
	}
	if err := r.ensureWatched(ctx, rendered.Objects); err != nil {
		res.Err = err
		return res
	}
	r.claimPlanned()
	in := r.planInput(c, rendered.Objects)
	planned, decided := r.planned.next(in)
	r.planned = planned
	res.Plan = r.planned.plan()
	r.noteDefinitions(rendered.Objects, decided)
	r.spare(&res.Plan, rendered.Objects)
	r.postpone(&res.Plan)
	res.unread = r.preread(ctx, &res.Plan, rendered.Objects, r.fresh)
	r.spare(&res.Plan, rendered.Objects)
	in.stageAdopted(&res.Plan, r.o.ReadyTimeout == 0)
	r.choosePrune(ctx, c, &res)
	refuseNames(&res.Plan)
	writes := res.Plan.Count(plumbline.OpCreate, plumbline.OpConfigure, plumbline.OpDelete)
	if writes > 0 && r.o.ReadOnly {
		res.Closed = "mode observe: nothing is written"
		return res
	}
	if open, _, why := r.o.Gate(r.o.Now()); writes > 0 && !open {
		res.Closed = why
		return res
	}
	if writes > 0 {
		r.want(pendingStatus(r.o.Context, res))
		for _, m := range res.Plan.ModeChanges {
			r.log.Warn("a service changes its mode", keyMessage, m.String(), keyAt, m.Origin.String())
		}
		r.rec.Deploy(c.SHA)
		r.rec.Run++
		if err := r.markPlanned(ctx, res.Plan, rendered.Objects, res.Prune); err != nil {
			res.Err = err
			return res
		}
		r.pump(ctx) // what is written down now: whoever comes after us knows what was posted
	}
	res.begun = true
	clear(r.awaited)
	outcomes, waiting := r.execute(ctx, res.Plan, rendered.Objects)
	maps.Copy(res.unread, waiting)
	for _, a := range outcomes {
		res.Outcomes = append(res.Outcomes, a.Outcome)
	}
	res.Err = r.unfinished(ctx, res)
	return res
}

// unfinished joins what keeps a run from being done, and notes of each object
// when it is tried again.
func (r *Reconciler) unfinished(ctx context.Context, res Result) error {
	var errs []error
	before := r.head.tries
	r.head.tries = tries{}
	left := func(ref plumbline.Ref, err error) {
		errs = append(errs, err)
		t := r.next(before[ref], err)
		switch {
		case unsent(err):
			t.n, t.due = before[ref].n, r.outage.until
		case errors.Is(err, errUnanswered): // it is due when it comes back
			t.n, t.due = before[ref].n, r.o.Now().Add(longestWait)
		}
		r.head.tries[ref] = t
	}
	for _, o := range res.Outcomes {
		if o.Err != nil {
			left(o.Ref, o.Err)
		}
	}
	for _, c := range res.Plan.Changes {
		switch c.Op {
		case plumbline.OpConflict:
			left(c.Ref, &plumbline.Error{Op: "apply", Kind: plumbline.KindDenied, Ref: c.Ref, Origin: c.Origin, Err: errors.New(c.Reason)})
		case plumbline.OpSkip:
			switch c.Reason {
			case reasonNeverMade, reasonHeld:
			case reasonInPlace:
				left(c.Ref, &plumbline.Error{Op: "apply", Kind: plumbline.KindWaiting, Ref: c.Ref, Origin: c.Origin, Err: errInPlace})
			case reasonLater:
				errs = append(errs, before[c.Ref].err)
				r.head.tries[c.Ref] = before[c.Ref]
			case reasonUnanswered:
				left(c.Ref, unanswered(c.Ref, c.Origin))
			case reasonUnread:
				left(c.Ref, &plumbline.Error{Origin: c.Origin, Err: res.unread[c.Ref]})
			case reasonUnready:
				left(c.Ref, res.unread[c.Ref])
			default:
				left(c.Ref, r.skipped(ctx, c))
			}
		}
	}
	if res.Prune.Summary != "" {
		errs = append(errs, plumbline.Errorf(plumbline.KindDenied, "prune", "%s", res.Prune.Summary))
	}
	return errors.Join(errs...)
}

// skipped is the error of a change that has to wait.
func (r *Reconciler) skipped(ctx context.Context, c plumbline.Change) error {
	_, why := r.watch.Synced(c.Ref.GroupKind())
	if c.Reason == reasonNotSynced && why == nil {
		_, why = r.o.Client.Kind(ctx, c.Ref.GroupKind(), "") // not served, perhaps
	}
	if c.Reason != reasonNotSynced || why == nil {
		why = errors.New(c.Reason)
	}
	return &plumbline.Error{Op: "apply", Kind: waitKind(why), Ref: c.Ref, Origin: c.Origin, After: 2 * time.Second, Err: cause(why)}
}

func waitKind(err error) plumbline.Kind {
	var e *plumbline.Error
	if errors.As(err, &e) && plumbline.KindOf(err) != plumbline.KindUnset {
		return plumbline.KindOf(err)
	}
	return plumbline.KindWaiting
}

func (r *Reconciler) planInput(c plumbline.Commit, objects plumbline.Objects) planInput {
	return planInput{
		Environment: r.o.Environment, Revision: c.SHA, Installation: r.installation,
		Rebuild: r.rebuild, Adopt: r.o.Adopt,
		Desired: objects, Inventory: r.inv.Entries(), Observed: r.watch.View(),
	}
}

// watchTimeout is how long a run waits for the lists of new kinds. What is not
// there by then is skipped, and tried again.
const watchTimeout = 30 * time.Second

// ensureWatched opens the watches of all kinds that are desired or owned, and
// ends those of others.
func (r *Reconciler) ensureWatched(ctx context.Context, objects plumbline.Objects) error {
	set := map[plumbline.GroupKind]bool{}
	for _, gk := range r.inv.Kinds() {
		set[gk] = true
	}
	for _, gk := range objects.Kinds() {
		set[gk] = true
	}
	kinds := slices.SortedFunc(maps.Keys(set), plumbline.GroupKind.Compare)
	for _, gk := range kinds {
		if _, err := r.o.Client.Kind(ctx, gk, ""); err != nil {
			if plumbline.KindOf(err) != plumbline.KindWaiting {
				return err
			}
			if err := r.o.Client.Refresh(ctx); err != nil {
				return err
			}
			break
		}
	}
	r.watch.Retain(kinds)
	wait, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	return r.watch.Ensure(wait, r.posts.lifetime, kinds)
}

// claimPlanned turns planned entries whose object is there and ours into owned
// ones: an earlier run was killed between its create and its save.
func (r *Reconciler) claimPlanned() {
	for _, ref := range r.inv.Planned() {
		e, _ := r.inv.Get(ref)
		if o, ok := r.watch.Get(ref); ok && r.ours(o) {
			e.UID, e.Checksum, e.Verified = o.UID, "", drift.Record{}
			r.inv.Put(e)
		}
	}
}

// noteDefinitions notes what the definitions of refs say besides the content:
// where they stand, which is worth no write of its own, and whether the object
// is never to be deleted, which counts when they are gone.
func (r *Reconciler) noteDefinitions(objects plumbline.Objects, refs []plumbline.Ref) {
	for _, ref := range refs {
		o, wanted := objects.Get(ref)
		if e, ok := r.inv.Get(ref); ok && wanted && (e.Origin != o.Origin || e.Keep != o.Control.KeepOnPrune) {
			e.Origin, e.Keep = o.Origin, o.Control.KeepOnPrune
			r.inv.Put(e)
		}
	}
}

// markPlanned writes down what is about to be done, before it is done: creates
// become planned entries, and what is about to change is no longer verified.
func (r *Reconciler) markPlanned(ctx context.Context, p plumbline.Plan, objects plumbline.Objects, d PruneDecision) error {
	for _, c := range p.Changes {
		o, _ := objects.Get(c.Ref)
		switch c.Op {
		case plumbline.OpCreate:
			r.inv.Put(entryOf(o))
		case plumbline.OpConfigure:
			e, ok := r.inv.Get(c.Ref)
			if !ok {
				e = entryOf(o)
				// The inventory was lost. Whether we made a Namespace shows nowhere else,
				// and a mistake would delete what others have in it.
				e.Adopted = c.Reason == reasonUncertain && isKind(c.Ref, "", "Namespace")
			}
			e.Checksum, e.Verified = "", drift.Record{}
			// Whose it was has to be known to whoever comes after us, too.
			e.Shared, e.Adopted = e.Shared || c.Reason == ReasonShared, e.Adopted || c.Reason == ReasonAdopt
			r.inv.Put(e)
		}
	}
	if d.History != nil {
		r.rec.Deletes = d.History
	}
	r.recordDirty = true
	return r.saveBy(ctx, r.o.Store.Plan)
}

func entryOf(o *plumbline.Object) state.Entry {
	return state.Entry{
		Ref: o.Ref, Version: o.Version, Project: o.Project, Service: o.Service,
		Origin: o.Origin, Keep: o.Control.KeepOnPrune,
	}
}

// saveTimeout bounds a write of the state.
const saveTimeout = 10 * time.Second

// save writes what must be written of inventory and record, and with soft also
// the shards in which only verified records or places changed.
func (r *Reconciler) save(ctx context.Context, soft bool) error {
	must, may := r.inv.Dirty()
	if r.o.ReadOnly || (!must && !r.recordDirty && !(soft && may)) {
		return nil
	}
	err := r.saveBy(ctx, func(ctx context.Context, inv *state.Inventory, rec *state.Record) error {
		return r.o.Store.Save(ctx, inv, rec, soft)
	})
	if err == nil {
		r.healDirty = r.healDirty && !soft
	}
	return err
}

// saveBy brings the record up to date and writes it with the inventory, in the
// way of write.
func (r *Reconciler) saveBy(ctx context.Context, write func(context.Context, *state.Inventory, *state.Record) error) error {
	var err error
	if r.rec.Outbox, err = json.Marshal(r.o.Outbox); err != nil {
		return &plumbline.Error{Op: "write record", Kind: plumbline.KindInternal, Err: fmt.Errorf("encode outbox: %w", err)}
	}
	if r.rec.Drifts, err = json.Marshal(r.heals); err != nil {
		return &plumbline.Error{Op: "write record", Kind: plumbline.KindInternal, Err: fmt.Errorf("encode heals: %w", err)}
	}
	r.rec.Saved = r.o.Now().UTC()
	// A write that is cut off may have been done: the next one would meet
	// another resourceVersion. So once begun it is finished, also at a stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if err := write(ctx, r.inv, &r.rec); err != nil {
		if errors.Is(err, state.ErrTaken) {
			r.taken = err
		}
		return err
	}
	r.recordDirty = false
	r.saved = r.o.Now()
	return nil
}
