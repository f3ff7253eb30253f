package main

import (
	"context"

	"github.com/spf13/cobra"
)

// laterCommands are designed, not built: whoever read of them is told so.
func (a *app) laterCommands() []*cobra.Command {
	names := []string{
		"history", "heal", "suspend", "resume", "preview", "adopt-drift", "adopt-orphans", "alert", "rekey",
	}
	cmds := make([]*cobra.Command, 0, len(names))
	for _, name := range names {
		cmd := a.command(spec{
			use: name, args: cobra.ArbitraryArgs,
			run: func(context.Context, []string) error { return usage("%s: not in this version", name) },
		})
		cmd.Hidden, cmd.DisableFlagParsing = true, true
		cmds = append(cmds, cmd)
	}
	return cmds
}
