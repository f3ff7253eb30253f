package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/runbook"
)

const (
	docsDir   = "../../docs"
	generated = "<!-- Written by `make docs` from the code; edit that. -->\n"
)

// The pages of docs that follow from the code are as the code says. `make docs`
// (UPDATE=1) writes them.
func TestDocs(t *testing.T) {
	t.Parallel()
	root := (&app{}).root()
	pages := map[string]func(old string) (string, error){
		"commands.md":      func(string) (string, error) { return commandsPage(root), nil },
		"exit-codes.md":    func(string) (string, error) { return exitCodesPage() },
		"codes.md":         func(string) (string, error) { return codesPage(), nil },
		"configuration.md": keysInto,
		"definitions.md":   fieldsInto,
		"policies.md":      rulesInto,
		"limits.md":        func(string) (string, error) { return limitsPage(), nil },
		"../README.md":     benchInto,
	}
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(docsDir, name)
			old, err := os.ReadFile(path)
			if err != nil && os.Getenv("UPDATE") == "" {
				t.Fatal(err)
			}
			want, err := page(string(old))
			if err != nil {
				t.Fatal(err)
			}
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, string(old)); diff != "" {
				t.Errorf("docs/%s is stale; run `make docs`:\n%s", name, diff)
			}
		})
	}
}

// commandsPage is the help of every command.
func commandsPage(root *cobra.Command) string {
	var b bytes.Buffer
	b.WriteString("# Commands\n\n" + generated + "\n")
	b.WriteString("Machine output goes to standard output, everything else to standard error. JSON is\none object, `{\"apiVersion\": \"plumbline.dev/v1\", \"kind\": …, \"items\": […]}`.\nWhat the exit codes mean: [exit-codes.md](exit-codes.md).\n")
	for _, c := range root.Commands() {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		long, _, _ := strings.Cut(c.Long, exitCodes)
		fmt.Fprintf(&b, "\n## plumbline %s\n\n%s.\n\n```text\n%s\n```\n", c.Use, c.Short, strings.TrimSpace(long))
		flagTable(&b, c.LocalNonPersistentFlags())
	}
	b.WriteString("\n## Flags of every command\n")
	flagTable(&b, root.PersistentFlags())
	return b.String()
}

func flagTable(b *bytes.Buffer, flags *pflag.FlagSet) {
	var rows []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "`--" + f.Name
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		if value != "" {
			name += " " + value
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0s" && f.DefValue != "0" {
			usage += " (default `" + f.DefValue + "`)"
		}
		rows = append(rows, fmt.Sprintf("| %s` | %s |", name, usage))
	})
	if len(rows) > 0 {
		b.WriteString("\n| Flag | |\n|---|---|\n" + strings.Join(rows, "\n") + "\n")
	}
}

// exitCode is a line of the help.
var exitCodeLine = regexp.MustCompile(`(?m)^  (\d+) +(.+)$`)

// states are what a commit gets beside an exit code.
var commitStates = map[string]string{"0": "success", "1": "", "2": "", "3": "failure", "4": "failure", "5": "error", "70": "error", "130": ""}

