// Package observe keeps the metadata of our objects, as the API server tells
// it.
//
// One watch per kind, metadata only, narrowed to our labels by the API server.
// Of each object a drift.Observation is kept and nothing else: no body, no
// annotation. What changed is collected as a set of Refs, so that a burst of
// events on one object is one thing to look at. The package judges nothing.
package observe

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// Keys of log attributes.
const (
	keyKind = "kind"
	keyErr  = "err"
)

// source opens the watch of a kind.
type source interface {
	Kind(ctx context.Context, gk plumbline.GroupKind, version string) (cluster.Kind, error)
	ListWatch(k cluster.Kind, selector string) cache.ListerWatcherWithContext
}

// Options of a Watcher.
type Options struct {
	Source source
	Logger *slog.Logger
	// Cluster is what tells one cluster from another. It is asked after a watch
	// could not be opened; nil: nothing tells.
	Cluster func(context.Context) (string, error)
}

// Watcher holds what is observed of every watched kind. It is safe for
// concurrent use.
type Watcher struct {
	opts    Options
	changed chan struct{}
	wg      sync.WaitGroup

	mu       sync.Mutex
	selector string
	cluster  string // what Options.Cluster said of the cluster that is watched
	kinds    map[plumbline.GroupKind]*kind
	dirty    map[plumbline.Ref]bool // changed, and not taken yet
	synced   chan struct{}          // closed and renewed whenever a kind's state changes
	defs     definitions
	rewound  bool
	moved    chan struct{} // closed and renewed whenever an object changes and someone awaits it
}

type kind struct {
	cluster.Kind
	cancel  context.CancelFunc
	objects plumbline.RefMap[*drift.Observation]
	answers map[plumbline.Ref]bool // of objects are responses that the watch has not shown yet
	version string                 // of the newest list
	listed  bool                   // a whole list was seen
	synced  bool                   // and nothing says that it is out of date
	err     error                  // the last reason why the kind is not synced
	late    bool                   // Ensure has waited for it in vain
	// vanished says that the API server serves nothing where the kind is watched.
	vanished bool
}

// New makes a Watcher that watches nothing yet.
func New(o Options) *Watcher {
	return &Watcher{
		opts:    o,
		changed: make(chan struct{}, 1),
		kinds:   map[plumbline.GroupKind]*kind{},
		dirty:   map[plumbline.Ref]bool{},
		defs:    definitions{seen: map[string]string{}, changed: map[string]bool{}},
		synced:  make(chan struct{}),
	}
}

// Select sets the label selector of our objects, before the first watch is
// opened.
func (w *Watcher) Select(selector string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.selector = selector
}

// On sets what Options.Cluster says of the cluster that is watched,
// before the first watch is opened.
func (w *Watcher) On(cluster string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cluster = cluster
}

// Failing are the kinds that are not observed because the API server refuses,
// sorted.
func (w *Watcher) Failing() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for gk, k := range w.kinds {
		if k.err != nil && !k.synced {
			out = append(out, gk.String())
		}
	}
	slices.Sort(out)
	return out
}

// Changed receives a value when Refs wait to be taken.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Take returns the Refs that changed since the last call, sorted.
func (w *Watcher) Take() []plumbline.Ref {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]plumbline.Ref, 0, len(w.dirty))
	for r := range w.dirty {
		out = append(out, r)
	}
	w.dirty = map[plumbline.Ref]bool{} // one that was large would stay so
	slices.SortFunc(out, plumbline.Ref.Compare)
	return out
}

// Get returns what is observed of ref.
func (w *Watcher) Get(ref plumbline.Ref) (drift.Observation, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.kinds[ref.GroupKind()]
	if k == nil {
		return drift.Observation{}, false
	}
	return observed(k.objects, ref)
}

// Set takes in an observation that did not come from the watch, as the
// response to a write, unless the watch already showed a newer one.
func (w *Watcher) Set(o drift.Observation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.kinds[o.Ref.GroupKind()]
	if k == nil {
		return
	}
	if old, ok := k.objects.Get(o.Ref); ok && !newer(o.ResourceVersion, old.ResourceVersion) {
		return
	}
	k.objects = k.objects.With(o.Ref, &o)
	k.answers[o.Ref] = true
}

// All returns every observation, in no order.
func (w *Watcher) All() []drift.Observation {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []drift.Observation
	for _, k := range w.kinds {
		for _, o := range k.objects.All() {
			out = append(out, *o)
		}
	}
	return out
}

// Synced tells whether the kind is watched and its list complete; if not, err
// says why where that is known.
func (w *Watcher) Synced(gk plumbline.GroupKind) (ok bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.kinds[gk]
	if k == nil {
		return false, nil
	}
	return k.synced, k.err
}

// newer tells whether resourceVersion a is newer than b. What cannot be
// compared counts as newer: looking once too often does no harm.
func newer(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err != nil || c > 0
}

// Ensure watches every kind of kinds, and waits until each is synced, was
// refused, or ctx ends. Kinds watched before stay watched. What is not synced
// after it is told by Synced. A kind that was waited for in vain is not waited
// for again: it would hold up the others each time.
func (w *Watcher) Ensure(ctx, lifetime context.Context, kinds []plumbline.GroupKind) error {
	for _, gk := range kinds {
		if err := w.start(ctx, lifetime, gk); err != nil && plumbline.KindOf(err) != plumbline.KindWaiting {
			return err
		}
	}
	for {
		w.mu.Lock()
		pending := w.defs.watched && !w.defs.known
		for _, gk := range kinds {
			if k := w.kinds[gk]; k != nil && !k.synced && k.err == nil && !k.late {
				pending = true
			}
		}
		wait := w.synced
		w.mu.Unlock()
		if !pending {
			return nil
		}
		select {
		case <-ctx.Done():
			w.giveUp(kinds)
			return nil
		case <-wait:
		}
	}
}

