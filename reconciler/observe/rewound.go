package observe

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Rewound tells whether the cluster is older than it was seen before, since it was
// restored from a backup, or is another one. Nothing that is observed then counts.
func (w *Watcher) Rewound() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rewound
}

// elsewhere tells whether another cluster answers than the one that is watched.
func (w *Watcher) elsewhere(ctx context.Context) bool {
	w.mu.Lock()
	was := w.cluster
	w.mu.Unlock()
	if w.opts.Cluster == nil || was == "" {
		return false
	}
	is, err := w.opts.Cluster(ctx)
	return err == nil && is != was // or the watch that is opened next finds out why
}

// rewind notes that the cluster is older than it was; w.mu is held.
func (w *Watcher) rewind() {
	w.rewound = true
	w.wake()
}

// older tells whether resourceVersion a is surely older than b.
func older(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && c < 0
}

// rewoundTo tells whether the API server is behind the version that a watch is
// to begin at. It would open that watch and say nothing until it has caught up.
func (r *reporting) rewoundTo(ctx context.Context, version string) bool {
	if version == "" || version == "0" {
		return false
	}
	list, err := r.ListerWatcherWithContext.ListWithContext(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return false // the watch that is opened next finds out why
	}
	m, err := meta.ListAccessor(list)
	return err == nil && older(m.GetResourceVersion(), version)
}
