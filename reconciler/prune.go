package reconciler

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// choosePrune settles what happens to the inventory's objects that the commit
// does not define: what may be deleted is left as OpDelete in the plan, the
// rest is skipped with its reason. Planned entries that never became objects
// are struck out.
func (r *Reconciler) choosePrune(ctx context.Context, c plumbline.Commit, res *Result) {
	var candidates []Candidate
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
			r.inv.Drop(ch.Ref)
		case !live:
			// Out of the watch: gone, or without our labels. Only the API
			// server knows, and prune asks it.
		case seen.UID != e.UID, !r.ours(seen):
			ch.Op, ch.Reason = plumbline.OpSkip, "it is not ours any more; it is let go"
			r.inv.Drop(ch.Ref)
			continue
		case seen.Controller != "":
			ch.Op, ch.Reason = plumbline.OpSkip, "it is controlled by "+seen.Controller+"; it is let go"
			r.inv.Drop(ch.Ref)
			continue
		}
		if ch.Op == plumbline.OpDelete {
			candidates = append(candidates, Candidate{Ref: ch.Ref, Project: e.Project, Service: e.Service, Keep: e.Keep, Adopted: e.Shared})
		}
	}
	if len(candidates) == 0 {
		return
	}
	commits, err := r.o.Source.Commits(ctx, r.rec.Applied, c.SHA)
	if err != nil {
		// Without the commits there are no trailers; the budget alone decides.
		r.log.Warn("commit messages are not read: trailers do not count in this run", keyErr, err)
	}
	if r.rec.Applied == c.SHA && len(commits) == 0 {
		commits = []plumbline.Commit{c}
	}
	res.Prune = r.o.Prune(PruneRequest{
		Services: r.inv.Services(), Candidates: candidates, History: r.rec.Deletes, Commits: commits, Now: r.o.Now(),
	})
	for i := range res.Plan.Changes {
		ch := &res.Plan.Changes[i]
		if ch.Op != plumbline.OpDelete {
			continue
		}
		if why, ok := res.Prune.Blocked[ch.Ref]; ok {
			ch.Op, ch.Reason = plumbline.OpKeep, why
		} else if why, ok := res.Prune.Kept[ch.Ref]; ok {
			ch.Op, ch.Reason = plumbline.OpKeep, why
		}
	}
}

// prune deletes what was allowed.
func (r *Reconciler) prune(ctx context.Context, d PruneDecision) []plumbline.Outcome {
	type job struct {
		ref     plumbline.Ref
		pending *metav1.ObjectMeta
		foreign bool
		err     error
	}
	jobs := make([]*job, 0, len(d.Allowed))
	var g errgroup.Group
	g.SetLimit(r.o.Workers)
	for _, ref := range slices.SortedFunc(slices.Values(d.Allowed), plumbline.Ref.Compare) {
		j := &job{ref: ref}
		jobs = append(jobs, j)
		g.Go(func() error {
			j.pending, j.foreign, j.err = r.delete(ctx, ref)
			return nil
		})
	}
	_ = g.Wait()
	var out []plumbline.Outcome
	for _, j := range jobs {
		e, _ := r.inv.Get(j.ref)
		o := plumbline.Outcome{Ref: j.ref, Origin: e.Origin, Action: plumbline.ActionDeleted, Health: plumbline.HealthNotFound}
		switch {
		case j.err != nil:
			o.Action, o.Err, o.Health = plumbline.ActionFailed, j.err, plumbline.HealthUnknown
		case j.foreign:
			o.Action = plumbline.ActionSkipped
			r.inv.Drop(j.ref)
		case j.pending != nil:
			// It stays in the inventory until it is gone.
			o.Health = plumbline.HealthTerminating
			r.watch.Set(drift.Observe(j.ref, j.pending))
		default:
			r.inv.Drop(j.ref)
		}
		delete(r.drifts, j.ref)
		out = append(out, o)
		r.o.Progress(Event{Kind: EventOutcome, Outcome: o})
	}
	return out
}

// delete deletes one object of ours, if it still is the one observed. foreign
// means that another object, or nobody's, stands in its place: it stays.
func (r *Reconciler) delete(ctx context.Context, ref plumbline.Ref) (pending *metav1.ObjectMeta, foreign bool, err error) {
	e, _ := r.inv.Get(ref)
	for attempt := 0; ; attempt++ {
		seen, live := r.watch.Get(ref)
		if !live {
			m, err := r.o.Client.Get(ctx, ref, "")
			if errors.Is(err, cluster.ErrNotFound) {
				return nil, false, nil
			}
			if err != nil {
				return nil, false, err
			}
			seen = drift.Observe(ref, m)
			if seen.UID != e.UID || seen.Own == nil {
				return nil, true, nil
			}
		}
		if seen.Deleting {
			return &metav1.ObjectMeta{}, false, nil
		}
		m, err := r.o.Client.Delete(ctx, ref, "", cluster.Precondition{UID: seen.UID, ResourceVersion: seen.ResourceVersion})
		switch {
		case err == nil:
			return m, false, nil
		case errors.Is(err, cluster.ErrNotFound):
			return nil, false, nil
		case errors.Is(err, cluster.ErrConflict) && attempt < retries && r.awaitNewer(ctx, seen):
			continue
		default:
			return nil, false, err
		}
	}
}
