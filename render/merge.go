package render

import (
	"slices"

	"github.com/plumbline-dev/plumbline"
)

// merged is the objects of all units in order, kept between renderings: a
// change replaces the objects of its units and sorts nothing else.
type merged struct {
	objects []plumbline.Object
	owners  []*unit
}

// update takes the objects of removed units out and merges in those of added
// ones. The slice it returns is never written to again.
func (m *merged) update(removed, added []*unit) []plumbline.Object {
	if len(removed) == 0 && len(added) == 0 {
		return m.objects
	}
	if m.replace(removed, added) {
		return m.objects
	}
	fresh := sortedObjects(added)
	if len(m.objects) == 0 {
		*m = fresh
		return m.objects
	}
	out := merged{
		objects: make([]plumbline.Object, 0, len(m.objects)+len(fresh.objects)),
		owners:  make([]*unit, 0, len(m.objects)+len(fresh.objects)),
	}
	i := 0
	for n := range fresh.objects {
		for i < len(m.objects) && (m.owners[i].dead || compareObjects(m.objects[i], fresh.objects[n]) <= 0) {
			out.keep(m, i)
			i++
		}
		out.objects = append(out.objects, fresh.objects[n])
		out.owners = append(out.owners, fresh.owners[n])
	}
	for ; i < len(m.objects); i++ {
		out.keep(m, i)
	}
	*m = out
	return out.objects
}

func (m *merged) keep(from *merged, i int) {
	if !from.owners[i].dead {
		m.objects = append(m.objects, from.objects[i])
		m.owners = append(m.owners, from.owners[i])
	}
}

// replace does the update where every added object takes the place of a removed
// one, as after most changes. It tells whether it could.
func (m *merged) replace(removed, added []*unit) bool {
	gone, come := 0, 0
	for _, u := range removed {
		gone += len(u.objects)
	}
	for _, u := range added {
		come += len(u.objects)
	}
	if gone != come {
		return false
	}
	type change struct {
		at    int
		owner *unit
		n     int
	}
	changes := make([]change, 0, come)
	for _, u := range added {
		for n, o := range u.objects {
			i, found := slices.BinarySearchFunc(m.objects, o, compareObjects)
			if !found || !m.owners[i].dead {
				return false
			}
			changes = append(changes, change{i, u, n})
		}
	}
	m.objects, m.owners = slices.Clone(m.objects), slices.Clone(m.owners)
	for _, c := range changes {
		m.objects[c.at], m.owners[c.at] = c.owner.objects[c.n], c.owner
	}
	return true
}

// sortedObjects are the objects of units in order.
func sortedObjects(list []*unit) merged {
	type entry struct {
		owner *unit
		n     int
	}
	var entries []entry
	for _, u := range list {
		for n := range u.objects {
			entries = append(entries, entry{u, n})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		x, y := &a.owner.objects[a.n], &b.owner.objects[b.n]
		if x.Wave != y.Wave {
			return int(x.Wave - y.Wave)
		}
		return x.Ref.Compare(y.Ref)
	})
	out := merged{objects: make([]plumbline.Object, len(entries)), owners: make([]*unit, len(entries))}
	for i, e := range entries {
		out.objects[i], out.owners[i] = e.owner.objects[e.n], e.owner
	}
	return out
}
