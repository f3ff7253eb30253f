package drift

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/plumbline-dev/plumbline"
)

// Reasons of a suspect, as they stand in Verdict.Reason.
const (
	ReasonOwnershipGone  = "our entry in managedFields is gone"
	ReasonOwnershipMoved = "fields left our entry in managedFields, and the object did not change"
	ReasonSetGrew        = "our field set changed, but lost nothing"
	ReasonAppliedAsUs    = "someone applied under our name"
	ReasonGeneration     = "the object changed outside our fields"
	ReasonMoved          = "the object changed, and its kind has no generation"
	ReasonUnverified     = "not verified yet"
	ReasonReplaced       = "another object stands in its place"
)

// Decide judges an object that the watch shows. The object must be one that
// the inventory owns; rec is the zero Record if it was never verified.
func Decide(rec Record, o Observation) plumbline.Verdict {
	v := plumbline.Verdict{Ref: o.Ref, State: plumbline.StateSuspect}
	switch {
	case rec.UID != "" && o.UID != rec.UID:
		v.State, v.Reason = plumbline.StateMissing, ReasonReplaced
	case o.Deleting:
		v.State = plumbline.StateTerminating
	case rec.UID == "":
		v.Reason = ReasonUnverified
	case o.Own == nil:
		v.Reason = ReasonOwnershipGone
	case o.Own.Fields != rec.Fields:
		fields := lost(rec.Fields, *o.Own, o.Others)
		switch {
		case len(fields) == 0:
			v.Reason = ReasonSetGrew
		case unowned(fields) && rec.unchanged(o):
			v.Reason = ReasonOwnershipMoved
		default:
			v.State, v.Fields = plumbline.StateDrifted, fields
		}
	case o.Own.Time != rec.Time:
		v.Reason = ReasonAppliedAsUs
	case o.Generation != rec.Generation:
		v.Reason = ReasonGeneration
	case o.Generation == 0 && o.ResourceVersion != rec.ResourceVersion && !onlyStatusMoved(rec, o):
		v.Reason = ReasonMoved
	default:
		v.State = plumbline.StateInSync
	}
	return v
}

func onlyStatusMoved(rec Record, o Observation) bool {
	others, status := hashes(o.Others)
	return others == rec.Others && status != rec.Status
}

// Suspicion is who to name if a suspect turns out to have drifted: whoever
// applied under our name, else the newest entry that is not a status. Which
// field it was, metadata does not tell: Path is empty.
func Suspicion(rec Record, o Observation) plumbline.Field {
	var newest *Entry
	for i := range o.Others {
		if e := &o.Others[i]; e.Subresource != "status" && (newest == nil || e.Time >= newest.Time) {
			newest = e
		}
	}
	if o.Own != nil && o.Own.Time != rec.Time && (newest == nil || newest.Time < o.Own.Time) {
		newest = o.Own
	}
	if newest == nil {
		return plumbline.Field{}
	}
	f := plumbline.Field{Manager: newest.Manager.Value(), Operation: string(newest.Operation)}
	if newest.Time != 0 {
		f.Time = time.Unix(newest.Time, 0).UTC()
	}
	return f
}

// lost are the paths of verified that own has no longer, the shortest only,
// each with the manager that owns it now.
func lost(verified FieldSet, own Entry, others []Entry) []plumbline.Field {
	was, err := parse(verified)
	if err != nil {
		return nil
	}
	is, err := parse(own.Fields)
	if err != nil {
		return nil
	}
	paths := shortest(was.Difference(is))
	if len(paths) == 0 {
		return nil
	}
	owners := parseOwners(others)
	fields := make([]plumbline.Field, 0, len(paths))
	for _, p := range paths {
		if reshaped(p, was, is) {
			continue
		}
		f := plumbline.Field{Path: p.String()}
		if e, ok := ownerOf(p, owners); ok {
			f.Manager, f.Operation = e.Manager.Value(), string(e.Operation)
			if e.Time != 0 {
				f.Time = time.Unix(e.Time, 0).UTC()
			}
		}
		fields = append(fields, f)
	}
	slices.SortFunc(fields, func(a, b plumbline.Field) int { return strings.Compare(a.Path, b.Path) })
	return fields
}

func parse(f FieldSet) (*fieldpath.Set, error) {
	s := &fieldpath.Set{}
	raw := f.Value()
	if raw == "" {
		return s, nil
	}
	if err := s.FromJSON(strings.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("read field set: %w", err)
	}
	return s, nil
}

// shortest drops every path that lies below another of the set.
func shortest(s *fieldpath.Set) []fieldpath.Path {
	var out []fieldpath.Path
	for p := range s.All() {
		covered := false
		for i := 1; i < len(p) && !covered; i++ {
			covered = s.Has(p[:i])
		}
		if !covered {
			out = append(out, p.Copy())
		}
	}
	return out
}

// anyPath tells whether yes holds for a path of s. The loop goes through all of
// them: Set.All panics when it is left early.
func anyPath(s *fieldpath.Set, yes func(fieldpath.Path) bool) bool {
	found := false
	for p := range s.All() {
		found = found || yes(p)
	}
	return found
}

type owner struct {
	Entry
	set *fieldpath.Set
}

func parseOwners(entries []Entry) []owner {
	var out []owner
	for _, e := range entries {
		if s, err := parse(e.Fields); err == nil && !s.Empty() {
			out = append(out, owner{e, s})
		}
	}
	// The newest first: where several own a path, the last to write took it.
	slices.SortStableFunc(out, func(a, b owner) int { return int(b.Time - a.Time) })
	return out
}

// ownerOf finds who owns p now: the path itself, else something above it (an
// atomic parent), else something below it.
func ownerOf(p fieldpath.Path, owners []owner) (Entry, bool) {
	for _, o := range owners {
		if o.set.Has(p) {
			return o.Entry, true
		}
	}
	for _, o := range owners {
		for i := len(p) - 1; i > 0; i-- {
			if o.set.Has(p[:i]) {
				return o.Entry, true
			}
		}
	}
	for _, o := range owners {
		if anyPath(o.set, func(q fieldpath.Path) bool { return len(q) > len(p) && q[:len(p)].Equals(p) }) {
			return o.Entry, true
		}
	}
	return Entry{}, false
}
