package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/plumbline-dev/plumbline/reconciler"
)

// memory gives back to the system what big runs leave behind. A run that
// renders or writes everything allocates more than it keeps; afterwards the
// process is quiet, so that no collection comes for minutes. With 6,000 objects
// this is half of what the process holds.
//
// What is kept lies between what is not, in pages that cannot be given back: the
// fewer the less the heap grows in between. So collections are more frequent from
// the first write on, unless GOGC says how frequent. With 7,000 objects written
// this is 9 of 71 MiB, for a tenth more CPU time of our own.
type memory struct {
	big     chan struct{}
	writing sync.Once
}

const (
	// bigRun is how many writes make it worth a collection.
	bigRun = 100
	// settleMemory is how long a run is left to save and report.
	settleMemory = 10 * time.Second
)

// growth of the heap between collections while objects are written, in percent.
const growth = 50

func newMemory() *memory { return &memory{big: make(chan struct{}, 1)} }

// watch is told of everything that an environment's reconciler does; it
// returns a function for one environment, whose first run renders all.
func (m *memory) watch() func(reconciler.Event) {
	first := true
	return func(e reconciler.Event) {
		if e.Kind == reconciler.EventOutcome {
			m.writing.Do(func() {
				if os.Getenv("GOGC") == "" {
					debug.SetGCPercent(growth)
				}
			})
		}
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

const (
	// roomyHeap is up to how much of a heap, in bytes, a command that ends by itself
	// collects nothing.
	roomyHeap = 72 << 20
	// spareHeap is how much more than what is in use the heap may grow to, above
	// that, in percent.
	spareHeap = 40
	// smallestHeap is the runtime's own roomyHeap at 100 percent.
	smallestHeap = 4 << 20
)

// thrifty paces the collector for a command that ends by itself. Such a command
// keeps most of what it allocates until it is done, so that the runtime's rule,
// twice what is in use, has it collect most often while there is least to find,
// and hold most when there is most in use. With 5,000 services this takes a fifth
// of the memory away for the same time. Who sets GOGC or GOMEMLIMIT knows better.
func thrifty() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	pace(0)
	afterCollection(func() {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		pace(live[0].Value.Uint64())
	})
}

// pace says how far the heap may grow from so many bytes in use.
func pace(live uint64) {
	debug.SetGCPercent(heapGrowth(live))
	debug.SetMemoryLimit(heapLimit(live))
}

// heapGrowth is by how many percent a heap may grow of which so many bytes are in
// use.
func heapGrowth(live uint64) int {
	const most = 100 * roomyHeap / smallestHeap // more would raise the least heap above roomyHeap
	if live >= roomyHeap {
		return spareHeap
	}
	return int(min(max(spareHeap, (roomyHeap-live)*100/max(live, 1)), most))
}

// heapLimit is what the runtime may come to, in bytes, with so many in use,
// whatever heapGrowth said: a quarter above where the next collection is due. On a
// busy machine the one after that may be due before anybody is told of this one,
// and the growth that was meant for a few bytes in use is that of many.
func heapLimit(live uint64) int64 {
	due := max(roomyHeap, live+live*spareHeap/100)
	return int64(due + due/4) //nolint:gosec // less than twice what is in use
}

// afterCollection calls do after each collection of the process: a value that
// nobody holds is found by each.
func afterCollection(do func()) {
	type unheld struct{ _ *int } // a pointer, because values without any are allocated together
	runtime.AddCleanup(&unheld{}, func(struct{}) {
		do()
		afterCollection(do)
	}, struct{}{})
}
