package reconciler_test

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/reconciler"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// world is one environment on the shared API server: a namespace for its
// objects, one for Plumbline's state, and a repository in memory. What comes
// from Git is a plain value to the reconciler, so that is no fake of anything
// the reconciler does.
type world struct {
	t       testing.TB
	cluster *servers.ClusterHandle
	suffix  string
	ns      string // of the objects
	env     string
	system  string // Plumbline's namespace
	repo    *repository
	posted  *statuses
	dynamic dynamic.Interface
	config  *rest.Config
	tune    func(*reconciler.Options)
	client  cluster.Options // Timeout and Silence of the processes
	// between, if set, stands between the processes and the API server.
	between func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error)
}

// passage is a way to the API server on which someone stands, or nobody.
type passage struct {
	next    http.RoundTripper
	between func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error)
}

func (p passage) WrappedRoundTripper() http.RoundTripper { return p.next }

func (p passage) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.between == nil {
		return p.next.RoundTrip(r)
	}
	return p.between(r, func() (*http.Response, error) { return p.next.RoundTrip(r) })
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, servers.Cluster(t))
}

// newWorldOn is newWorld on a server that is not shared.
func newWorldOn(t testing.TB, c *servers.ClusterHandle) *world {
	t.Helper()
	suffix := servers.Suffix(t)
	dyn, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		t: t, cluster: c, suffix: suffix, ns: c.Namespace(t), env: "e" + suffix, system: c.Namespace(t),
		repo: &repository{fetched: make(chan struct{})}, posted: &statuses{}, dynamic: dyn, config: c.Config(),
	}
}

