package reconciler_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// rendering notes which commits are rendered, in their order.
type rendering struct {
	reconciler.Renderer
	mu    sync.Mutex
	shas  []string
	begun chan struct{} // closed by the first
}

func (r *rendering) Render(ctx context.Context, s plumbline.Snapshot) (reconciler.Rendered, error) {
	r.mu.Lock()
	if r.shas = append(r.shas, s.Commit.SHA); len(r.shas) == 1 {
		close(r.begun)
	}
	r.mu.Unlock()
	return r.Renderer.Render(ctx, s)
}

// await waits until something is rendered.
func (r *rendering) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-r.begun:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("nothing is rendered: %w", ctx.Err())
	}
}

// readsState tells whether a request reads what the environment owns.
func (w *world) readsState(req *http.Request) bool {
	return strings.HasSuffix(req.URL.Path, "/namespaces/"+w.system+"/configmaps") && req.URL.Query().Get("watch") == ""
}

// rendered are the commits in the order in which a process rendered them. The
// process begins now, and is not told what it owns before it begins to render.
func (w *world) rendered(t *testing.T, until func(*process)) []string {
	t.Helper()
	r := &rendering{begun: make(chan struct{})}
	w.tune = func(o *reconciler.Options) { r.Renderer, o.Renderer = o.Renderer, r }
	w.between = func(req *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if w.readsState(req) {
			if err := r.await(req.Context()); err != nil {
				return nil, err
			}
		}
		return send()
	}
	p := w.start()
	until(p)
	p.stop()
	w.tune, w.between = nil, nil
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shas
}

// TestRenderedAhead restarts on the deployed commit, and on one that cannot be
// applied: the head is rendered while the process reads what it owns, and where
// the deployed commit is another one, that one next, and the head again, so
// that the renderer goes on from it.
func TestRenderedAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	deployed := w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	w.sent()
	if got := w.rendered(t, func(p *process) { p.events.awaitRuns(t, deployed, 1) }); !slices.Equal(got, []string{deployed}) {
		t.Errorf("rendered %q, want the head once, %q", got, deployed)
	}
	broken := w.commit(map[string]string{"settings.yaml": settingsIs("green"), "broken": "no such secret"})
	w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "kubectl-edit")
	got := w.rendered(t, func(p *process) {
		p.events.awaitRuns(t, broken, 1)
		p.events.await(t, healedAs("settings"))
	})
	if want := []string{broken, deployed, broken}; !slices.Equal(got, want) {
		t.Errorf("rendered %q, want head, base, head: %q", got, want)
	}
}

// TestRenderedAheadOfAnOutage has the API server refuse what is read after the
// head was rendered: what was the head then is not taken for the head later.
func TestRenderedAheadOfAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	w.sent()
	old := w.commit(map[string]string{"settings.yaml": settingsIs("green")})
	r := &rendering{begun: make(chan struct{})}
	w.tune = func(o *reconciler.Options) { r.Renderer, o.Renderer = o.Renderer, r }
	var refused sync.Once
	w.between = func(req *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		var err error
		if w.readsState(req) {
			refused.Do(func() {
				err = r.await(req.Context())
				w.commit(map[string]string{"settings.yaml": settingsIs("red")})
				err = errors.Join(err, errors.New("no answer"))
			})
		}
		if err != nil {
			return nil, err
		}
		return send()
	}
	p := w.start()
	p.events.await(t, func(e reconciler.Event) bool { return e.Kind == reconciler.EventRun })
	p.stop()
	if got := w.posted.of(old, "plumbline/"+w.env); len(got) > 0 {
		t.Errorf("statuses %q of a commit that was not the head any more", got)
	}
	want := map[string]any{"color": "red"}
	if diff := cmp.Diff(want, w.get(configMaps, "settings").Object["data"]); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}
