package render

import (
	"cmp"
	"slices"

	"github.com/plumbline-dev/plumbline"
)

// merged is the objects of all units in order, kept between renderings: a
// change replaces the objects of its units and sorts nothing else.
type merged struct {
	objects []plumbline.Object
	owners  []*unit
}

// update drops the objects of units that are not live and merges in those of
// fresh ones. The slice it returns is never written to again.
func (m *merged) update(fresh []*unit) []plumbline.Object {
	var add merged
	for _, u := range fresh {
		add.objects = append(add.objects, u.objects...)
		for range u.objects {
			add.owners = append(add.owners, u)
		}
	}
	order := make([]int, len(add.objects))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return compareObjects(add.objects[a], add.objects[b]) })

	out := merged{
		objects: make([]plumbline.Object, 0, len(m.objects)+len(order)),
		owners:  make([]*unit, 0, len(m.objects)+len(order)),
	}
	i := 0
	for _, n := range order {
		for i < len(m.objects) && (!m.owners[i].live || compareObjects(m.objects[i], add.objects[n]) <= 0) {
			out.keep(m, i)
			i++
		}
		out.objects = append(out.objects, add.objects[n])
		out.owners = append(out.owners, add.owners[n])
	}
	for ; i < len(m.objects); i++ {
		out.keep(m, i)
	}
	*m = out
	return out.objects
}

func (m *merged) keep(from *merged, i int) {
	if from.owners[i].live {
		m.objects = append(m.objects, from.objects[i])
		m.owners = append(m.owners, from.owners[i])
	}
}

// result puts together what the run found.
func (a *assembly) result(known map[name]*rendered, projects []string) Result {
	for k, u := range a.units {
		if !u.live {
			delete(a.units, k)
		}
	}
	res := Result{Projects: projects, Skipped: a.docs.skipped, Stats: a.stats}
	res.Stats.Files, res.Stats.Documents, res.Stats.Parsed = a.docs.files, a.docs.count, a.docs.parsed
	res.Violations = a.docs.violations
	for _, u := range a.list {
		res.Violations = append(res.Violations, u.violations...)
		if s := u.service; s != nil {
			res.Services = append(res.Services, s.mode)
			res.Peers = append(res.Peers, s.peer)
		}
	}
	res.Violations = plumbline.SortViolations(res.Violations)
	slices.SortFunc(res.Skipped, func(x, y Skip) int {
		return cmp.Or(x.Origin.Compare(y.Origin), cmp.Compare(x.Reason, y.Reason))
	})
	objects := a.Renderer.list.update(a.changed)
	if len(plumbline.Errors(res.Violations)) == 0 {
		res.Objects = objects
	}
	return res
}
