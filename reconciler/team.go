package reconciler

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/plumbline-dev/plumbline"
)

// job is the request for one object, with those that belong to it.
type job struct {
	ref plumbline.Ref
	op  string // for the report of a bug
	// do sends it and keeps what comes of it. It touches no state of the
	// Reconciler: it runs beside others, and perhaps beside the loop.
	do func(ctx context.Context) error
	// late takes in what came of it, where nobody waited for that.
	late func(ctx context.Context)

	err      error
	left     bool        // nobody waits for it
	patience *time.Timer // runs for Options.Patience
}

// aside are the jobs that the loop does not wait for: an object for which the
// API server does not answer, most likely because of a webhook, holds up nothing
// but itself.
type aside struct {
	jobs map[plumbline.Ref]*job
	came chan *job
	// slow are objects whose last job had to be left: for the next one nobody
	// waits at all.
	slow map[plumbline.Ref]bool
}

// has tells whether a job of an object is under way. Until it comes back nothing
// else is sent for the object, and it is not judged.
func (a *aside) has(ref plumbline.Ref) bool { return a.jobs[ref] != nil }

// errUnanswered is of an object whose job was left under way.
var errUnanswered = errors.New("the API server has not answered yet")

func unanswered(ref plumbline.Ref, origin plumbline.Origin) error {
	return &plumbline.Error{Op: "apply", Kind: plumbline.KindWaiting, Ref: ref, Origin: origin, Err: errUnanswered}
}

// together does jobs at once, as many as there are workers, and waits for them,
// but for those that take longer than Options.Patience: these have left set, and
// the loop calls their late. What finds the API server unavailable pulls the
// brake, and the jobs after it end with that.
func (r *Reconciler) together(ctx context.Context, jobs []*job, b *brake) {
	t := team{r: r, brake: b, done: make(chan *job, len(jobs))}
	for len(jobs) > 0 || len(t.waited) > 0 {
		for len(jobs) > 0 && len(t.waited) < r.o.Workers {
			t.begin(ctx, jobs[0])
			jobs = jobs[1:]
		}
		t.step()
	}
	t.leave(ctx)
}

// team is a round of jobs.
type team struct {
	r      *Reconciler
	brake  *brake
	done   chan *job
	waited []*job // under way, the oldest first
	slow   []*job // under way, and not waited for
}

// begin sends a job, unless the brake is pulled. Nobody waits for it if the last
// one of its object had to be left.
func (t *team) begin(ctx context.Context, j *job) {
	if j.err = t.brake.pulled(); j.err != nil {
		return
	}
	if t.r.aside.slow[j.ref] && t.mayLeave() {
		t.slow = append(t.slow, j)
	} else {
		j.patience = time.NewTimer(t.r.o.Patience)
		t.waited = append(t.waited, j)
	}
	go func() {
		j.err = t.r.guard(j.op, func() error { return j.do(ctx) })
		t.done <- j
	}()
}

// most is how many objects may stay unanswered while the others go on. Where
// more would, it is not about an object: the API server is slow.
func (r *Reconciler) most() int { return max(1, r.o.Workers/2) }

// mayLeave tells whether one more job may be left under way. A one-shot run has
// nothing to go on with.
func (t *team) mayLeave() bool {
	return !t.r.o.Once && len(t.slow)+len(t.r.aside.jobs) < t.r.most()
}

// step waits until a job ends, or until the oldest that is waited for has taken
// longer than Options.Patience.
func (t *team) step() {
	if len(t.waited) == 0 {
		return
	}
	var tired <-chan time.Time
	if t.mayLeave() {
		tired = t.waited[0].patience.C
	}
	select {
	case j := <-t.done:
		t.ended(j)
	case <-tired:
		t.slow = append(t.slow, t.waited[0])
		t.waited = t.waited[1:]
	}
}

// ended takes a job out of those that are under way.
func (t *team) ended(j *job) {
	if i := slices.Index(t.waited, j); i >= 0 {
		j.patience.Stop()
		t.waited = slices.Delete(t.waited, i, i+1)
		t.brake.told(j.err)
		delete(t.r.aside.slow, j.ref)
		return
	}
	// That others are answered while one is not says nothing about them.
	if !t.mayLeave() {
		t.brake.told(j.err)
	}
	t.slow = slices.DeleteFunc(t.slow, func(s *job) bool { return s == j })
}

// leave hands what is still under way to the loop.
func (t *team) leave(ctx context.Context) {
	if len(t.slow) == 0 {
		return
	}
	r, n := t.r, len(t.slow)
	for _, j := range t.slow {
		j.left = true
		r.aside.jobs[j.ref], r.aside.slow[j.ref] = j, true
		r.log.Warn("the API server does not answer for an object; the others go on", keyObject, j.ref.String())
	}
	r.posts.wg.Add(1)
	go func() {
		defer r.posts.wg.Done()
		for range n {
			j := <-t.done // at the latest when ctx ends
			select {
			case r.aside.came <- j:
			case <-ctx.Done():
			}
		}
	}()
}

// takeLate takes in what came of a job that nobody waited for, and looks at what
// was seen of its object meanwhile.
func (r *Reconciler) takeLate(ctx context.Context, j *job) {
	delete(r.aside.jobs, j.ref)
	if j.err == nil {
		delete(r.aside.slow, j.ref)
	}
	r.each(j.ref, func() { j.late(ctx) })
	if r.ready() {
		r.look(ctx, []plumbline.Ref{j.ref})
	}
}
