package drift

import (
	"bytes"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Takeover says how an object's managedFields is to be before the apply that
// adopts it. The fields of those who made it become ours, so that the apply
// removes what the definition does not say: with an entry of theirs left, it
// would stay live for ever.
type Takeover struct {
	Own    int      // index of the entry that becomes ours
	Fields FieldSet // what it owns then
	Gone   []int    // indexes of the other entries whose fields went into it
}

// TakeOver finds, of an object that is about to be adopted as body (the JSON of
// the whole object), who made it: an entry without subresource, of no
// controller, that owns something that body has too. False tells that there is
// none.
//
// What stays live although body does not have it: finalizers and owners, which
// are about other objects; and a number of replicas, which an autoscaler may
// have set since.
func TakeOver(o Observation, body []byte) (t Takeover, found bool, err error) {
	var desired any
	if err := json.Unmarshal(body, &desired); err != nil {
		return t, false, fmt.Errorf("read desired object: it is not JSON")
	}
	union := fieldpath.NewSet()
	take := func(index int, fields *fieldpath.Set) {
		union = union.Union(fields)
		if !found {
			t.Own, found = index, true
			return
		}
		t.Gone = append(t.Gone, index)
	}
	if o.Own != nil { // an earlier attempt got this far
		ours, err := parse(o.Own.Fields)
		if err != nil {
			return t, false, err
		}
		take(o.Own.Index, ours)
	}
	makers := 0
	for _, e := range parseOwners(o.Others) {
		made := e.Operation == metav1.ManagedFieldsOperationUpdate && e.Subresource == "" && !controller(e.Manager.Value()) &&
			anyPath(e.set, func(p fieldpath.Path) bool { return has(desired, p) })
		if made {
			makers++
			take(e.Index, e.set)
		}
	}
	if makers == 0 {
		return Takeover{}, false, nil
	}
	var buf bytes.Buffer
	if err := taken(union, desired).ToJSONStream(&buf); err != nil {
		return t, false, fmt.Errorf("encode field set: %w", err)
	}
	t.Fields = intern(buf.String())
	return t, true, nil
}

// taken is a set without what is to stay live.
func taken(set *fieldpath.Set, desired any) *fieldpath.Set {
	out := fieldpath.NewSet()
	for p := range set.All() {
		if !stays(p, desired) {
			out.Insert(p.Copy())
		}
	}
	return out
}

func stays(p fieldpath.Path, desired any) bool {
	is := func(i int, name string) bool { return i < len(p) && p[i].FieldName != nil && *p[i].FieldName == name }
	switch {
	case is(0, "metadata"):
		return is(1, "finalizers") || is(1, "ownerReferences")
	case is(0, "spec") && is(1, "replicas") && len(p) == 2:
		return !has(desired, p)
	}
	return false
}

// OwnsBeyond tells whether we own more of an object than these labels; not where
// that cannot be read.
func OwnsBeyond(o Observation, labels ...string) bool {
	if o.Own == nil {
		return false
	}
	ours, err := parse(o.Own.Fields)
	if err != nil {
		return false
	}
	known := fieldpath.NewSet()
	for _, l := range labels {
		known.Insert(fieldpath.MakePathOrDie("metadata", "labels", l))
	}
	return !ours.Leaves().Difference(known).Empty()
}

// MadeByOthers tells whether someone else may have made an object that carries
// our entry. What controllers do to an object of ours is to update its status,
// and to mark its metadata.
func MadeByOthers(o Observation) bool {
	for _, e := range parseOwners(o.Others) {
		beyond := func(p fieldpath.Path) bool { return p[0].FieldName == nil || *p[0].FieldName != "metadata" }
		if e.Subresource == "" && (!controller(e.Manager.Value()) || anyPath(e.set, beyond)) {
			return true
		}
	}
	return false
}
