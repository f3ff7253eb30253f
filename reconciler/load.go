package reconciler

import (
	"context"
	"errors"

	"github.com/plumbline-dev/plumbline"
)

// loaded is what fetching and rendering came to.
type loaded struct {
	commit   plumbline.Commit
	rendered *Rendered // nil when the head is the one that is known
	err      error

	base    *Rendered // of the commit that is deployed, when asked for
	baseErr error
	// told is the drift status that the forge holds of that commit, if any.
	told *plumbline.Status
}

// load fetches and renders beside the loop.
func (r *Reconciler) load(ctx context.Context) {
	base := ""
	if !r.baseKnown {
		base = r.rec.Applied
	}
	if r.order != nil {
		r.order.fetching = true
	}
	known, begun := r.known, r.posts.ahead
	r.posts.loading, r.posts.ahead = true, nil
	r.posts.wg.Add(1)
	go func() {
		defer r.posts.wg.Done()
		r.posts.loaded <- r.fetch(ctx, known, base, begun)
	}()
}

// ahead is a load of the head that began before there was a loop.
type ahead struct {
	came <-chan loaded
	old  bool // start was tried again since: there may be another head by now
}

// take waits for what the load came to, if there is one that is not old.
func (a *ahead) take() (l loaded, ok bool) {
	if a == nil {
		return loaded{}, false
	}
	if l = <-a.came; a.old {
		return loaded{}, false
	}
	return l, true
}

// loadAhead fetches and renders the head while start reads what the cluster
// has: neither needs the other. The first load takes what it came to.
func (r *Reconciler) loadAhead(ctx context.Context) {
	if r.posts.ahead != nil {
		r.posts.ahead.old = true
		return
	}
	came := make(chan loaded, 1)
	r.posts.ahead = &ahead{came: came}
	r.posts.wg.Add(1)
	go func() {
		defer r.posts.wg.Done()
		came <- r.fetch(ctx, "", "", nil)
	}()
}

// fetch is the I/O of load. It first waits for one that began ahead of it.
func (r *Reconciler) fetch(ctx context.Context, known, base string, begun *ahead) loaded {
	l := r.fetchCommits(ctx, known, base, begun)
	if base != "" {
		l.told = r.held(ctx, base)
	}
	return l
}

// held is the drift status of a commit that the forge holds. A process that was
// killed after it posted one may not have written that down.
func (r *Reconciler) held(ctx context.Context, sha string) (told *plumbline.Status) {
	if r.o.Reporter == nil {
		return nil
	}
	err := r.guard("read status", func() error {
		s, ok, err := r.o.Reporter.Last(ctx, plumbline.StatusKey{SHA: sha, Context: driftContext(r.o.Context)})
		if ok {
			told = &s
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		r.log.Warn("what was last told of drift is not known", keyCommit, sha, keyErr, err)
	}
	return told
}

func (r *Reconciler) fetchCommits(ctx context.Context, known, base string, begun *ahead) (l loaded) {
	defer r.recovered("render", &l.err)
	l, early := begun.take()
	switch {
	case !early:
		// First the fetch: in a new process there is nothing to read before it.
		l.commit, l.err = r.o.Source.Fetch(ctx)
	case l.rendered != nil && base == "":
		return l
	case l.rendered != nil && base == l.commit.SHA:
		l.base = l.rendered
		return l
	case l.commit.SHA != "":
		l.err = nil // it was fetched; rendering is tried again
	}
	if base != "" {
		l.base, l.baseErr = r.render(ctx, base)
	}
	if l.err != nil || l.commit.SHA == known && !r.stale(ctx) {
		return l
	}
	if !early {
		r.log.Debug("new head", keyCommit, l.commit.Short())
	}
	if l.base != nil && l.commit.SHA == base {
		l.rendered = l.base
		return l
	}
	// The renderer goes on from what it rendered last, which must be the head:
	// one that was rendered ahead of the base is rendered again.
	l.rendered, l.err = r.render(ctx, l.commit.SHA)
	return l
}

// stale tells whether the head would be rendered otherwise now.
func (r *Reconciler) stale(ctx context.Context) bool { return r.o.Stale != nil && r.o.Stale(ctx) }

func (r *Reconciler) render(ctx context.Context, sha string) (*Rendered, error) {
	snap, err := r.o.Source.Snapshot(ctx, sha)
	if err != nil {
		return nil, err
	}
	out, err := r.o.Renderer.Render(ctx, snap)
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// takeLoaded takes in what load brought. It is done when a one-shot run cannot
// go on.
func (r *Reconciler) takeLoaded(ctx context.Context, l loaded) (done bool, err error) {
	r.takeTold(l.told)
	r.takeBase(l)
	defer r.takeOrdered(l.err)
	if l.err != nil && ctx.Err() == nil {
		r.takeLoadError(l)
		if r.o.Once {
			r.finish(ctx)
			return true, l.err
		}
	}
	if l.rendered != nil {
		r.takeHead(l.commit, l.rendered)
	} else if l.err != nil && r.head.rendered == nil {
		r.resume()
	}
	if r.ready() {
		r.look(ctx, append(r.watch.Take(), r.unseen()...))
	}
	return false, nil
}

// takeTold takes in what the forge holds: it may be more than we know of, and
// what is told there of drift must not stay when there is none any more.
func (r *Reconciler) takeTold(told *plumbline.Status) {
	if told == nil || told.SHA != r.rec.Applied {
		return
	}
	r.o.Outbox.Accepted(*told, r.o.Now())
	if r.heals.sha != told.SHA {
		r.heals = healed{sha: told.SHA}
	}
	r.heals.said = r.heals.said || told.State != plumbline.StatusSuccess
}

// takeBase takes in the commit that is deployed.
func (r *Reconciler) takeBase(l loaded) {
	if r.baseKnown || (l.base == nil && l.baseErr == nil) {
		return
	}
	if l.baseErr != nil && l.err != nil {
		return // nothing was fetched, which says nothing about the commit
	}
	if l.baseErr != nil || len(plumbline.Errors(l.base.Violations)) > 0 {
		why := l.baseErr
		if why == nil {
			why = errors.New(plumbline.Errors(l.base.Violations)[0].String())
		}
		if r.o.Once && l.rendered != nil && len(plumbline.Errors(l.rendered.Violations)) > 0 {
			r.baseKnown = true
			return // the run ends with what is wrong with its own commit
		}
		r.log.Error("the deployed commit cannot be rendered: drift is reported, and not healed", keyCommit, plumbline.Commit{SHA: r.rec.Applied}.Short(), keyErr, why)
		r.baseKnown = true
		return
	}
	r.baseKnown = true
	r.base = plumbline.Commit{SHA: r.rec.Applied}
	r.desired = l.base.Objects
}

// takeLoadError reports a commit, or a branch, that cannot be read.
func (r *Reconciler) takeLoadError(l loaded) {
	kind := plumbline.KindOf(l.err)
	if l.commit.SHA != "" && kind != plumbline.KindTransient && kind != plumbline.KindWaiting {
		state, text := errorStatus(l.err)
		r.want(plumbline.Status{SHA: l.commit.SHA, Context: r.o.Context, State: state, Description: text})
	}
	if text := l.err.Error(); text != r.lastLoadErr && !r.o.Once { // a one-shot run returns it
		r.lastLoadErr = text
		r.log.Warn("the repository is not read; the last good revision stays", keyErr, l.err)
	}
}
