package reconciler_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// TestLostAnswerOfASave loses the answer to a write of the inventory, of what is
// planned and of the result: what stands there is not what the process thinks,
// until it, or the next, has read it again.
func TestLostAnswerOfASave(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, suffix string
		next         []string // what the next process writes
	}{{"plan", "", nil}, {"result", ".shop", []string{"UPDATE configmaps plumbline-inventory-ENV"}}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
			w.sent()
			var lose sync.Once
			w.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
				resp, err := send()
				if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/plumbline-inventory-"+w.env+c.suffix) {
					lose.Do(func() {
						if err == nil {
							_ = resp.Body.Close()
						}
						resp, err = nil, errKilled
					})
				}
				return resp, err
			}
			p := w.start()
			sha := w.commit(map[string]string{"settings.yaml": settingsIs("green")})
			w.synced(sha)
			p.stop()
			if err := p.r.Save(t.Context()); err != nil && !(c.name == "result" && errors.Is(err, state.ErrTaken)) {
				t.Error(err)
			}
			w.between = nil
			if diff := cmp.Diff(c.next, w.sent()); diff != "" {
				t.Errorf("the next process (-want +got):\n%s", diff)
			}
			w.converged("after a lost answer", map[string]string{"settings": "green"})
		})
	}
}

// TestStop stops a process in the middle of a request: discovery ends with it, a
// write of the state is finished.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, method, path string
		ends               bool
	}{
		{"discovery", http.MethodGet, "/apis", true},
		{"a write of the state", http.MethodPost, "/configmaps", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var met sync.Once
			w.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
				if r.Method == c.method && strings.HasSuffix(r.URL.Path, c.path) {
					met.Do(func() {
						cancel()
						if ended := r.Context().Err() != nil; ended != c.ends {
							t.Errorf("ended with the process: %v", ended)
						}
					})
				}
				return send()
			}
			o := w.options()
			if _, err := reconciler.New(o).Run(ctx); err != nil && !plumbline.Canceled(err) {
				t.Error(err)
			}
			met.Do(func() { t.Error("there was no such request") })
		})
	}
}

// TestOneShotCutOff ends a one-shot run at its first write, while it waits to try
// again: that is no success, and it says what it was at.
func TestOneShotCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if r.Method != http.MethodPatch {
			return send()
		}
		cancel()
		return nil, errKilled
	}
	o := w.options()
	o.Once = true
	_, err := reconciler.New(o).Run(ctx)
	if !plumbline.Canceled(err) || !strings.Contains(err.Error(), "settings") {
		t.Errorf("error %v", err)
	}
}
