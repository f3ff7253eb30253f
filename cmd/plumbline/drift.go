package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/forge"
)

type driftFlags struct {
	watch  bool
	values bool
}

func (a *app) driftCommand() *cobra.Command {
	var f driftFlags
	cmd := a.command(spec{
		use: "drift", short: "Say what is not as it was applied, where, by whom and when",
		long: `
Drift reads inventories and metadata on the cluster: which objects were changed
or deleted by others, which fields, under which field manager's name and when.
No daemon is asked and nothing is written.

Of what drifted it then shows the value in Git, at the commit that is applied,
and the live one: for that it reads the repository, and these objects. Values of
Secrets are never read. With --values=false nothing but metadata is.

A field manager is a name that its client chose, not a person; who it was
stands in the API server's audit log.`,
		outputs: []string{"text", "json"}, args: noArgs,
		run: func(ctx context.Context, _ []string) error { return a.drift(ctx, f) },
	})
	cmd.Flags().BoolVar(&f.watch, "watch", false, "print again after every change")
	cmd.Flags().BoolVar(&f.values, "values", true, "show desired and live values")
	return cmd
}

// driftItem is an object that is not as it was applied.
type driftItem struct {
	Environment string `json:"environment"`
	plumbline.Verdict
	Fields []driftField `json:"fields,omitempty"`
}

// driftField is a field of it. A value is nil where it is not known, and null
// where there is none.
type driftField struct {
	plumbline.Field
	Desired json.RawMessage `json:"desired,omitempty"`
	Live    json.RawMessage `json:"live,omitempty"`
}

func (a *app) drift(ctx context.Context, f driftFlags) error {
	values := a.newDriftValues()
	defer values.close()
	different := false
	err := a.inspect(ctx, f.watch, func(all []inspected) error {
		var list []driftItem
		different = false
		for _, in := range all {
			if !in.Found {
				a.note("%s: never applied, so nothing can have drifted", in.environment.Name)
			}
			items := driftItems(in)
			if f.values {
				values.fill(ctx, in, items)
			}
			list = append(list, items...)
		}
		for _, d := range list {
			different = different || d.State == plumbline.StateDrifted || d.State == plumbline.StateMissing
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

func driftItems(in inspected) []driftItem {
	items := make([]driftItem, 0, len(in.Verdicts))
	for _, v := range in.Verdicts {
		item := driftItem{Environment: in.environment.Name, Verdict: v}
		for _, f := range v.Fields {
			item.Fields = append(item.Fields, driftField{Field: f})
		}
		items = append(items, item)
	}
	return items
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
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s%s\n", d.Environment, d.Ref, d.State, field, manager, at, inWords(f))
		}
	}
	return t.Flush()
}

// maxValue is how many bytes of a value a line shows.
const maxValue = 60

// inWords says what a field is, and what it should be.
func inWords(f driftField) string {
	if f.Desired == nil && f.Live == nil {
		return ""
	}
	return fmt.Sprintf("\tis %s, should be %s", short(f.Live), short(f.Desired))
}

func short(value json.RawMessage) string {
	switch string(value) {
	case "":
		return "not known"
	case "null":
		return "absent"
	}
	return forge.Describe(string(value), maxValue)
}