func exitCodesPage() (string, error) {
	var b bytes.Buffer
	b.WriteString("# Exit codes\n\n" + generated + "\nOf every command. The commit status is what `run`, and `apply --report`, post for the same result.\n\n")
	b.WriteString("| Exit code | Meaning | Commit status |\n|---|---|---|\n")
	for _, m := range exitCodeLine.FindAllStringSubmatch(exitCodes, -1) {
		state, known := commitStates[m[1]]
		if !known {
			return "", fmt.Errorf("exit code %s: which commit status?", m[1])
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", m[1], m[2], state)
	}
	b.WriteString("\nSeveral at once: 70 before 130 before 2 before 4 before 3 before 5 before 1. A commit that waits for something that is not there yet is `pending`.\n")
	return b.String(), nil
}

func codesPage() string {
	var b bytes.Buffer
	b.WriteString("# What the codes mean\n\n" + generated + "\nEvery error and warning in a repository has a code. A code is stable: it is never given\nto another problem. `plumbline validate` prints all of a directory.\n")
	for _, c := range runbook.Chapters() {
		fmt.Fprintf(&b, "\n## %s\n", c.Title)
		for _, e := range c.Entries {
			fmt.Fprintf(&b, "\n### %s\n\n**%s.** %s\n\n*What to do:* %s\n", e.Code, e.Title, e.Means, e.Fix)
		}
	}
	return b.String()
}

// The example at the top of docs/configuration.md is a configuration.
func TestConfigurationExample(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(docsDir, "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	example, _, _ := strings.Cut(rest, "```\n")
	file := filepath.Join(t.TempDir(), "plumbline.yaml")
	if err := os.WriteFile(file, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Environments) != 1 || len(c.Environments[0].Decryption.Vaults) != 1 || c.Prometheus == "" {
		t.Errorf("the example shows less than it did: %+v", c)
	}
}

const (
	keysBegin = "<!-- keys: written by `make docs` from the code; edit that -->\n"
	keysEnd   = "<!-- end of keys -->\n"
)

// keysInto puts the table of keys between its marks.
func keysInto(old string) (string, error) {
	before, rest, begun := strings.Cut(old, keysBegin)
	_, after, ended := strings.Cut(rest, keysEnd)
	if !begun || !ended {
		return "", fmt.Errorf("the marks of the table are gone: %q, %q", keysBegin, keysEnd)
	}
	var b bytes.Buffer
	var later []string
	b.WriteString("\n| Key | Default | |\n|---|---|---|\n")
	for _, k := range config.Reference() {
		if !k.Built {
			later = append(later, "`"+k.Path+"`")
			continue
		}
		value := k.Default
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Path, value, k.Doc)
	}
	slices.Sort(later)
	fmt.Fprintf(&b, "\nKnown, and not in this version: %s.\n\n", strings.Join(later, ", "))
	return before + keysBegin + b.String() + keysEnd + after, nil
}

var codeConst = regexp.MustCompile(`(?m)^\s+(Code\w+)\s+= "(PL\d{4})"`)

// Every code has an entry in the runbook, and no two problems share one.
func TestEveryCodeHasAnEntry(t *testing.T) {
	t.Parallel()
	named := map[string]string{}
	for _, file := range []string{"../../render/definition/codes.go", "../../policies/allow.go", "../../policies/graph.go", "../../policies/guardrail/policy.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range codeConst.FindAllStringSubmatch(string(text), -1) {
			if other, taken := named[m[2]]; taken {
				t.Errorf("%s is both %s and %s", m[2], other, m[1])
			}
			named[m[2]] = m[1]
		}
	}
	if len(named) < 60 {
		t.Fatalf("found %d codes", len(named))
	}
	last := ""
	for _, c := range runbook.Chapters() {
		for _, e := range c.Entries {
			if named[e.Code] == "" {
				t.Errorf("%s: there is no such code", e.Code)
			}
			delete(named, e.Code)
			if e.Code <= last || e.Code[:3] != c.Title[:3] {
				t.Errorf("%s: out of order", e.Code)
			}
			last = e.Code
			if e.Title == "" || e.Means == "" || e.Fix == "" {
				t.Errorf("%s: says nothing of some part", e.Code)
			}
		}
	}
	for code, name := range named {
		t.Errorf("%s (%s) has no entry", code, name)
	}
}

// Every code stands in what some test wants to be said: at the beginning of a line
// of a golden file, or at the end of one that a command prints.
func TestEveryCodeIsProvoked(t *testing.T) {
	t.Parallel()
	said := regexp.MustCompile(`(?m)^(PL\d{4}) |\\?\[(PL\d{4})\\?\]`)
	provoked := map[string]bool{}
	for _, pattern := range []string{"../../fixtures/golden/*.txtar", "testdata/*/*.txtar", "../../policies/guardrail/testdata/*.txtar"} {
		archives, err := filepath.Glob(pattern)
		if err != nil || len(archives) < 2 {
			t.Fatal(pattern, archives, err)
		}
		for _, name := range archives {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range said.FindAllStringSubmatch(string(text), -1) {
				provoked[m[1]+m[2]] = true
			}
		}
	}
	for _, c := range runbook.Chapters() {
		for _, e := range c.Entries {
			if !provoked[e.Code] {
				t.Errorf("%s (%s): no test wants it to be said", e.Code, e.Title)
			}
		}
	}
}
