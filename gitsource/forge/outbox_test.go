package forge

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline-dev/plumbline"
)

func at(seconds float64) time.Time {
	return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

func sha(n int) string { return fmt.Sprintf("%040d", n) }

func wish(n int, state plumbline.StatusState, description string, seconds float64) plumbline.Status {
	return plumbline.Status{SHA: sha(n), Context: "plumbline/production", State: state, Description: description, Time: at(seconds)}
}

const (
	pending = plumbline.StatusPending
	success = plumbline.StatusSuccess
	failure = plumbline.StatusFailure
)

// sends checks what is sent at a time; an empty want is nothing.
func sends(t *testing.T, o *Outbox, seconds float64, want string) plumbline.Status {
	t.Helper()
	s, ok, _ := o.Next(at(seconds))
	if got := s.Description; ok != (want != "") || got != want {
		t.Fatalf("at %v s: sends %q (%v), want %q", seconds, got, ok, want)
	}
	return s
}

func accept(t *testing.T, o *Outbox, seconds float64, want string) {
	t.Helper()
	s := sends(t, o, seconds, want)
	o.Accepted(s.Key(), s)
}

func waits(t *testing.T, o *Outbox, seconds, until float64) {
	t.Helper()
	if _, ok, wait := o.Next(at(seconds)); ok || !wait.Equal(at(until)) {
		t.Fatalf("at %v s: waits until %v (%v), want %v", seconds, wait, ok, at(until))
	}
}

func idle(t *testing.T, o *Outbox, seconds float64) {
	t.Helper()
	if s, ok, wait := o.Next(at(seconds)); ok || !wait.IsZero() {
		t.Fatalf("at %v s: not idle: %+v, %v", seconds, s, wait)
	}
}

func TestManyChangesBecomeOneWrite(t *testing.T) {
	t.Parallel()
	var o Outbox
	idle(t, &o, 0)
	o.Want(wish(1, success, "no drift, healed 1", 0))
	accept(t, &o, 0, "no drift, healed 1")
	o.Want(wish(1, success, "no drift, healed 2", 3))
	o.Want(wish(1, failure, "1 field drifted", 3.3))
	waits(t, &o, 3.5, 4)
	o.Want(wish(1, success, "no drift, healed 3", 3.9))
	accept(t, &o, 4, "no drift, healed 3")
	idle(t, &o, 5)
}

// What was never posted is not history: the newest wish is the first status.
func TestFirstStatusIsTheNewestWish(t *testing.T) {
	t.Parallel()
	var o Outbox
	o.Want(wish(1, pending, "applying", 0))
	o.Want(wish(1, success, "in sync", 0))
	accept(t, &o, 0, "in sync")
	idle(t, &o, 1)
}

func TestPostedPendingIsFollowedAtOnce(t *testing.T) {
	t.Parallel()
	var o Outbox
	o.Want(wish(1, pending, "applying", 0))
	s := sends(t, &o, 0, "applying")
	o.Want(wish(1, success, "in sync", 0.1)) // while the write is on its way
	o.Accepted(s.Key(), s)
	accept(t, &o, 0.2, "in sync")
	idle(t, &o, 3)
}

func TestProgressIsRare(t *testing.T) {
	t.Parallel()
	var o Outbox
	o.Want(wish(1, pending, "0 of 9", 0))
	accept(t, &o, 1, "0 of 9")
	o.Want(wish(1, pending, "5 of 9", 2))
	waits(t, &o, 3, 30)
	o.Want(wish(1, failure, "broken", 4))
	accept(t, &o, 4, "broken") // a result does not wait for the gap
}

func TestEqualIsNotSentTwice(t *testing.T) {
	t.Parallel()
	var o Outbox
	o.Want(wish(1, success, "in sync", 0))
	accept(t, &o, 1, "in sync")
	o.Want(wish(1, success, "in sync", 5))
	idle(t, &o, 10)
	o.Want(wish(1, failure, "drift", 20))
	o.Want(wish(1, success, "in sync", 20.5)) // healed before anybody was told
	idle(t, &o, 30)
}

// TestEqualIsNotWantedTwice: a process that starts before its last status was
// sent, and wants the same, has nothing to save.
func TestEqualIsNotWantedTwice(t *testing.T) {
	t.Parallel()
	o := &Outbox{}
	o.Want(wish(1, success, "in sync", 0))
	o.Want(plumbline.Status{SHA: sha(1), Context: "plumbline/production/drift", State: success, Description: "No drift", Time: at(0)})
	before, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	o.Want(wish(1, success, "in sync", 60))
	after, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("(-before +after)\n%s", diff)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	denied := plumbline.Errorf(plumbline.KindDenied, "post status", "the token lacks repo:status")
	for _, c := range []struct {
		name     string
		err      error
		min, max time.Duration // until the next attempt; 0: none
		problem  string
	}{
		{"network", plumbline.Errorf(plumbline.KindTransient, "post", "connection refused"), 3 * time.Second, 5 * time.Second, "connection refused"},
		{"unclassified", fmt.Errorf("odd"), 3 * time.Second, 5 * time.Second, "odd"},
		{"named time", &plumbline.Error{Op: "post", Err: &plumbline.Error{Kind: plumbline.KindTransient, After: 90 * time.Second}}, 90 * time.Second, 90 * time.Second, "transient"},
		{"right missing", denied, 10 * time.Minute, 10 * time.Minute, "repo:status"},
		{"unknown commit", fmt.Errorf("post: %w", ErrUnknownSHA), 3 * time.Second, 5 * time.Second, "does not know"},
		{"never valid", plumbline.Errorf(plumbline.KindInvalid, "post", "context too long"), 0, 0, "context too long"},
		{"too many", fmt.Errorf("post: %w", ErrTooMany), 0, 0, "no more statuses"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var o Outbox
			o.Want(wish(1, success, "in sync", 0))
			o.Want(wish(2, success, "other", 0.5))
			s := sends(t, &o, 10, "in sync")
			o.Failed(s.Key(), c.err, at(10))
			accept(t, &o, 10, "other") // never waits for the other key
			_, ok, wait := o.Next(at(10))
			if c.max == 0 {
				if ok || !wait.IsZero() {
					t.Errorf("tried again at %v", wait)
				}
			} else if d := wait.Sub(at(10)); d < c.min || d > c.max {
				t.Errorf("tried again after %v, want %v to %v", d, c.min, c.max)
			}
			if p := strings.Join(o.Problems(), "\n"); !strings.Contains(p, c.problem) {
				t.Errorf("problems %q", p)
			}
		})
	}
}

