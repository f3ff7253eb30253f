package observe

import (
	"context"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// store is where the reflector of one kind puts what it hears.
type store struct {
	w *Watcher
	k *kind
}

// current tells whether the kind is still watched by this store; w.mu is held.
func (s *store) current() bool { return s.w.current(s.k) }

// shrunk is what is left of an object once it was observed. It keeps the name
// because the reflector keys a list by it.
type shrunk struct {
	metav1.ObjectMeta
	seen *drift.Observation // on its own: it is kept, the rest is not
}

// Transformer shrinks objects while a list streams in, so that a list of
// thousands never stands in memory whole.
func (s *store) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) { return s.shrink(obj) }
}

func (s *store) shrink(obj any) (_ *shrunk, err error) {
	// One object that cannot be understood is not observed; the others are.
	defer func() {
		if p := recover(); p != nil {
			err = plumbline.Errorf(plumbline.KindInternal, "observe "+s.k.GroupKind().String(), "panic of type %T", p)
			s.w.opts.Logger.Error("a bug: an object is not observed", keyKind, s.k.GroupKind().String(), keyErr, err)
		}
	}()
	switch o := obj.(type) {
	case *shrunk:
		return o, nil
	case *metav1.PartialObjectMetadata:
		seen := drift.Observe(refOf(s.k.GroupKind(), &o.ObjectMeta), &o.ObjectMeta)
		return &shrunk{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}, seen: &seen}, nil
	default:
		return nil, fmt.Errorf("observe %s: unexpected %T", s.k.GroupKind(), obj)
	}
}

// Add implements cache.ReflectorStore.
func (s *store) Add(obj any) error { return s.put(obj) }

// Update implements cache.ReflectorStore.
func (s *store) Update(obj any) error { return s.put(obj) }

func (s *store) put(obj any) error {
	o, err := s.shrink(obj)
	if err != nil {
		return err
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if !s.current() {
		return nil
	}
	k := s.k
	if old, ok := k.objects.Get(o.seen.Ref); ok && !newer(o.seen.ResourceVersion, old.ResourceVersion) {
		if o.seen.ResourceVersion == old.ResourceVersion {
			k.shown(o.seen.Ref)
		}
		return nil // the response to our own write came first, perhaps to the create of another in its place
	}
	k.shown(o.seen.Ref)
	k.objects = k.objects.With(o.seen.Ref, o.seen)
	s.w.touch(o.seen.Ref)
	return nil
}

// shown notes that the watch has shown what was answered about an object.
func (k *kind) shown(ref plumbline.Ref) {
	delete(k.answers, ref)
	if len(k.answers) == 0 {
		k.answers = map[plumbline.Ref]bool{} // one that was large would stay so
	}
}

// Delete implements cache.ReflectorStore.
func (s *store) Delete(obj any) error {
	o, err := s.shrink(obj)
	if err != nil {
		return err
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if old, ok := s.k.objects.Get(o.seen.Ref); ok && old.UID != o.seen.UID {
		return nil // the response to a create came first
	}
	if s.current() {
		s.k.objects = s.k.objects.Without(o.seen.Ref)
		s.k.shown(o.seen.Ref)
		s.w.touch(o.seen.Ref)
	}
	return nil
}

// Replace implements cache.ReflectorStore: a list is complete, as of its
// version. What was answered to later writes is kept.
func (s *store) Replace(list []any, version string) error {
	listed := make(map[plumbline.Ref]*drift.Observation, len(list))
	for _, obj := range list {
		o, err := s.shrink(obj)
		if err != nil {
			continue // it is not observed, so it is asked for by itself
		}
		listed[o.seen.Ref] = o.seen
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if !s.current() {
		return nil
	}
	k := s.k
	if older(version, k.version) {
		s.w.rewind()
		clear(k.answers)
	}
	k.version = version
	for ref := range k.answers {
		if old, ok := k.objects.Get(ref); ok && newer(old.ResourceVersion, version) {
			listed[ref] = old
		} else {
			delete(k.answers, ref)
		}
	}
	refs := slices.SortedFunc(maps.Keys(listed), plumbline.Ref.Compare)
	next := plumbline.RefMapOf(len(refs), func(i int) (plumbline.Ref, *drift.Observation) { return refs[i], listed[refs[i]] })
	for ref := range k.objects.Diff(next) {
		old, was := k.objects.Get(ref)
		now, is := next.Get(ref)
		if was != is || old.ResourceVersion != now.ResourceVersion {
			s.w.touch(ref)
		}
	}
	k.objects, k.listed, k.synced, k.err, k.vanished = next, true, true, nil, false
	s.w.announce()
	return nil
}

// Resync implements cache.ReflectorStore; there is nothing to resync.
func (s *store) Resync() error { return nil }

// reporting tells of the failures of lists and watches, which a reflector
// keeps to itself.
type reporting struct {
	cache.ListerWatcherWithContext
	failed  func(error)
	opened  func()
	rewound func()
	// elsewhere tells whether another cluster answers.
	elsewhere func(context.Context) bool

	broken bool // the watch could not be opened when it was tried last
}

// List implements cache.ListerWatcher, which nothing calls any more.
func (r *reporting) List(o metav1.ListOptions) (runtime.Object, error) {
	return nil, fmt.Errorf("list %+v: without a context", o)
}

// Watch implements cache.ListerWatcher, which nothing calls any more.
func (r *reporting) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return nil, fmt.Errorf("watch %+v: without a context", o)
}

// ListWithContext implements cache.ListerWatcherWithContext.
func (r *reporting) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	list, err := r.ListerWatcherWithContext.ListWithContext(ctx, o)
	if err != nil {
		r.failed(err)
	}
	return list, err
}

// WatchWithContext implements cache.ListerWatcherWithContext.
func (r *reporting) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	if r.broken && (r.elsewhere(ctx) || o.SendInitialEvents == nil && r.rewoundTo(ctx, o.ResourceVersion)) {
		r.rewound()
		return nil, apierrors.NewResourceExpired("the cluster is older than it was, or another one")
	}
	w, err := r.ListerWatcherWithContext.WatchWithContext(ctx, o)
	if o.SendInitialEvents != nil && apierrors.IsInvalid(err) {
		return nil, err // an API server that does not stream lists; the reflector asks for one next
	}
	r.broken = err != nil
	if err != nil {
		r.failed(err)
		return nil, err
	}
	r.opened()
	return w, nil
}
