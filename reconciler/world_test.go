package reconciler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"crypto/sha1"
	"encoding/hex"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
}

func newWorld(t testing.TB) *world {
	t.Helper()
	c := servers.Cluster(t)
	suffix := servers.Suffix(t)
	dyn, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		t: t, cluster: c, suffix: suffix, ns: c.Namespace(t), env: "e" + suffix, system: c.Namespace(t),
		repo: &repository{}, posted: &statuses{}, dynamic: dyn, config: c.Config(),
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
	client, err := cluster.New(cluster.Options{Config: w.config, Version: "test", UserAgent: " " + w.suffix})
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := rest.CopyConfig(w.config)
	cfg.UserAgent = "plumbline/test (state) " + w.suffix
	core, err := corev1client.NewForConfig(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	o := reconciler.Options{
		Environment: w.env, Namespace: w.system, Interval: 50 * time.Millisecond, Context: "plumbline/" + w.env,
		Drift: reconciler.DriftHeal, Source: w.repo, Renderer: plainRenderer{env: w.env}, Reporter: w.posted,
		Outbox: &fifo{}, Prune: pruneAll, Gate: func(time.Time) (bool, time.Time, string) { return true, time.Time{}, "" },
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

// repository is the source: commits in memory.
type repository struct {
	mu      sync.Mutex
	commits []plumbline.Commit
	trees   map[string]fs.FS
	err     error
}

func (r *repository) commit(tree fs.FS, message string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := sha1.Sum([]byte(fmt.Sprintf("%d %s", len(r.commits), message)))
	c := plumbline.Commit{SHA: hex.EncodeToString(sum[:]), Message: message}
	if r.trees == nil {
		r.trees = map[string]fs.FS{}
	}
	r.commits, r.trees[c.SHA] = append(r.commits, c), tree
	return c.SHA
}

// head is the SHA of the newest commit.
func (r *repository) head() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.commits[len(r.commits)-1].SHA
}

func (r *repository) Fetch(context.Context) (plumbline.Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return plumbline.Commit{}, r.err
	}
	return r.commits[len(r.commits)-1], nil
}

func (r *repository) Snapshot(_ context.Context, sha string) (plumbline.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return plumbline.Snapshot{Commit: plumbline.Commit{SHA: sha}, FS: r.trees[sha]}, nil
}

func (r *repository) Commits(_ context.Context, from, to string) ([]plumbline.Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []plumbline.Commit
	for _, c := range slices.Backward(r.commits) {
		if c.SHA == from {
			break
		}
		out = append(out, c)
	}
	return out, nil
}

// plainRenderer renders plain Kubernetes objects; a file "broken" is a
// violation.
type plainRenderer struct{ env string }

func (p plainRenderer) Render(_ context.Context, s plumbline.Snapshot) (reconciler.Rendered, error) {
	var out reconciler.Rendered
	err := fs.WalkDir(s.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(s.FS, path)
		if err != nil {
			return err
		}
		if path == "broken" {
			out.Violations = append(out.Violations, plumbline.Violation{Code: "PL0000", Severity: plumbline.SeverityError, Origin: plumbline.Origin{Path: path, Line: 1}, Message: string(data)})
			return nil
		}
		for _, doc := range strings.Split(string(data), "\n---\n") {
			o, err := p.object(path, doc)
			if err != nil {
				return err
			}
			out.Objects = append(out.Objects, o)
		}
		return nil
	})
	slices.SortFunc(out.Objects, func(a, b plumbline.Object) int { return a.Ref.Compare(b.Ref) })
	return out, err
}

func (p plainRenderer) object(path, doc string) (plumbline.Object, error) {
	var u unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
		return plumbline.Object{}, fmt.Errorf("%s: %w", path, err)
	}
	labels := u.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[plumbline.LabelManagedBy] = plumbline.ManagedBy
	labels[plumbline.LabelEnvironment] = p.env
	labels[plumbline.LabelProject] = "shop"
	u.SetLabels(labels)
	control := plumbline.Control{
		ReportDrift: u.GetAnnotations()[plumbline.AnnotationDrift] == "report",
		KeepOnPrune: u.GetAnnotations()[plumbline.AnnotationPrune] == "disabled",
	}
	body, err := json.Marshal(u.Object)
	if err != nil {
		return plumbline.Object{}, err
	}
	gvk := u.GroupVersionKind()
	ref := plumbline.Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName()}
	sum := sha1.Sum(body)
	return plumbline.Object{
		Ref: ref, Version: gvk.Version, Origin: plumbline.Origin{Path: path, Line: 1}, Wave: plumbline.WaveOf(ref.GroupKind()),
		Project: "shop", Service: labels[plumbline.LabelService],
		Checksum: hex.EncodeToString(sum[:]), Body: plumbline.NewBody(body), Control: control,
	}, nil
}

