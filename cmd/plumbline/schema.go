package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/schema"
)

func (a *app) schemaCommand() *cobra.Command {
	var kind string
	cmd := a.command(spec{
		use: "schema", short: "Print the JSON Schema that editors complete and check by",
		long: `Print a JSON Schema (draft-07) of what may stand in a file of definitions: all
kinds, in the form of plumbline.dev/v1 and in Space Cloud's, and what Kubernetes
objects of all kinds have.

  plumbline schema > .plumbline.schema.json

An editor with the YAML language server takes it from the first line of a file:

  # yaml-language-server: $schema=.plumbline.schema.json

What concerns more than one document, a schema cannot see: plumbline validate
does.`,
		args: noArgs,
		run:  func(context.Context, []string) error { return a.schema(kind) },
	})
	cmd.Flags().StringVar(&kind, "kind", "Definition", "of `kind` Definition or Config")
	return cmd
}

func (a *app) schema(kind string) error {
	var s any
	switch kind {
	case "Definition":
		s = schema.Definitions()
	case "Config":
		s = schema.Config()
	default:
		return usage("--kind: %q is not Definition or Config", kind)
	}
	return writeJSON(a.out, s)
}
