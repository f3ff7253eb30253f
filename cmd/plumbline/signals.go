package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/plumbline-dev/plumbline"
)

// untilSignal is a context that ends at the first Ctrl-C or SIGTERM, and says
// by its cause which it was. A second one ends the process: who asks twice does
// not want to wait.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case got := <-signals:
			signal.Stop(signals)
			cancel(bySignal{got})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(context.Canceled)
		<-done
	}
}

// bySignal is why a context ended: by a signal.
type bySignal struct{ os.Signal }

// Error implements error.
func (s bySignal) Error() string { return "signal: " + s.String() }

// Unwrap makes it a cancellation: net/http returns the cause of a context that
// has ended, not context.Canceled.
func (s bySignal) Unwrap() error { return context.Canceled }

// exitSignaled is the exit code of a command that a signal kept from its end,
// as shells have it: 128 and the signal's number.
func exitSignaled(ctx context.Context, err error) (code int, is bool) {
	by := bySignal{}
	if !errors.As(context.Cause(ctx), &by) {
		return 0, false
	}
	number, known := by.Signal.(syscall.Signal)
	// What was cut off may come back as a broken connection, too.
	cut := plumbline.Canceled(err) || plumbline.KindOf(err) == plumbline.KindTransient
	return 128 + int(number), known && cut && plumbline.KindOf(err) != plumbline.KindInternal
}