func pruneAll(q reconciler.PruneRequest) reconciler.PruneDecision {
	var d reconciler.PruneDecision
	for _, c := range q.Candidates {
		d.Allowed = append(d.Allowed, c.Ref)
	}
	return d
}

// statuses is the forge.
type statuses struct {
	mu   sync.Mutex
	list []plumbline.Status
	wake chan struct{}
}

func (s *statuses) Post(_ context.Context, st plumbline.Status) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, st)
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
	return nil
}

func (s *statuses) Last(_ context.Context, key plumbline.StatusKey) (plumbline.Status, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range slices.Backward(s.list) {
		if st.Key() == key {
			return st, true, nil
		}
	}
	return plumbline.Status{}, false, nil
}

// of is what was posted to a context whose name ends in end, on a commit.
func (s *statuses) of(sha, context string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, st := range s.list {
		if st.SHA == sha && st.Context == context {
			out = append(out, string(st.State)+": "+st.Description)
		}
	}
	return out
}

// await waits for a posted status that ok accepts.
func (s *statuses) await(t testing.TB, ok func(plumbline.Status) bool) plumbline.Status {
	t.Helper()
	for {
		s.mu.Lock()
		for _, st := range s.list {
			if ok(st) {
				s.mu.Unlock()
				return st
			}
		}
		if s.wake == nil {
			s.wake = make(chan struct{})
		}
		wake := s.wake
		s.mu.Unlock()
		select {
		case <-t.Context().Done():
			t.Fatal("the status was not posted")
		case <-wake:
		}
	}
}

// synced waits for the success of a commit.
func (w *world) synced(sha string) {
	w.t.Helper()
	w.posted.await(w.t, func(s plumbline.Status) bool {
		return s.SHA == sha && s.Context == "plumbline/"+w.env && s.State == plumbline.StatusSuccess
	})
}

// fifo is an outbox that sends everything in order, equal states once.
type fifo struct {
	Queue []plumbline.Status
	Last  map[string]plumbline.Status
}

func (f *fifo) Want(s plumbline.Status, _ time.Time) {
	key := s.SHA + s.Context
	if last, ok := f.Last[key]; ok && last.Equal(s) {
		return
	}
	if f.Last == nil {
		f.Last = map[string]plumbline.Status{}
	}
	f.Last[key] = s
	f.Queue = append(f.Queue, s)
}

func (f *fifo) Next(time.Time) (plumbline.Status, bool, time.Time) {
	if len(f.Queue) == 0 {
		return plumbline.Status{}, false, time.Time{}
	}
	return f.Queue[0], true, time.Time{}
}
func (f *fifo) Accepted(plumbline.Status, time.Time)      { f.Queue = f.Queue[1:] }
func (f *fifo) Failed(plumbline.Status, error, time.Time) { f.Queue = f.Queue[1:] }

type plainFifo fifo

func (f *fifo) MarshalJSON() ([]byte, error)    { return json.Marshal((*plainFifo)(f)) }
func (f *fifo) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*plainFifo)(f)) }

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

// all is what was told so far.
func (e *events) all() []reconciler.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

// await waits for an event that ok accepts.
func (e *events) await(t testing.TB, ok func(reconciler.Event) bool) reconciler.Event {
	t.Helper()
	for {
		e.mu.Lock()
		for _, ev := range e.list {
			if ok(ev) {
				e.mu.Unlock()
				return ev
			}
		}
		if e.wake == nil {
			e.wake = make(chan struct{})
		}
		wake := e.wake
		e.mu.Unlock()
		select {
		case <-t.Context().Done():
			t.Fatal("the event did not happen")
		case <-wake:
		}
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	_, err := io.WriteString(w.t.Output(), string(p))
	return len(p), err
}
