package reconciler

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// listAbove is how many objects of one kind are read one by one before a list
// is cheaper.
const listAbove = 20

// preread looks at what is about to be created, since an object without our
// labels does not show in the watches: what exists and is not ours is a
// conflict, what exists and is ours is configured.
func (r *Reconciler) preread(ctx context.Context, p *plumbline.Plan, objects []plumbline.Object) error {
	byKind := map[plumbline.GroupKind][]plumbline.Ref{}
	for _, c := range p.Changes {
		if c.Op == plumbline.OpCreate {
			gk := c.Ref.GroupKind()
			byKind[gk] = append(byKind[gk], c.Ref)
		}
	}
	if len(byKind) == 0 {
		return nil
	}
	found, err := r.lookup(ctx, byKind)
	if err != nil {
		return err
	}
	byRef := index(objects)
	in := planInput{Adopt: r.o.Adopt}
	for i := range p.Changes {
		c := &p.Changes[i]
		o, exists := found[c.Ref]
		if c.Op != plumbline.OpCreate || !exists {
			continue
		}
		r.watch.Set(o)
		e, listed := r.inv.Get(c.Ref)
		switch {
		case listed && e.Owned() && e.UID == o.UID:
			c.Op, c.Reason = plumbline.OpConfigure, reasonDrift
		case o.Deleting:
			c.Op, c.Reason = plumbline.OpSkip, "it is being deleted; it is made again when it is gone"
		case (!listed || !e.Owned()) && r.ours(o):
			c.Op, c.Reason = plumbline.OpConfigure, reasonUncertain
		default:
			c.Op, c.Reason = in.foreign(byRef[c.Ref])
		}
	}
	return nil
}

// lookup reads the metadata of refs: a read each when they are few, one list of
// the kind when they are many.
func (r *Reconciler) lookup(ctx context.Context, byKind map[plumbline.GroupKind][]plumbline.Ref) (map[plumbline.Ref]drift.Observation, error) {
	var mu sync.Mutex
	found := map[plumbline.Ref]drift.Observation{}
	put := func(ref plumbline.Ref, m *metav1.ObjectMeta) {
		mu.Lock()
		defer mu.Unlock()
		found[ref] = drift.Observe(ref, m)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.o.Workers)
	for gk, refs := range byKind {
		if len(refs) > listAbove {
			g.Go(func() error { return r.lookupList(ctx, gk, refs, put) })
			continue
		}
		for _, ref := range refs {
			g.Go(func() error {
				m, err := r.o.Client.Get(ctx, ref, "")
				if errors.Is(err, cluster.ErrNotFound) {
					return nil
				}
				if err != nil {
					return err
				}
				put(ref, m)
				return nil
			})
		}
	}
	return found, g.Wait()
}

func (r *Reconciler) lookupList(ctx context.Context, gk plumbline.GroupKind, refs []plumbline.Ref, put func(plumbline.Ref, *metav1.ObjectMeta)) error {
	k, err := r.o.Client.Kind(ctx, gk, "")
	if err != nil {
		return err
	}
	ns := refs[0].Namespace
	if slices.ContainsFunc(refs, func(x plumbline.Ref) bool { return x.Namespace != ns }) {
		ns = ""
	}
	items, err := r.o.Client.List(ctx, k, ns)
	if err != nil {
		return err
	}
	wanted := make(map[plumbline.Ref]bool, len(refs))
	for _, ref := range refs {
		wanted[ref] = true
	}
	for i := range items {
		ref := plumbline.Ref{Group: gk.Group, Kind: gk.Kind, Namespace: items[i].Namespace, Name: items[i].Name}
		if wanted[ref] {
			put(ref, &items[i].ObjectMeta)
		}
	}
	return nil
}

// execute writes the creates and configures of p, wave by wave. A failed
// object stops only itself.
func (r *Reconciler) execute(ctx context.Context, p plumbline.Plan, objects []plumbline.Object) []plumbline.Outcome {
	byRef := index(objects)
	var out []plumbline.Outcome
	for len(p.Changes) > 0 {
		n := 1
		for n < len(p.Changes) && p.Changes[n].Wave == p.Changes[0].Wave {
			n++
		}
		out = append(out, r.wave(ctx, p.Changes[:n], byRef)...)
		p.Changes = p.Changes[n:]
	}
	return out
}

