package reconciler

import (
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// planInput is all that a plan depends on.
type planInput struct {
	Environment  string
	Revision     string
	Installation string
	Desired      plumbline.Objects
	Inventory    *state.Inventory
	Observed     func(plumbline.Ref) (drift.Observation, bool)
	Synced       func(plumbline.GroupKind) bool
	Adopt        bool // the operator allows adoption
	// Rebuild says that the inventory was lost: what carries our marks is taken
	// for ours. Otherwise only what was written down is: a backup tool copies
	// marks too.
	Rebuild bool
}

// Reasons of changes.
const (
	reasonNew         = "new"
	reasonContent     = "the definition changed"
	reasonDrift       = "it drifted"
	reasonUncertain   = "an earlier run did not finish with it"
	reasonAdopt       = "adopted"
	reasonShared      = "it exists; only our labels are added"
	reasonForeign     = "it exists and was not made by Plumbline; nothing is sent"
	reasonUnread      = "whether it exists could not be read"
	reasonNotSynced   = "its kind is not observed yet"
	reasonTerminating = "it is being deleted; it is made again when it is gone"
	reasonOrphan      = "no longer in Git"
	reasonRewound     = "the cluster was restored; the next commit prunes it"
	reasonNeverMade   = "it was planned and never made"
)

// plan decides what to do with every desired object, and with every object of
// the inventory that is not desired. It is pure.
func plan(in planInput) plumbline.Plan {
	p := plumbline.Plan{Environment: in.Environment, Revision: in.Revision}
	for _, o := range in.Desired.All() {
		op, reason := in.decide(o)
		if op == plumbline.OpKeep {
			p.Kept++
			continue
		}
		p.Changes = append(p.Changes, plumbline.Change{Ref: o.Ref, Op: op, Origin: o.Origin, Wave: o.Wave, Reason: reason})
	}
	for _, ref := range in.Inventory.Refs() {
		if _, desired := in.Desired.Get(ref); desired {
			continue
		}
		e, _ := in.Inventory.Get(ref)
		p.Changes = append(p.Changes, plumbline.Change{Ref: ref, Op: plumbline.OpDelete, Origin: e.Origin, Wave: plumbline.WavePrune, Reason: reasonOrphan})
	}
	slices.SortStableFunc(p.Changes, func(a, b plumbline.Change) int { return int(a.Wave - b.Wave) })
	return p
}

func (in planInput) decide(o *plumbline.Object) (plumbline.Op, string) {
	if !in.Synced(o.Ref.GroupKind()) {
		return plumbline.OpSkip, reasonNotSynced
	}
	e, listed := in.Inventory.Get(o.Ref)
	seen, live := in.Observed(o.Ref)
	switch {
	case !live:
		return plumbline.OpCreate, reasonNew
	case listed && e.Owned() && seen.UID != e.UID:
		return in.foreign(o, seen)
	case !listed || !e.Owned():
		if in.claims(listed, seen) {
			return plumbline.OpConfigure, reasonUncertain
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
// its create was planned, or nobody knows what was.
func (in planInput) claims(listed bool, seen drift.Observation) bool {
	return (listed || in.Rebuild) && seen.Ours(in.Installation, in.Environment)
}

// foreign decides on a live object that is not ours.
func (in planInput) foreign(o *plumbline.Object, seen drift.Observation) (plumbline.Op, string) {
	switch {
	case o.System && seen.Own != nil && (seen.Installation != in.Installation || seen.Environment != in.Environment):
		return plumbline.OpKeep, "environment " + seen.Environment + " keeps it"
	case in.Adopt && o.Control.Adopt:
		return plumbline.OpConfigure, reasonAdopt
	case sharable(o):
		return plumbline.OpConfigure, reasonShared
	default:
		return plumbline.OpConflict, reasonForeign
	}
}

// sharable objects may exist before us without being in the way: the Namespace
// of a project.
func sharable(o *plumbline.Object) bool {
	return o.System && o.Ref.Kind == "Namespace" && o.Ref.Group == ""
}
