package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/reconciler"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
)

// TestOneChangeCosts: what is parsed, rendered and handed on for one changed
// service is the same for ten times as many services.
func TestOneChangeCosts(t *testing.T) {
	t.Parallel()
	type costs struct {
		Parsed, Rendered int
		Objects          []string // that are not those of the commit before
	}
	want := costs{1, 1, []string{"serving.knative.dev/Service shop/s0007-v1"}}
	for _, n := range []int{100, 1000} {
		repo := newBenchRepository(t, benchDefinitions("shop", n))
		source := repo.source()
		r := newBenchRenderer(t)
		mustRender(t, r, fetched(t, source))
		before := r.last.Objects
		repo.change("shop", 7, n)
		mustRender(t, r, fetched(t, source))
		got := costs{Parsed: r.last.Stats.Parsed, Rendered: r.last.Stats.Rendered}
		for ref := range before.Diff(r.last.Objects) {
			got.Objects = append(got.Objects, ref.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d services (-want +got):\n%s", n, diff)
		}
	}
}

// benchDaemon is a daemon in this process that notes when it is handed a
// snapshot, and when the first write after it is answered.
type benchDaemon struct {
	*benchEnvironment
	reconciler.Source
	n    int
	runs chan reconciler.Result

	mu              sync.Mutex
	snapshot, write time.Time
}

func newBenchDaemon(b *testing.B, n int) *benchDaemon {
	b.Helper()
	d := &benchDaemon{benchEnvironment: newBenchEnvironment(b, n), n: n, runs: make(chan reconciler.Result, 16)}
	c, err := config.Load(d.config)
	if err != nil {
		b.Fatal(err)
	}
	d.Source = d.repo.source()
	j, err := join(joining{
		settings: settings{Config: c}, environment: c.Environments[0], source: d, noReports: true, cache: b.TempDir(),
		requests: d.answered, logger: slog.New(slog.DiscardHandler), now: time.Now,
	})
	if err != nil {
		b.Fatal(err)
	}
	j.Interval = 50 * time.Millisecond
	j.Progress = func(e reconciler.Event) {
		if e.Kind == reconciler.EventRun {
			d.runs <- e.Result
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() {
		_, err := reconciler.New(j.Options).Run(ctx)
		done <- err
	}()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		if err := j.close(); err != nil {
			b.Error(err)
		}
	})
	d.await(b)
	return d
}

// await waits for a run that wrote, and has nothing left to do.
func (d *benchDaemon) await(b *testing.B) {
	b.Helper()
	for {
		select {
		case r := <-d.runs:
			if r.Err != nil {
				b.Log(r.Err)
			} else if len(r.Outcomes) > 0 {
				return
			}
		case <-b.Context().Done():
			b.Fatal(b.Context().Err())
		}
	}
}

// Snapshot implements reconciler.Source.
func (d *benchDaemon) Snapshot(ctx context.Context, sha string) (plumbline.Snapshot, error) {
	d.mu.Lock()
	d.snapshot, d.write = time.Now(), time.Time{}
	d.mu.Unlock()
	return d.Source.Snapshot(ctx, sha)
}

func (d *benchDaemon) answered(class cluster.Class, verb string, _ int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if class == cluster.ClassObject && verb == http.MethodPatch && d.write.IsZero() {
		d.write = time.Now()
	}
}

// change is from the snapshot of a commit with one changed service to the
// answer to the first write.
func (d *benchDaemon) change(b *testing.B, i int) time.Duration {
	b.Helper()
	d.repo.change(d.project, i%d.n, d.n)
	d.await(b)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.write.Sub(d.snapshot)
}

// BenchmarkOneChange goes the whole way from the snapshot of a commit with one
// changed service to the answer to the first write (parse, render, check, plan,
// save), in environments of 500 and of 5,000 services in turn, and compares them.
func BenchmarkOneChange(b *testing.B) {
	small, large := newBenchDaemon(b, 500), newBenchDaemon(b, 5000)
	var few, many []time.Duration
	for b.Loop() {
		i := len(few)
		few, many = append(few, small.change(b, i)), append(many, large.change(b, i))
	}
	slices.Sort(few)
	slices.Sort(many)
	x, y := few[len(few)/2], many[len(many)/2]
	b.ReportMetric(x.Seconds()*1000, "ms-of-500")
	b.ReportMetric(y.Seconds()*1000, "ms-of-5000")
	b.ReportMetric(y.Seconds()/x.Seconds(), "ratio")
	b.Log(fmt.Sprint(few), fmt.Sprint(many))
}
