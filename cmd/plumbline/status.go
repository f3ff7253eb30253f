package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/reconciler"
)

func (a *app) statusCommand() *cobra.Command {
	watch := false
	cmd := a.command(spec{
		use: "status", short: "Say how each environment stands",
		long: `
Status reads inventories and metadata on the cluster: the commit that is
deployed, how many objects it has, and how many of them are not as they were
applied. No daemon is asked and nothing is written. Without --config and -e it
tells of every environment that is kept on the cluster. It exits 0 also on
drift; plumbline drift exits 1.`,
		outputs: []string{"text", "json"}, args: noArgs,
		run: func(ctx context.Context, _ []string) error { return a.status(ctx, watch) },
	})
	cmd.Flags().BoolVar(&watch, "watch", false, "print again after every change")
	return cmd
}

// environmentStatus is a line of `status`, and its JSON form.
type environmentStatus struct {
	Environment string    `json:"environment"`
	Applied     string    `json:"applied,omitempty"` // SHA of the commit that is deployed
	Whole       bool      `json:"whole"`             // and it was applied as a whole
	Objects     int       `json:"objects"`
	Services    int       `json:"services"`
	Drifted     int       `json:"drifted"`  // drifted or missing
	Suspects    int       `json:"suspects"` // changed outside our fields, not settled yet
	Blind       []string  `json:"blind,omitempty"`
	Saved       time.Time `json:"saved,omitzero"`
	Found       bool      `json:"found"`
}

func statusOf(name string, in reconciler.Inspection) environmentStatus {
	s := environmentStatus{
		Environment: name, Applied: in.Record.Applied, Whole: in.Record.Applied != "" && in.Record.Applied == in.Record.Good,
		Objects: in.Objects, Services: in.Services, Blind: in.Blind, Saved: in.Record.Saved, Found: in.Found,
	}
	for _, v := range in.Verdicts {
		switch v.State {
		case plumbline.StateDrifted, plumbline.StateMissing:
			s.Drifted++
		case plumbline.StateSuspect:
			s.Suspects++
		}
	}
	return s
}

func (a *app) status(ctx context.Context, watch bool) error {
	return a.inspect(ctx, watch, func(all []inspected) error {
		list := make([]environmentStatus, 0, len(all))
		for _, in := range all {
			list = append(list, statusOf(in.environment.Name, in.Inspection))
		}
		if a.output == "json" {
			return writeItems(a.out, "StatusList", list)
		}
		return writeStatus(a.out, list)
	})
}

func writeStatus(w io.Writer, list []environmentStatus) error {
	if len(list) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ENVIRONMENT\tCOMMIT\tOBJECTS\tSERVICES\tDRIFT")
	for _, s := range list {
		commit := plumbline.Commit{SHA: s.Applied}.Short()
		switch {
		case !s.Found:
			commit = "never applied"
		case !s.Whole:
			commit += " (not whole)"
		}
		drift := "none"
		if s.Drifted > 0 {
			drift = fmt.Sprintf("%d drifted", s.Drifted)
		}
		if s.Suspects > 0 {
			drift += fmt.Sprintf(", %d to be settled", s.Suspects)
		}
		if len(s.Blind) > 0 {
			drift += fmt.Sprintf(", not known of %d kinds", len(s.Blind))
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\n", s.Environment, commit, s.Objects, s.Services, drift)
	}
	return t.Flush()
}

// inspected is the inspection of one environment.
type inspected struct {
	settings    settings
	environment config.Environment
	reconciler.Inspection
}

// inspect inspects every chosen environment and tells of all. With watch there
// may be only one. Where neither a configuration nor a flag names one, they are
// those that the cluster knows of.
func (a *app) inspect(ctx context.Context, watch bool, tell func([]inspected) error) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	if !s.fromFile && len(a.environments) == 0 {
		if s.Environments, err = keptEnvironments(ctx, s.Environments[0].Cluster, s.Namespace); err != nil {
			return err
		}
		if len(s.Environments) == 0 {
			a.note("No environment was ever applied on this cluster: nothing is kept in Namespace %s.", s.Namespace)
			return tell(nil)
		}
	}
	if watch {
		if _, err := s.one(); err != nil {
			return err
		}
	}
	var all []inspected
	var errs []error
	for _, env := range s.Environments {
		err := a.inspectOne(ctx, s, env, watch, func(in reconciler.Inspection) error {
			one := inspected{settings: s, environment: env, Inspection: in}
			if watch {
				return tell([]inspected{one})
			}
			all = append(all, one)
			return nil
		})
		errs = append(errs, err)
	}
	if len(all) > 0 {
		errs = append(errs, tell(all))
	}
	return errors.Join(errs...)
}

// keptEnvironments are those that have an inventory on a cluster.
func keptEnvironments(ctx context.Context, at config.Cluster, namespace string) ([]config.Environment, error) {
	client, err := connect(at, nil)
	if err != nil {
		return nil, err
	}
	k, err := client.Kind(ctx, plumbline.GroupKind{Kind: "ConfigMap"}, "")
	if err != nil {
		return nil, err
	}
	items, err := client.List(ctx, k, namespace)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range items {
		if name := items[i].Labels[stateSelector]; name != "" && config.CheckEnvironmentName(name) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []config.Environment
	for _, name := range slices.Compact(names) {
		env := config.DefaultEnvironment(name)
		env.Cluster = at
		out = append(out, env)
	}
	return out, nil
}

func (a *app) inspectOne(ctx context.Context, s settings, env config.Environment, watch bool, tell func(reconciler.Inspection) error) error {
	j, err := join(joining{settings: s, environment: env, source: nowhere{}, noReports: true, logger: logger(a.err, s.Log), now: a.now})
	if err != nil {
		return err
	}
	return errors.Join(reconciler.New(j.Options).Inspect(ctx, watch, tell), j.close())
}
