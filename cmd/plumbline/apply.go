package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/reconciler"
)

type applyFlags struct {
	revision string
	dryRun   bool
	prune    bool
	report   bool
}

func (a *app) applyCommand() *cobra.Command {
	var f applyFlags
	cmd := a.command(spec{
		use: "apply [DIR]", short: "Bring an environment to what a directory says, once",
		long: `
Apply reconciles one environment with the definitions in DIR (default: the
working directory), or in a --revision of the clone that DIR lies in, and says
what it did. Drift is healed, whatever drift.action says: that is what it is
called for.`,
		args: oneDir,
		run: func(ctx context.Context, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return a.apply(ctx, dir, f)
		},
	})
	cmd.Flags().StringVar(&f.revision, "revision", "", "`commit`, branch or tag to read instead of the files")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and write nothing")
	cmd.Flags().BoolVar(&f.prune, "prune", true, "delete what is no longer defined")
	cmd.Flags().BoolVar(&f.report, "report", false, "post statuses, as the daemon would; needs --revision")
	return cmd
}

func (a *app) apply(ctx context.Context, dir string, f applyFlags) (err error) {
	if f.report && f.revision == "" {
		return usage("--report: files on disk are no commit; give --revision")
	}
	once, err := a.prepareOnce(ctx, dir, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, once.close()) }()
	written := 0
	once.Progress = func(e reconciler.Event) {
		if e.Kind == reconciler.EventOutcome && e.Outcome.Err == nil && e.Outcome.Action != plumbline.ActionUnchanged {
			written++
		}
		a.sayEvent(e)
	}
	res, err := a.runOnce(ctx, once, f)
	for _, v := range once.source.tree.placed(res.Violations) {
		a.writeViolation(a.err, v)
	}
	if f.dryRun && err == nil {
		a.sayPlan(res)
		return nil
	}
	if len(plumbline.Errors(res.Violations)) > 0 {
		return silent{err}
	}
	if err == nil && res.Closed != "" {
		a.note("Nothing is written: %s.", res.Closed)
	}
	if err == nil && res.Closed == "" {
		a.note("%d objects applied, in sync: %d written.", res.Total, written)
	}
	return err
}

// runOnce reconciles once, holding the environment's Lease.
func (a *app) runOnce(ctx context.Context, once *oneShot, f applyFlags) (res reconciler.Result, err error) {
	r := reconciler.New(once.Options)
	if f.dryRun {
		return r.Run(ctx)
	}
	if _, err := once.Client.Identify(ctx, once.Namespace, true); err != nil {
		return res, err
	}
	l, err := newLease(once.Client, once.Namespace, once.Environment, a.now, once.Logger)
	if err != nil {
		return res, err
	}
	l.once = true
	if err := l.free(ctx); err != nil {
		return res, err
	}
	err = l.hold(ctx, func(ctx context.Context) error {
		var err error
		res, err = r.Run(ctx)
		return err
	})
	return res, err
}

// oneShot is an environment joined with a local source.
type oneShot struct {
	*joined
	source  *localSource
	cleanUp func()
}

func (o *oneShot) close() error {
	err := errors.Join(o.joined.close(), o.source.close())
	o.cleanUp()
	return err
}

// prepareOnce joins the one chosen environment with dir as its source.
func (a *app) prepareOnce(ctx context.Context, dir string, f applyFlags) (*oneShot, error) {
	s, err := a.settings()
	if err != nil {
		return nil, err
	}
	env, err := s.one()
	if err != nil {
		return nil, err
	}
	src, path, err := openLocal(ctx, dir, f.revision)
	if err != nil {
		return nil, err
	}
	env.Path = path
	if f.dryRun {
		env.Mode = config.ModeObserve
	}
	cache, cleanUp, err := cacheDir()
	if err != nil {
		return nil, errors.Join(err, src.close())
	}
	j, err := join(joining{
		settings: s, environment: env, source: src, noReports: !f.report || f.dryRun, cache: cache,
		logger: logger(a.err, quieter(s.Log)), now: a.now,
	})
	if err != nil {
		cleanUp()
		return nil, errors.Join(err, src.close())
	}
	j.Once = true
	j.Drift = reconciler.DriftHeal
	if !f.prune {
		j.Prune = keepAll
	}
	return &oneShot{joined: j, source: src, cleanUp: cleanUp}, nil
}

// keepAll is the prune of --prune=false.
func keepAll(q reconciler.PruneRequest) reconciler.PruneDecision {
	d := reconciler.PruneDecision{Kept: map[plumbline.Ref]string{}, History: q.History}
	for _, c := range q.Candidates {
		d.Kept[c.Ref] = "--prune=false"
	}
	return d
}

// sayEvent prints what is done as it is done.
func (a *app) sayEvent(e reconciler.Event) {
	switch e.Kind {
	case reconciler.EventOutcome:
		if e.Outcome.Err == nil {
			a.note("%-10s %s", e.Outcome.Action, e.Outcome.Ref)
		}
	case reconciler.EventDrift:
		a.note("%-10s %s", "drift", e.Verdict)
	}
}

// sayPlan prints what would be done.
func (a *app) sayPlan(res reconciler.Result) {
	for _, c := range res.Plan.Changes {
		fmt.Fprintf(a.out, "%-10s %s  (%s)\n", c.Op, c.Ref, c.Reason)
	}
	for _, m := range res.Plan.ModeChanges {
		a.note("%s.", m)
	}
	a.note("%d to create, %d to configure, %d to delete, %d stay as they are. Nothing was written.",
		res.Plan.Count(plumbline.OpCreate), res.Plan.Count(plumbline.OpConfigure), res.Plan.Count(plumbline.OpDelete), res.Plan.Kept)
}
