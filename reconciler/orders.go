package reconciler

import (
	"context"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// order is what a person asked for and was not answered yet.
type order struct {
	state.Pending
	fetching bool // a fetch that began after the order is under way
	fetched  bool
	err      error // of that fetch
}

// hear passes on the orders that people give, until ctx ends.
func (r *Reconciler) hear(ctx context.Context) {
	if r.o.Orders == nil || r.o.Once || r.o.ReadOnly {
		return
	}
	r.posts.wg.Add(1)
	go func() {
		defer r.posts.wg.Done()
		last, attempt, told := "", 0, ""
		for ctx.Err() == nil {
			p, err := r.o.Orders.Next(ctx, last)
			if err == nil {
				last, attempt, told = p.Order.ID, 0, ""
				select {
				case r.posts.ordered <- p:
				case <-ctx.Done():
				}
				continue
			}
			if state.WatchEnded(err) {
				attempt = 0
			} else if text := err.Error(); text != told && ctx.Err() == nil {
				told = text
				r.log.Warn("orders of `plumbline sync` are not heard; it is tried again", keyErr, err)
			}
			sleep(ctx, backoff(attempt, 5*time.Minute))
			attempt++
		}
	}()
}

// sleep until d has passed or ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// takeOrder makes the loop fetch at once.
func (r *Reconciler) takeOrder(p state.Pending) {
	r.log.Info("asked to sync now")
	r.order = &order{Pending: p}
}

// wantsFetch tells whether an order waits for a fetch that began after it.
func (r *Reconciler) wantsFetch() bool {
	return r.order != nil && !r.order.fetching && !r.order.fetched
}

// takeOrdered takes in the fetch that was ordered: a head that is not done is
// tried at once.
func (r *Reconciler) takeOrdered(err error) {
	if r.order == nil || !r.order.fetching {
		return
	}
	r.order.fetching, r.order.fetched, r.order.err = false, true, err
	r.head.retry = time.Time{}
}

// answer says what came of the order, once the head was tried.
func (r *Reconciler) answer(ctx context.Context, last Result) {
	if r.order == nil || !r.order.fetched || (r.order.err == nil && r.newest().rendered == nil) {
		return
	}
	a := answerOf(r.o.Context, last, r.order.err)
	a.At = r.o.Now().UTC()
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	if err := r.o.Orders.Answer(ctx, r.order.Pending, a); err != nil && ctx.Err() == nil {
		r.log.Warn("whoever asked to sync gets no answer", keyErr, err)
	}
	r.order = nil
}

// answerOf a run, or of the fetch before it that failed.
func answerOf(context string, last Result, fetch error) state.Answer {
	err, status := last.Err, syncStatus(context, last)
	if fetch != nil {
		err, status = fetch, plumbline.Status{}
		status.State, status.Description = errorStatus(fetch)
	}
	a := state.Answer{Commit: status.SHA, State: status.State, Text: status.Description}
	if err != nil {
		a.Exit = plumbline.KindOf(err).ExitCode()
	}
	return a
}
