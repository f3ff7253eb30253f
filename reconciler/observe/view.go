package observe

import (
	"iter"
	"maps"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// View is what is observed at one moment. It is immutable.
type View struct {
	kinds map[plumbline.GroupKind]viewed
}

type viewed struct {
	objects plumbline.RefMap[*drift.Observation]
	synced  bool
}

// View returns what is observed now.
func (w *Watcher) View() View {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := View{make(map[plumbline.GroupKind]viewed, len(w.kinds))}
	for gk, k := range w.kinds {
		v.kinds[gk] = viewed{k.objects, k.synced}
	}
	return v
}

// Get returns what is observed of ref.
func (v View) Get(ref plumbline.Ref) (drift.Observation, bool) {
	return observed(v.kinds[ref.GroupKind()].objects, ref)
}

func observed(m plumbline.RefMap[*drift.Observation], ref plumbline.Ref) (drift.Observation, bool) {
	if o, ok := m.Get(ref); ok {
		return *o, true
	}
	return drift.Observation{}, false
}

// Synced tells whether the list of a kind is complete.
func (v View) Synced(gk plumbline.GroupKind) bool { return v.kinds[gk].synced }

// SyncedLike tells whether the same kinds are synced as in another view.
func (v View) SyncedLike(o View) bool {
	return maps.EqualFunc(v.kinds, o.kinds, func(a, b viewed) bool { return a.synced == b.synced })
}

// ViewOf is a view of kinds that are all synced, and of these objects.
func ViewOf(kinds []plumbline.GroupKind, objects ...drift.Observation) View {
	v := View{make(map[plumbline.GroupKind]viewed, len(kinds))}
	for _, gk := range kinds {
		v.kinds[gk] = viewed{synced: true}
	}
	for _, o := range objects {
		k := v.kinds[o.Ref.GroupKind()]
		k.objects = k.objects.With(o.Ref, &o)
		v.kinds[o.Ref.GroupKind()] = k
	}
	return v
}

// Diff are the refs of which something else is observed in another view, in no
// order of kinds.
func (v View) Diff(o View) iter.Seq[plumbline.Ref] {
	return func(yield func(plumbline.Ref) bool) {
		for gk, k := range v.kinds {
			for ref := range k.objects.Diff(o.kinds[gk].objects) {
				if !yield(ref) {
					return
				}
			}
		}
		for gk, k := range o.kinds {
			if _, both := v.kinds[gk]; both {
				continue
			}
			for ref := range k.objects.All() {
				if !yield(ref) {
					return
				}
			}
		}
	}
}