func TestBackoffGrows(t *testing.T) {
	t.Parallel()
	var o Outbox
	o.Want(wish(1, success, "x", 0))
	now := at(1)
	var pauses []time.Duration
	for range 12 {
		s, ok, _ := o.Next(now)
		if !ok {
			t.Fatal("nothing to send")
		}
		o.Failed(s.Key(), fmt.Errorf("down"), now)
		_, _, wait := o.Next(now)
		pauses = append(pauses, wait.Sub(now))
		now = wait
	}
	for i, p := range pauses {
		full := min(maxBackoff, firstBackoff<<min(i, 10))
		if p > full || p < full*3/4 {
			t.Errorf("pause %d: %v, want at most %v", i, p, full)
		}
	}
	s, _, _ := o.Next(now)
	o.Accepted(s.Key(), s)
	if o.Items[0].Failures != 0 || len(o.Problems()) != 0 {
		t.Errorf("not forgotten after success: %+v", o.Items[0])
	}
}

func TestUnknownCommitIsGivenUp(t *testing.T) {
	t.Parallel()
	var o Outbox
	o.Want(wish(1, success, "x", 0))
	now := at(1)
	for n := 0; ; n++ {
		s, ok, wait := o.Next(now)
		switch {
		case ok:
			o.Failed(s.Key(), ErrUnknownSHA, now)
		case !wait.IsZero():
			now = wait
		case now.Sub(at(1)) < unknownFor:
			t.Fatalf("given up after %v", now.Sub(at(1)))
		default:
			return
		}
		if n > 100 {
			t.Fatal("never given up")
		}
	}
}