// wave writes objects at once, as many as there are workers.
func (r *Reconciler) wave(ctx context.Context, changes []plumbline.Change, byRef map[plumbline.Ref]*plumbline.Object) []plumbline.Outcome {
	type job struct {
		change plumbline.Change
		result written
	}
	var jobs []*job
	var g errgroup.Group
	g.SetLimit(r.o.Workers)
	for _, c := range changes {
		if c.Op != plumbline.OpCreate && c.Op != plumbline.OpConfigure {
			continue
		}
		j := &job{change: c}
		jobs = append(jobs, j)
		g.Go(func() error {
			j.result = r.write(ctx, byRef[c.Ref], c)
			return nil
		})
	}
	_ = g.Wait()
	out := make([]plumbline.Outcome, 0, len(jobs))
	for _, j := range jobs {
		out = append(out, r.record(byRef[j.change.Ref], j.result))
	}
	return out
}

// written is what came of one write.
type written struct {
	seen    drift.Observation
	before  string // resourceVersion before the write; empty for a create
	created bool
	shared  bool // only our labels were added
	foreign bool // it turned out not to be ours
	err     error
}

// write applies one object. It touches no state of r, so it may run beside
// others of its kind.
func (r *Reconciler) write(ctx context.Context, o *plumbline.Object, c plumbline.Change) written {
	if c.Op == plumbline.OpCreate {
		return r.create(ctx, o)
	}
	return r.configure(ctx, o, c.Reason)
}

func (r *Reconciler) create(ctx context.Context, o *plumbline.Object) written {
	body, err := cluster.RequestBody(o.Body, cluster.Identity{Installation: r.installation})
	if err != nil {
		return written{err: at(err, o)}
	}
	m, created, err := r.o.Client.Apply(ctx, cluster.Apply{Ref: o.Ref, Version: o.Version, Body: body})
	if err != nil {
		return written{err: at(err, o)}
	}
	if !created {
		return written{foreign: true, err: &plumbline.Error{
			Op: "apply", Kind: plumbline.KindDenied, Ref: o.Ref, Origin: o.Origin,
			Err: errors.New("someone else made it at the same moment; it is not recorded as ours"),
		}}
	}
	return written{seen: drift.Observe(o.Ref, m), created: true}
}

// retries of a write that was refused because the object moved on. The last
// one pins the uid only.
const retries = 3

func (r *Reconciler) configure(ctx context.Context, o *plumbline.Object, reason string) written {
	body := o.Body
	shared := reason == reasonShared
	if e, ok := r.inv.Get(o.Ref); ok && e.Shared {
		shared = true
	}
	if shared {
		body = labelsOnly(o)
	}
	for attempt := 0; ; attempt++ {
		seen, ok := r.watch.Get(o.Ref)
		if !ok {
			return written{err: &plumbline.Error{Op: "apply", Ref: o.Ref, Origin: o.Origin, Err: errors.New("the object is gone")}}
		}
		if seen.Controller != "" && !shared {
			return written{err: &plumbline.Error{
				Op: "apply", Kind: plumbline.KindDenied, Ref: o.Ref, Origin: o.Origin,
				Err: errors.New("it is controlled by " + seen.Controller),
			}}
		}
		id := cluster.Identity{Installation: r.installation, UID: seen.UID, ResourceVersion: seen.ResourceVersion}
		if attempt == retries {
			id.ResourceVersion = ""
		}
		raw, err := cluster.RequestBody(body, id)
		if err != nil {
			return written{err: at(err, o)}
		}
		m, _, err := r.o.Client.Apply(ctx, cluster.Apply{Ref: o.Ref, Version: o.Version, Body: raw, Force: !o.Control.ReportDrift && !shared})
		if err == nil {
			return written{seen: drift.Observe(o.Ref, m), before: seen.ResourceVersion, shared: shared}
		}
		if !errors.Is(err, cluster.ErrConflict) || attempt == retries || !r.awaitNewer(ctx, seen) {
			return written{err: at(err, o)}
		}
	}
}

// awaitNewer waits until the watch shows another state of an object than seen.
func (r *Reconciler) awaitNewer(ctx context.Context, seen drift.Observation) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return r.watch.Await(ctx, seen.Ref, func(o drift.Observation, ok bool) bool {
		return !ok || o.ResourceVersion != seen.ResourceVersion
	})
}

// record takes the result of a write into inventory and watch.
func (r *Reconciler) record(o *plumbline.Object, w written) plumbline.Outcome {
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
		r.inv.Drop(o.Ref)
	}
	if w.err == nil {
		e := entryOf(o)
		e.UID, e.Checksum, e.Verified, e.Shared = w.seen.UID, o.Checksum, drift.Verify(w.seen), w.shared
		r.inv.Put(e)
		r.watch.Set(w.seen)
		delete(r.drifts, o.Ref)
	}
	r.o.Progress(Event{Kind: EventOutcome, Outcome: out})
	return out
}

// at gives an error the place in Git that it is about.
func at(err error, o *plumbline.Object) error {
	return &plumbline.Error{Origin: o.Origin, Err: err}
}
