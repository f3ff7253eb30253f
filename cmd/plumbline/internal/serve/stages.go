package serve

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// The stages that are timed.
const (
	stageFetch  = "fetch"
	stageRender = "render"
	stageApply  = "apply" // from the plan to the last prune
	stageReport = "report"
)

// Pending is an outbox that knows how many statuses are not sent yet.
type Pending interface {
	reconciler.Outbox
	Pending() int
}

// Observe wraps the ports of an environment, so that their stages are timed
// and counted. forge is the kind of forge that statuses go to.
func (m *Metrics) Observe(environment, forge string, o *reconciler.Options, outbox Pending) {
	w := watched{m: m, environment: environment}
	o.Source = &source{Source: o.Source, watched: w}
	o.Renderer = &renderer{Renderer: o.Renderer, watched: w}
	if o.Reporter != nil {
		o.Reporter = &reporter{Reporter: o.Reporter, watched: w}
		o.Outbox = &counted{Pending: outbox, m: m, forge: forge, environment: environment}
		m.waiting(forge, environment, 0)
	}
}

// watched times the stages of one environment.
type watched struct {
	m           *Metrics
	environment string
}

func (w watched) took(stage string, since time.Time) {
	w.m.took(w.environment, stage, w.m.now().Sub(since))
}

func (m *Metrics) took(environment, stage string, d time.Duration) {
	m.stages.WithLabelValues(environment, stage).Observe(d.Seconds())
}

type source struct {
	reconciler.Source
	watched
}

// Fetch implements reconciler.Source.
func (s *source) Fetch(ctx context.Context) (plumbline.Commit, error) {
	start := s.m.now()
	c, err := s.Source.Fetch(ctx)
	if plumbline.Canceled(err) {
		return c, err
	}
	s.took(stageFetch, start)
	result := "success"
	if err != nil {
		result = plumbline.KindOf(err).String()
	}
	s.m.fetches.WithLabelValues(result).Inc()
	return c, err
}

type renderer struct {
	reconciler.Renderer
	watched
}

// Render implements reconciler.Renderer.
func (r *renderer) Render(ctx context.Context, s plumbline.Snapshot) (reconciler.Rendered, error) {
	defer r.took(stageRender, r.m.now())
	return r.Renderer.Render(ctx, s)
}

type reporter struct {
	reconciler.Reporter
	watched
}

// Post implements reconciler.Reporter.
func (r *reporter) Post(ctx context.Context, s plumbline.Status) error {
	defer r.took(stageReport, r.m.now())
	return r.Reporter.Post(ctx, s)
}

// counted is an outbox whose length is shown after each change.
type counted struct {
	Pending
	m                  *Metrics
	forge, environment string
}

func (c *counted) show() { c.m.waiting(c.forge, c.environment, c.Pending.Pending()) }

// Want implements reconciler.Outbox.
func (c *counted) Want(s plumbline.Status, now time.Time) {
	c.Pending.Want(s, now)
	c.show()
}

// Accepted implements reconciler.Outbox.
func (c *counted) Accepted(s plumbline.Status, now time.Time) {
	c.Pending.Accepted(s, now)
	c.show()
}

// Failed implements reconciler.Outbox.
func (c *counted) Failed(s plumbline.Status, err error, now time.Time) {
	c.Pending.Failed(s, err, now)
	c.show()
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *counted) UnmarshalJSON(b []byte) error {
	defer c.show()
	return c.Pending.UnmarshalJSON(b)
}

// waiting notes how many statuses of an environment wait, and shows the sum of
// all that go to the same kind of forge.
func (m *Metrics) waiting(forge, environment string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.outboxes[forge] == nil {
		m.outboxes[forge] = map[string]int{}
	}
	m.outboxes[forge][environment] = n
	sum := 0
	for _, n := range m.outboxes[forge] {
		sum += n
	}
	m.pending.WithLabelValues(forge).Set(float64(sum))
}

// stageBuckets are from a render of one changed file to a cold start.
func stageBuckets() []float64 { return prometheus.ExponentialBuckets(0.001, 4, 10) }
