package reconciler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// Run keeps the environment until ctx ends, or with Options.Once until the
// head is applied or cannot be. The Result is of the last commit processed. A
// Reconciler runs once.
func (r *Reconciler) Run(ctx context.Context) (Result, error) {
	for {
		res, err := r.session(ctx)
		if r.o.Once || (!errors.Is(err, state.ErrTaken) && !errors.Is(err, errRewound)) {
			return res, err
		}
		if errors.Is(err, errRewound) {
			r.log.Warn("the cluster was restored from an older state, or is another one; everything is read again")
			*r = *New(r.o)
			r.rewound = true
			continue
		}
		// A one-shot apply may have been at it: what it left is where we are.
		r.log.Warn("the inventory was changed by someone else; it is read again")
		*r = *New(r.o)
	}
}

// errRewound ends a session on a cluster that was restored from a backup, or in
// whose place another one answers.
var errRewound = errors.New("the cluster is older than it was, or another one")

// session is a run from one reading of the inventory to its end.
func (r *Reconciler) session(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	r.posts = posts{lifetime: ctx, loaded: make(chan loaded, 1), posted: make(chan posted, 1), ordered: make(chan state.Pending)}
	defer func() {
		cancel()
		r.posts.wg.Wait()
		r.watch.Wait()
	}()
	r.newWatch()
	if err := r.startUp(ctx); err != nil {
		return Result{}, err
	}
	r.hear(ctx)
	return r.loop(ctx)
}

// startUp tries start until it works; with Once, once.
func (r *Reconciler) startUp(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		err := r.start(ctx)
		if err == nil || r.o.Once || ctx.Err() != nil {
			return err
		}
		wait := backoff(attempt, r.o.Interval)
		r.log.Warn("start is tried again", keyErr, err, keyWait, wait.Round(time.Millisecond))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// loop is where everything is decided.
func (r *Reconciler) loop(ctx context.Context) (Result, error) {
	var last Result
	fetchAt := r.o.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := r.o.Now()
		if !r.posts.loading && (r.wantsFetch() || !now.Before(fetchAt)) {
			r.load(ctx)
			fetchAt = now.Add(r.o.Jitter(r.o.Interval))
		}
		if r.due(&r.refused, now) {
			last = r.process(ctx, &r.refused)
		}
		if r.due(&r.head, now) {
			if res := r.process(ctx, &r.head); r.newest() == &r.head {
				last = res
			}
		}
		if r.taken != nil && !r.o.Once {
			return last, r.taken
		}
		if r.watch.Rewound() {
			return last, errRewound
		}
		r.answer(ctx, last)
		actAt := r.act(ctx)
		if r.o.Once && r.head.settled() {
			r.finish(ctx)
			return last, last.Err
		}
		next := earliest(actAt, r.wake(&r.refused), r.wake(&r.head), r.saveSoon(ctx), r.pump(ctx))
		if !r.posts.loading {
			next = earliest(next, fetchAt)
		}
		if next.IsZero() {
			next = now.Add(r.o.Interval)
		}
		timer.Reset(max(0, next.Sub(r.o.Now())))
		select {
		case <-ctx.Done():
			return last, r.cutOff(ctx, last)
		case l := <-r.posts.loaded:
			r.posts.loading = false
			if done, err := r.takeLoaded(ctx, l); done {
				return last, err
			}
		case p := <-r.posts.posted:
			r.takePosted(p)
		case j := <-r.aside.came:
			r.takeLate(ctx, j)
		case p := <-r.posts.ordered:
			r.takeOrder(p)
		case <-r.watch.Changed():
			if r.ready() {
				r.look(ctx, r.watch.Take())
			}
		case <-timer.C:
		}
	}
}

// cutOff is the error of a loop that is told to end: of a one-shot run it is one,
// since that ends by itself once it is done.
func (r *Reconciler) cutOff(ctx context.Context, last Result) error {
	if !r.o.Once {
		return nil
	}
	return errors.Join(last.Err, ctx.Err())
}

// ready tells whether the loop knows what is desired, so that looking at
// objects can lead to something.
func (r *Reconciler) ready() bool {
	return r.head.commit.SHA != "" || r.rec.Applied == "" || r.baseKnown
}

// supersede closes the statuses of a context that say pending of other commits
// than by and the one at work: nothing more becomes of those, whichever process
// was at them.
func (r *Reconciler) supersede(context string, by plumbline.Commit) {
	for _, sha := range r.o.Outbox.Open(context) {
		if sha != by.SHA && sha != r.head.commit.SHA {
			r.want(plumbline.Status{
				SHA: sha, Context: context, State: plumbline.StatusSuccess,
				Description: "superseded by " + by.Short(),
			})
		}
	}
}

