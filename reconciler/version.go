package reconciler

import (
	"context"
	"errors"
	"fmt"

	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// apply sends an apply. Where fields are owned in a version that is not served
// any more, the API server refuses every apply, so those entries are moved to
// the version that is applied in: taken out, they would leave behind what the
// apply drops.
func (r *Reconciler) apply(ctx context.Context, s sending) written {
	w := r.sendOnce(ctx, s)
	var gone *cluster.VersionGoneError
	if s.dryRun || !errors.As(w.err, &gone) {
		return w
	}
	m, err := r.o.Client.Get(ctx, s.object.Ref, s.object.Version)
	if err != nil {
		return written{err: at(err, s.object)}
	}
	if s.pinned && m.ResourceVersion != s.seen.ResourceVersion {
		return written{err: at(fmt.Errorf("%w: its fields are owned in %s", cluster.ErrConflict, gone.APIVersion), s.object)}
	}
	var entries []int
	for i := range m.ManagedFields {
		if m.ManagedFields[i].APIVersion == gone.APIVersion {
			entries = append(entries, i)
		}
	}
	apiVersion := s.object.Version
	if s.object.Ref.Group != "" {
		apiVersion = s.object.Ref.Group + "/" + apiVersion
	}
	if len(entries) == 0 || apiVersion == gone.APIVersion {
		return w
	}
	m, err = r.o.Client.Patch(ctx, s.object.Ref, s.object.Version, cluster.VersionBody(m.ResourceVersion, entries, apiVersion))
	if err != nil {
		return written{err: at(err, s.object)}
	}
	s.seen = drift.Observe(s.object.Ref, m)
	w = r.sendOnce(ctx, s)
	w.moved = true
	return w
}
