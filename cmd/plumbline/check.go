package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/preflight"
)

func (a *app) checkCommand() *cobra.Command {
	return a.command(spec{
		use: "check", short: "Say what is missing before Plumbline can run",
		long: `
Check fetches the repository, renders what each environment says, and looks
whether the cluster has what that needs, as the user of the kubeconfig: the
kinds that are rendered to, the Knative features that knative.features
declares, a sidecar injector, and each right. A line each:

  ok        it is there
  missing   Plumbline cannot do its work without it
  warning   it may be well, or is bad only for some services

What is missing or doubtful is followed by what to do. Nothing is written,
neither to the cluster nor to the repository. Where the repository cannot be
read, the cluster is checked for all that definitions can be rendered to.

The exit code is 0 where nothing is missing, warnings or not.`,
		outputs: []string{"text", "json"}, args: noArgs,
		run: func(ctx context.Context, _ []string) error { return a.check(ctx) },
	})
}

func (a *app) check(ctx context.Context) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	// A directory of its own: the daemon's mirrors are the daemon's alone.
	dir, err := os.MkdirTemp(os.Getenv("PLUMBLINE_CACHE"), "check-")
	if err != nil {
		return plumbline.Errorf(plumbline.KindUsage, "make cache", "%w; set PLUMBLINE_CACHE to a directory that can be written", err)
	}
	defer os.RemoveAll(dir)
	c := &checkRun{settings: s, cache: dir, now: a.now}
	found := c.environments(ctx)
	found = append(found, c.clusters(ctx)...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if a.output == "json" {
		err = writeItems(a.out, "CheckList", found)
	} else {
		a.writeCheck(found)
	}
	return errors.Join(err, verdict(found))
}

// verdict is the error that what is missing adds up to; it has been printed.
func verdict(found []preflight.Finding) error {
	var missing []error
	for _, f := range found {
		if f.State == preflight.Missing {
			missing = append(missing, plumbline.Errorf(f.Kind, "check "+f.Subject, "%s", f.Detail))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return silent{errors.Join(missing...)}
}

// writeCheck prints findings for people, in columns.
func (a *app) writeCheck(found []preflight.Finding) {
	colours := map[preflight.State]string{preflight.OK: green, preflight.Warning: yellow, preflight.Missing: red}
	missing, warnings := 0, 0
	last := ""
	for i, f := range found {
		if f.Environment != last {
			fmt.Fprintf(a.out, "%s\n", f.Environment)
			last = f.Environment
		}
		fmt.Fprintf(a.out, "  %s %-11s %s\n", a.paint(a.out, colours[f.State], fmt.Sprintf("%-8s", f.State)), f.Subject, sentence(f, i+1 == len(found) || found[i+1].Advice != f.Advice))
		switch f.State {
		case preflight.Missing:
			missing++
		case preflight.Warning:
			warnings++
		}
	}
	if missing == 0 {
		a.note("Nothing is missing; %s.", plural(warnings, "warning"))
		return
	}
	a.note("%d of %d missing; %s.", missing, len(found), plural(warnings, "warning"))
}

// sentence is what a finding says and, unless the next one gives the same
// advice, what to do.
func sentence(f preflight.Finding, advise bool) string {
	s := strings.Join(strings.Fields(f.Detail), " ")
	if advise && f.Advice != "" {
		s += "; " + f.Advice
	}
	return s
}
