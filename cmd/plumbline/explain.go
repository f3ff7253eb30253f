package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/explain"
)

func (a *app) explainCommand() *cobra.Command {
	return a.command(spec{
		use: "explain [FIELD|CODE]", short: "Say what a field or a code means",
		long: `Say what a field of a definition means, what it takes, and which field of which
manifest it becomes in each mode; or what a key of the configuration means; or
what the code of an error or warning means, and what to do.

  plumbline explain service.tasks.docker.image
  plumbline explain ServiceRoutes.spec.routes
  plumbline explain config.environments.drift
  plumbline explain PL2004`,
		args: func(cmd *cobra.Command, args []string) error { return atMostOne(cmd, args, "word") },
		run: func(_ context.Context, args []string) error {
			if len(args) == 0 {
				fmt.Fprint(a.out, explain.Kinds())
				return nil
			}
			text, err := explain.Word(args[0])
			if err != nil {
				return usage("%w", err)
			}
			fmt.Fprint(a.out, text)
			return nil
		},
	})
}
