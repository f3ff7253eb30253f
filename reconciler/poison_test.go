package reconciler_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// TestPoisonObject panics at the write of one object: it is that object's
// error, which does not tell what the panic quoted, and the others go on.
func TestPoisonObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/settings") {
			panic("czNjcjN0")
		}
		return send()
	}
	sha := w.commit(map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile})
	res, err := w.once()
	if plumbline.KindOf(err) != plumbline.KindInternal || strings.Contains(fmt.Sprint(err), "czNjcjN0") {
		t.Errorf("error %v", err)
	}
	var got []string
	for _, o := range res.Outcomes {
		got = append(got, fmt.Sprintf("%s %s", o.Action, o.Ref.Name))
	}
	if want := []string{"failed settings", "created token"}; !slices.Equal(got, want) {
		t.Errorf("outcomes %q, want %q", got, want)
	}
	if got := w.posted.of(sha, "plumbline/"+w.env); len(got) == 0 || got[len(got)-1] != "error: apply: panic of type string" {
		t.Errorf("statuses %q", got)
	}
}

// TestPoisonCommit panics while a commit is rendered, and while drift is dealt
// with: the daemon goes on.
func TestPoisonCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	w.sent()
	poison := true
	w.tune = func(o *reconciler.Options) {
		o.Renderer = panicking{o.Renderer}
		o.Heal = func(plumbline.Ref) bool {
			if poison {
				poison = false
				panic("once")
			}
			return true
		}
	}
	p := w.start()
	p.events.awaitRuns(t, w.repo.head(), 1)
	w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "kubectl-edit")
	p.events.await(t, healedAs("settings"))
	bad := w.commit(map[string]string{"panic": "", "settings.yaml": settingsIs("red")})
	s := w.posted.await(t, func(s plumbline.Status) bool { return s.SHA == bad })
	if got, want := string(s.State)+": "+s.Description, "error: render: panic of type string"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	w.synced(w.commit(map[string]string{"settings.yaml": settingsIs("green")}))
	p.stop()
}
