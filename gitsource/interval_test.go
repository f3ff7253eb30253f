package gitsource

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestInterval(t *testing.T) {
	t.Parallel()
	for rnd, want := range map[float64]time.Duration{0: 24 * time.Second, 0.5: 30 * time.Second, 1: 36 * time.Second, -3: 24 * time.Second, 9: 36 * time.Second} {
		if got := Interval(30*time.Second, rnd); got != want {
			t.Errorf("%v: %v, want %v", rnd, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "base"))
		got := Interval(base, rapid.Float64Range(0, 1).Draw(t, "rnd"))
		if got < base*8/10-1 || got > base*12/10+1 {
			t.Fatalf("%v of %v", got, base)
		}
	})
}
