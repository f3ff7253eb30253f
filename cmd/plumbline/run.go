package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/serve"
	"github.com/plumbline-dev/plumbline/reconciler"
)

func (a *app) runCommand() *cobra.Command {
	once, elect := false, false
	cmd := a.command(spec{
		use:   "run",
		short: "Keep clusters true to the repository, until stopped",
		long: `
Run polls the repository, applies what differs, watches what it applied, and
reports both as commit statuses. Each environment of --config has a loop of its
own. Without --config: --repo URL --branch NAME --path DIR -e NAME.

With --once every environment is brought to the head of its branch once, and
the exit code says what came of it. Without, it runs until Ctrl-C or SIGTERM,
and the exit code is 0 then. With --leader-elect several replicas may run:
whoever holds an environment's Lease keeps it.`,
		args: noArgs, stays: true,
		run: func(ctx context.Context, _ []string) error { return a.run(ctx, once, elect) },
	})
	cmd.Flags().BoolVar(&elect, "leader-elect", false, "keep an environment only while holding its Lease")
	cmd.Flags().BoolVar(&once, "once", false, "reconcile once and exit")
	return cmd
}

func (a *app) run(ctx context.Context, once, elect bool) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	if s.Source.URL == "" {
		return usage("which repository? Give --config FILE, or --repo URL")
	}
	log := logger(a.err, s.Log)
	cache, cleanUp, err := cacheDir()
	if err != nil {
		return err
	}
	defer cleanUp()
	var names []string
	for _, e := range s.Environments {
		names = append(names, e.Name)
	}
	metrics := serve.NewMetrics(version, names, a.now)
	daemon := &daemon{app: a, settings: s, once: once, elect: elect, cache: cache, metrics: metrics, log: log}
	return daemon.run(ctx)
}

// daemon runs the loops of all environments, and the server beside them.
type daemon struct {
	app      *app
	settings settings
	once     bool
	elect    bool
	cache    string
	metrics  *serve.Metrics
	memory   *memory
	log      *slog.Logger
}

func (d *daemon) run(ctx context.Context) error {
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	server, serveCtx := errgroup.WithContext(serving)
	if !d.once && d.settings.Server.Listen != "" {
		server.Go(func() error {
			return serve.Serve(serveCtx, d.settings.Server.Listen, serve.Handler(d.metrics), d.log)
		})
	} else {
		serveCtx = serving
	}
	d.memory = newMemory()
	server.Go(func() error {
		d.memory.run(serving)
		return nil
	})
	var mu sync.Mutex
	var errs []error
	var loops sync.WaitGroup
	for _, env := range d.settings.Environments {
		loops.Go(func() {
			// A server that does not start ends the loops, an environment that
			// fails ends only itself. To be stopped is how a daemon ends; with
			// --once it is to be cut off.
			if err := d.keep(serveCtx, env); err != nil && (d.once || !plumbline.Canceled(err) || serveCtx.Err() == nil) {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	loops.Wait()
	stopServing()
	if err := server.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// lastSave is how long a stopping loop may take to write down what it knows.
const lastSave = 10 * time.Second

// keep runs the loop of an environment, with --leader-elect whenever it holds
// the Lease.
func (d *daemon) keep(ctx context.Context, env config.Environment) error {
	if !d.elect {
		return d.environment(ctx, env)
	}
	client, err := connect(env.Cluster, d.metrics.Request)
	if err != nil {
		return err
	}
	l, err := newLease(client, d.settings.Namespace, env.Name, d.app.now, d.log)
	if err != nil {
		return err
	}
	l.once = d.once
	for {
		err := l.hold(ctx, func(ctx context.Context) error { return d.environment(ctx, env) })
		if ctx.Err() != nil || !errors.Is(err, errLeaseLost) {
			return err
		}
		d.log.Warn("waiting for the Lease again", keyEnvironment, env.Name, keyErr, err)
	}
}

func (d *daemon) environment(ctx context.Context, env config.Environment) (err error) {
	j, err := join(joining{
		settings: d.settings, environment: env, cache: d.cache, requests: d.metrics.Request, logger: d.log, now: d.app.now,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	defer func() {
		if r := recover(); r != nil {
			err = panicked(d.app.err, r)
		}
	}()
	j.Once = d.once
	tell, told := d.events(ctx, env, j.core)
	defer told()
	remember := d.memory.watch()
	j.Progress = func(e reconciler.Event) {
		d.metrics.Event(env.Name, e)
		tell(e)
		remember(e)
	}
	if box, ok := j.Outbox.(serve.Pending); ok {
		d.metrics.Observe(env.Name, string(d.settings.Forge.Kind), &j.Options, box)
	}
	r := reconciler.New(j.Options)
	_, err = r.Run(ctx)
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
	defer cancel()
	return errors.Join(err, r.Save(save))
}

// cacheDir is a directory for mirrors that belongs to this process alone. It
// is below $PLUMBLINE_CACHE, where it stays for the next start, or else
// temporary.
func cacheDir() (dir string, cleanUp func(), err error) {
	if dir := os.Getenv("PLUMBLINE_CACHE"); dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", nil, plumbline.Errorf(plumbline.KindUsage, "make cache", "%w; set PLUMBLINE_CACHE to a directory that can be written", err)
		}
		return filepath.Clean(dir), func() {}, nil
	}
	dir, err = os.MkdirTemp("", "plumbline-")
	if err != nil {
		return "", nil, plumbline.Errorf(plumbline.KindUsage, "make cache", "%w; set PLUMBLINE_CACHE to a directory that can be written", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}
