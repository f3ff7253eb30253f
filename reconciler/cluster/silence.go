package cluster

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/watch"
)

// errSilent is why the opening of a watch was given up.
var errSilent = errors.New("the watch was not opened in time")

// heard is a watch that ends when it says nothing for too long. A connection
// whose other end is gone, or a proxy that has forgotten its upstream, looks
// like a cluster in which nothing happens.
type heard struct {
	source watch.Interface
	events chan watch.Event
	cancel context.CancelCauseFunc
}

// listen opens a watch that is to say something, if only a bookmark, at least
// once per silence.
func listen(ctx context.Context, silence time.Duration, open func(context.Context) (watch.Interface, error)) (watch.Interface, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(silence, func() { cancel(errSilent) })
	source, err := open(ctx)
	if err != nil {
		timer.Stop()
		if errors.Is(context.Cause(ctx), errSilent) {
			err = errSilent
		}
		cancel(err)
		return nil, err
	}
	h := &heard{source: source, events: make(chan watch.Event), cancel: cancel}
	go h.forward(ctx, timer, silence)
	return h, nil
}

// forward passes events on until the source ends, nobody wants them any more,
// or there were none for too long.
func (h *heard) forward(ctx context.Context, timer *time.Timer, silence time.Duration) {
	defer close(h.events)
	defer timer.Stop()
	defer h.source.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-h.source.ResultChan():
			if !ok {
				return
			}
			timer.Reset(silence)
			select {
			case <-ctx.Done():
				return
			case h.events <- e:
			}
		}
	}
}

// Stop implements watch.Interface.
func (h *heard) Stop() { h.cancel(context.Canceled) }

// ResultChan implements watch.Interface.
func (h *heard) ResultChan() <-chan watch.Event { return h.events }
