package reconciler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// listAbove is how many objects of one kind are read one by one before a list
// is cheaper.
const listAbove = 20

// found is what the API server said of objects it was asked for; nil for what
// does not exist.
type found map[plumbline.Ref]*drift.Observation

// unread are the objects that the API server gave no answer about, and why.
type unread map[plumbline.Ref]error

// preread looks at what is about to be created, since an object without our
// labels does not show in the watches: what exists and is not ours is a
// conflict, what exists and is ours is configured. What is in fresh was read
// just now, and is not read again. What cannot be read is skipped.
func (r *Reconciler) preread(ctx context.Context, p *plumbline.Plan, objects plumbline.Objects, fresh found) unread {
	byKind := map[plumbline.GroupKind][]plumbline.Ref{}
	for _, c := range p.Changes {
		if _, known := fresh[c.Ref]; c.Op == plumbline.OpCreate && !known {
			gk := c.Ref.GroupKind()
			byKind[gk] = append(byKind[gk], c.Ref)
		}
	}
	there, failed := r.lookup(ctx, byKind)
	maps.Copy(there, fresh)
	for i := range p.Changes {
		c := &p.Changes[i]
		if failed[c.Ref] != nil && c.Op == plumbline.OpCreate {
			c.Op, c.Reason = plumbline.OpSkip, reasonUnread
		}
		if o := there[c.Ref]; c.Op == plumbline.OpCreate && o != nil {
			desired, _ := objects.Get(c.Ref)
			c.Op, c.Reason = r.standing(desired, *o)
			if c.Op == plumbline.OpConfigure {
				r.watch.Set(*o)
			}
		}
	}
	maps.Copy(failed, r.vacated(ctx, p, there, objects))
	return failed
}

// standing decides on an object that was to be created and exists.
func (r *Reconciler) standing(o *plumbline.Object, live drift.Observation) (plumbline.Op, string) {
	e, listed := r.inv.Get(o.Ref)
	owned := listed && e.Owned()
	switch {
	case owned && e.UID == live.UID:
		return plumbline.OpConfigure, reasonDrift
	case live.Deleting:
		return plumbline.OpSkip, reasonTerminating
	}
	in := planInput{Adopt: r.o.Adopt, Installation: r.installation, Environment: r.o.Environment, Rebuild: r.rebuild}
	if !owned && in.claims(listed, live) {
		return plumbline.OpConfigure, reclaim(o, listed, live)
	}
	return in.foreign(o, live)
}

// lookup reads the metadata of refs: a read each when they are few, one list of
// the kind when they are many.
func (r *Reconciler) lookup(ctx context.Context, byKind map[plumbline.GroupKind][]plumbline.Ref) (found, unread) {
	var mu sync.Mutex
	out, failed := found{}, unread{}
	put := func(ref plumbline.Ref, m *metav1.ObjectMeta) {
		mu.Lock()
		defer mu.Unlock()
		out[ref] = nil
		if m != nil {
			o := drift.Observe(ref, m)
			out[ref] = &o
		}
	}
	b := r.outage.braked(r.o.Now())
	unanswered := 0
	var g errgroup.Group
	g.SetLimit(r.o.Workers)
	// ask runs read, which puts what it finds of refs, unless the API server is
	// known to be away.
	ask := func(op string, refs []plumbline.Ref, read func() error) {
		g.Go(func() error {
			err := b.pulled()
			if err == nil {
				err = r.guard(op, read)
				b.told(err)
			}
			if err == nil {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, errUnanswered) {
				if unanswered++; unanswered > r.most() {
					b.told(fmt.Errorf("%w: %w", cluster.ErrUnavailable, err)) // it is not about an object
				}
			}
			for _, ref := range refs {
				delete(out, ref)
				failed[ref] = err
			}
			return nil
		})
	}
	for gk, refs := range byKind {
		if len(refs) > listAbove {
			ask("list", refs, func() error { return r.lookupList(ctx, gk, refs, put) })
			continue
		}
		for _, ref := range refs {
			ask("read", []plumbline.Ref{ref}, func() error {
				m, err := r.read(ctx, ref)
				if err != nil && !errors.Is(err, cluster.ErrNotFound) {
					return err
				}
				put(ref, m)
				return nil
			})
		}
	}
	_ = g.Wait() // every object keeps its own error
	if b.met != nil && ctx.Err() == nil {
		r.outage.met(b.met, r.o.Now())
	}
	return out, failed
}

// read reads the metadata of one object, but not longer than there is patience:
// a read that was given up is done again.
func (r *Reconciler) read(ctx context.Context, ref plumbline.Ref) (*metav1.ObjectMeta, error) {
	if r.o.Once {
		return r.o.Client.Get(ctx, ref, "")
	}
	brief, cancel := context.WithTimeout(ctx, r.o.Patience)
	defer cancel()
	m, err := r.o.Client.Get(brief, ref, "")
	if err != nil && brief.Err() != nil && ctx.Err() == nil {
		return nil, &plumbline.Error{Op: "read", Kind: plumbline.KindTransient, Ref: ref, Err: errUnanswered}
	}
	return m, err
}

// guard runs f, and makes a panic of it an error.
func (r *Reconciler) guard(op string, f func() error) (err error) {
	defer r.recovered(op, &err)
	return f()
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
	there := make(map[plumbline.Ref]*metav1.ObjectMeta, len(items))
	for i := range items {
		m := &items[i].ObjectMeta
		there[plumbline.Ref{Group: gk.Group, Kind: gk.Kind, Namespace: m.Namespace, Name: m.Name}] = m
	}
	for _, ref := range refs {
		put(ref, there[ref])
	}
	return nil
}
