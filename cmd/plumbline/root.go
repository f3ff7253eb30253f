package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
)

// app is what all commands share.
type app struct {
	streams
	flags
	now     func() time.Time
	started bool // the command itself runs: errors are its own
}

// flags of every command.
type flags struct {
	config       string
	environments []string
	projects     []string
	kubeconfig   string
	context      string
	namespace    string
	output       string
	timeout      time.Duration
	logLevel     string
	logFormat    string
	quiet        bool
	color        string

	// The source, where there is no configuration.
	repo, branch, path string
}

const exitCodes = `
Exit codes:
  0   done; no differences
  1   differences, or drift
  2   flags, configuration or kubeconfig
  3   invalid definitions, policy violations, a path or branch that is not there
  4   denied: ownership, rights, budget, credentials; no definitions at all
  5   Git, the cluster or the forge is unavailable
  70  a bug in Plumbline
  130 stopped by Ctrl-C (143: SIGTERM) before it was done; a daemon ends with 0
Several at once: 70 > 130 > 2 > 4 > 3 > 5 > 1.`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "plumbline",
		Short: "Keep a Kubernetes cluster true to a Git repository of service definitions",
		Long: `Plumbline renders the service definitions of a Git repository into Knative,
Istio and Kubernetes objects, applies what differs, and reports what it did,
and every later drift, as statuses on the commit that is deployed.
` + exitCodes,
		SilenceErrors:         true,
		SilenceUsage:          true,
		DisableFlagsInUseLine: true,
		Args:                  unknownCommand,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(flagError)
	a.globals(root)
	group(root, "Work on definitions:", a.validateCommand(), a.renderCommand(), a.diffCommand(), a.graphCommand(), a.schemaCommand(), a.explainCommand(), a.importCommand())
	group(root, "Keep a cluster true:", a.runCommand(), a.applyCommand(), a.syncCommand(), a.statusCommand(), a.driftCommand())
	group(root, "Set up, take down:", a.checkCommand(), a.installCommand(), a.uninstallCommand())
	root.AddCommand(a.versionCommand())
	root.AddCommand(a.laterCommands()...)
	strictWords(root)
	return root
}

// group adds commands below a title of their own.
func group(root *cobra.Command, title string, cmds ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, c := range cmds {
		c.GroupID = title
	}
	root.AddCommand(cmds...)
}

func (a *app) globals(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&a.config, "config", "", "the operator's configuration `file`")
	f.StringSliceVarP(&a.environments, "environment", "e", nil, "environment `name`; repeatable with --config")
	f.StringVar(&a.kubeconfig, "kubeconfig", "", "kubeconfig `file` (default: kubectl's, or in-cluster)")
	f.StringVar(&a.context, "context", "", "`name` of the kubeconfig's context")
	f.StringVar(&a.namespace, "namespace", "", "Plumbline's own namespace (default plumbline-system)")
	f.DurationVar(&a.timeout, "timeout", 0, "give up after this time (default: never)")
	f.StringVar(&a.logLevel, "log-level", "", "debug, info, warn or error (default info)")
	f.StringVar(&a.logFormat, "log-format", "", "text or json (default text)")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "no notes and no summary on standard error")
	f.StringVar(&a.color, "color", "auto", "auto, always or never, and NO_COLOR")
	f.StringVar(&a.repo, "repo", "", "`URL` of the repository, without --config")
	f.StringVar(&a.branch, "branch", "", "branch of --repo (default main)")
	f.StringVar(&a.path, "path", "", "the environment's `directory` in --repo (default .)")
}

// spec is a command. What all commands do alike, command does.
type spec struct {
	use, short, long string
	outputs          []string // of -o, the default first; none: no -o
	projects         bool     // there is -p
	args             cobra.PositionalArgs
	run              func(ctx context.Context, args []string) error
	stays            bool // paces its collector itself: see memory
}

func (a *app) command(s spec) *cobra.Command {
	output := "" // each command has its own default
	cmd := &cobra.Command{
		Use: s.use, Short: s.short,
		Long: strings.TrimSpace(s.long) + "\n" + exitCodes,
		Args: s.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.output = output
			if err := a.checkFlags(s.outputs); err != nil {
				return see(cmd, err)
			}
			a.started = true
			if !s.stays {
				thrifty()
			}
			ctx := cmd.Context()
			if a.timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, a.timeout)
				defer cancel()
			}
			return a.inTime(ctx, s.run(ctx, args))
		},
	}
	if len(s.outputs) > 0 {
		cmd.Flags().StringVarP(&output, "output", "o", s.outputs[0], "`format`: "+alternatives(s.outputs))
	}
	if s.projects {
		cmd.Flags().StringSliceVarP(&a.projects, "project", "p", nil, "only this `project`; repeatable")
	}
	return cmd
}

// inTime says of an error that comes of --timeout that it does.
func (a *app) inTime(ctx context.Context, err error) error {
	if a.timeout > 0 && errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.Is(err, context.DeadlineExceeded) {
		return plumbline.Errorf(plumbline.KindOf(err), "", "%w: --timeout is %s", err, a.timeout)
	}
	return err
}

// alternatives are words as a sentence lists them.
func alternatives(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (a *app) checkFlags(outputs []string) error {
	if len(outputs) > 0 && !slices.Contains(outputs, a.output) {
		return fmt.Errorf("--output: %q is not %s", a.output, alternatives(outputs))
	}
	if a.logLevel != "" {
		if _, err := config.ParseLevel(a.logLevel); err != nil {
			return fmt.Errorf("--log-level: %w", err)
		}
	}
	if a.logFormat != "" {
		if err := config.CheckFormat(a.logFormat); err != nil {
			return fmt.Errorf("--log-format: %w", err)
		}
	}
	if !slices.Contains([]string{"auto", "always", "never"}, a.color) {
		return fmt.Errorf("--color: %q is not auto, always or never", a.color)
	}
	if a.timeout < 0 {
		return fmt.Errorf("--timeout: %s is negative", a.timeout)
	}
	return nil
}

// usage is an error about flags and arguments.
func usage(format string, args ...any) error {
	return plumbline.Errorf(plumbline.KindUsage, "", format, args...)
}
