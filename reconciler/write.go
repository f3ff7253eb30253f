package reconciler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// written is what came of one write.
type written struct {
	seen    drift.Observation
	before  string // resourceVersion before the write; empty for a create
	created bool
	shared  bool // only our labels were added
	adopted bool // it was somebody else's
	foreign bool // it turned out not to be ours
	err     error

	// Fields were owned in a version that is not served any more.
	moved bool
	// Only ownership moved: every value was as it should be.
	ownershipOnly bool
	// Our entry was gone, and these fields had other values.
	taken []plumbline.Field
}

// write does a request that is no delete. It touches no state of r, so it may run
// beside others and beside the loop.
func (r *Reconciler) write(ctx context.Context, q *request) written {
	if q.change.Op == plumbline.OpCreate {
		return r.create(ctx, q)
	}
	return r.configure(ctx, q)
}

func (r *Reconciler) create(ctx context.Context, q *request) written {
	o := q.object
	body, err := cluster.RequestBody(o.Body, cluster.Identity{Installation: r.installation})
	if err != nil {
		return written{err: at(err, o)}
	}
	m, created, err := r.o.Client.Apply(ctx, cluster.Apply{Ref: o.Ref, Version: o.Version, Body: body, Bulk: q.bulk})
	if err != nil {
		return written{err: at(err, o)}
	}
	seen := drift.Observe(o.Ref, m)
	switch {
	case created:
		return written{seen: seen, created: true}
	case drift.MadeByOthers(seen):
		return written{foreign: true, err: r.release(ctx, o, seen)}
	default:
		// A create of ours whose answer was lost has arrived since, or another
		// environment's. It stays planned: whose labels it carries in a while
		// tells whether it is ours.
		return written{err: at(&plumbline.Error{Op: "apply", Ref: o.Ref, Err: errAppeared}, o)}
	}
}

var errAppeared = fmt.Errorf("%w: it was made under our own name at the same moment", cluster.ErrConflict)

// release gives back what a creating apply took of an object that someone else
// made at the same moment. Without it the object would carry our entry and
// labels, and count as ours from then on.
func (r *Reconciler) release(ctx context.Context, o *plumbline.Object, seen drift.Observation) error {
	denied := &plumbline.Error{
		Op: "apply", Kind: plumbline.KindDenied, Ref: o.Ref, Origin: o.Origin,
		Err: errors.New("someone else made it at the same moment; it is not recorded as ours"),
	}
	_, _, err := r.o.Client.Apply(ctx, cluster.Apply{Ref: o.Ref, Version: o.Version, Body: cluster.ReleaseBody(o.Ref, o.Version, seen.UID)})
	if err != nil {
		return errors.Join(denied, at(err, o))
	}
	return denied
}

// retries of a write that was refused because the object moved on. The last
// one pins the uid only.
const retries = 3

func (r *Reconciler) configure(ctx context.Context, q *request) written {
	o, e, reason := q.object, q.entry, q.change.Reason
	s := sending{object: o, body: o.Body, force: !o.Control.ReportDrift, bulk: q.bulk}
	shared := reason == ReasonShared || e.Shared
	if shared {
		// The label that says who manages it may be somebody else's.
		s.body, s.force = labelsOnly(o), r.o.Adopt
	}
	for attempt := 0; ; attempt++ {
		seen, ok := r.watch.Get(o.Ref)
		if !ok || (attempt > 0 && seen.UID != s.seen.UID) {
			return written{err: &plumbline.Error{Op: "apply", Ref: o.Ref, Origin: o.Origin, Err: fmt.Errorf("%w: it is gone, or replaced", cluster.ErrConflict)}}
		}
		if seen.Controller != "" && !shared {
			return written{err: &plumbline.Error{
				Op: "apply", Kind: plumbline.KindDenied, Ref: o.Ref, Origin: o.Origin,
				Err: errors.New("it is controlled by " + seen.Controller),
			}}
		}
		s.seen, s.pinned = seen, attempt < retries
		w := r.replace(ctx, s, reason)
		w.shared, w.adopted = shared, reason == ReasonAdopt || e.Adopted
		if o.Control.ReportDrift {
			w.err = blocked(w.err)
		}
		if !errors.Is(w.err, cluster.ErrConflict) || attempt == retries || !r.awaitNewer(ctx, seen) {
			return w
		}
	}
}

// blocked says of a change that others' edits stand in its way why they are not
// overwritten.
func blocked(err error) error {
	var owned *cluster.OwnedError
	if !errors.As(err, &owned) {
		return err
	}
	return fmt.Errorf("drift blocks this change (%s: report): %w", plumbline.AnnotationDrift, err)
}