// TestUnknownAfterAnOutage: a forge that was away for long, and does not have the
// commit at once when it is back, is given the same time as any other.
func TestUnknownAfterAnOutage(t *testing.T) {
	t.Parallel()
	var o Outbox
	o.Want(wish(1, success, "x", 0))
	key := o.Items[0].StatusKey
	away := at(1)
	for away.Sub(at(1)) < 2*unknownFor {
		o.Failed(key, errors.New("502"), away)
		away = o.Items[0].NotBefore
	}
	back := away
	o.Failed(key, ErrUnknownSHA, back)
	if o.Pending() != 1 {
		t.Fatal("given up by the first answer")
	}
	o.Failed(key, ErrUnknownSHA, back.Add(unknownFor))
	if o.Pending() != 0 {
		t.Error("never given up")
	}
}

func TestTooManyStopsTheCommit(t *testing.T) {
	t.Parallel()
	var o Outbox
	o.Want(wish(1, success, "x", 0))
	drift := wish(1, success, "no drift", 0)
	drift.Context = "plumbline/production/drift"
	o.Want(drift)
	o.Failed(drift.Key(), ErrTooMany, at(1))
	o.Want(wish(1, failure, "y", 2))
	idle(t, &o, 100)
	o.Want(wish(2, success, "next commit", 100))
	accept(t, &o, 101, "next commit")
}

func TestOldCommitsAreForgotten(t *testing.T) {
	t.Parallel()
	var o Outbox
	o.Want(wish(0, success, "unsent", 0))
	for n := 1; n <= 3*MaxSHAs; n++ {
		s := wish(n, success, "x", float64(n))
		o.Want(s)
		o.Accepted(s.Key(), s)
	}
	if len(o.Items) != MaxSHAs {
		t.Errorf("%d items", len(o.Items))
	}
	if o.Pending() != 1 || o.Items[0].SHA != sha(0) {
		t.Errorf("what was not sent is forgotten: %+v", o.Items[0])
	}
	for n := range 3 * MaxSHAs {
		o.Want(wish(1000+n, success, "unsent", float64(n)))
	}
	if len(o.Items) != MaxSHAs {
		t.Errorf("%d items", len(o.Items))
	}
}

// TestOutboxModel plays histories of wishes and answers: whatever fails on the
// way, each key ends with its last wish, no answer is asked for twice in a row,
// and a restart at any point changes nothing.
func TestOutboxModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var o Outbox
		now := at(0)
		wanted := map[plumbline.StatusKey]plumbline.Status{}
		accepted := map[plumbline.StatusKey]plumbline.Status{}
		answer := func(ok bool, s plumbline.Status) {
			if last, seen := accepted[s.Key()]; seen && last.Equal(s) {
				t.Fatalf("sent twice: %+v", s)
			}
			if want := wanted[s.Key()]; !want.Equal(s) {
				t.Fatalf("sent %+v, wanted is %+v", s, want)
			}
			if !ok {
				o.Failed(s.Key(), fmt.Errorf("down"), now)
				return
			}
			accepted[s.Key()] = s
			o.Accepted(s.Key(), s)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			if rapid.Bool().Draw(t, "wish") {
				s := wish(rapid.IntRange(1, 4).Draw(t, "sha"), rapid.SampledFrom([]plumbline.StatusState{pending, success, failure}).Draw(t, "state"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "text"), 0)
				s.Time = now
				wanted[s.Key()] = s
				o.Want(s)
			} else if s, ok, _ := o.Next(now); ok {
				answer(rapid.Bool().Draw(t, "accepted"), s)
			}
			o = restart(t, o)
		}
		for {
			s, ok, wait := o.Next(now)
			if ok {
				answer(true, s)
			} else if wait.IsZero() {
				break
			} else {
				now = wait
			}
		}
		for key, want := range wanted {
			if !accepted[key].Equal(want) {
				t.Fatalf("%v ends with %+v, wanted %+v", key, accepted[key], want)
			}
		}
	})
}

