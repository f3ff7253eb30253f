package render

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
)

// TestInParallel makes every call once, with a worker that has no other.
func TestInParallel(t *testing.T) {
	t.Parallel()
	const n = 1000
	for _, workers := range []int{1, 2, 7} {
		var busy [7]atomic.Bool
		var calls [n]atomic.Int32
		err := inParallel(t.Context(), workers, n, func(worker, i int) error {
			if worker >= workers || !busy[worker].CompareAndSwap(false, true) {
				return fmt.Errorf("worker %d of %d has two calls", worker, workers)
			}
			defer busy[worker].Store(false)
			calls[i].Add(1)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		for i := range calls {
			if got := calls[i].Load(); got != 1 {
				t.Errorf("%d workers: %d calls for number %d", workers, got, i)
			}
		}
	}
	if err := inParallel(t.Context(), 2, 0, nil); err != nil {
		t.Error(err)
	}
}

// TestInParallelFails returns the error of the lowest number, however many there
// are, and begins nothing behind it.
func TestInParallelFails(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		var last atomic.Int64
		err := inParallel(t.Context(), workers, 1000, func(_, i int) error {
			last.Store(max(last.Load(), int64(i)))
			if i >= 5 {
				return fmt.Errorf("number %d", i)
			}
			return nil
		})
		if err == nil || err.Error() != "number 5" {
			t.Errorf("%d workers: %v, want that of number 5", workers, err)
		}
		if last.Load() >= int64(5+workers) {
			t.Errorf("%d workers: number %d was begun", workers, last.Load())
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := 0
		err = inParallel(ctx, 1, 10, func(_, i int) error {
			if done++; i == 3 {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) || done != 4 {
			t.Errorf("%v after %d calls, want the end of the context after 4", err, done)
		}
	}
}

// TestInParallelPanics has the panic in the goroutine of the caller.
func TestInParallelPanics(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		got := func() (p any) {
			defer func() { p = recover() }()
			return inParallel(t.Context(), workers, 100, func(_, i int) error {
				if slices.Contains([]int{7, 8}, i) {
					panic(i)
				}
				return nil
			})
		}()
		if got != 7 {
			t.Errorf("%d workers: %v, want the panic of number 7", workers, got)
		}
	}
}