// replace applies, after it has taken what the apply drops away from those who
// came to own it by an edit: they would keep it alive.
func (r *Reconciler) replace(ctx context.Context, s sending, reason string) written {
	if reason == ReasonAdopt {
		return r.adopt(ctx, s)
	}
	if !s.force || (reason != reasonContent && reason != reasonUncertain) {
		return r.send(ctx, s)
	}
	owners, err := drift.CoOwners(s.seen, s.body.Reveal())
	if err != nil {
		return written{err: at(&plumbline.Error{Op: "apply", Kind: plumbline.KindInternal, Ref: s.object.Ref, Err: err}, s.object)}
	}
	if len(owners) > 0 {
		entries := make([]cluster.Disown, 0, len(owners))
		for _, o := range owners {
			entries = append(entries, cluster.Disown{Index: o.Index, Left: o.Left.Value()})
		}
		m, err := r.o.Client.Patch(ctx, s.object.Ref, s.object.Version, cluster.DisownBody(s.seen.ResourceVersion, entries))
		if err != nil {
			return written{err: at(err, s.object)}
		}
		s.seen = drift.Observe(s.object.Ref, m)
	}
	return r.send(ctx, s)
}

// adopt takes over an object that someone else made, with all that they said of
// it: what the definition does not say goes. A dry run comes first, so that an
// object that cannot become what is wanted stays as it is.
func (r *Reconciler) adopt(ctx context.Context, s sending) written {
	if isKind(s.object.Ref, "", "Namespace") || !s.force {
		return r.send(ctx, s)
	}
	t, found, err := drift.TakeOver(s.seen, s.body.Reveal())
	if err != nil {
		return written{err: at(&plumbline.Error{Op: "adopt", Kind: plumbline.KindInternal, Ref: s.object.Ref, Err: err}, s.object)}
	}
	if !found {
		return r.send(ctx, s)
	}
	trial := s
	trial.dryRun = true
	if w := r.sendOnce(ctx, trial); w.err != nil {
		return w
	}
	m, err := r.o.Client.Patch(ctx, s.object.Ref, s.object.Version, cluster.TakeOverBody(s.seen.ResourceVersion, t.Own, t.Fields.Value(), t.Gone))
	if err != nil {
		return written{err: at(err, s.object)}
	}
	s.seen = drift.Observe(s.object.Ref, m)
	return r.send(ctx, s)
}

// sending is one apply onto an object that exists.
type sending struct {
	object *plumbline.Object
	body   plumbline.Body
	seen   drift.Observation
	pinned bool // refused if the object is not as seen any more
	force  bool
	dryRun bool
	bulk   bool // it is one of many
}

// send applies. Where every entry of managedFields is gone, force would hide
// whether a value differed: without it the API server names what does.
func (r *Reconciler) send(ctx context.Context, s sending) written {
	if !s.force || s.seen.Own != nil || len(s.seen.Others) > 0 {
		w := r.apply(ctx, s)
		w.ownershipOnly = w.err == nil && drift.OnlyOwnership(s.seen, w.seen)
		return w
	}
	s.force = false
	w := r.sendOnce(ctx, s)
	var owned *cluster.OwnedError
	if !errors.As(w.err, &owned) {
		w.ownershipOnly = w.err == nil
		return w
	}
	s.force = true
	w = r.sendOnce(ctx, s)
	for _, path := range owned.Fields {
		w.taken = append(w.taken, plumbline.Field{Path: path})
	}
	return w
}

func (r *Reconciler) sendOnce(ctx context.Context, s sending) written {
	id := cluster.Identity{Installation: r.installation, UID: s.seen.UID}
	if s.pinned {
		id.ResourceVersion = s.seen.ResourceVersion
	}
	body, err := cluster.RequestBody(s.body, id)
	if err != nil {
		return written{err: at(err, s.object)}
	}
	m, _, err := r.o.Client.Apply(ctx, cluster.Apply{Ref: s.object.Ref, Version: s.object.Version, Body: body, Force: s.force, DryRun: s.dryRun, Bulk: s.bulk})
	if err != nil {
		return written{err: at(err, s.object)}
	}
	return written{seen: drift.Observe(s.object.Ref, m), before: s.seen.ResourceVersion}
}

// awaitNewer waits until the watch shows another state of an object than seen.
// An object without our labels does not show there, so it is read.
func (r *Reconciler) awaitNewer(ctx context.Context, seen drift.Observation) bool {
	wait, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if r.watch.Await(wait, seen.Ref, func(o drift.Observation, ok bool) bool {
		return !ok || o.ResourceVersion != seen.ResourceVersion
	}) {
		return true
	}
	m, err := r.o.Client.Get(ctx, seen.Ref, "")
	if err != nil || m.ResourceVersion == seen.ResourceVersion {
		return false
	}
	r.watch.Set(drift.Observe(seen.Ref, m))
	return true
}

// at gives an error the place in Git that it is about.
func at(err error, o *plumbline.Object) error {
	return &plumbline.Error{Origin: o.Origin, Err: err}
}
