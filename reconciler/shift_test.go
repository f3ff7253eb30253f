package reconciler

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// TestShiftBegins counts after how many losses of ownership within a minute a
// kind is told as one.
func TestShiftBegins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ owned, want int }{{3, 0}, {9, 0}, {10, 10}, {200, 11}, {400, 21}, {7000, 50}} {
		s := shifts{open: map[plumbline.GroupKind]*shift{}, recent: map[plumbline.GroupKind]map[plumbline.Ref]time.Time{}}
		now, got := time.Unix(0, 0), 0
		for i := range c.owned {
			part, begun := s.lost(plumbline.Ref{Kind: "Widget", Name: fmt.Sprint(i)}, func(plumbline.GroupKind) int { return c.owned }, now)
			if part {
				got = len(begun)
				break
			}
		}
		if got != c.want {
			t.Errorf("%d owned: began at %d, want %d", c.owned, got, c.want)
		}
	}
}

// TestShiftWindow loses one object every ten seconds, and the same one again
// and again: neither is a whole kind.
func TestShiftWindow(t *testing.T) {
	t.Parallel()
	s := shifts{open: map[plumbline.GroupKind]*shift{}, recent: map[plumbline.GroupKind]map[plumbline.Ref]time.Time{}}
	now := time.Unix(0, 0)
	for i := range 100 {
		if part, _ := s.lost(plumbline.Ref{Kind: "Widget", Name: fmt.Sprint(i)}, func(plumbline.GroupKind) int { return 100 }, now); part {
			t.Fatalf("a shift at loss %d", i)
		}
		now = now.Add(10 * time.Second)
	}
	for range 100 {
		if part, _ := s.lost(plumbline.Ref{Kind: "Widget", Name: "one"}, func(plumbline.GroupKind) int { return 100 }, now); part {
			t.Fatal("a shift of one object")
		}
	}
}

// shifting is a Reconciler that owns n Widgets, and what it told.
func shifting(n int, now *time.Time) (*Reconciler, *[]Event) {
	var told []Event
	r := New(Options{
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return *now },
		Progress: func(e Event) { told = append(told, e) },
	})
	var desired []*plumbline.Object
	for i := range n {
		ref := plumbline.Ref{Kind: "Widget", Name: fmt.Sprint(i)}
		r.inv.Put(state.Entry{Ref: ref, UID: ref.Name})
		desired = append(desired, &plumbline.Object{Ref: ref})
	}
	r.desired = plumbline.ObjectsOf(desired...)
	return r, &told
}

// TestShiftIsToldOnce loses the ownership of 400 objects: the first few are
// suspects, then there is one event and nothing else. They are settled at a
// bounded rate, and a loss that someone caused is told all the same.
func TestShiftIsToldOnce(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	r, told := shifting(400, &now)
	for _, ref := range r.inv.Refs() {
		r.judge(plumbline.Verdict{Ref: ref, State: plumbline.StateSuspect, Reason: drift.ReasonOwnershipGone}, plumbline.Field{})
	}
	counts := map[EventKind]int{}
	for _, e := range *told {
		counts[e.Kind]++
	}
	if diff := cmp.Diff(map[EventKind]int{EventSuspect: 20, EventShift: 1}, counts); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if got, want := r.shifts.status(plumbline.Status{State: plumbline.StatusSuccess}, now).Description, "Checking Widget: ownership lost by the server"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	allowed := 0
	for _, d := range r.drifts {
		if r.allowed(d) {
			allowed++
		}
	}
	if allowed != 100 {
		t.Errorf("%d are settled at once, want 100", allowed)
	}
	*told = nil
	ref := r.inv.Refs()[399]
	r.judge(plumbline.Verdict{Ref: ref, State: plumbline.StateDrifted, Fields: []plumbline.Field{{Path: ".spec", Manager: "kubectl-edit"}}}, plumbline.Field{})
	if len(*told) != 1 || (*told)[0].Kind != EventDrift || r.drifts[ref].shift {
		t.Errorf("an edit during the shift: %v", *told)
	}
	clear(r.drifts)
	if next := r.endShifts(); !next.Equal(now.Add(recheckAfter)) {
		t.Errorf("the shift ends at %s", next)
	}
	now = now.Add(shiftWindow)
	if r.endShifts(); len(r.shifts.open) != 0 {
		t.Error("the shift never ends")
	}
}

// TestShiftedDriftIsNotTold loses fields of objects that changed too: within a
// shift that is not told for each.
func TestShiftedDriftIsNotTold(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	r, told := shifting(40, &now)
	for _, ref := range r.inv.Refs() {
		r.judge(plumbline.Verdict{Ref: ref, State: plumbline.StateDrifted, Fields: []plumbline.Field{{Path: ".spec.parts"}}}, plumbline.Field{})
	}
	var kinds []EventKind
	for _, e := range *told {
		kinds = append(kinds, e.Kind)
	}
	if len(kinds) != 10 || kinds[8] != EventDrift || kinds[9] != EventShift {
		t.Errorf("told %v", kinds)
	}
	*told = nil
	for ref, d := range r.drifts {
		r.takeHeal(*d, applied{Outcome: plumbline.Outcome{Ref: ref, Action: plumbline.ActionConfigured}})
	}
	if s := r.shifts.open[plumbline.GroupKind{Kind: "Widget"}]; len(*told) != 0 || s.values != 40 {
		t.Errorf("healing told %v, and counted %d", *told, s.values)
	}
}
