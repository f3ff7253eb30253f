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
}

// load fetches and renders beside the loop.
func (r *Reconciler) load(ctx context.Context) {
	known := ""
	if r.head.rendered != nil {
		known = r.head.commit.SHA
	}
	base := ""
	if !r.baseKnown {
		base = r.rec.Applied
	}
	if r.order != nil {
		r.order.fetching = true
	}
	r.posts.loading = true
	r.posts.wg.Add(1)
	go func() {
		defer r.posts.wg.Done()
		r.posts.loaded <- r.fetch(ctx, known, base)
	}()
}

// fetch is the I/O of load.
func (r *Reconciler) fetch(ctx context.Context, known, base string) (l loaded) {
	defer r.recovered("render", &l.err)
	// First the fetch: in a new process there is nothing to read before it.
	l.commit, l.err = r.o.Source.Fetch(ctx)
	if base != "" {
		l.base, l.baseErr = r.render(ctx, base)
	}
	if l.err != nil || l.commit.SHA == known && !r.stale(ctx) {
		return l
	}
	r.log.Debug("new head", keyCommit, l.commit.Short())
	if l.base != nil && l.commit.SHA == base {
		l.rendered = l.base
		return l
	}
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
		if r.head.rendered != nil && !r.head.done {
			r.supersede(l.commit)
		}
		r.head = head{commit: l.commit, rendered: l.rendered}
	}
	if r.ready() {
		r.look(ctx, append(r.watch.Take(), r.unseen()...))
	}
	return false, nil
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
		r.log.Error("the deployed commit cannot be rendered: drift is reported, and not healed", keyCommit, r.rec.Applied, keyErr, why)
		r.baseKnown = true
		return
	}
	r.baseKnown = true
	r.good = plumbline.Commit{SHA: r.rec.Applied}
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
