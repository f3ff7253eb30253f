package main

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/plumbline-dev/plumbline/reconciler"
)

// memory gives back to the system what big runs leave behind. A run that
// renders or writes everything allocates more than it keeps; afterwards the
// process is quiet, so that no collection comes for minutes. With 6,000 objects
// this is half of what the process holds. A smaller GOGC would collect during
// the run, for more CPU, and still keep what was freed.
type memory struct{ big chan struct{} }

const (
	// bigRun is how many writes make it worth a collection.
	bigRun = 100
	// settleMemory is how long a run is left to save and report.
	settleMemory = 10 * time.Second
)

func newMemory() *memory { return &memory{big: make(chan struct{}, 1)} }

// watch is told of everything that an environment's reconciler does; it
// returns a function for one environment, whose first run renders all.
func (m *memory) watch() func(reconciler.Event) {
	first := true
	return func(e reconciler.Event) {
		if e.Kind != reconciler.EventRun || (!first && len(e.Result.Outcomes) < bigRun) {
			return
		}
		first = false
		select {
		case m.big <- struct{}{}:
		default: // asked for already
		}
	}
}

// run gives back after big runs, until ctx ends.
func (m *memory) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.big:
		}
		timer := time.NewTimer(settleMemory)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			debug.FreeOSMemory()
		}
	}
}