// process brings the cluster to a head.
func (r *Reconciler) process(ctx context.Context, h *head) Result {
	before := map[plumbline.Ref]*drifted{}
	for ref, d := range r.drifts {
		was := *d
		before[ref] = &was
	}
	begun := r.o.Now()
	res := r.guarded(ctx, h.commit, *h.rendered)
	res.Took = r.o.Now().Sub(begun)
	if ctx.Err() != nil || (r.taken != nil && !r.o.Once) {
		return res
	}
	for _, out := range res.Outcomes {
		if out.Err == nil {
			r.settleDrift(before[out.Ref], applied{Outcome: out})
		}
	}
	h.attempts++
	if res.begun {
		r.deployed(h.commit, h.rendered.Objects)
		r.tellOrphans()
	}
	if res.begun && res.Err == nil {
		if r.rebuild {
			r.rebuild, r.rec.Shards, r.recordDirty = false, nil, true
		}
		if r.rec.Good != h.commit.SHA {
			r.rec.Good, r.recordDirty = h.commit.SHA, true
		}
	}
	h.failures++
	if res.begun {
		h.failures = 0
	}
	h.done, h.retry = r.again(h, res)
	r.takeDefinitions(ctx) // so that they are saved with this run
	status := syncStatus(r.o.Context, res)
	r.want(status)
	r.driftReport()
	if err := r.save(ctx, false); err != nil {
		res.Err = errors.Join(res.Err, err)
		r.saveFailed(ctx, err)
	}
	r.logResult(h, res)
	r.o.Progress(Event{Kind: EventRun, Result: res})
	if !r.o.Once { // a daemon keeps what it says, not what was done to each object
		res.Plan.Changes, res.Outcomes = nil, nil
		if res.begun && h.done {
			r.replan()
		}
	}
	return res
}

// replan decides anew about what a run has changed. A plan holds what it rests
// on: after a first run that is the inventory of before, where nothing is made,
// and the decision to make each object.
func (r *Reconciler) replan() {
	r.planned, _ = r.planned.next(r.planInput(r.head.commit, r.head.rendered.Objects))
}

// guarded is reconcile with a recover: a bug is an error of this run, not the
// end of the daemon.
func (r *Reconciler) guarded(ctx context.Context, c plumbline.Commit, rendered Rendered) (res Result) {
	var bug error
	defer func() {
		if bug != nil {
			res.Commit, res.Err = c, bug
		}
	}()
	defer r.recovered("reconcile", &bug)
	return r.reconcile(ctx, c, rendered)
}

// recovered is deferred where a bug in the handling of one thing must not end
// the daemon: the panic becomes an error. Its value may quote what it choked
// on, so only its type is told.
func (r *Reconciler) recovered(op string, err *error) {
	if p := recover(); p != nil {
		*err = plumbline.Errorf(plumbline.KindInternal, op, "panic of type %T", p)
		r.log.Error("a bug: what was being done was given up", keyPanic, fmt.Sprintf("%T", p), keyStack, stack())
	}
}

// deployed notes that the cluster now is, or is becoming, what a commit says.
func (r *Reconciler) deployed(c plumbline.Commit, objects plumbline.Objects) {
	if r.rec.Deploy(c.SHA) {
		r.recordDirty = true
	}
	if r.heals.sha != c.SHA {
		r.heals = healed{sha: c.SHA}
		r.supersede(driftContext(r.o.Context), c)
	}
	r.base, r.desired, r.baseKnown = c, objects, true
}

// again decides when a head is to be tried again: never when it is done, or
// can never work.
func (r *Reconciler) again(h *head, res Result) (done bool, at time.Time) {
	now := r.o.Now()
	switch {
	case res.Err == nil && res.Closed == "":
		return true, time.Time{}
	case res.Err == nil && (r.o.Once || r.o.ReadOnly):
		return true, time.Time{}
	case res.Err == nil:
		_, until, _ := r.o.Gate(now)
		return false, earliest(until, now.Add(r.o.Interval))
	case !res.begun:
		for _, err := range flatten(res.Err) {
			if after, again := r.retryIn(err, h.failures); again {
				at = earliest(at, now.Add(min(after, max(longestOutage, askedFor(err)))))
			}
		}
		return at.IsZero(), at
	}
	for _, t := range h.tries {
		at = earliest(at, t.due)
	}
	if res.Prune.Summary != "" && !r.o.Once {
		at = earliest(at, now.Add(r.o.Interval))
	}
	return at.IsZero(), at
}

// Save writes what is not saved yet: the last act of a graceful stop.
func (r *Reconciler) Save(ctx context.Context) error { return r.save(ctx, r.healDirty) }

// saveEvery is how often verified records and the outbox are saved when
// nothing asks for more.
const saveEvery = 30 * time.Second

// saveSoon saves what heals and posts left behind, not more often than
// saveEvery, and is when there is something to save.
func (r *Reconciler) saveSoon(ctx context.Context) time.Time {
	must, _ := r.inv.Dirty()
	if r.o.ReadOnly || (!must && !r.recordDirty && !r.healDirty) {
		return time.Time{}
	}
	if due := r.saved.Add(saveEvery); r.o.Now().Before(due) {
		return due
	}
	if err := r.save(ctx, true); err != nil {
		r.saveFailed(ctx, err)
		r.saved = r.o.Now().Add(5*time.Second - saveEvery)
		return r.saved.Add(saveEvery)
	}
	return time.Time{}
}

func (r *Reconciler) saveFailed(ctx context.Context, err error) {
	if ctx.Err() != nil || (r.taken != nil && !r.o.Once) {
		return
	}
	r.log.Error("the inventory is not saved; it is tried again", keyErr, err)
}

// earliest of the times that are not zero.
func earliest(ts ...time.Time) time.Time {
	var out time.Time
	for _, t := range ts {
		if !t.IsZero() && (out.IsZero() || t.Before(out)) {
			out = t
		}
	}
	return out
}
