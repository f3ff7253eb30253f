package serve

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// slow is every port of a reconciler; each call takes a second.
type slow struct {
	now     *time.Time
	err     error
	pending int
}

func (s *slow) pass() { *s.now = s.now.Add(time.Second) }

func (s *slow) Open(string) []string { return nil }

func (s *slow) Fetch(context.Context) (plumbline.Commit, error) {
	s.pass()
	return plumbline.Commit{}, s.err
}

func (*slow) Snapshot(context.Context, string) (plumbline.Snapshot, error) {
	return plumbline.Snapshot{}, nil
}

func (*slow) Commits(context.Context, string, string) ([]plumbline.Commit, error) { return nil, nil }

func (s *slow) Render(context.Context, plumbline.Snapshot) (reconciler.Rendered, error) {
	s.pass()
	return reconciler.Rendered{}, nil
}

func (s *slow) Post(context.Context, plumbline.Status) error { s.pass(); return nil }

func (*slow) Last(context.Context, plumbline.StatusKey) (plumbline.Status, bool, error) {
	return plumbline.Status{}, false, nil
}

func (s *slow) Want(plumbline.Status, time.Time)     { s.pending++ }
func (s *slow) Accepted(plumbline.Status, time.Time) { s.pending-- }

func (*slow) Failed(plumbline.Status, error, time.Time) {}

func (*slow) Next(time.Time) (plumbline.Status, bool, time.Time) {
	return plumbline.Status{}, false, time.Time{}
}

func (s *slow) Pending() int               { return s.pending }
func (*slow) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }

func (s *slow) UnmarshalJSON([]byte) error { s.pending = 3; return nil }

// shown are the lines of /metrics that begin with a name.
func shown(t *testing.T, m *Metrics, names ...string) []string {
	t.Helper()
	rec := httptest.NewRecorder()
	Handler(m).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	text, err := io.ReadAll(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(line, n) }) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

func TestStages(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	m := NewMetrics("v1", []string{"a"}, func() time.Time { return now })
	p := &slow{now: &now}
	o := reconciler.Options{Source: p, Renderer: p, Reporter: p, Outbox: p}
	m.Observe("a", "notes", &o, p)
	ctx := t.Context()
	_, _ = o.Source.Fetch(ctx)
	p.err = plumbline.Errorf(plumbline.KindDenied, "fetch", "no")
	_, _ = o.Source.Fetch(ctx)
	p.err = context.Canceled // stopped: says nothing of the repository
	_, _ = o.Source.Fetch(ctx)
	_, _ = o.Renderer.Render(ctx, plumbline.Snapshot{})
	_ = o.Reporter.Post(ctx, plumbline.Status{})
	m.Event("a", reconciler.Event{Kind: reconciler.EventRun, Result: reconciler.Result{Took: 4 * time.Second, Err: errors.New("x")}})
	want := []string{
		`plumbline_git_fetch_total{result="denied"} 1`,
		`plumbline_git_fetch_total{result="success"} 1`,
		`plumbline_stage_seconds_sum{environment="a",stage="apply"} 4`,
		`plumbline_stage_seconds_sum{environment="a",stage="fetch"} 2`,
		`plumbline_stage_seconds_sum{environment="a",stage="render"} 1`,
		`plumbline_stage_seconds_sum{environment="a",stage="report"} 1`,
	}
	if diff := cmp.Diff(want, shown(t, m, "plumbline_git_fetch_total{", "plumbline_stage_seconds_sum{")); diff != "" {
		t.Error(diff)
	}
}

// What waits for a forge is the sum over the environments.
func TestPending(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	m := NewMetrics("v1", []string{"a", "b"}, func() time.Time { return now })
	options := map[string]*reconciler.Options{}
	for _, env := range []string{"a", "b"} {
		p := &slow{now: &now}
		o := &reconciler.Options{Source: p, Renderer: p, Reporter: p, Outbox: p}
		m.Observe(env, "gitea", o, p)
		options[env] = o
	}
	want := func(line string) {
		t.Helper()
		if got := shown(t, m, "plumbline_outbox_pending{"); !slices.Equal(got, []string{line}) {
			t.Errorf("got %q, want %q", got, line)
		}
	}
	want(`plumbline_outbox_pending{forge="gitea"} 0`)
	options["a"].Outbox.Want(plumbline.Status{}, now)
	options["b"].Outbox.Want(plumbline.Status{}, now)
	want(`plumbline_outbox_pending{forge="gitea"} 2`)
	options["b"].Outbox.Failed(plumbline.Status{}, nil, now)
	options["a"].Outbox.Accepted(plumbline.Status{}, now)
	want(`plumbline_outbox_pending{forge="gitea"} 1`)
	if err := options["a"].Outbox.UnmarshalJSON(nil); err != nil {
		t.Fatal(err)
	}
	want(`plumbline_outbox_pending{forge="gitea"} 4`)
}

// Without a forge nothing waits.
func TestNoReporter(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	m := NewMetrics("v1", []string{"a"}, func() time.Time { return now })
	p := &slow{now: &now}
	o := reconciler.Options{Source: p, Renderer: p, Outbox: p}
	m.Observe("a", "none", &o, p)
	if o.Outbox != p || len(shown(t, m, "plumbline_outbox_pending")) > 0 {
		t.Error("an outbox is shown")
	}
}
