package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

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
No daemon is asked and nothing is written. Without --config and -e it tells of
every environment that is kept on the cluster.

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
	different, found := false, false
	err := a.inspect(ctx, f.watch, func(all []inspected) error {
		var list []driftItem
		different, found = false, false
		for _, in := range all {
			found = found || in.Found
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
		switch {
		case len(list) == 0 && found:
			a.note("No drift.")
			return nil
		case len(list) == 0:
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

// writeDrift prints a line an object, and below it where it drifted.
func writeDrift(w io.Writer, list []driftItem) error {
	var out strings.Builder
	width := len("ENVIRONMENT")
	for _, d := range list {
		width = max(width, len(d.Environment))
	}
	line := func(environment, state, object string) {
		fmt.Fprintf(&out, "%-*s  %-11s  %s\n", width, environment, state, object)
	}
	line("ENVIRONMENT", "STATE", "OBJECT")
	for _, d := range list {
		line(d.Environment, string(d.State), d.Ref.String())
		if d.Reason != "" {
			fmt.Fprintf(&out, "  %s\n", d.Reason)
		}
		for _, f := range d.Fields {
			fmt.Fprintf(&out, "  %s\n", where(f))
			if (f.Desired != nil || f.Live != nil) && !isSecret(d.Ref) {
				fmt.Fprintf(&out, "    is %s, should be %s\n", short(f.Live), short(f.Desired))
			}
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// where is a field, and who changed it when.
func where(f driftField) string {
	field, manager := f.Path, f.Manager
	if field == "" { // which fields, if any, nobody knows before it is settled
		field = "last written"
	}
	if manager == "" {
		manager = "nobody that is recorded"
	}
	s := field + " by " + manager
	if !f.Time.IsZero() {
		s += " at " + f.Time.UTC().Format("2006-01-02 15:04:05Z")
	}
	return s
}

// maxValue is how many bytes of a value a line shows.
const maxValue = 60

func short(value json.RawMessage) string {
	switch string(value) {
	case "":
		return "not known"
	case "null":
		return "absent"
	}
	return forge.Describe(string(value), maxValue)
}
