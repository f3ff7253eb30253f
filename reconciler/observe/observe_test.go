package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var configMaps = plumbline.GroupKind{Kind: "ConfigMap"}

func object(name, uid, version string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name, UID: types.UID(uid), ResourceVersion: version,
		Annotations: map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "secret"},
	}}
}

func seen(name, uid, version string) drift.Observation {
	return drift.Observe(refOf(configMaps, &object(name, uid, version).ObjectMeta), &object(name, uid, version).ObjectMeta)
}

// watched is a Watcher with one kind, as if its reflector ran.
func watched() (*Watcher, *store) {
	w := New(Options{Logger: slog.New(slog.DiscardHandler)})
	k := &kind{Kind: cluster.Kind{Version: "v1", Name: "ConfigMap"}, cancel: func() {}, answers: map[plumbline.Ref]bool{}}
	w.kinds[configMaps] = k
	return w, &store{w: w, k: k}
}

// TestEventsRaceWithResponses takes in what the watch says and what writes
// answered, in either order: the newer counts.
func TestEventsRaceWithResponses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		steps func(w *Watcher, s *store) error
		want  string
		dirty bool
	}{
		{"the event alone", func(_ *Watcher, s *store) error { return s.Add(object("a", "u", "5")) }, "u 5", true},
		{"the response first", func(w *Watcher, s *store) error {
			w.Set(seen("a", "u", "5"))
			return s.Add(object("a", "u", "5"))
		}, "u 5", false},
		{"an older event last", func(w *Watcher, s *store) error {
			w.Set(seen("a", "u", "5"))
			return s.Update(object("a", "u", "4"))
		}, "u 5", false},
		{"an older response last", func(w *Watcher, s *store) error {
			err := s.Update(object("a", "u", "6"))
			w.Set(seen("a", "u", "5"))
			return err
		}, "u 6", true},
		{"another object", func(w *Watcher, s *store) error {
			w.Set(seen("a", "u", "5"))
			return s.Update(object("a", "v", "6"))
		}, "v 6", true},
		{"an older event of the one before", func(w *Watcher, s *store) error {
			w.Set(seen("a", "v", "9"))
			return s.Update(object("a", "u", "7"))
		}, "v 9", false},
		{"an older response about the one before", func(w *Watcher, s *store) error {
			err := s.Add(object("a", "v", "9"))
			w.Set(seen("a", "u", "7"))
			return err
		}, "v 9", true},
		{"more digits are newer", func(w *Watcher, s *store) error {
			w.Set(seen("a", "u", "99"))
			return s.Update(object("a", "u", "100"))
		}, "u 100", true},
		{"gone", func(w *Watcher, s *store) error {
			w.Set(seen("a", "u", "5"))
			return s.Delete(object("a", "u", "6"))
		}, "", true},
		{"gone from the list", func(w *Watcher, s *store) error {
			w.Set(seen("a", "u", "5"))
			return s.Replace(nil, "7")
		}, "", true},
		{"a list from before a response", func(w *Watcher, s *store) error {
			w.Set(seen("a", "u", "9"))
			return s.Replace([]any{object("a", "u", "5")}, "7")
		}, "u 9", false},
		{"a list from before a create", func(w *Watcher, s *store) error {
			w.Set(seen("a", "u", "9"))
			return s.Replace(nil, "7")
		}, "u 9", false},
		{"a list of an older time", func(w *Watcher, s *store) error {
			w.Set(seen("a", "u", "9"))
			return errors.Join(s.Update(object("a", "u", "9")), s.Replace([]any{object("a", "u", "5")}, "7"))
		}, "u 5", true},
		{"the deletion of another", func(w *Watcher, s *store) error {
			w.Set(seen("a", "v", "9"))
			return s.Delete(object("a", "u", "8"))
		}, "v 9", false},
		{"in the list as before", func(w *Watcher, s *store) error {
			w.Set(seen("a", "u", "5"))
			return s.Replace([]any{object("a", "u", "5")}, "7")
		}, "u 5", false},
		{"not watched any more", func(w *Watcher, s *store) error {
			w.Retain(nil)
			return s.Add(object("a", "u", "5"))
		}, "", false},
	} {
		w, s := watched()
		if err := c.steps(w, s); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		got := ""
		if o, ok := w.Get(seen("a", "", "").Ref); ok {
			got = o.UID + " " + o.ResourceVersion
		}
		if got != c.want || (len(w.Take()) > 0) != c.dirty {
			t.Errorf("%s: %q, want %q, to be looked at: %v", c.name, got, c.want, c.dirty)
		}
	}
}

