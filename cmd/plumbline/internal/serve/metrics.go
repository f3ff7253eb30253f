// Package serve is what Plumbline shows over HTTP: whether it lives, whether
// it is ready, and its metrics.
//
// It takes in the events of reconcilers and gives out text. No label has
// values that others than the operator choose, and no value of any object.
package serve

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
)

// Metrics counts what reconcilers do. It is safe for concurrent use.
type Metrics struct {
	registry    *prometheus.Registry
	reconciles  *prometheus.CounterVec
	objects     *prometheus.GaugeVec
	requests    *prometheus.CounterVec
	drifts      *prometheus.CounterVec
	lastSuccess *prometheus.GaugeVec
	stages      *prometheus.HistogramVec
	fetches     *prometheus.CounterVec
	pending     *prometheus.GaugeVec
	now         func() time.Time

	mu       sync.Mutex
	ready    map[string]bool           // by environment: its head was processed once
	outboxes map[string]map[string]int // statuses that wait, by forge and environment
}

// NewMetrics makes Metrics for environments.
func NewMetrics(version string, environments []string, now func() time.Time) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		reconciles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plumbline_reconcile_total", Help: "Commits processed, by what came of them.",
		}, []string{"environment", "result"}),
		objects: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "plumbline_objects", Help: "Objects of the deployed commit, by state.",
		}, []string{"environment", "state"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plumbline_requests_total", Help: "Answered requests to the API server.",
		}, []string{"class", "verb"}),
		drifts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plumbline_drift_total", Help: "Objects seen to drift.",
		}, []string{"environment", "kind"}),
		lastSuccess: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "plumbline_last_success_seconds", Help: "When a commit was last in sync, in seconds since the epoch.",
		}, []string{"environment"}),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "plumbline_stage_seconds", Help: "How long a stage took.", Buckets: stageBuckets(),
		}, []string{"environment", "stage"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plumbline_git_fetch_total", Help: "Fetches of the repository, by what came of them.",
		}, []string{"result"}),
		pending: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "plumbline_outbox_pending", Help: "Commit statuses that are not sent yet.",
		}, []string{"forge"}),
		now:      now,
		ready:    map[string]bool{},
		outboxes: map[string]map[string]int{},
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "plumbline_build_info", Help: "Always 1; the label has the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(build, m.reconciles, m.objects, m.requests, m.drifts, m.lastSuccess, m.stages, m.fetches, m.pending)
	for _, e := range environments {
		m.ready[e] = false
	}
	return m
}

// Request counts an answered request.
func (m *Metrics) Request(class cluster.Class, verb string, _ int) {
	m.requests.WithLabelValues(string(class), verb).Inc()
}

// Event takes in an event of an environment's reconciler.
func (m *Metrics) Event(environment string, e reconciler.Event) {
	switch e.Kind {
	case reconciler.EventDrift:
		m.drifts.WithLabelValues(environment, e.Verdict.Ref.GroupKind().String()).Inc()
	case reconciler.EventRun:
		m.run(environment, e.Result)
	}
}

func (m *Metrics) run(environment string, r reconciler.Result) {
	result := "success"
	if r.Err != nil {
		result = plumbline.KindOf(r.Err).String()
	} else if r.Closed != "" {
		result = "closed"
	}
	m.reconciles.WithLabelValues(environment, result).Inc()
	m.took(environment, stageApply, r.Took)
	m.objects.WithLabelValues(environment, "desired").Set(float64(r.Total))
	failed := 0
	for _, o := range r.Outcomes {
		if o.Err != nil {
			failed++
		}
	}
	m.objects.WithLabelValues(environment, "failed").Set(float64(failed))
	if r.Err == nil && r.Closed == "" {
		m.lastSuccess.WithLabelValues(environment).Set(float64(m.now().Unix()))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ready[environment] = true
}

// notReady is why Plumbline is not ready yet, nil when it is.
func (m *Metrics) notReady() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	waiting := 0
	for _, ok := range m.ready {
		if !ok {
			waiting++
		}
	}
	if waiting > 0 {
		return errors.New("waiting for the first commit of " + strconv.Itoa(waiting) + " of " + strconv.Itoa(len(m.ready)) + " environments")
	}
	return nil
}
