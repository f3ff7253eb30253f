package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	inventory "github.com/plumbline-dev/plumbline/reconciler/state"
)

func (a *app) syncCommand() *cobra.Command {
	wait := true
	cmd := a.command(spec{
		use: "sync", short: "Ask the daemon to fetch and apply now",
		long: `
Sync asks the daemon of each chosen environment to fetch its branch and to bring
the cluster to its head at once, instead of after the interval or a backoff, and
waits for what came of it. The order is kept in a ConfigMap of Plumbline's
namespace: the command needs the cluster, not the daemon's address. Nothing is
overridden: a closed window stays closed.

Where no daemon runs nobody answers; then use apply, or --timeout.`,
		outputs: []string{"text", "json"}, args: noArgs,
		run: func(ctx context.Context, _ []string) error { return a.sync(ctx, wait) },
	})
	cmd.Flags().BoolVar(&wait, "wait", true, "wait for the answer; with =false only ask")
	return cmd
}

// synced is a line of `sync`, and its JSON form.
type synced struct {
	Environment string                `json:"environment"`
	Commit      string                `json:"commit,omitempty"`
	State       plumbline.StatusState `json:"state,omitempty"`
	Description string                `json:"description,omitempty"`
}

func (a *app) sync(ctx context.Context, wait bool) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	results := make([]*synced, len(s.Environments))
	errs := make([]error, len(s.Environments))
	var g errgroup.Group
	for i, env := range s.Environments {
		g.Go(func() error {
			results[i], errs[i] = a.syncOne(ctx, s, env, wait)
			return nil
		})
	}
	_ = g.Wait() // every environment has its own error
	var list []synced
	for _, r := range results {
		if r != nil {
			list = append(list, *r)
		}
	}
	switch {
	case a.output == "json":
		errs = append(errs, writeItems(a.out, "SyncList", list))
	case wait:
		errs = append(errs, writeSynced(a.out, list))
	}
	return errors.Join(errs...)
}

func writeSynced(w io.Writer, list []synced) error {
	var errs []error
	for _, s := range list {
		at := ""
		if s.Commit != "" {
			at = " at " + plumbline.Commit{SHA: s.Commit}.Short()
		}
		_, err := fmt.Fprintf(w, "%s%s: %s: %s\n", s.Environment, at, s.State, s.Description)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// noAnswerAfter is how long an order may be unanswered before people are told
// what that may mean.
const noAnswerAfter = 10 * time.Second

// syncOne asks one environment's daemon, and waits. A commit that could not be
// applied is a result and, for the exit code, an error that says nothing more.
func (a *app) syncOne(ctx context.Context, s settings, env config.Environment, wait bool) (*synced, error) {
	if env.Mode == config.ModeObserve {
		return nil, plumbline.Errorf(plumbline.KindUsage, "sync", "environment %s is only observed (mode: observe): its daemon writes nothing", env.Name)
	}
	client, err := connect(env.Cluster, nil)
	if err != nil {
		return nil, err
	}
	core, err := client.Core()
	if err != nil {
		return nil, err
	}
	orders := inventory.NewOrders(core.ConfigMaps(s.Namespace), env.Name)
	if err := orders.Ask(ctx, inventory.Order{ID: rand.Text(), At: a.now().UTC()}); err != nil {
		return nil, err
	}
	if !wait {
		a.note("%s: asked", env.Name)
		return &synced{Environment: env.Name}, nil
	}
	patience := time.AfterFunc(noAnswerAfter, func() {
		a.note("%s: no answer yet. Is `plumbline run` at work for it on this cluster? `plumbline apply` needs none.", env.Name)
	})
	defer patience.Stop()
	for {
		answer, err := orders.Wait(ctx)
		switch {
		case inventory.WatchEnded(err):
			continue
		case plumbline.Canceled(ctx.Err()):
			return nil, ctx.Err()
		case ctx.Err() != nil:
			return nil, plumbline.Errorf(plumbline.KindTransient, "sync", "environment %s: no answer: is `plumbline run` at work for it on this cluster?", env.Name)
		case err != nil:
			return nil, plumbline.Errorf(plumbline.KindTransient, "sync", "wait for the answer: %w", err)
		}
		done := &synced{Environment: env.Name, Commit: answer.Commit, State: answer.State, Description: answer.Text}
		if answer.Exit != 0 {
			return done, silent{plumbline.Errorf(kindOfExit(answer.Exit), "sync", "%s", answer.Text)}
		}
		return done, nil
	}
}

// kindOfExit is a kind with this exit code.
func kindOfExit(code int) plumbline.Kind {
	for _, k := range []plumbline.Kind{plumbline.KindUsage, plumbline.KindInvalid, plumbline.KindDenied, plumbline.KindTransient} {
		if k.ExitCode() == code {
			return k
		}
	}
	return plumbline.KindInternal
}
