package reconciler

import (
	"fmt"
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
	"github.com/plumbline-dev/plumbline/reconciler/observe"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// planInput is all that a plan depends on. It is immutable.
type planInput struct {
	Environment  string
	Revision     string
	Installation string
	Desired      plumbline.Objects
	Inventory    state.Entries
	Observed     observe.View
	Adopt        bool // the operator allows adoption
	// Rebuild says that the inventory was lost: what carries our marks is taken
	// for ours. Otherwise only what was written down is: a backup tool copies
	// marks too.
	Rebuild bool
}

// Reasons of changes to what was there before Plumbline.
const (
	ReasonAdopt  = "adopted"
	ReasonShared = "it exists; only our labels are added"
)

// Reasons of changes.
const (
	reasonNew         = "new"
	reasonContent     = "the definition changed"
	reasonDrift       = "it drifted"
	reasonUncertain   = "an earlier run did not finish with it"
	reasonForeign     = "it exists and was not made by Plumbline; nothing is sent"
	reasonElsewhere   = "environment %s applies it; nothing is sent"
	reasonUnread      = "whether it exists could not be read"
	reasonNotSynced   = "its kind is not observed yet"
	reasonTerminating = "it is being deleted; it is made again when it is gone"
	reasonOrphan      = "no longer in Git"
	reasonRewound     = "the cluster was restored; the next commit prunes it"
	reasonNeverMade   = "it was planned and never made"
)

// planned is what was decided about every object, and what that rests on. The
// zero value is of nothing desired and nothing owned. It is immutable.
type planned struct {
	in   planInput
	open plumbline.RefMap[*plumbline.Change] // all that is not to be kept
}

// next brings the decisions up to date with another input. Only objects that
// differ between the two inputs are decided about, or all of them where something
// differs that concerns all, see ruledLike. decided are those objects, sorted.
func (p planned) next(in planInput) (next planned, decided []plumbline.Ref) {
	if !p.in.ruledLike(in) {
		p = planned{}
	}
	next, decided = planned{in: in, open: p.open}, p.in.differences(in)
	for _, ref := range decided {
		if c := in.change(ref); c.Op == plumbline.OpKeep {
			next.open = next.open.Without(ref)
		} else {
			next.open = next.open.With(ref, &c)
		}
	}
	return next, decided
}

// ruledLike tells whether two inputs agree in all that concerns every object:
// then the decision about an object that is the same in both stays as it is.
func (in planInput) ruledLike(o planInput) bool {
	return in.Environment == o.Environment && in.Installation == o.Installation && in.Rebuild == o.Rebuild && in.Adopt == o.Adopt &&
		in.Observed.SyncedLike(o.Observed)
}

// plan is the decisions in the order of the writes.
func (p planned) plan() plumbline.Plan {
	out := plumbline.Plan{Environment: p.in.Environment, Revision: p.in.Revision, Kept: p.in.Desired.Len()}
	for ref, c := range p.open.All() {
		out.Changes = append(out.Changes, *c)
		if _, desired := p.in.Desired.Get(ref); desired {
			out.Kept--
		}
	}
	p.in.stageModes(&out)
	slices.SortStableFunc(out.Changes, func(a, b plumbline.Change) int { return int(a.Wave - b.Wave) })
	return out
}

// differences are the objects of which another input says something else,
// sorted.
func (in planInput) differences(o planInput) []plumbline.Ref {
	refs := slices.Collect(in.Desired.Diff(o.Desired))
	refs = slices.AppendSeq(refs, in.Inventory.Diff(o.Inventory))
	refs = slices.AppendSeq(refs, in.Observed.Diff(o.Observed))
	slices.SortFunc(refs, plumbline.Ref.Compare)
	return slices.Compact(refs)
}

// change decides about one object.
func (in planInput) change(ref plumbline.Ref) plumbline.Change {
	if o, desired := in.Desired.Get(ref); desired {
		op, reason := in.decide(o)
		return plumbline.Change{Ref: ref, Op: op, Origin: o.Origin, Wave: o.Wave, Reason: reason}
	}
	if e, listed := in.Inventory.Get(ref); listed {
		return plumbline.Change{Ref: ref, Op: plumbline.OpDelete, Origin: e.Origin, Wave: plumbline.WavePrune, Reason: reasonOrphan}
	}
	return plumbline.Change{Ref: ref, Op: plumbline.OpKeep}
}

// decide decides about one desired object.
func (in planInput) decide(o *plumbline.Object) (plumbline.Op, string) {
	if !in.Observed.Synced(o.Ref.GroupKind()) {
		return plumbline.OpSkip, reasonNotSynced
	}
	e, listed := in.Inventory.Get(o.Ref)
	seen, live := in.Observed.Get(o.Ref)
	switch {
	case !live:
		return plumbline.OpCreate, reasonNew
	case listed && e.Owned() && seen.UID != e.UID:
		return in.foreign(o, seen)
	case !listed || !e.Owned():
		if in.claims(listed, seen) {
			return plumbline.OpConfigure, reclaim(o, listed, seen)
		}
		return in.foreign(o, seen)
	case e.Checksum == "":
		return plumbline.OpConfigure, reasonUncertain
	case e.Checksum != o.Checksum:
		return plumbline.OpConfigure, reasonContent
	}
	switch drift.Decide(e.Verified, seen).State {
	case plumbline.StateInSync:
		return plumbline.OpKeep, ""
	case plumbline.StateTerminating:
		return plumbline.OpSkip, reasonTerminating
	case plumbline.StateSuspect, plumbline.StateDrifted:
		// The loop settles drift by the rules of drift: windows, report mode,
		// fights. A commit that does not touch the object changes none of that.
		return plumbline.OpKeep, ""
	default:
		return plumbline.OpConfigure, reasonDrift
	}
}

// claims tells whether a live object that the inventory does not own is ours:
// its create was planned, or nobody knows what was. Somebody may have taken our
// labels off what a process made that was killed before it could write that down:
// an entry of ours under a planned name says it still.
func (in planInput) claims(listed bool, seen drift.Observation) bool {
	if listed && seen.Own != nil && seen.Installation == "" && seen.Environment == "" {
		return true
	}
	return (listed || in.Rebuild) && seen.Ours(in.Installation, in.Environment)
}

// foreign decides on a live object that is not ours.
func (in planInput) foreign(o *plumbline.Object, seen drift.Observation) (plumbline.Op, string) {
	switch {
	case o.System && seen.Own != nil && (seen.Installation != in.Installation || seen.Environment != in.Environment):
		return plumbline.OpKeep, "environment " + seen.Environment + " keeps it"
	case in.Adopt && o.Control.Adopt:
		return plumbline.OpConfigure, ReasonAdopt
	case sharable(o):
		return plumbline.OpConfigure, ReasonShared
	case seen.Own != nil && seen.Installation == in.Installation && seen.Environment != in.Environment:
		return plumbline.OpConflict, fmt.Sprintf(reasonElsewhere, seen.Environment)
	default:
		return plumbline.OpConflict, reasonForeign
	}
}

// sharable objects may exist before us without being in the way: the Namespace
// of a project.
func sharable(o *plumbline.Object) bool {
	return o.System && o.Ref.Kind == "Namespace" && o.Ref.Group == ""
}
