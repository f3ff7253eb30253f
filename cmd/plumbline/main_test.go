package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){
		"plumbline": func() {
			os.Exit(run(context.Background(), os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
		},
	})
}

// suite gives the tests of this binary a directory for the plumbline that they
// build.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	dir, err := os.MkdirTemp("", "plumbline-built-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make directory:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	built.dir = dir
	return s.m.Run()
}

// Each script in testdata/script is a story: commands, what they print, and
// their exit codes. UPDATE=1 rewrites what `cmp` compares.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      exits,
			"documented": documented,
		},
	})
}

// exits runs a command and wants an exit code: exits CODE COMMAND ARGS…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS…")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		code, ok := strings.CutPrefix(err.Error(), "exit status ")
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = code
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// documented wants a file of the script, or stdout, in a page of docs:
// documented PAGE FILE. Columns may be of other widths.
func documented(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: documented PAGE FILE")
	}
	page, err := os.ReadFile(filepath.Join(docsDir, args[0]))
	ts.Check(err)
	blanks := regexp.MustCompile(`(\S)  +`)
	plain := func(text string) string { return blanks.ReplaceAllString(text, "$1 ") }
	if text := plain(ts.ReadFile(args[1])); text == "" || !strings.Contains(plain(string(page)), text) {
		ts.Fatalf("docs/%s does not show:\n%s", args[0], text)
	}
}

func TestPanicIsExit70(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	s := streams{out: &out, err: panicking{&errs}}
	code := run(t.Context(), []string{"validate", "--no-such-flag"}, s)
	if code != 70 {
		t.Errorf("exit code %d", code)
	}
	said := errs.String()
	if !strings.Contains(said, "plumbline: a bug: panic with a string") || !strings.Contains(said, ".run:") {
		t.Errorf("said %q", said)
	}
	if strings.Contains(said, "hunter2") {
		t.Errorf("the panic's value is shown: %q", said)
	}
}

// panicking panics at its first write, with a value that must not be shown.
type panicking struct{ w *strings.Builder }

func (p panicking) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "unknown flag") {
		panic("hunter2")
	}
	return p.w.Write(b)
}
