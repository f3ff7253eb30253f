// Package forgetest is the conformance suite of status reporters: what each
// forge's adapter has to do, run against a real server or repository.
package forgetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
)

// Reporter is the port.
type Reporter interface {
	Post(ctx context.Context, s plumbline.Status) error
	Last(ctx context.Context, key plumbline.StatusKey) (plumbline.Status, bool, error)
	List(ctx context.Context, sha string) ([]plumbline.Status, error)
}

// Target is one reporter and what the suite needs to know of its forge.
type Target struct {
	Reporter Reporter
	// Commits exist in the repository and have no status; at least four.
	Commits []string
	// UnknownSHA is the kind of the error for a commit that the repository does
	// not have; KindUnset where the forge takes any.
	UnknownSHA plumbline.Kind
}

// Run runs the suite. Each test gets a Target of its own.
func Run(t *testing.T, target func(t *testing.T) Target) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, x Target)
	}{
		{"PostAndRead", postAndRead},
		{"EqualIsNotRepeated", equalIsNotRepeated},
		{"OrderIsKept", orderIsKept},
		{"KeysAreApart", keysAreApart},
		{"Text", text},
		{"NothingThere", nothingThere},
		{"UnknownSHA", unknownSHA},
		{"Canceled", canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, target(t))
		})
	}
}

func status(sha, name string, state plumbline.StatusState, description string) plumbline.Status {
	return plumbline.Status{
		SHA: sha, Context: name, State: state, Description: description,
		URL: "https://plumbline.example.com/runs/1", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func post(t *testing.T, x Target, list ...plumbline.Status) {
	t.Helper()
	for _, s := range list {
		if err := x.Reporter.Post(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// same compares what the forge lists with what was posted, times apart: many
// forges put their own.
func same(t *testing.T, x Target, sha string, want ...plumbline.Status) {
	t.Helper()
	got, err := x.Reporter.List(t.Context(), sha)
	if err != nil {
		t.Fatal(err)
	}
	equal := cmp.Comparer(func(a, b plumbline.Status) bool { return a.Equal(b) })
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Errorf("statuses of %s (-want +got):\n%s", sha, diff)
	}
}

func postAndRead(t *testing.T, x Target) {
	sha := x.Commits[0]
	s := status(sha, "plumbline/production", plumbline.StatusSuccess, "340 objects in sync, all healthy")
	post(t, x, s)
	same(t, x, sha, s)
	got, ok, err := x.Reporter.Last(t.Context(), s.Key())
	if err != nil || !ok || !got.Equal(s) {
		t.Errorf("last: %+v, %v, %v", got, ok, err)
	}
}

func equalIsNotRepeated(t *testing.T, x Target) {
	sha := x.Commits[0]
	pending := status(sha, "plumbline/production", plumbline.StatusPending, "applying")
	success := status(sha, "plumbline/production", plumbline.StatusSuccess, "in sync")
	later := success
	later.Time = later.Time.Add(time.Hour)
	post(t, x, pending, pending, success, later, success)
	same(t, x, sha, pending, success)
	post(t, x, pending)
	same(t, x, sha, pending, success, pending)
}

func orderIsKept(t *testing.T, x Target) {
	sha := x.Commits[0]
	var want []plumbline.Status
	for i := range 12 {
		want = append(want, status(sha, fmt.Sprintf("plumbline/env-%d", i%3), plumbline.StatusPending, fmt.Sprintf("step %d", i)))
	}
	post(t, x, want...)
	same(t, x, sha, want...)
	for i := range 3 {
		key := plumbline.StatusKey{SHA: sha, Context: fmt.Sprintf("plumbline/env-%d", i)}
		got, ok, err := x.Reporter.Last(t.Context(), key)
		if err != nil || !ok || !got.Equal(want[9+i]) {
			t.Errorf("last of %s: %+v, %v, %v", key.Context, got, ok, err)
		}
	}
}

func keysAreApart(t *testing.T, x Target) {
	var all []plumbline.Status
	for _, sha := range x.Commits[:4] {
		for _, name := range []string{"plumbline/production", "plumbline/production/drift"} {
			all = append(all, status(sha, name, plumbline.StatusSuccess, "No drift"))
		}
	}
	post(t, x, all...)
	for i, sha := range x.Commits[:4] {
		same(t, x, sha, all[2*i], all[2*i+1])
	}
}

func text(t *testing.T, x Target) {
	sha := x.Commits[0]
	long := strings.Repeat("ä", plumbline.MaxStatusDescription/2)
	post(t, x,
		status(sha, "plumbline/a", plumbline.StatusFailure, `services/cart.yaml:14: unknown port protocol "grcp" (+2)`),
		status(sha, "plumbline/b", plumbline.StatusError, "Größe · 大きさ 🪢 <b>&amp;</b> \\n {\"json\": 1}"),
		status(sha, "plumbline/c", plumbline.StatusPending, long),
	)
	same(t, x, sha,
		status(sha, "plumbline/a", plumbline.StatusFailure, `services/cart.yaml:14: unknown port protocol "grcp" (+2)`),
		status(sha, "plumbline/b", plumbline.StatusError, "Größe · 大きさ 🪢 <b>&amp;</b> \\n {\"json\": 1}"),
		status(sha, "plumbline/c", plumbline.StatusPending, long),
	)
}

func nothingThere(t *testing.T, x Target) {
	same(t, x, x.Commits[0])
	_, ok, err := x.Reporter.Last(t.Context(), plumbline.StatusKey{SHA: x.Commits[0], Context: "plumbline/production"})
	if ok || err != nil {
		t.Errorf("last: %v, %v", ok, err)
	}
}

func unknownSHA(t *testing.T, x Target) {
	sha := strings.Repeat("1234567890", 4)
	err := x.Reporter.Post(t.Context(), status(sha, "plumbline/production", plumbline.StatusSuccess, "x"))
	if plumbline.KindOf(err) != x.UnknownSHA {
		t.Errorf("unknown commit: %v", err)
	}
	err = x.Reporter.Post(t.Context(), status("--help", "plumbline/production", plumbline.StatusSuccess, "x"))
	if plumbline.KindOf(err) != plumbline.KindInvalid {
		t.Errorf("no commit at all: %v", err)
	}
}

func canceled(t *testing.T, x Target) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := x.Reporter.Post(ctx, status(x.Commits[0], "plumbline/production", plumbline.StatusSuccess, "x"))
	if !plumbline.Canceled(err) {
		t.Errorf("post after cancel: %v", err)
	}
	same(t, x, x.Commits[0])
}
