package observe

import (
	"context"
	"fmt"
	"strconv"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
)

// definitions are the CustomResourceDefinitions of the cluster, by name. Of
// each only what tells whether it changed is kept: uid and generation.
type definitions struct {
	watched bool
	known   bool // they are listed, or cannot be
	seen    map[string]string
	changed map[string]bool
}

// definitionKind is the kind of definitions.
func definitionKind() plumbline.GroupKind {
	return plumbline.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
}

// custom tells whether a kind is defined by a CustomResourceDefinition, or
// otherwise from outside of Kubernetes.
func custom(gk plumbline.GroupKind) bool {
	return gk != definitionKind() && !scheme.Scheme.IsGroupRegistered(gk.Group)
}

func (k *kind) definition() string { return k.Resource + "." + k.Group }

// TakeDefinitions returns, of the watched kinds whose definition was seen to
// change since the last call, or that are new, what tells one definition from
// the next.
func (w *Watcher) TakeDefinitions() map[plumbline.GroupKind]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.defs.changed) == 0 {
		return nil
	}
	out := map[plumbline.GroupKind]string{}
	for gk, k := range w.kinds {
		if name := k.definition(); w.defs.changed[name] {
			out[gk] = w.defs.seen[name]
		}
	}
	clear(w.defs.changed)
	return out
}

// define watches definitions, once a custom kind is watched. Where that is not
// allowed they go unwatched: what a changed definition does to ownership is
// then found when the objects show it.
func (w *Watcher) define(ctx, lifetime context.Context) error {
	w.mu.Lock()
	watched := w.defs.watched
	w.mu.Unlock()
	if watched {
		return nil
	}
	served, err := w.opts.Source.Kind(ctx, definitionKind(), "")
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.defs.watched = true
	w.mu.Unlock()
	runCtx, cancel := context.WithCancel(lifetime)
	silent := klog.New(logr.Discard().GetSink())
	lw := &reporting{
		ListerWatcherWithContext: w.opts.Source.ListWatch(served, ""),
		failed: func(err error) {
			w.know()
			if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
				gk := definitionKind()
				err = cluster.Classify("watch", plumbline.Ref{Group: gk.Group, Kind: gk.Kind, Name: "*"}, err)
				w.opts.Logger.Warn("that a definition changed is found out by its objects", keyErr, err)
				cancel()
			}
		},
		opened:    func() {},
		rewound:   func() {},
		elsewhere: func(context.Context) bool { return false }, // the other watches ask
	}
	r := cache.NewReflectorWithOptions(lw, &metav1.PartialObjectMetadata{}, &definitionStore{w}, cache.ReflectorOptions{Name: definitionKind().String(), Logger: &silent})
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		defer cancel()
		r.RunWithContext(klog.NewContext(runCtx, silent))
	}()
	return nil
}

// definitionStore is where the reflector of definitions puts what it hears.
type definitionStore struct{ w *Watcher }

// Transformer keeps of a definition what is looked at.
func (s *definitionStore) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		m, ok := obj.(*metav1.PartialObjectMetadata)
		if !ok {
			return nil, fmt.Errorf("observe %s: unexpected %T", definitionKind(), obj)
		}
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: m.Name, UID: m.UID, Generation: m.Generation}}, nil
	}
}

// Add implements cache.ReflectorStore.
func (s *definitionStore) Add(obj any) error { return s.put(obj) }

// Update implements cache.ReflectorStore.
func (s *definitionStore) Update(obj any) error { return s.put(obj) }

func (s *definitionStore) put(objs ...any) error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	held := map[string]bool{}
	for _, k := range s.w.kinds {
		held[k.definition()] = true
	}
	news := false
	for _, obj := range objs {
		m, ok := obj.(*metav1.PartialObjectMetadata)
		if !ok {
			return fmt.Errorf("observe %s: unexpected %T", definitionKind(), obj)
		}
		is := string(m.UID) + "/" + strconv.FormatInt(m.Generation, 10)
		if s.w.defs.seen[m.Name] == is {
			continue
		}
		s.w.defs.seen[m.Name] = is
		s.w.defs.changed[m.Name] = true
		news = news || held[m.Name]
	}
	if news {
		s.w.wake()
	}
	return nil
}

// know tells that definitions need not be waited for.
func (w *Watcher) know() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.defs.known = true
	w.announce()
}

// Delete implements cache.ReflectorStore. That a kind is not served any more
// is told by its own watch.
func (s *definitionStore) Delete(any) error { return nil }

// Replace implements cache.ReflectorStore: a list is complete.
func (s *definitionStore) Replace(list []any, _ string) error {
	defer s.w.know()
	return s.put(list...)
}

// Resync implements cache.ReflectorStore; there is nothing to resync.
func (s *definitionStore) Resync() error { return nil }

// Vanished tells whether the watch of a kind is refused because nothing is
// served where it was.
func (w *Watcher) Vanished() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.kinds {
		if k.vanished {
			return true
		}
	}
	return false
}

// Reopen watches kinds anew that are served in another version than they are
// watched in. What was observed of them stays until they are listed again.
func (w *Watcher) Reopen(ctx, lifetime context.Context) error {
	w.mu.Lock()
	watched := make(map[plumbline.GroupKind]*kind, len(w.kinds))
	for gk, k := range w.kinds {
		watched[gk] = k
	}
	w.mu.Unlock()
	for gk, k := range watched {
		served, err := w.opts.Source.Kind(ctx, gk, "")
		if err != nil {
			if plumbline.KindOf(err) == plumbline.KindWaiting {
				continue
			}
			return err
		}
		if served == k.Kind {
			continue
		}
		k.cancel()
		w.run(lifetime, served, k)
	}
	return nil
}
