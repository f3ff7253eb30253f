package observe

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
)

// versioned serves ConfigMaps in one version, and nothing in others.
type versioned struct {
	mu     sync.Mutex
	served string
}

func (v *versioned) serve(version string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.served = version
}

func (v *versioned) Kind(_ context.Context, gk plumbline.GroupKind, _ string) (cluster.Kind, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return cluster.Kind{Group: gk.Group, Version: v.served, Name: gk.Kind}, nil
}

func (v *versioned) ListWatch(k cluster.Kind, _ string) cache.ListerWatcherWithContext {
	gone := func() error {
		v.mu.Lock()
		defer v.mu.Unlock()
		if k.Version != v.served {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, "")
		}
		return nil
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			list := &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: "5"}, Items: []metav1.PartialObjectMetadata{*object(k.Version, "u", "5")}}
			return list, gone()
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if o.SendInitialEvents != nil {
				return nil, apierrors.NewInvalid(schema.GroupKind{}, "", nil)
			}
			w := watch.NewFake()
			context.AfterFunc(ctx, w.Stop)
			return w, gone()
		},
	}
}

// TestReopen stops serving the version that a kind is watched in: that shows as
// vanished, and the kind is watched in the other version once it is asked for.
func TestReopen(t *testing.T) {
	t.Parallel()
	source := &versioned{served: "v2"}
	w := New(Options{Source: source, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	defer w.Wait()
	defer cancel()
	if err := w.Ensure(ctx, ctx, []plumbline.GroupKind{configMaps}); err != nil {
		t.Fatal(err)
	}
	source.serve("v1")
	w.failed(w.kinds[configMaps], apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, ""))
	if ok, _ := w.Synced(configMaps); ok || !w.Vanished() {
		t.Errorf("synced %t, vanished %t", ok, w.Vanished())
	}
	if err := w.Reopen(ctx, ctx); err != nil {
		t.Fatal(err)
	}
	ref := plumbline.Ref{Kind: "ConfigMap", Namespace: "shop", Name: "v1"}
	if err := w.Ensure(ctx, ctx, []plumbline.GroupKind{configMaps}); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.Get(ref); !ok || w.Vanished() {
		t.Errorf("observed in v1: %t, vanished %t", ok, w.Vanished())
	}
}
