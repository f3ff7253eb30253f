package render

import (
	"context"
	"runtime"
	"sync"

	"github.com/plumbline-dev/plumbline/render/encode"
)

// pen writes objects. It is used by one goroutine at a time.
type pen struct {
	*Renderer
	enc *encode.Encoder
	buf []byte // of the encoder
}

// newPens are as many as there are cores.
func newPens(r *Renderer) []*pen {
	pens := make([]*pen, runtime.GOMAXPROCS(0))
	for i := range pens {
		pens[i] = &pen{Renderer: r, enc: encode.New()}
	}
	return pens
}

// inParallel calls do for all numbers below n, each call with the number of a
// worker that has no other call at the time. It returns when all calls have:
// the error of the lowest number that failed, after which no more calls are
// begun, or that of ctx. What the calls leave behind must not depend on their
// order.
//
// A call that panics is made again by the goroutine of the caller, who may be
// prepared for it, and so learns where it was.
func inParallel(ctx context.Context, workers, n int, do func(worker, i int) error) error {
	r := round{ctx: ctx, n: n, failed: n, do: do}
	if workers = min(workers, n); workers == 1 {
		r.work(0)
	} else {
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() { r.work(w) })
		}
		wg.Wait()
	}
	if r.panicked {
		return do(0, r.failed)
	}
	return r.err
}

// round is one inParallel.
type round struct {
	ctx context.Context //nolint:containedctx // lives for one call
	n   int
	do  func(worker, i int) error

	mu       sync.Mutex
	next     int
	failed   int // the lowest number that did; n for none
	panicked bool
	err      error
}

// work takes one number after the other.
func (r *round) work(worker int) {
	i := -1
	defer func() {
		if p := recover(); p != nil {
			r.fail(i, nil, true)
		}
	}()
	for {
		if i = r.take(); i >= r.n {
			return
		}
		err := r.ctx.Err()
		if err == nil {
			err = r.do(worker, i)
		}
		if err != nil {
			r.fail(i, err, false)
			return
		}
	}
}

func (r *round) take() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed < r.n {
		return r.n
	}
	r.next++
	return r.next - 1
}

func (r *round) fail(i int, err error, panicked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i < r.failed {
		r.failed, r.err, r.panicked = i, err, panicked
	}
}
