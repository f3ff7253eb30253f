package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/plumbline-dev/plumbline"
)

func (a *app) driftCommand() *cobra.Command {
	watch := false
	cmd := a.command(spec{
		use: "drift", short: "Say what is not as it was applied, where, by whom and when",
		long: `
Drift reads inventories and metadata on the cluster: which objects were changed
or deleted by others, which fields, under which field manager's name and when.
No value of any object is read, no daemon is asked and nothing is written; the
desired and the live values are what plumbline diff shows.

A field manager is a name that its client chose, not a person; who it was
stands in the API server's audit log.`,
		outputs: []string{"text", "json"}, args: cobra.NoArgs,
		run: func(ctx context.Context, _ []string) error { return a.drift(ctx, watch) },
	})
	cmd.Flags().BoolVar(&watch, "watch", false, "print again after every change")
	return cmd
}

// driftItem is an object that is not as it was applied.
type driftItem struct {
	Environment string `json:"environment"`
	plumbline.Verdict
}

func (a *app) drift(ctx context.Context, watch bool) error {
	different := false
	err := a.inspect(ctx, watch, func(all []inspected) error {
		var list []driftItem
		different = false
		for _, in := range all {
			if !in.Found {
				a.note("%s: never applied, so nothing can have drifted", in.environment)
			}
			for _, v := range in.Verdicts {
				list = append(list, driftItem{in.environment, v})
				different = different || v.State == plumbline.StateDrifted || v.State == plumbline.StateMissing
			}
		}
		if a.output == "json" {
			return writeItems(a.out, "DriftList", list)
		}
		if len(list) == 0 {
			a.note("No drift.")
			return nil
		}
		return writeDrift(a.out, list)
	})
	if err == nil && different {
		return errDifferent
	}
	return err
}

func writeDrift(w io.Writer, list []driftItem) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ENVIRONMENT\tOBJECT\tSTATE\tFIELD\tMANAGER\tTIME")
	for _, d := range list {
		if len(d.Fields) == 0 {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\t\n", d.Environment, d.Ref, d.State, d.Reason)
		}
		for _, f := range d.Fields {
			field, manager, at := f.Path, f.Manager, ""
			if field == "" {
				field = d.Reason
			}
			if manager == "" {
				manager = "not recorded"
			}
			if !f.Time.IsZero() {
				at = f.Time.Format("2006-01-02 15:04:05Z")
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", d.Environment, d.Ref, d.State, field, manager, at)
		}
	}
	return t.Flush()
}
