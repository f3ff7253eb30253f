package reconciler_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// removal is a world in which extra is live and the head does not define it.
func removal(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.commit(map[string]string{"token.yaml": tokenFile, "extra.yaml": extraFile})
	w.sent()
	w.commit(map[string]string{"token.yaml": tokenFile})
	return w
}

// onDelete calls f before the first DELETE of extra is sent.
func (w *world) onDelete(f func(r *http.Request)) {
	var first sync.Once
	w.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/extra") {
			first.Do(func() { f(r) })
		}
		return send()
	}
}

// answers lists the requests for extra with what was answered.
func (w *world) answers(mark servers.Mark) []string {
	w.t.Helper()
	var out []string
	for _, r := range mark.Requests(w.t, servers.BySuffix(w.suffix), servers.ByClass(servers.ClassObject)) {
		if r.Name == "extra" {
			out = append(out, fmt.Sprintf("%s %d", strings.ToUpper(r.Verb), r.Code))
		}
	}
	return out
}

func TestPruneNamesWhatItDeletes(t *testing.T) {
	t.Parallel()
	w := removal(t)
	u := w.get(configMaps, "extra")
	var body string
	w.onDelete(func(r *http.Request) {
		reader, err := r.GetBody()
		if err != nil {
			t.Error(err)
			return
		}
		b, err := io.ReadAll(reader)
		if err != nil {
			t.Error(err)
		}
		body = string(b)
	})
	w.sent()
	want := fmt.Sprintf(`"preconditions":{"uid":"%s","resourceVersion":"%s"}`, u.GetUID(), u.GetResourceVersion())
	if !strings.Contains(body, want) {
		t.Errorf("deleted with %s, want %s", body, want)
	}
	if got, want := w.listed(), []string{"Secret token"}; !slices.Equal(got, want) {
		t.Errorf("inventory %q, want %q", got, want)
	}
}

// TestPruneOfWhatChanges changes the object between the look at it and its
// delete.
func TestPruneOfWhatChanges(t *testing.T) {
	t.Parallel()
	t.Run("edited", func(t *testing.T) {
		t.Parallel()
		w := removal(t)
		w.onDelete(func(*http.Request) { w.patch(configMaps, "extra", `{"data":{"theirs":"x"}}`, "kubectl-edit") })
		mark := w.cluster.Mark(t)
		w.sent()
		if got, want := w.answers(mark), []string{"DELETE 409", "DELETE 200"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		if got := w.live(configMaps); len(got) != 0 {
			t.Errorf("live %q", got)
		}
	})
	t.Run("replaced", func(t *testing.T) {
		t.Parallel()
		w := removal(t)
		w.onDelete(func(*http.Request) {
			w.delete(configMaps, "extra")
			w.create(configMaps, "kubectl-create", extraFile)
		})
		w.sent()
		if u := w.get(configMaps, "extra"); len(u.GetLabels()) != 0 {
			t.Errorf("extra %v", u.Object)
		}
		if got, want := w.listed(), []string{"Secret token"}; !slices.Equal(got, want) {
			t.Errorf("inventory %q, want %q", got, want)
		}
	})
	t.Run("without our labels", func(t *testing.T) {
		t.Parallel()
		w := removal(t)
		w.patch(configMaps, "extra", `{"metadata":{"labels":null,"managedFields":[{}]}}`, "kubectl-edit")
		mark := w.cluster.Mark(t)
		w.sent()
		if got, want := w.answers(mark), []string{"GET 200", "DELETE 200"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
	})
}

// TestPruneOfWhatOthersTook lets another environment, or another installation,
// take the object over before it is pruned: it is theirs.
func TestPruneOfWhatOthersTook(t *testing.T) {
	t.Parallel()
	for name, label := range map[string]string{"environment": plumbline.LabelEnvironment, "installation": plumbline.LabelInstallation} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := removal(t)
			w.patch(configMaps, "extra", fmt.Sprintf(`{"metadata":{"labels":{%q:"another"}}}`, label), "plumbline")
			mark := w.cluster.Mark(t)
			w.sent()
			if got, want := w.answers(mark), []string{"GET 200"}; !slices.Equal(got, want) {
				t.Errorf("sent %q, want %q", got, want)
			}
			if got, want := w.listed(), []string{"Secret token"}; !slices.Equal(got, want) {
				t.Errorf("inventory %q, want %q", got, want)
			}
		})
	}
}

// TestPruneBlocked keeps what the pruner does not allow, says so, and deletes
// it when it is allowed.
func TestPruneBlocked(t *testing.T) {
	t.Parallel()
	w := removal(t)
	const summary = "1 delete is over the budget: ConfigMap extra"
	w.tune = func(o *reconciler.Options) {
		o.Prune = func(q reconciler.PruneRequest) reconciler.PruneDecision {
			d := reconciler.PruneDecision{Blocked: map[plumbline.Ref]string{}, Summary: summary}
			for _, c := range q.Candidates {
				d.Blocked[c.Ref] = "over the budget"
			}
			return d
		}
	}
	mark := w.cluster.Mark(t)
	if _, err := w.once(); plumbline.KindOf(err) != plumbline.KindDenied {
		t.Errorf("error %v, want denied", err)
	}
	if got := w.objects(mark); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
	if got, want := w.posted.of(w.repo.head(), "plumbline/"+w.env), []string{"failure: prune: " + summary}; !slices.Equal(got, want) {
		t.Errorf("statuses %q, want %q", got, want)
	}
	if got, want := w.listed(), []string{"ConfigMap extra", "Secret token"}; !slices.Equal(got, want) {
		t.Errorf("inventory %q, want %q", got, want)
	}
	w.tune = nil
	if _, err := w.once(); err != nil {
		t.Error(err)
	}
	if got, want := w.listed(), []string{"Secret token"}; !slices.Equal(got, want) {
		t.Errorf("inventory %q, want %q", got, want)
	}
}

// TestPruneWaitsForFinalizers keeps an object in the inventory until it is gone,
// across processes and commits.
func TestPruneWaitsForFinalizers(t *testing.T) {
	t.Parallel()
	w := removal(t)
	w.patch(configMaps, "extra", `{"metadata":{"finalizers":["example.com/theirs"]}}`, "holder")
	both := []string{"ConfigMap extra", "Secret token"}
	for i := range 2 {
		sent := w.sent()
		if i > 0 && len(sent) > 0 {
			t.Errorf("while it waits, a new process sent %q", sent)
		}
		if got := w.listed(); !slices.Equal(got, both) {
			t.Fatalf("inventory %q, want %q", got, both)
		}
		w.superset()
	}
	mark := w.cluster.Mark(t)
	sha := w.commit(map[string]string{"token.yaml": tokenFile, "settings.yaml": settingsIs("blue")})
	p := w.start()
	w.synced(sha)
	w.patch(configMaps, "extra", `{"metadata":{"finalizers":null}}`, "holder")
	w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "kubectl-edit")
	p.events.await(t, healedAs("settings"))
	p.stop()
	if err := p.r.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.answers(mark); slices.Contains(got, "DELETE 200") {
		t.Errorf("sent %q: it was being deleted already", got)
	}
	if diff := cmp.Diff(w.live(configMaps, secrets), w.listed()); diff != "" {
		t.Errorf("inventory (-live +listed):\n%s", diff)
	}
}
