package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
)

type uninstallFlags struct {
	orphan bool
	yes    bool
	dryRun bool
}

func (a *app) uninstallCommand() *cobra.Command {
	var f uninstallFlags
	cmd := a.command(spec{
		use: "uninstall --orphan", short: "Take Plumbline off a cluster and leave everything running",
		long: `
Uninstall takes Plumbline off the clusters of the chosen environments. What it
applied stays and keeps running: nothing of it is deleted, and nothing of its
spec changes. Off each object come the labels that say it is Plumbline's, and
Plumbline's entry of field ownership, so that the next tool meets no conflict
and a new installation takes it for what it is: somebody else's.

Then its own state goes: inventories and Leases; and where no other environment
is left on the cluster, the hash key, the rights that ` + "`plumbline install`" + `
printed, and its Namespace with all that is in it.

Stop the daemon first (kubectl -n plumbline-system scale deployment plumbline
--replicas=0): while one holds an environment's Lease, uninstall is refused;
one that was started without --leader-elect holds none. What fails can be tried
again: the inventory goes last.

Nothing is written without --yes.`,
		args: noArgs,
		run:  func(ctx context.Context, _ []string) error { return a.uninstall(ctx, f) },
	})
	cmd.Flags().BoolVar(&f.orphan, "orphan", false, "leave all objects in place; there is no other way")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do it")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and write nothing")
	return cmd
}

func (a *app) uninstall(ctx context.Context, f uninstallFlags) error {
	switch {
	case !f.orphan:
		return usage("uninstall: give --orphan: all objects stay. To delete them, empty the repository first, within the prune budget")
	case f.yes && f.dryRun:
		return usage("--yes and --dry-run: choose one")
	}
	s, err := a.settings()
	if err != nil {
		return err
	}
	var errs []error
	var done []config.Cluster
	for _, env := range s.Environments {
		err := a.uninstallEnvironment(ctx, s, env, f.yes)
		if err == nil {
			done = append(done, env.Cluster)
		}
		errs = append(errs, err)
	}
	seen := map[config.Cluster]bool{}
	for _, at := range done {
		if !seen[at] && errors.Join(errs...) == nil {
			seen[at] = true
			errs = append(errs, a.uninstallInstallation(ctx, s, at, f.yes))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if !f.yes && !f.dryRun {
		return usage("nothing was written; give --yes to do it")
	}
	if f.dryRun {
		a.note("Nothing was written.")
	}
	return nil
}
