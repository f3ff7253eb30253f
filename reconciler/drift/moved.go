package drift

import (
	"hash/fnv"
	"io"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/plumbline-dev/plumbline"
)

// OnlyOwnership tells whether an object holds now what it held before, as far
// as metadata can tell: no spec and nothing of its metadata that anyone could
// apply has changed. It is always false for kinds without a generation.
func OnlyOwnership(before, now Observation) bool {
	return now.Generation > 0 && now.Generation == before.Generation && now.Marks == before.Marks
}

// unchanged is OnlyOwnership since a record was made.
func (r Record) unchanged(o Observation) bool {
	return OnlyOwnership(Observation{Generation: r.Generation, Marks: r.Marks}, o)
}

// unowned tells whether fields were lost and nobody has them now.
func unowned(fields []plumbline.Field) bool {
	return !slices.ContainsFunc(fields, func(f plumbline.Field) bool { return f.Manager != "" })
}

// reshaped tells whether path p of a field set that was verified is covered by
// a path of ours above it that was not in that set: a list or map that had
// fields of its own is atomic now, so it is owned as a whole.
func reshaped(p fieldpath.Path, was, is *fieldpath.Set) bool {
	for i := 1; i < len(p); i++ {
		if is.Has(p[:i]) && !was.Has(p[:i]) {
			return true
		}
	}
	return false
}

// Loss tells whether a verdict looks like what a server does to the ownership
// of a whole kind: fields of ours are gone, and nobody has taken them.
func Loss(v plumbline.Verdict) bool {
	switch v.State {
	case plumbline.StateDrifted:
		return unowned(v.Fields)
	case plumbline.StateSuspect:
		return v.Reason == ReasonOwnershipGone || v.Reason == ReasonOwnershipMoved || v.Reason == ReasonSetGrew
	case plumbline.StateInSync, plumbline.StateMissing, plumbline.StateTerminating, plumbline.StateUnknown:
	}
	return false
}

// marks is stable across processes.
func marks(m *metav1.ObjectMeta) uint64 {
	h := fnv.New64a()
	put := func(words ...string) {
		for _, w := range words {
			_, _ = io.WriteString(h, w+"\x00")
		}
		_, _ = io.WriteString(h, "\x01")
	}
	for _, pairs := range []map[string]string{m.Labels, m.Annotations} {
		for _, k := range slices.Sorted(maps.Keys(pairs)) {
			put(k, pairs[k])
		}
		put()
	}
	put(m.Finalizers...)
	for i := range m.OwnerReferences {
		o := &m.OwnerReferences[i]
		put(o.APIVersion, o.Kind, o.Name, string(o.UID))
	}
	return h.Sum64()
}
