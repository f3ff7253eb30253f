package reconciler

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// posts are the goroutines beside the loop and the ways back from them.
type posts struct {
	lifetime context.Context //nolint:containedctx // of Run: watches live as long, whatever call opened them
	wg       sync.WaitGroup
	loaded   chan loaded
	ahead    *ahead // nil when load took it
	posted   chan posted
	ordered  chan state.Pending
	loading  bool
	posting  bool
}

type posted struct {
	status plumbline.Status
	err    error
}

// want puts a status into the outbox.
func (r *Reconciler) want(s plumbline.Status) {
	if r.o.Reporter == nil {
		return
	}
	s.Time = r.o.Now().UTC()
	before, err := json.Marshal(r.o.Outbox)
	r.o.Outbox.Want(s, s.Time)
	after, err2 := json.Marshal(r.o.Outbox)
	if err != nil || err2 != nil || string(before) != string(after) {
		r.recordDirty = true
	}
}

// pump sends the next status that is due, beside the loop, and is when to ask
// again.
func (r *Reconciler) pump(ctx context.Context) time.Time {
	if r.o.Reporter == nil || r.posts.posting {
		return time.Time{}
	}
	s, ok, wait := r.o.Outbox.Next(r.o.Now())
	if !ok {
		return wait
	}
	r.posts.posting = true
	r.posts.wg.Add(1)
	go func() {
		defer r.posts.wg.Done()
		r.posts.posted <- posted{status: s, err: r.post(ctx, s)}
	}()
	return time.Time{}
}

// post sends a status, unless the forge holds it already: a process that was
// killed between sending and remembering does not send twice.
func (r *Reconciler) post(ctx context.Context, s plumbline.Status) (err error) {
	defer r.recovered("post status", &err)
	if held, ok, err := r.o.Reporter.Last(ctx, s.Key()); err == nil && ok && held.Equal(s) {
		return nil
	}
	return r.o.Reporter.Post(ctx, s)
}

func (r *Reconciler) takePosted(p posted) {
	r.posts.posting = false
	if p.err != nil {
		if !plumbline.Canceled(p.err) {
			r.log.Warn("a status is not posted", keyCommit, p.status.SHA, keyContext, p.status.Context, keyErr, p.err)
		}
		r.o.Outbox.Failed(p.status, p.err, r.o.Now())
		return
	}
	r.o.Outbox.Accepted(p.status, r.o.Now())
}

// lastWords is how long the end of a one-shot run waits for a status to be
// due: longer than the outbox's window.
const lastWords = 2 * time.Second

// finish sends what is left in the outbox and saves, at the end of a one-shot
// run.
func (r *Reconciler) finish(ctx context.Context) {
	for {
		if r.posts.posting {
			select {
			case p := <-r.posts.posted:
				r.takePosted(p)
			case <-ctx.Done():
				return
			}
			continue
		}
		due := r.pump(ctx)
		if r.posts.posting {
			continue
		}
		wait := due.Sub(r.o.Now())
		if due.IsZero() || wait > lastWords {
			break // what the forge does not take now is kept for the next run
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
	if err := r.Save(ctx); err != nil {
		r.log.Error("the state is not saved", keyErr, err)
	}
}