func restart(t *rapid.T, o Outbox) Outbox {
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var back Outbox
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(o, back); diff != "" {
		t.Fatal(diff)
	}
	return back
}

// A wish that arises while a write is on its way has a window of its own.
func TestWindowAfterAWrite(t *testing.T) {
	t.Parallel()
	var o Outbox
	o.Want(wish(1, success, "no drift", 0))
	accept(t, &o, 0, "no drift")
	o.Want(wish(1, failure, "1 field drifted", 3))
	s := sends(t, &o, 4, "1 field drifted")
	o.Want(wish(1, success, "healed", 4.5))
	o.Accepted(s.Key(), s)
	waits(t, &o, 4.6, 5.5)
	accept(t, &o, 5.5, "healed")
	idle(t, &o, 6)
}

// TestClockPutBack restarts with a clock that shows a day less: what is wanted is
// sent without waiting for that day.
func TestClockPutBack(t *testing.T) {
	t.Parallel()
	const day = 24 * 3600
	for _, c := range []struct {
		name string
		fill func(o *Outbox)
	}{
		{"the first status", func(o *Outbox) { o.Want(wish(1, success, "in sync", day)) }},
		{"one that follows another", func(o *Outbox) {
			o.Want(wish(1, failure, "broken", day-60))
			accept(t, o, day-60, "broken")
			o.Want(wish(1, success, "in sync", day))
		}},
		{"progress", func(o *Outbox) {
			o.Want(wish(1, pending, "1 of 2", day-60))
			accept(t, o, day-60, "1 of 2")
			o.Want(wish(1, pending, "in sync", day))
		}},
		{"one that failed", func(o *Outbox) {
			o.Want(wish(1, success, "in sync", day))
			o.Failed(wish(1, success, "", day).Key(), fmt.Errorf("down"), at(day))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var o Outbox
			c.fill(&o)
			sends(t, &o, 0, "in sync")
		})
	}
}

// TestForgeAsksForAYear: it gets an hour.
func TestForgeAsksForAYear(t *testing.T) {
	t.Parallel()
	var o Outbox
	s := wish(1, success, "in sync", 0)
	o.Want(s)
	o.Failed(s.Key(), &plumbline.Error{After: 365 * 24 * time.Hour, Err: fmt.Errorf("slow down")}, at(0))
	waits(t, &o, 1, 3600)
	sends(t, &o, 3600, "in sync")
}

// TestReadOverAnother reads an outbox into one that is in use, as a loop does
// that was told that another process wrote the state: nothing of it stays.
func TestReadOverAnother(t *testing.T) {
	t.Parallel()
	var written, o Outbox
	written.Want(wish(2, success, "in sync", 0))
	accept(t, &written, 0, "in sync")
	b, err := json.Marshal(written)
	if err != nil {
		t.Fatal(err)
	}
	o.Want(wish(1, failure, "broken", 0))
	o.Failed(wish(1, failure, "", 0).Key(), fmt.Errorf("down"), at(0))
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(written, o); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
}

// TestOpen names the commits that are left pending in a context.
func TestOpen(t *testing.T) {
	t.Parallel()
	var o Outbox
	o.Want(wish(1, pending, "applying", 0))
	accept(t, &o, 0, "applying")
	o.Want(wish(2, pending, "applying", 0))
	o.Want(wish(3, pending, "applying", 0))
	accept(t, &o, 1, "applying")
	o.Want(wish(3, success, "in sync", 2))
	o.Want(wish(4, success, "in sync", 2))
	if diff := cmp.Diff([]string{sha(1), sha(2)}, o.Open("plumbline/production")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := o.Open("plumbline/staging"); len(got) > 0 {
		t.Errorf("open in another context: %v", got)
	}
}