// installation is the value of our label: the uid of Plumbline's namespace.
func (w *world) installation() string {
	w.t.Helper()
	ns, err := w.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Get(w.t.Context(), w.system, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(ns.GetUID())
}

// patch edits an object by merge patch, as another manager would.
func (w *world) patch(gvr schema.GroupVersionResource, name, body, manager string) *unstructured.Unstructured {
	w.t.Helper()
	u, err := w.dynamic.Resource(gvr).Namespace(w.ns).Patch(w.t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: manager})
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// process is one run of a Reconciler, as a process would make it.
type process struct {
	w      *world
	r      *reconciler.Reconciler
	cancel context.CancelFunc
	done   chan struct{}
	result reconciler.Result
	err    error
	events *events
}

func (w *world) options() reconciler.Options {
	w.t.Helper()
	config, between := rest.CopyConfig(w.config), w.between
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return passage{next, between} })
	client, err := cluster.New(cluster.Options{
		Config: config, Version: "test", UserAgent: " " + w.suffix, Timeout: w.client.Timeout, Silence: w.client.Silence,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := rest.CopyConfig(config)
	cfg.UserAgent = "plumbline/test (state) " + w.suffix
	core, err := corev1client.NewForConfig(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	o := reconciler.Options{
		Environment: w.env, Namespace: w.system, Interval: 50 * time.Millisecond, Context: "plumbline/" + w.env,
		Drift: reconciler.DriftHeal, Source: w.repo, Renderer: plainRenderer{env: w.env}, Reporter: w.posted,
		Outbox: &outbox{}, Prune: pruneAll, Gate: func(time.Time) (bool, time.Time, string) { return true, time.Time{}, "" },
		Client: client, Store: state.New(core.ConfigMaps(w.system), w.env),
		Logger: slog.New(slog.NewTextHandler(testWriter{w.t}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:    time.Now,
	}
	if w.tune != nil {
		w.tune(&o)
	}
	return o
}

// start runs a daemon.
func (w *world) start() *process {
	w.t.Helper()
	o := w.options()
	p := &process{w: w, done: make(chan struct{}), events: &events{}}
	o.Progress = p.events.add
	p.r = reconciler.New(o)
	ctx, cancel := context.WithCancel(w.t.Context())
	p.cancel = cancel
	go func() {
		defer close(p.done)
		p.result, p.err = p.r.Run(ctx)
	}()
	w.t.Cleanup(p.stop)
	return p
}

func (p *process) stop() {
	p.cancel()
	<-p.done
}

// inventory is what a new process would read.
func (w *world) inventory() *state.Inventory {
	w.t.Helper()
	core, err := corev1client.NewForConfig(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	l, err := state.New(core.ConfigMaps(w.system), w.env).Load(w.t.Context())
	if err != nil || l.Damaged != nil {
		w.t.Fatal(err, l.Damaged)
	}
	return l.Inventory
}

// damage makes the project's shard of the inventory unreadable.
func (w *world) damage() {
	w.t.Helper()
	_, err := w.dynamic.Resource(configMaps).Namespace(w.system).Patch(w.t.Context(), "plumbline-inventory-"+w.env+".shop", types.MergePatchType,
		[]byte(`{"binaryData":{"entries":"AAAA"}}`), metav1.PatchOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
}

// live lists the objects of kinds that carry our labels and our entry.
func (w *world) live(kinds ...schema.GroupVersionResource) []string {
	w.t.Helper()
	var out []string
	for _, gvr := range kinds {
		list, err := w.dynamic.Resource(gvr).Namespace(w.ns).List(w.t.Context(), metav1.ListOptions{LabelSelector: plumbline.LabelEnvironment + "=" + w.env})
		if err != nil {
			w.t.Fatal(err)
		}
		for i := range list.Items {
			u := &list.Items[i]
			if slices.ContainsFunc(u.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
				return f.Manager == plumbline.FieldManager && f.Operation == metav1.ManagedFieldsOperationApply
			}) {
				out = append(out, u.GetKind()+" "+u.GetName())
			}
		}
	}
	slices.Sort(out)
	return out
}

// listed are the inventory's objects, as live names them.
func (w *world) listed() []string {
	w.t.Helper()
	var out []string
	for _, ref := range w.inventory().Refs() {
		out = append(out, ref.Kind+" "+ref.Name)
	}
	slices.Sort(out)
	return out
}

// superset checks that everything live is in the inventory.
func (w *world) superset() {
	w.t.Helper()
	listed := w.listed()
	for _, o := range w.live(configMaps, secrets) {
		if !slices.Contains(listed, o) {
			w.t.Errorf("%s is live and not in the inventory %q", o, listed)
		}
	}
}

// get reads a live object.
func (w *world) get(gvr schema.GroupVersionResource, name string) *unstructured.Unstructured {
	w.t.Helper()
	u, err := w.dynamic.Resource(gvr).Namespace(w.ns).Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// create makes an object, as another manager would.
func (w *world) create(gvr schema.GroupVersionResource, manager, text string) *unstructured.Unstructured {
	w.t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(text, "NS", w.ns)), &u.Object); err != nil {
		w.t.Fatal(err)
	}
	u, err := w.dynamic.Resource(gvr).Namespace(w.ns).Create(w.t.Context(), u, metav1.CreateOptions{FieldManager: manager})
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// delete deletes an object.
func (w *world) delete(gvr schema.GroupVersionResource, name string) {
	w.t.Helper()
	if err := w.dynamic.Resource(gvr).Namespace(w.ns).Delete(w.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// once runs a one-shot reconcile.
func (w *world) once() (reconciler.Result, error) {
	w.t.Helper()
	o := w.options()
	o.Once = true
	return reconciler.New(o).Run(w.t.Context())
}

// commit makes a commit of files, and is its SHA. A file's text may use NS for
// the namespace.
func (w *world) commit(files map[string]string) string {
	w.t.Helper()
	tree := fstest.MapFS{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		tree[name] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(files[name], "NS", w.ns))}
	}
	return w.repo.commit(tree, "")
}

func pruneAll(q reconciler.PruneRequest) reconciler.PruneDecision {
	var d reconciler.PruneDecision
	for _, c := range q.Candidates {
		d.Allowed = append(d.Allowed, c.Ref)
	}
	return d
}

// events collects what a process told.
type events struct {
	mu   sync.Mutex
	list []reconciler.Event
	wake chan struct{}
}

func (e *events) add(ev reconciler.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
	if e.wake != nil {
		close(e.wake)
		e.wake = nil
	}
}

// patience is how long a test waits for what must happen: no measure of speed,
// only the end of a test that fails, on a machine that does much else.
const patience = 3 * time.Minute

// all is what was told so far.
func (e *events) all() []reconciler.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

// await waits for an event that ok accepts.
func (e *events) await(t testing.TB, ok func(reconciler.Event) bool) reconciler.Event {
	t.Helper()
	var found reconciler.Event
	e.until(t, func(list []reconciler.Event) bool {
		i := slices.IndexFunc(list, ok)
		if i >= 0 {
			found = list[i]
		}
		return i >= 0
	})
	return found
}

// awaitCount waits until n events of a kind were told.
func (e *events) awaitCount(t testing.TB, kind reconciler.EventKind, n int) {
	t.Helper()
	e.until(t, func(list []reconciler.Event) bool {
		have := 0
		for _, ev := range list {
			if ev.Kind == kind {
				have++
			}
		}
		return have >= n
	})
}

// awaitRuns waits until a commit was processed n times.
func (e *events) awaitRuns(t testing.TB, sha string, n int) {
	t.Helper()
	e.until(t, func(list []reconciler.Event) bool {
		runs := 0
		for _, ev := range list {
			if ev.Kind == reconciler.EventRun && ev.Result.Commit.SHA == sha {
				runs++
			}
		}
		return runs >= n
	})
}

func (e *events) until(t testing.TB, done func([]reconciler.Event) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		e.mu.Lock()
		if done(e.list) {
			e.mu.Unlock()
			return
		}
		if e.wake == nil {
			e.wake = make(chan struct{})
		}
		wake := e.wake
		e.mu.Unlock()
		select {
		case <-ctx.Done():
			t.Fatal("the event did not happen")
		case <-wake:
		}
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	return w.t.Output().Write(p)
}