func TestBurstIsOneThingToLookAt(t *testing.T) {
	t.Parallel()
	w, s := watched()
	for v := range 10 {
		for _, name := range []string{"b", "a"} {
			if err := s.Update(object(name, "u", fmt.Sprint(v+1))); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-w.Changed()
	want := []plumbline.Ref{seen("a", "", "").Ref, seen("b", "", "").Ref}
	if diff := cmp.Diff(want, w.Take()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := w.Take(); len(got) != 0 {
		t.Errorf("taken twice: %v", got)
	}
}

// scripted is an API server that lists one object, or refuses to.
type scripted struct{ refuse error }

func (s scripted) Kind(_ context.Context, gk plumbline.GroupKind, _ string) (cluster.Kind, error) {
	return cluster.Kind{Group: gk.Group, Version: "v1", Name: gk.Kind}, nil
}

func (s scripted) ListWatch(cluster.Kind, string) cache.ListerWatcherWithContext {
	return &cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			if s.refuse != nil {
				return nil, s.refuse
			}
			return &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: "5"}, Items: []metav1.PartialObjectMetadata{*object("a", "u", "5")}}, nil
		},
		WatchFuncWithContext: func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if s.refuse != nil {
				return nil, s.refuse
			}
			if o.SendInitialEvents != nil {
				return nil, apierrors.NewInvalid(schema.GroupKind{}, "", nil) // an API server without streaming lists
			}
			return watch.NewFake(), nil
		},
	}
}

// TestRefusedKindIsNotSynced tells a kind that cannot be observed from one
// without objects.
func TestRefusedKindIsNotSynced(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", errors.New("no right"))
	for _, c := range []struct {
		refuse error
		synced bool
		kind   plumbline.Kind
	}{
		{nil, true, plumbline.KindUnset},
		{forbidden, false, plumbline.KindDenied},
		{apierrors.NewGenericServerResponse(http.StatusInternalServerError, "list", schema.GroupResource{}, "", "", 0, false), false, plumbline.KindTransient},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		w := New(Options{Source: scripted{refuse: c.refuse}, Logger: slog.New(slog.DiscardHandler)})
		if err := w.Ensure(ctx, ctx, []plumbline.GroupKind{configMaps}); err != nil {
			t.Error(err)
		}
		synced, err := w.Synced(configMaps)
		if synced != c.synced || plumbline.KindOf(err) != c.kind {
			t.Errorf("refused with %v: synced %v, %v", c.refuse, synced, err)
		}
		if got := len(w.Failing()) > 0; got == c.synced {
			t.Errorf("refused with %v: failing %v", c.refuse, w.Failing())
		}
		cancel()
		w.Wait()
	}
}

// TestOpenedIsNotListed opens the watch of a kind that was refused before: what is
// not seen of it is not missing until it was listed as a whole.
func TestOpenedIsNotListed(t *testing.T) {
	t.Parallel()
	w, s := watched()
	w.failed(s.k, apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", errors.New("no right")))
	w.opened(s.k)
	if synced, err := w.Synced(configMaps); synced || err != nil {
		t.Errorf("opened: synced %t, %v", synced, err)
	}
	if err := s.Replace([]any{object("a", "u", "5")}, "5"); err != nil {
		t.Fatal(err)
	}
	if synced, err := w.Synced(configMaps); !synced || err != nil {
		t.Errorf("listed: synced %t, %v", synced, err)
	}
}

// TestLateFailure is of a watch that was opened anew meanwhile, in another
// version.
func TestLateFailure(t *testing.T) {
	t.Parallel()
	w, s := watched()
	before := *s.k
	w.failed(&before, apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, ""))
	if len(w.Failing()) > 0 || w.Vanished() {
		t.Errorf("failing %v, vanished %t", w.Failing(), w.Vanished())
	}
	select {
	case <-w.Changed():
		t.Error("there is something to look at")
	default:
	}
}

// BenchmarkShrink observes one event of a Knative Service.
func BenchmarkShrink(b *testing.B) {
	_, s := watched()
	o := object("a", "u", "5")
	now := metav1.Unix(10, 0)
	for _, manager := range []string{plumbline.FieldManager, "controller", "kubectl-edit"} {
		o.ManagedFields = append(o.ManagedFields, metav1.ManagedFieldsEntry{
			Manager: manager, Operation: metav1.ManagedFieldsOperationApply, Time: &now,
			FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:template":{"f:spec":{"f:containers":{}}}}}`),
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.shrink(o); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "requests/op")
}
