// Package state is what Plumbline remembers on the cluster it keeps: the
// inventory of what it owns, and the record of each environment.
//
// Both live in ConfigMaps of Plumbline's namespace. The inventory is always a
// superset of what may exist: an object is written down before it is created
// and struck out after it is gone. No value of any Secret is in it.
package state

import (
	"maps"
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// Entry is one object of the inventory. Without a UID it is planned: its
// create was about to be sent. With one it is owned.
type Entry struct {
	Ref      plumbline.Ref
	Version  string // API version, without the group, that it was last applied in
	Project  string
	Service  string
	Origin   plumbline.Origin
	Checksum string // of the content that was last applied; empty when that is not certain
	UID      string
	Keep     bool         // plumbline.AnnotationPrune: disabled
	Shared   bool         // it was there before us and only carries our labels: never pruned
	Adopted  bool         // it was there before us, and was taken over; or that is not known any more
	Verified drift.Record // zero when the object is not verified
}

// Owned tells whether the object is known to be ours.
func (e Entry) Owned() bool { return e.UID != "" }

// Entries are entries by Ref. An entry in it is never changed: another takes
// its place.
type Entries = plumbline.RefMap[*Entry]

// Inventory is the set of objects that one environment owns, or may own. It is
// not safe for concurrent use.
type Inventory struct {
	entries Entries
	planned map[plumbline.Ref]bool // entries that are not owned
	groups  map[string]members     // by project
	dirty   map[group]bool         // whose shard must be written
	soft    map[group]bool         // whose shard is worth writing, but can wait
}

// NewInventory returns an empty inventory.
func NewInventory() *Inventory {
	return &Inventory{planned: map[plumbline.Ref]bool{}, groups: map[string]members{}, dirty: map[group]bool{}, soft: map[group]bool{}}
}

// Len is the number of entries.
func (inv *Inventory) Len() int { return inv.entries.Len() }

// Entries are the entries as they are now.
func (inv *Inventory) Entries() Entries { return inv.entries }

// Get returns the entry of ref.
func (inv *Inventory) Get(ref plumbline.Ref) (Entry, bool) {
	if e, ok := inv.entries.Get(ref); ok {
		return *e, true
	}
	return Entry{}, false
}

// Put sets an entry. Its shard must be written, unless nothing changed; where
// only the verified record, or the place in the repository, changed, the
// writing can wait.
func (inv *Inventory) Put(e Entry) {
	old, ok := inv.Get(e.Ref)
	if ok && old == e {
		return
	}
	inv.set(e)
	old.Verified, old.Origin = e.Verified, e.Origin
	if ok && old == e {
		inv.soft[groupOf(&e)] = true
		return
	}
	inv.dirty[groupOf(&e)] = true
	if ok {
		inv.dirty[groupOf(&old)] = true
	}
}

// Drop strikes out the entry of ref.
func (inv *Inventory) Drop(ref plumbline.Ref) {
	if e, ok := inv.entries.Get(ref); ok {
		inv.entries = inv.entries.Without(ref)
		inv.leave(groupOf(e), ref)
		inv.made(ref)
		inv.dirty[groupOf(e)] = true
	}
}

func (inv *Inventory) set(e Entry) {
	g := groupOf(&e)
	if old, ok := inv.entries.Get(e.Ref); !ok {
		inv.join(g, e.Ref)
	} else if was := groupOf(old); was != g {
		inv.leave(was, e.Ref)
		inv.join(g, e.Ref)
	}
	inv.entries = inv.entries.With(e.Ref, &e)
	if e.Owned() {
		inv.made(e.Ref)
	} else {
		inv.planned[e.Ref] = true
	}
}

// made notes that an entry is not a planned one.
func (inv *Inventory) made(ref plumbline.Ref) {
	delete(inv.planned, ref)
	if len(inv.planned) == 0 {
		inv.planned = map[plumbline.Ref]bool{} // one that was large would stay so
	}
}

// inventoryOf is an inventory of entries, of which the later one of a Ref counts.
func inventoryOf(entries []Entry) *Inventory {
	inv := NewInventory()
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.Ref.Compare(b.Ref) })
	list := make([]*Entry, 0, len(entries))
	for i, e := range entries {
		if i+1 < len(entries) && entries[i+1].Ref == e.Ref {
			continue
		}
		list = append(list, &e)
		inv.join(groupOf(&e), e.Ref)
		if !e.Owned() {
			inv.planned[e.Ref] = true
		}
	}
	inv.entries = plumbline.RefMapOf(len(list), func(i int) (plumbline.Ref, *Entry) { return list[i].Ref, list[i] })
	return inv
}

// Planned are the refs of the entries that are not owned, sorted.
func (inv *Inventory) Planned() []plumbline.Ref {
	return slices.SortedFunc(maps.Keys(inv.planned), plumbline.Ref.Compare)
}

// Refs of all entries, sorted.
func (inv *Inventory) Refs() []plumbline.Ref {
	refs := make([]plumbline.Ref, 0, inv.Len())
	for ref := range inv.entries.All() {
		refs = append(refs, ref)
	}
	return refs
}

// Owned counts the owned objects of a kind.
func (inv *Inventory) Owned(gk plumbline.GroupKind) int {
	n := 0
	for r, e := range inv.entries.All() {
		if r.GroupKind() == gk && e.Owned() {
			n++
		}
	}
	return n
}

// Kinds of all entries, sorted.
func (inv *Inventory) Kinds() []plumbline.GroupKind {
	return inv.entries.Kinds()
}

// Services counts the different services that have an entry.
func (inv *Inventory) Services() int {
	type service struct{ project, id string }
	set := map[service]bool{}
	for _, e := range inv.entries.All() {
		if e.Service != "" {
			set[service{e.Project, e.Service}] = true
		}
	}
	return len(set)
}

// Dirty tells whether a shard must be written, and whether one is worth
// writing.
func (inv *Inventory) Dirty() (must, may bool) { return len(inv.dirty) > 0, len(inv.soft) > 0 }
