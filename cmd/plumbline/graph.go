package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/callgraph"
	"github.com/plumbline-dev/plumbline/policies"
)

func (a *app) graphCommand() *cobra.Command {
	var revision string
	cmd := a.command(spec{
		use: "graph [DIR]", short: "Show who may call whom",
		long: `Print the calls that the definitions of one environment allow: a service may
call another that is among its upstreams and has it in its whitelist. Formats:

  mermaid  a flowchart, as forges show it in Markdown
  dot      for Graphviz
  svg      a picture, laid out
  json     one item a service, with the lines that allow each call

What only one side declares is drawn dashed; what is worth a second look is said
on standard error. With -p: the services of these projects, whom they may call,
and who may call them.`,
		outputs: []string{"mermaid", "dot", "svg", "json"}, projects: true, args: oneDir,
		run: func(ctx context.Context, args []string) error { return a.graph(ctx, args, revision) },
	})
	cmd.Flags().StringVar(&revision, "revision", "", "`commit`, branch or tag to read instead of the files")
	return cmd
}

func (a *app) graph(ctx context.Context, args []string, revision string) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	if _, err := s.one(); err != nil {
		return err
	}
	rs, err := a.renderings(ctx, s, args, revision)
	if err != nil {
		return err
	}
	r := rs[0]
	whole := policies.CallGraph(r.Peers, s.Mesh.AlwaysAllowedNamespaces)
	if err := a.sayViolations(plumbline.SortViolations(slices.Concat(r.Violations, whole.Warnings()))); err != nil {
		return err
	}
	if err := knownProjects(s.projects, r); err != nil {
		return err
	}
	g := whole.Only(s.projects)
	switch a.output {
	case "json":
		return writeItems(a.out, "CallGraph", g.Nodes)
	case "dot":
		return callgraph.DOT(a.out, g)
	case "svg":
		return callgraph.SVG(a.out, g, "Who may call whom · "+r.environment)
	}
	return callgraph.Mermaid(a.out, g)
}

// sayViolations prints what is wrong on standard error; with an error among it
// there is nothing to go on with.
func (a *app) sayViolations(vs []plumbline.Violation) error {
	invalid := false
	for _, v := range vs {
		if v.Severity == plumbline.SeverityError || !a.quiet {
			a.writeViolation(a.err, v)
		}
		invalid = invalid || v.Severity == plumbline.SeverityError
	}
	if invalid {
		return silent{plumbline.Errorf(plumbline.KindInvalid, "render", "invalid definitions")}
	}
	return nil
}
