package reconciler

import (
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// Foreign is what follows on fields that others add to spec beside ours.
type Foreign struct {
	Report bool     // say it; they are never taken away
	Known  []string // managers that may, besides Kubernetes' and Knative's own controllers
}

// decide judges an observed object, and notes what others have added to it.
func (r *Reconciler) decide(e state.Entry, o drift.Observation) plumbline.Verdict {
	v := drift.Decide(e.Verified, o)
	if !r.o.Foreign.Report {
		return v
	}
	r.noticeForeign(o)
	if v.State == plumbline.StateInSync && drift.Beside(e.Verified, o, r.o.Foreign.Known) {
		v.State, v.Reason = plumbline.StateSuspect, drift.ReasonBeside
	}
	return v
}

// noticeForeign tells of fields that others have in the spec of an object, once
// for each set of them.
func (r *Reconciler) noticeForeign(o drift.Observation) {
	fields := drift.Foreign(o, r.o.Foreign.Known)
	if r.leaving(o.Ref) {
		fields = nil
	}
	before := r.foreign[o.Ref]
	if len(fields) == 0 {
		delete(r.foreign, o.Ref)
		return
	}
	v := plumbline.Verdict{Ref: o.Ref, State: plumbline.StateForeign, Fields: fields}
	r.foreign[o.Ref] = v
	same := slices.EqualFunc(before.Fields, fields, func(a, b plumbline.Field) bool { return a.Path == b.Path && a.Manager == b.Manager })
	if same {
		return
	}
	var paths []string
	for _, f := range fields {
		paths = append(paths, f.Path)
	}
	r.log.Warn("foreign fields", keyObject, o.Ref.String(), keyFields, paths, keyManagers, v.Managers())
	r.o.Progress(Event{Kind: EventForeign, Verdict: v, UID: o.UID})
}

// foreignStatus returns the drift status s as it is, unless it is success and
// others have added fields: then it is failure, and names the first object.
func (r *Reconciler) foreignStatus(s plumbline.Status) plumbline.Status {
	if s.State != plumbline.StatusSuccess || len(r.foreign) == 0 {
		return s
	}
	var all []plumbline.Verdict
	for _, v := range r.foreign {
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b plumbline.Verdict) int { return a.Ref.Compare(b.Ref) })
	s.State = plumbline.StatusFailure
	s.Description = describe("added beside ours: "+culprit(all[0], false)+" (drift.foreign is report)", len(all)-1)
	return s
}
