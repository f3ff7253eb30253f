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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// errKilled is what the requests of a process meet that was killed.
var errKilled = errors.New("the process was killed")

// cut kills a process at one of its writes: from then on no request of it gets
// through.
type cut struct {
	mu     sync.Mutex
	left   int    // writes that get through
	reach  bool   // the write at which it dies reaches the server; its answer is lost
	killed func() // called once
	dead   bool
}

func (c *cut) between(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return nil, errKilled
	}
	last := false
	if r.Method != http.MethodGet {
		last = c.left == 0
		c.left--
	}
	if !last {
		c.mu.Unlock()
		return send()
	}
	c.dead = true
	c.mu.Unlock()
	defer c.killed()
	if c.reach {
		if resp, err := send(); err == nil {
			_ = resp.Body.Close()
		}
	}
	return nil, errKilled
}

// killedAt runs a one-shot process that dies at its nth write, and tells
// whether it came to that.
func (w *world) killedAt(n int, reach bool) bool {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	c := &cut{left: n, reach: reach, killed: cancel}
	w.between = c.between
	o := w.options()
	o.Once = true
	_, err := reconciler.New(o).Run(ctx)
	w.between = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead && err != nil {
		w.t.Fatal(err)
	}
	return c.dead
}

// TestKilledAtEachWrite kills a run that changes, adds and deletes at each of
// its writes, of objects and of state, before and after the write reached the
// server. The next process has another commit, which deletes one of the objects
// that the killed one was about to add.
func TestKilledAtEachWrite(t *testing.T) {
	t.Parallel()
	for _, reach := range []bool{false, true} {
		t.Run(fmt.Sprintf("reached=%v", reach), func(t *testing.T) {
			t.Parallel()
			for n := 0; ; n++ {
				w := newWorld(t)
				w.commit(map[string]string{"settings.yaml": settingsIs("blue"), "extra.yaml": extraFile})
				w.sent()
				w.commit(map[string]string{"settings.yaml": settingsIs("green"), "token.yaml": tokenFile, "new.yaml": configMap("new", "1")})
				if !w.killedAt(n, reach) {
					if n < 7 {
						t.Errorf("the run had %d writes only", n)
					}
					return
				}
				w.superset()
				w.commit(map[string]string{"settings.yaml": settingsIs("green"), "new.yaml": configMap("new", "2")})
				w.sent()
				w.converged(n, map[string]string{"settings": "green", "new": "2"})
			}
		})
	}
}

// TestKilledWhilePending kills a process in the middle of a commit, after its
// status said so. The next one finds another commit, and leaves none pending.
func TestKilledWhilePending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	w.sent()
	overtaken := w.commit(map[string]string{"settings.yaml": settingsIs("green")})
	w.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/settings") {
			<-r.Context().Done()
			return nil, errKilled
		}
		return send()
	}
	p := w.start()
	w.posted.await(t, func(s plumbline.Status) bool { return s.SHA == overtaken && s.State == plumbline.StatusPending })
	p.stop()
	w.between = nil
	next := w.commit(map[string]string{"settings.yaml": settingsIs("red")})
	w.sent()
	// The first one may have been replaced before it was posted.
	got := w.posted.of(overtaken, "plumbline/"+w.env)
	if len(got) != 2 || !strings.HasPrefix(got[0], "pending: ") || got[1] != "success: superseded by "+(plumbline.Commit{SHA: next}).Short() {
		t.Errorf("statuses of the commit that was overtaken: %q", got)
	}
}

// ofTheProject renders Namespaces and how the mesh treats them as those of projects
// are: a Namespace that is there already is shared, or adopted where its definition
// asks for that.
type ofTheProject struct{ reconciler.Renderer }

func (p ofTheProject) Render(ctx context.Context, s plumbline.Snapshot) (reconciler.Rendered, error) {
	out, err := p.Renderer.Render(ctx, s)
	for ref, o := range out.Objects.All() {
		if ref.Kind == "Namespace" || ref.Kind == "PeerAuthentication" {
			c := *o
			c.System, c.Control.Adopt = true, strings.Contains(o.Origin.Path, "adopt")
			out.Objects = out.Objects.With(ref, &c)
		}
	}
	return out, err
}

// TestKilledBesideOthersNamespace kills a run that begins to use a Namespace of
// somebody else's, at each of its writes. The next process still knows whose it
// is: what they say of it stays, and it is never deleted; adopted, it becomes
// ours, and is not deleted either.
func TestKilledBesideOthersNamespace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, mesh string }{{"shared.yaml", "theirs"}, {"adopt.yaml", "ours"}} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			for n := 0; ; n++ {
				w := newWorld(t)
				name := w.ns + "-theirs"
				w.tune = func(o *reconciler.Options) {
					o.Renderer, o.Adopt = ofTheProject{o.Renderer}, true
					o.Prune = func(q reconciler.PruneRequest) reconciler.PruneDecision {
						for _, c := range q.Candidates {
							if !c.Adopted {
								t.Errorf("killed at write %d: %s is taken for one that we made", n, c.Ref)
							}
						}
						return reconciler.PruneDecision{}
					}
				}
				theirs := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
				theirs.SetName(name)
				theirs.SetLabels(map[string]string{"mesh": "theirs"})
				all := w.dynamic.Resource(namespaces)
				if _, err := all.Create(t.Context(), theirs, metav1.CreateOptions{FieldManager: "kubectl"}); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = all.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}) })
				files := map[string]string{"settings.yaml": settingsIs("blue"), c.file: "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + ", labels: {mesh: ours}}\n"}
				w.commit(files)
				died := w.killedAt(n, true)
				w.sent()
				now, err := all.Get(t.Context(), name, metav1.GetOptions{})
				if err != nil || now.GetLabels()["mesh"] != c.mesh {
					t.Errorf("killed at write %d: label mesh is %q, want %q, %v", n, now.GetLabels()["mesh"], c.mesh, err)
				}
				delete(files, c.file)
				w.commit(files)
				w.sent()
				if !died {
					return
				}
			}
		})
	}
}

// configMap is a ConfigMap of one value.
func configMap(name, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: NS}\ndata: {color: \"" + value + "\"}\n"
}

// converged checks that ConfigMaps of these values, the others, and nothing else
// are live and in the inventory, and that another process has nothing to do.
func (w *world) converged(at any, want map[string]string, others ...string) {
	w.t.Helper()
	names := others
	for name, color := range want {
		names = append(names, "ConfigMap "+name)
		data, _ := w.get(configMaps, name).Object["data"].(map[string]any)
		if data["color"] != color {
			w.t.Errorf("%v: %s is %v, want %s", at, name, data, color)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, w.live(configMaps, secrets)); diff != "" {
		w.t.Errorf("%v: live objects (-want +got):\n%s", at, diff)
	}
	if diff := cmp.Diff(names, w.listed()); diff != "" {
		w.t.Errorf("%v: inventory (-want +got):\n%s", at, diff)
	}
	if sent := w.sent(); len(sent) > 0 {
		w.t.Errorf("%v: a second process sent %q", at, sent)
	}
}
