package main

import (
	"context"
	"os"

	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/events"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// events makes what tells of an environment as Kubernetes Events, and its end,
// which writes those that are left. In mode observe nothing is written, Events
// neither.
func (d *daemon) events(ctx context.Context, env config.Environment, client corev1client.EventsGetter) (take func(reconciler.Event), end func()) {
	if env.Mode == config.ModeObserve {
		return func(reconciler.Event) {}, func() {}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	r := events.New(ctx, events.Options{
		Client: client, Namespace: d.settings.Namespace, Environment: env.Name, Host: host, Logger: d.log, Now: d.app.now,
	})
	return r.Take, r.Close
}
