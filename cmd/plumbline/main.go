// Command plumbline keeps a Kubernetes cluster true to a Git repository of
// service definitions.
//
// One file holds one subcommand. This package reads flags and configuration,
// joins the packages that must not know each other (gitsource, render,
// policies, reconciler), and turns what comes of it into output and an exit
// code. It decides nothing about objects.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
	_ "time/tzdata" // the image has no time zones; sync windows need them

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/observe"
)

// version is set by the linker.
var version = "dev"

func main() {
	observe.Quiet()
	ctx, stop := untilSignal(context.Background())
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// streams are where a command reads and writes: what machines read goes to
// out, everything else to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run runs one command and is its exit code.
func run(ctx context.Context, args []string, s streams) (code int) {
	defer func() {
		if r := recover(); r != nil {
			code = exitCode(ctx, panicked(s.err, r))
		}
	}()
	a := &app{streams: s, now: time.Now}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !a.started {
		// What is found before a command starts is about flags and arguments.
		err = plumbline.Errorf(plumbline.KindUsage, "", "%w", err)
	}
	a.report(err)
	return exitCode(ctx, err)
}

// panicked says where a panic came from, without its value, which may be
// anything, and makes it an error that needs no more words. The runtime would
// print the value.
func panicked(w io.Writer, r any) error {
	what := fmt.Sprintf("a %T", r)
	if err, ok := r.(runtime.Error); ok {
		what = err.Error()
	}
	fmt.Fprintf(w, "plumbline: a bug: panic with %s; please report it with the lines below\n", what)
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		fmt.Fprintf(w, "\t%s:%d\n", f.Function, f.Line)
		if !more {
			return silent{plumbline.Errorf(plumbline.KindInternal, "", "panic")}
		}
	}
}

// exitDifferent is the exit code of differences and drift: an answer, not an
// error.
const exitDifferent = 1

// errDifferent ends a command that has printed differences or drift.
var errDifferent = errors.New("different")

// silent is an error whose message has been printed.
type silent struct{ error }

func (s silent) Unwrap() error { return s.error }

func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errDifferent):
		return exitDifferent
	}
	if code, is := exitSignaled(ctx, err); is {
		return code
	}
	return plumbline.KindOf(err).ExitCode()
}

// report prints an error, one line for each of those that are joined in it.
func (a *app) report(err error) {
	if err == nil || errors.Is(err, errDifferent) {
		return
	}
	for _, e := range split(err) {
		if said := (silent{}); !errors.As(e, &said) && !plumbline.Canceled(e) {
			fmt.Fprintln(a.err, "plumbline: "+strings.Join(strings.Fields(e.Error()), " "))
		}
	}
	if plumbline.Canceled(err) {
		fmt.Fprintln(a.err, "plumbline: interrupted")
	}
}

// split takes joined errors apart.
func split(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, split(e)...)
	}
	return out
}
