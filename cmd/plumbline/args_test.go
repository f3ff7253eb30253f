package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The help of every command is read on terminals of 80 columns.
func TestHelpFitsATerminal(t *testing.T) {
	t.Parallel()
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, line := range strings.Split(c.Long+"\n"+c.UsageString(), "\n") {
			if n := len([]rune(line)); n > 80 {
				t.Errorf("%s: %d columns: %s", c.CommandPath(), n, line)
			}
		}
		for _, sub := range c.Commands() {
			if sub.Name() != "completion" && sub.Name() != "help" { // cobra's own
				visit(sub)
			}
		}
	}
	visit((&app{}).root())
}
