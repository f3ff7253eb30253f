package reconciler

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
)

// tries are the objects that a head is not done with. Each is tried again when
// it is due, not when another one is: an object that never works costs nobody
// but itself.
type tries map[plumbline.Ref]try

// try is the last time that an object did not work.
type try struct {
	n   int       // that it did not, in a row
	due time.Time // zero: not before another commit
	err error
}

// lookAgain is how soon it is looked whether something has made way, doubling:
// until then a service is not reached.
const lookAgain = 50 * time.Millisecond

// triesOfSchema is how often a one-shot run applies what the schema of its kind
// does not have: by then a definition of the kind that came with it is gone by.
const triesOfSchema = 3

// longestWait of an object that fails again and again.
const longestWait = 5 * time.Minute

// next is what follows on a failed object.
func (r *Reconciler) next(before try, err error) try {
	t := try{n: before.n + 1, err: err}
	if after, again := r.retryIn(err, t.n); again {
		t.due = r.o.Now().Add(after)
	}
	return t
}

// retryIn is how long to wait after the n-th failure in a row; not again when
// trying cannot help before the next commit, or before this one-shot run ends.
func (r *Reconciler) retryIn(err error, n int) (after time.Duration, again bool) {
	asked := askedFor(err)
	switch kind := plumbline.KindOf(err); {
	case errors.Is(err, cluster.ErrSchema):
		return backoff(n, longestWait), !r.o.Once || n < triesOfSchema
	case kind == plumbline.KindInvalid:
		return 0, false
	case r.o.Once && (kind == plumbline.KindDenied || kind == plumbline.KindInternal):
		return 0, false
	case r.o.Once && kind == plumbline.KindUnhealthy:
		return 0, false
	case kind == plumbline.KindDenied, kind == plumbline.KindUnhealthy:
		return max(asked, r.o.Interval), true
	case errors.Is(err, errInPlace):
		return min(lookAgain<<min(n, 16), r.o.Interval), true
	case kind == plumbline.KindWaiting:
		return max(asked, backoff(n, r.o.Interval)), true
	case errors.Is(err, cluster.ErrUnavailable):
		// Later than the next attempt at all the others, so that they get
		// through if it was this one that made the API server unavailable.
		return max(2*asked, backoff(n+1, longestWait)), true
	default:
		return max(asked, backoff(n, longestWait)), true
	}
}

// askedFor is the longest time that anything in err asks to wait.
func askedFor(err error) time.Duration {
	var longest time.Duration
	for err != nil {
		var e *plumbline.Error
		if !errors.As(err, &e) {
			break
		}
		longest, err = max(longest, e.After), e.Err
	}
	return longest
}

// cause is what went wrong, without where and at what, for those who know that.
func cause(err error) error {
	for {
		e, ok := err.(*plumbline.Error) //nolint:errorlint // only what stands around the cause is taken off
		if !ok || e.Err == nil {
			return err
		}
		err = e.Err
	}
}

// reasonLater is of a change whose object failed and is not due again.
const reasonLater = "it failed, and is tried again later"

// reasonUnanswered is of a change whose object has a request under way.
const reasonUnanswered = "the API server has not answered for it yet"

// postpone takes out of a plan what is under way, and what is not due again yet.
func (r *Reconciler) postpone(p *plumbline.Plan) {
	now := r.o.Now()
	for i := range p.Changes {
		c := &p.Changes[i]
		switch c.Op {
		case plumbline.OpCreate, plumbline.OpConfigure, plumbline.OpDelete:
			if r.aside.has(c.Ref) {
				c.Op, c.Reason = plumbline.OpSkip, reasonUnanswered
			} else if t, failed := r.head.tries[c.Ref]; failed && (t.due.IsZero() || now.Before(t.due)) {
				c.Op, c.Reason = plumbline.OpSkip, reasonLater
			}
		case plumbline.OpKeep, plumbline.OpSkip, plumbline.OpConflict:
		}
	}
}

// outage is the time in which nothing is sent for objects, because the API
// server is not there or asked for less. It concerns all of them, so that
// thousands of objects do not each find that out.
type outage struct {
	n     int
	until time.Time
	err   error
}

// longestOutage is how long the API server is not asked whether it is back.
const longestOutage = time.Minute

// met takes in what a round of requests met: nil when all were answered.
func (o *outage) met(err error, now time.Time) {
	if err == nil {
		*o = outage{}
		return
	}
	o.until = now.Add(max(askedFor(err), backoff(o.n, longestOutage)))
	o.n, o.err = o.n+1, err
}

// brake ends a round of requests at the first one that finds the API server
// unavailable: those that are under way end, the others are not sent. It is
// safe for concurrent use.
type brake struct {
	mu  sync.Mutex
	met error
}

// pulled is why nothing more is sent, as the error of what is not.
func (b *brake) pulled() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.met == nil {
		return nil
	}
	return deferred{b.met}
}

// braked is a brake for requests that begin now.
func (o *outage) braked(now time.Time) *brake {
	b := &brake{}
	if now.Before(o.until) {
		b.met = o.err
	}
	return b
}

// told takes in the result of a request.
func (b *brake) told(err error) {
	if !errors.Is(err, cluster.ErrUnavailable) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.met == nil {
		b.met = err
	}
}

// deferred is the error of what was not sent, because what was sent before met
// that error.
type deferred struct{ error }

// Error implements error.
func (d deferred) Error() string { return "not sent yet, because of: " + d.error.Error() }

// Unwrap returns the cause.
func (d deferred) Unwrap() error { return d.error }

// unsent tells whether err is of something that was not sent.
func unsent(err error) bool {
	var d deferred
	return errors.As(err, &d)
}

// backoff before attempt n+1: 1 s doubling up to most, ± 20 %.
func backoff(n int, most time.Duration) time.Duration {
	d := most
	if n < 20 {
		d = min(time.Second<<n, most)
	}
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // spreading load is no secret
}
