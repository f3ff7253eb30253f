package drift

import (
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/plumbline-dev/plumbline"
)

// ReasonBeside is of a suspect that someone else came to own fields of, at, above
// or below ours.
const ReasonBeside = "another manager owns fields of ours, or around them"

// Foreign are the fields in spec that other managers own and we do not, the
// shortest paths only, sorted. Known are managers that may, besides the
// controllers of Kubernetes and Knative.
func Foreign(o Observation, known []string) []plumbline.Field {
	ours := &fieldpath.Set{}
	if o.Own != nil {
		set, err := parse(o.Own.Fields)
		if err != nil {
			return nil
		}
		ours = set
	}
	spec := "spec"
	below := fieldpath.PathElement{FieldName: &spec}
	var out []plumbline.Field
	for _, e := range strangers(o, known) {
		left := e.set.Difference(ours)
		for _, p := range shortest(left) {
			if len(p) == 0 || !p[0].Equals(below) {
				continue
			}
			f := plumbline.Field{Path: p.String(), Manager: e.Manager.Value(), Operation: string(e.Operation)}
			if e.Time != 0 {
				f.Time = time.Unix(e.Time, 0).UTC()
			}
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b plumbline.Field) int {
		return strings.Compare(a.Path+"\x00"+a.Manager, b.Path+"\x00"+b.Manager)
	})
	return out
}

// Beside tells whether another manager owns a field that is one of ours, or is
// above or below one, and that it did so when rec was made is not certain.
func Beside(rec Record, o Observation, known []string) bool {
	if o.Own == nil {
		return false
	}
	if others, _ := hashes(o.Others); others == rec.Others {
		return false
	}
	ours, err := parse(o.Own.Fields)
	if err != nil {
		return false
	}
	for _, e := range strangers(o, known) {
		if overlap(ours, e.set) || overlap(e.set, ours) {
			return true
		}
	}
	return false
}

// overlap tells whether a path of b is in a, or below a leaf of it: an atomic
// list or map.
func overlap(a, b *fieldpath.Set) bool {
	leaves := a.Leaves()
	return anyPath(b, func(p fieldpath.Path) bool {
		for i := 1; i <= len(p); i++ {
			if leaves.Has(p[:i]) {
				return true
			}
		}
		return false
	})
}

// strangers are the entries of managers that are neither we nor known.
func strangers(o Observation, known []string) []owner {
	return slices.DeleteFunc(parseOwners(o.Others), func(e owner) bool {
		m := e.Manager.Value()
		return e.Subresource == "status" || controller(m) || slices.Contains(known, m)
	})
}
