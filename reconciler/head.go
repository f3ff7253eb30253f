package reconciler

import (
	"errors"
	"time"

	"github.com/plumbline-dev/plumbline"
)

// head is a commit to bring the cluster to, and how far that got.
type head struct {
	commit   plumbline.Commit
	rendered *Rendered // nil: there is none
	done     bool      // nothing is left to do for it
	retry    time.Time // when to try again, if not done
	attempts int
	failures int    // attempts in a row that ended before they sent anything
	tries    tries  // objects that failed
	said     string // what its last run came to, to say it once
}

// settled tells whether a one-shot run need not wait for anything more: the
// head was tried, and nothing of it is merely on its way.
func (h head) settled() bool {
	return h.rendered != nil && (h.done || (h.attempts > 0 && h.retry.IsZero()))
}

// wake is when a head is to be tried again; zero for at once, or for never.
func (r *Reconciler) wake(h *head) time.Time {
	if h.rendered == nil || h.done {
		return time.Time{}
	}
	if h.retry.Before(r.outage.until) {
		return r.outage.until
	}
	return h.retry
}

// due tells whether a head is to be tried now.
func (r *Reconciler) due(h *head, now time.Time) bool {
	return h.rendered != nil && !h.done && !now.Before(r.wake(h))
}

// newest is the head of the branch, as far as it is known.
func (r *Reconciler) newest() *head {
	if r.refused.rendered != nil {
		return &r.refused
	}
	return &r.head
}

// refused is why nothing of a commit can be applied, whatever is on the cluster;
// nil if it can.
func (d Rendered) refused() error {
	if errs := plumbline.Errors(d.Violations); len(errs) > 0 {
		return &plumbline.Error{Op: "render", Kind: plumbline.KindInvalid, Origin: errs[0].Origin, Err: errors.New(errs[0].Message)}
	}
	if d.Objects.Len() == 0 {
		return plumbline.Errorf(plumbline.KindDenied, "render", "no definitions found: nothing is applied and nothing is pruned")
	}
	return nil
}

// takeHead takes in another head of the branch. One that is refused changes
// nothing: what was begun before it goes on.
func (r *Reconciler) takeHead(c plumbline.Commit, rendered *Rendered) {
	h := head{commit: c, rendered: rendered}
	r.known = c.SHA
	if r.o.Once || rendered.refused() == nil {
		r.head, r.refused = h, head{}
	} else {
		r.refused = h
		if r.head.commit.SHA != r.rec.Applied {
			r.resume()
		}
	}
	r.supersede(r.o.Context, c)
}

// resume goes on with the deployed commit, if it is known what that says. Whatever
// was the head before, nothing of it was written.
func (r *Reconciler) resume() {
	r.head = head{}
	if r.desired.Len() > 0 {
		r.head = head{commit: r.base, rendered: &Rendered{Objects: r.desired}, done: r.rec.Good == r.base.SHA}
	}
}
