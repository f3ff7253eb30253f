package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// What is wrong with flags and arguments is said in one line, with the word that
// was likely meant and the help that lists the others.

// see adds where help is to what is wrong.
func see(cmd *cobra.Command, err error) error {
	if strings.HasSuffix(err.Error(), "?") {
		return fmt.Errorf("%w See %s --help", err, cmd.CommandPath())
	}
	return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
}

// flagError says what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	if !cmd.HasParent() && cmd.Flags().NArg() > 0 { // then it may be one of a command's
		return unknownCommand(cmd, cmd.Flags().Args())
	}
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		err = fmt.Errorf("unknown flag -%s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		err = fmt.Errorf("unknown flag --%s%s", unknown.GetSpecifiedName(), didYouMean("--"+unknown.GetSpecifiedName(), flagsOf(cmd)))
	case errors.As(err, &invalid):
		err = fmt.Errorf("--%s: %q is not %s", invalid.GetFlag().Name, invalid.GetValue(), valueOf(invalid.GetFlag().Value.Type()))
	}
	return see(cmd, err)
}

// flagsOf are the flags that a command takes.
func flagsOf(cmd *cobra.Command) []string {
	var known []string
	list := func(f *pflag.Flag) { known = append(known, "--"+f.Name) }
	cmd.LocalFlags().VisitAll(list)
	cmd.InheritedFlags().VisitAll(list)
	return known
}

// valueOf is what a flag of a type takes.
func valueOf(flagType string) string {
	switch flagType {
	case "duration":
		return "a duration like 30s or 1h30m"
	case "bool":
		return "true or false"
	}
	return "a " + flagType
}

// unknownCommand refuses every argument, as a command that there is not.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	return see(cmd, fmt.Errorf("unknown command %q%s", args[0], didYouMean(args[0], known)))
}

func didYouMean(word string, known []string) string {
	if near := definition.Nearest(word, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// strictWords makes the commands that cobra adds, help and completion, refuse
// words that they do not know, as the others do.
func strictWords(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Short = "Say how a command is used"
			c.Args = func(_ *cobra.Command, args []string) error {
				if found, _, err := root.Find(args); err != nil || found == root {
					return unknownCommand(root, args)
				}
				return nil
			}
		case "completion":
			c.Short = "Print a script by which a shell completes"
			c.Args, c.RunE = unknownCommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return see(cmd, fmt.Errorf("%q: this command takes no arguments", args[0]))
}

// oneDir takes DIR or nothing.
func oneDir(cmd *cobra.Command, args []string) error { return atMostOne(cmd, args, "DIR") }

// atMostOne takes one argument or none.
func atMostOne(cmd *cobra.Command, args []string, what string) error {
	if len(args) <= 1 {
		return nil
	}
	return see(cmd, fmt.Errorf("%s: this command takes one %s", strings.Join(args, " "), what))
}
