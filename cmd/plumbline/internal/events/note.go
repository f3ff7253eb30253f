// Package events tells of what reconcilers do as Kubernetes Events: what
// `kubectl describe` shows below an object, and what alerting on Events sees.
//
// In go the events of a reconciler, out come Events of the reasons Drifted,
// Healed, Applied, Pruned, PruneBlocked, Fight, Conflict, OwnershipMoved and
// ForeignField: each said once, and not more of them at once than a person could
// read. They hold names of objects, fields and field managers, and never a value.
// An Event that is not written changes nothing: it is told in the log that none
// can be, once.
package events

import (
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
)

// The reasons.
const (
	Drifted      = "Drifted"
	Healed       = "Healed"
	Applied      = "Applied"
	Pruned       = "Pruned"
	PruneBlocked = "PruneBlocked"
	Fight        = "Fight"
	Conflict     = "Conflict"
	Ownership    = "OwnershipMoved"
	ForeignField = "ForeignField"
)

// note is an Event before it is one.
type note struct {
	reason  string
	about   plumbline.Ref // zero: the environment as a whole
	uid     string
	message string
	at      time.Time
	// lasting is a state that is told once, however often it is seen again.
	lasting bool
}

func (n note) eventType() string {
	switch n.reason {
	case Healed, Applied, Pruned:
		return corev1.EventTypeNormal
	}
	return corev1.EventTypeWarning
}

// notesOf is what an event of a reconciler is worth telling. It is pure.
func notesOf(e reconciler.Event) []note {
	switch e.Kind {
	case reconciler.EventDrift:
		out := []note{{reason: Drifted, about: e.Verdict.Ref, uid: e.UID, message: e.Verdict.String()}}
		if e.Fight {
			out = append(out, note{
				reason: Fight, about: e.Verdict.Ref, uid: e.UID, lasting: true,
				message: e.Verdict.String() + ": it is taken back each time, so healing stopped; a commit that changes the object starts it again",
			})
		}
		return out
	case reconciler.EventHealed:
		return []note{{reason: Healed, about: e.Verdict.Ref, uid: e.UID, message: "put right: " + e.Verdict.String()}}
	case reconciler.EventOutcome:
		return notesOfOutcome(e)
	case reconciler.EventRun:
		return notesOfRun(e.Result)
	case reconciler.EventForeign:
		return []note{{reason: ForeignField, about: e.Verdict.Ref, uid: e.UID, message: "left alone: " + e.Verdict.String(), lasting: true}}
	case reconciler.EventShift:
		return []note{{reason: Ownership, message: "checking " + e.Shift.String()}}
	}
	return nil
}

func notesOfOutcome(e reconciler.Event) []note {
	o := e.Outcome
	var owned *cluster.OwnedError
	switch {
	case o.Err == nil && o.Action == plumbline.ActionDeleted:
		return []note{{reason: Pruned, about: o.Ref, uid: e.UID, message: "no longer defined"}}
	case errors.As(o.Err, &owned):
		return []note{{reason: Conflict, about: o.Ref, uid: e.UID, message: fmt.Sprintf("not applied: others own %v", owned.Fields), lasting: true}}
	}
	return nil
}

func notesOfRun(r reconciler.Result) []note {
	var out []note
	for _, c := range r.Plan.Changes {
		if c.Op == plumbline.OpConflict {
			out = append(out, note{reason: Conflict, about: c.Ref, message: "not applied: " + c.Reason, lasting: true})
		}
	}
	if len(r.Prune.Blocked) > 0 {
		out = append(out, note{reason: PruneBlocked, message: fmt.Sprintf("%s: %s", r.Commit.Short(), r.Prune.Summary), lasting: true})
	}
	if text := written(r.Outcomes); text != "" && r.Err == nil {
		out = append(out, note{reason: Applied, message: r.Commit.Short() + ": " + text})
	}
	return out
}

// written counts what was written; "" for nothing.
func written(outcomes []plumbline.Outcome) string {
	actions := []plumbline.Action{plumbline.ActionCreated, plumbline.ActionConfigured, plumbline.ActionDeleted}
	counts := map[plumbline.Action]int{}
	all := 0
	for _, o := range outcomes {
		if o.Err == nil && slices.Contains(actions, o.Action) {
			counts[o.Action]++
			all++
		}
	}
	if all == 0 {
		return ""
	}
	text := ""
	for _, a := range actions {
		if counts[a] > 0 {
			text += fmt.Sprintf(", %d %s", counts[a], a)
		}
	}
	return text[len(", "):]
}
