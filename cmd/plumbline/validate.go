package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/sarif"
)

func (a *app) validateCommand() *cobra.Command {
	var revision string
	var strict bool
	cmd := a.command(spec{
		use: "validate [DIR]", short: "Say what is wrong in the definitions",
		long: `Check the definitions in DIR and print every error and warning, one a line:

  path:line:column: message [code]

In a clone paths are relative to its root, as code hosts want them; elsewhere
they begin with DIR as it is given.

Without DIR: the directory of every chosen environment, in the clone around the
working directory; without --config, the working directory.

With -o sarif the output is SARIF 2.1.0, which code hosts and editors take.
plumbline explain CODE tells what a code means, and what to do.`,
		outputs: []string{"text", "json", "sarif"}, args: oneDir,
		run: func(ctx context.Context, args []string) error {
			return a.validate(ctx, args, revision, strict)
		},
	})
	cmd.Flags().StringVar(&revision, "revision", "", "`commit`, branch or tag to read instead of the files")
	cmd.Flags().BoolVar(&strict, "strict", false, "warnings are errors")
	return cmd
}

// finding is a violation in the output of validate.
type finding struct {
	Environment string `json:"environment"`
	plumbline.Violation
}

func (a *app) validate(ctx context.Context, args []string, revision string, strict bool) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	rs, err := a.renderings(ctx, s, args, revision)
	if err != nil {
		return err
	}
	var found []finding
	errs, warnings := 0, 0
	for _, r := range rs {
		for _, skip := range r.Skipped {
			a.note("%s: skipped: %s", skip.Origin, skip.Reason)
		}
		a.noteClosed(r.Closed)
		for _, v := range r.Violations {
			found = append(found, finding{r.environment, v})
			if v.Severity == plumbline.SeverityError {
				errs++
			} else {
				warnings++
			}
		}
	}
	if err := a.writeFindings(found, strict); err != nil {
		return err
	}
	for _, r := range rs {
		a.note("%s: %s in %s, %s", r.environment, plural(r.Stats.Documents, "document"), plural(r.Stats.Files, "file"), plural(len(r.Services), "service"))
	}
	a.note("%s, %s", plural(errs, "error"), plural(warnings, "warning"))
	if errs > 0 || strict && warnings > 0 {
		return silent{plumbline.Errorf(plumbline.KindInvalid, "validate", "invalid definitions")}
	}
	return nil
}

func (a *app) writeFindings(found []finding, strict bool) error {
	switch a.output {
	case "json":
		return writeItems(a.out, "ViolationList", found)
	case "sarif":
		results := make([]sarif.Result, 0, len(found))
		for _, f := range found {
			results = append(results, sarif.Result(f))
		}
		return sarif.Write(a.out, version, results, strict)
	}
	for _, f := range found {
		a.writeViolation(a.out, f.Violation)
	}
	return nil
}

// writeViolation prints a violation on one line.
func (a *app) writeViolation(w io.Writer, v plumbline.Violation) {
	colour := red
	if v.Severity == plumbline.SeverityWarning {
		colour = yellow
	}
	line := strings.Join(strings.Fields(v.String()), " ")
	fmt.Fprintf(w, "%s %s\n", line, a.paint(w, colour, "["+v.Code+"]"))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
