package reconciler_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestLostAnswerOfASave loses the answer to a write of the inventory: what
// stands there is not what the process thinks, until it has read it again.
func TestLostAnswerOfASave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	w.sent()
	var lose sync.Once
	w.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		resp, err := send()
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "-shop") {
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
	if err := p.r.Save(t.Context()); err != nil {
		t.Error(err)
	}
	w.between = nil
	w.converged("after a lost answer", map[string]string{"settings": "green"})
}
