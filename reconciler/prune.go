package reconciler

import (
	"cmp"
	"context"
	"errors"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// choosePrune settles what happens to the inventory's objects that the commit
// does not define: what may be deleted is left as OpDelete in the plan, the
// rest is skipped with its reason. Planned entries that never became objects
// are struck out.
func (r *Reconciler) choosePrune(ctx context.Context, c plumbline.Commit, res *Result) {
	var candidates []Candidate
	modes := byService(res.Plan.ModeChanges)
	for i := range res.Plan.Changes {
		ch := &res.Plan.Changes[i]
		if ch.Op != plumbline.OpDelete {
			continue
		}
		e, _ := r.inv.Get(ch.Ref)
		seen, live := r.watch.Get(ch.Ref)
		synced, _ := r.watch.Synced(ch.Ref.GroupKind())
		switch {
		case !synced:
			ch.Op, ch.Reason = plumbline.OpSkip, reasonNotSynced
		case !live && !e.Owned():
			ch.Op, ch.Reason = plumbline.OpSkip, reasonNeverMade
			r.forget(ch.Ref)
		case !live:
			// Out of the watch: gone, or without our labels. Only the API
			// server knows, and prune asks it.
		case seen.UID == e.UID && seen.Deleting:
			ch.Op, ch.Reason = plumbline.OpKeep, reasonFinalizer
		case seen.UID != e.UID:
			ch.Op, ch.Reason = plumbline.OpSkip, "another object stands in its place; it is let go"
			r.forget(ch.Ref)
		case seen.Controller != "":
			ch.Op, ch.Reason = plumbline.OpSkip, "it is controlled by "+seen.Controller+"; it is let go"
			r.forget(ch.Ref)
		}
		if ch.Op == plumbline.OpDelete {
			replaced := modes[service{e.Project, e.Service}].From != ""
			candidates = append(candidates, Candidate{
				Ref: ch.Ref, Project: e.Project, Service: e.Service, Keep: e.Keep, Adopted: e.Shared || e.Adopted, Replaced: replaced,
			})
		}
	}
	if r.rewound {
		r.rewound, r.unpruning = false, c.SHA
	}
	if len(candidates) == 0 {
		return
	}
	if r.unpruning == c.SHA {
		r.keepAll(res, candidates)
		return
	}
	from := r.rec.Applied
	if from == c.SHA {
		from = r.rec.From // this run goes on with what an earlier one began
	}
	commits, err := r.o.Source.Commits(ctx, from, c.SHA)
	if err != nil {
		// Without the commits there are no trailers; the budget alone decides.
		r.log.Warn("commit messages are not read: trailers do not count in this run", keyErr, err)
	}
	res.Prune = r.o.Prune(PruneRequest{
		Services: r.inv.Services(), Candidates: candidates, History: r.rec.Deletes, Commits: commits, Now: r.o.Now(),
	})
	allowed := map[plumbline.Ref]bool{}
	for _, ref := range res.Prune.Allowed {
		allowed[ref] = true
	}
	for i := range res.Plan.Changes {
		ch := &res.Plan.Changes[i]
		if ch.Op != plumbline.OpDelete || allowed[ch.Ref] {
			continue
		}
		ch.Op, ch.Reason = plumbline.OpKeep, cmp.Or(res.Prune.Blocked[ch.Ref], res.Prune.Kept[ch.Ref])
	}
}

// keepAll prunes nothing: what a restored cluster holds may be what someone
// wanted back.
func (r *Reconciler) keepAll(res *Result, candidates []Candidate) {
	var names []string
	for i := range res.Plan.Changes {
		if ch := &res.Plan.Changes[i]; ch.Op == plumbline.OpDelete {
			ch.Op, ch.Reason = plumbline.OpKeep, reasonRewound
		}
	}
	for _, c := range candidates {
		names = append(names, c.Ref.String())
	}
	r.log.Warn("the cluster was restored: these objects are in no definition; the next commit prunes them", keyObjects, names)
}

// recordDelete takes the result of a delete into the inventory.
func (r *Reconciler) recordDelete(ref plumbline.Ref, d deleted) plumbline.Outcome {
	e, _ := r.inv.Get(ref)
	o := plumbline.Outcome{Ref: ref, Origin: e.Origin, Action: plumbline.ActionDeleted, Health: plumbline.HealthNotFound}
	switch {
	case d.err != nil:
		o.Action, o.Err, o.Health = plumbline.ActionFailed, d.err, plumbline.HealthUnknown
	case d.foreign:
		o.Action = plumbline.ActionSkipped
		r.forget(ref)
	case d.pending:
		o.Health = plumbline.HealthTerminating // it stays in the inventory until it is gone
	default:
		r.forget(ref)
	}
	delete(r.drifts, ref)
	r.o.Progress(Event{Kind: EventOutcome, Outcome: o, UID: e.UID})
	return o
}

// deleted is what came of one delete.
type deleted struct {
	pending bool // finalizers are
	foreign bool // another object stands in its place: it stays
	err     error
}

// delete deletes one object of ours, if it still is the one observed. Like write
// it may run beside the loop.
func (r *Reconciler) delete(ctx context.Context, e state.Entry) deleted {
	ref := e.Ref
	for attempt := 0; ; attempt++ {
		seen, live := r.watch.Get(ref)
		if !live {
			m, err := r.o.Client.Get(ctx, ref, "")
			if errors.Is(err, cluster.ErrNotFound) {
				return deleted{}
			}
			if err != nil {
				return deleted{err: err}
			}
			seen = drift.Observe(ref, m)
		}
		switch {
		case seen.UID != e.UID, seen.Controller != "", seen.Theirs(r.installation, r.o.Environment):
			return deleted{foreign: true}
		case seen.Deleting:
			return deleted{pending: true}
		}
		m, err := r.o.Client.Delete(ctx, ref, "", cluster.Precondition{UID: seen.UID, ResourceVersion: seen.ResourceVersion})
		switch {
		case err == nil && m != nil:
			r.watch.Set(drift.Observe(ref, m))
			return deleted{pending: true}
		case err == nil, errors.Is(err, cluster.ErrNotFound):
			return deleted{}
		case errors.Is(err, cluster.ErrConflict) && attempt < retries && (!live || r.awaitNewer(ctx, seen)):
			continue
		default:
			return deleted{err: err}
		}
	}
}
