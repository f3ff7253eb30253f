package reconciler

import (
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// step is what to do about one drifted object.
type step struct {
	do stepKind
	// until is when to decide again: always set for stepWait, for stepLeave
	// only if time alone changes the answer.
	until time.Time
	why   string // of stepLeave
}

type stepKind string

const (
	stepHeal   stepKind = "heal"   // apply it; for a suspect that settles it too
	stepSettle stepKind = "settle" // ask by a dry-run whether it drifted
	stepWait   stepKind = "wait"
	stepLeave  stepKind = "leave" // it stays drifted, and the status says why
)

// rules are what decides about drift besides the object.
type rules struct {
	now      time.Time
	readOnly bool
	action   DriftAction

	open  bool // of the gate
	until time.Time
	why   string
}

// subject is one drifted object with what is known of it.
type subject struct {
	drifted
	desired *plumbline.Object // nil when nobody knows what it should be
	applied string            // checksum of what was last applied
	fight   *drift.Taken
	kept    bool // Options.Heal is against it
}

// settleAfter is how long a dry-run waits for the object to be still: it shows
// drift by the time of our entry, which has a resolution of one second.
const settleAfter = time.Second

// decide says what to do about an object now. It is pure.
func (in rules) decide(s subject) step {
	suspect := s.verdict.State == plumbline.StateSuspect
	why, until := in.forbidden(s)
	switch {
	case why == "" && s.due.After(in.now):
		return step{do: stepWait, until: s.due}
	case why == "":
		return step{do: stepHeal}
	case !suspect, s.desired == nil, s.applied != s.desired.Checksum:
		return step{do: stepLeave, until: until, why: why}
	}
	due := s.seen.Add(settleAfter)
	if s.due.After(due) {
		due = s.due
	}
	if due.After(in.now) {
		return step{do: stepWait, until: due}
	}
	return step{do: stepSettle}
}

// forbidden is why an object may not be healed now, and until when that holds;
// zero for until something changes.
func (in rules) forbidden(s subject) (why string, until time.Time) {
	switch {
	case in.readOnly:
		return "mode observe", time.Time{}
	case in.action == DriftReport:
		return "drift.action is report", time.Time{}
	case s.desired == nil:
		return "what it should be is not known", time.Time{}
	case s.desired.Control.ReportDrift:
		return plumbline.AnnotationDrift + ": report", time.Time{}
	case s.verdict.State != plumbline.StateMissing && s.applied != s.desired.Checksum:
		return "its definition changed and is not applied yet", time.Time{}
	case s.fight != nil:
		by := s.fight.Manager
		if by == "" {
			by = "an unknown client"
		}
		return "fight with " + by + ", healing stopped", time.Time{}
	case !in.open:
		return in.why, in.until
	case s.kept:
		return "healing is taken out", time.Time{}
	}
	return "", time.Time{}
}