// giveUp notes what Ensure has waited for in vain.
func (w *Watcher) giveUp(kinds []plumbline.GroupKind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.defs.known = true
	for _, gk := range kinds {
		if k := w.kinds[gk]; k != nil {
			k.late = !k.synced
		}
	}
}

func (w *Watcher) start(ctx, lifetime context.Context, gk plumbline.GroupKind) error {
	w.mu.Lock()
	_, watched := w.kinds[gk]
	w.mu.Unlock()
	if watched {
		return nil
	}
	served, err := w.opts.Source.Kind(ctx, gk, "")
	if err != nil {
		return err
	}
	if custom(gk) {
		if err := w.define(ctx, lifetime); err != nil {
			return err
		}
	}
	w.run(lifetime, served, nil)
	return nil
}

// run watches a kind. What before, if any, observed of it stays until the kind
// is listed.
func (w *Watcher) run(lifetime context.Context, served cluster.Kind, before *kind) {
	gk := served.GroupKind()
	runCtx, cancel := context.WithCancel(lifetime)
	k := &kind{Kind: served, cancel: cancel, answers: map[plumbline.Ref]bool{}}
	w.mu.Lock()
	if before != nil {
		k.objects, k.answers = before.objects, before.answers
	}
	w.kinds[gk] = k
	if name := k.definition(); w.defs.seen[name] != "" {
		w.defs.changed[name] = true
	}
	selector := w.selector
	w.mu.Unlock()

	// The reflector logs through klog; its failures reach us by Synced.
	silent := klog.New(logr.Discard().GetSink())
	lw := &reporting{
		ListerWatcherWithContext: w.opts.Source.ListWatch(served, selector),
		failed:                   func(err error) { w.failed(k, err) },
		opened:                   func() { w.opened(k) },
		elsewhere:                w.elsewhere,
		rewound: func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.rewind()
		},
	}
	r := cache.NewReflectorWithOptions(lw, &metav1.PartialObjectMetadata{}, &store{w: w, k: k}, cache.ReflectorOptions{Name: gk.String(), Logger: &silent})
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		r.RunWithContext(klog.NewContext(runCtx, silent))
	}()
}

// Await waits until what is observed of ref satisfies done, and tells whether
// it did before ctx ended.
func (w *Watcher) Await(ctx context.Context, ref plumbline.Ref, done func(o drift.Observation, ok bool) bool) bool {
	for {
		w.mu.Lock()
		var o drift.Observation
		ok := false
		if k := w.kinds[ref.GroupKind()]; k != nil {
			o, ok = observed(k.objects, ref)
		}
		if w.moved == nil {
			w.moved = make(chan struct{})
		}
		wait := w.moved
		w.mu.Unlock()
		if done(o, ok) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-wait:
		}
	}
}

// Retain stops watching every kind but kinds.
func (w *Watcher) Retain(kinds []plumbline.GroupKind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for gk, k := range w.kinds {
		if !slices.Contains(kinds, gk) {
			k.cancel()
			delete(w.kinds, gk)
		}
	}
}

// Wait returns when every watch has ended, after the lifetime context did.
func (w *Watcher) Wait() { w.wg.Wait() }

// current tells whether a kind is still watched like this; w.mu is held.
func (w *Watcher) current(k *kind) bool { return w.kinds[k.GroupKind()] == k }

// failed notes that a list or a watch of a kind was refused. That it was refused
// in a version in which it is not watched any more says nothing.
func (w *Watcher) failed(k *kind, err error) {
	if errors.Is(err, context.Canceled) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.current(k) {
		return
	}
	gk, first := k.GroupKind(), k.err == nil
	k.err = cluster.Classify("watch", plumbline.Ref{Group: gk.Group, Kind: gk.Kind, Name: "*"}, err)
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsNotFound(err) {
		k.synced = false
	}
	if k.vanished = apierrors.IsNotFound(err); k.vanished {
		w.wake()
	}
	if first {
		w.opts.Logger.Warn("watch failed", keyKind, gk.String(), keyErr, k.err)
	}
	w.announce()
}

// opened notes that a watch of a kind stands.
func (w *Watcher) opened(k *kind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.current(k) && k.err != nil {
		k.err, k.vanished = nil, false
		k.synced = k.listed
		w.announce()
	}
}

// announce wakes everyone who waits for a kind; w.mu is held.
func (w *Watcher) announce() {
	close(w.synced)
	w.synced = make(chan struct{})
}

// touch marks refs as changed; w.mu is held.
func (w *Watcher) touch(ref plumbline.Ref) {
	w.dirty[ref] = true
	if w.moved != nil {
		close(w.moved)
		w.moved = nil
	}
	w.wake()
}

// wake tells that there is something to take; w.mu is held.
func (w *Watcher) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// refOf is the Ref of an object of kind gk.
func refOf(gk plumbline.GroupKind, m *metav1.ObjectMeta) plumbline.Ref {
	return plumbline.Ref{Group: gk.Group, Kind: gk.Kind, Namespace: m.Namespace, Name: m.Name}
}
