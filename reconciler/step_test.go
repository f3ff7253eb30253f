package reconciler

import (
	"testing"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

func TestDecideStep(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	later := now.Add(time.Hour)
	for _, c := range []struct {
		name   string
		change func(*rules, *subject)
		want   step
	}{
		{"drift", func(*rules, *subject) {}, step{do: stepHeal}},
		{"drift again", func(_ *rules, s *subject) { s.due = later }, step{do: stepWait, until: later}},
		{"a suspect", func(_ *rules, s *subject) { s.verdict.State = plumbline.StateSuspect }, step{do: stepHeal}},
		{"mode observe", func(in *rules, _ *subject) { in.readOnly = true }, step{do: stepLeave, why: "mode observe"}},
		{"report", func(in *rules, _ *subject) { in.action = DriftReport }, step{do: stepLeave, why: "drift.action is report"}},
		{
			"report by the definition", func(_ *rules, s *subject) { s.desired.Control.ReportDrift = true },
			step{do: stepLeave, why: "plumbline.dev/drift: report"},
		},
		{
			"nobody knows what it should be", func(_ *rules, s *subject) { s.desired = nil },
			step{do: stepLeave, why: "what it should be is not known"},
		},
		{
			"its definition changed", func(_ *rules, s *subject) { s.applied = "" },
			step{do: stepLeave, why: "its definition changed and is not applied yet"},
		},
		{"missing, and an earlier heal failed half way", func(_ *rules, s *subject) {
			s.verdict.State, s.applied = plumbline.StateMissing, ""
		}, step{do: stepHeal}},
		{
			"a fight", func(_ *rules, s *subject) { s.fight = &drift.Taken{Manager: "other"} },
			step{do: stepLeave, why: "fight with other, healing stopped"},
		},
		{
			"a fight with nobody", func(_ *rules, s *subject) { s.fight = &drift.Taken{} },
			step{do: stepLeave, why: "fight with an unknown client, healing stopped"},
		},
		{
			"a closed window", func(in *rules, _ *subject) { in.open, in.until, in.why = false, later, "closed" },
			step{do: stepLeave, until: later, why: "closed"},
		},
		{"a closed window, drift again", func(in *rules, s *subject) {
			in.open, in.until, in.why = false, later, "closed"
			s.due = now.Add(-time.Second)
		}, step{do: stepLeave, until: later, why: "closed"}},
		{"healing taken out", func(_ *rules, s *subject) { s.kept = true }, step{do: stepLeave, why: "healing is taken out"}},
		{"a suspect to report", func(in *rules, s *subject) {
			in.action, s.verdict.State = DriftReport, plumbline.StateSuspect
		}, step{do: stepSettle}},
		{"a suspect to report, just seen", func(in *rules, s *subject) {
			in.action, s.verdict.State, s.seen = DriftReport, plumbline.StateSuspect, now
		}, step{do: stepWait, until: now.Add(settleAfter)}},
		{"a suspect to report, settled before", func(in *rules, s *subject) {
			in.action, s.verdict.State, s.due = DriftReport, plumbline.StateSuspect, later
		}, step{do: stepWait, until: later}},
		{"a suspect whose definition changed", func(_ *rules, s *subject) {
			s.verdict.State, s.applied = plumbline.StateSuspect, ""
		}, step{do: stepLeave, why: "its definition changed and is not applied yet"}},
	} {
		in := rules{now: now, action: DriftHeal, open: true}
		s := subject{
			drifted: drifted{verdict: plumbline.Verdict{State: plumbline.StateDrifted}, seen: now.Add(-time.Minute)},
			desired: &plumbline.Object{Checksum: "c"}, applied: "c",
		}
		c.change(&in, &s)
		if got := in.decide(s); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
