package reconciler_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// repository is the source: commits in memory.
type repository struct {
	mu      sync.Mutex
	commits []plumbline.Commit
	trees   map[string]fs.FS
	fetched chan struct{} // receives at every fetch that someone awaits
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

// awaitFetches waits until a process has asked for the head n times more.
func (r *repository) awaitFetches(t testing.TB, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range n {
		select {
		case <-r.fetched:
		case <-ctx.Done():
			t.Fatal("nobody fetches")
		}
	}
}

func (r *repository) Fetch(context.Context) (plumbline.Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case r.fetched <- struct{}{}:
	default:
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

// plainRenderer renders plain Kubernetes objects; every line of a file "broken"
// is a violation.
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
			for i, line := range strings.Split(string(data), "\n") {
				out.Violations = append(out.Violations, plumbline.Violation{
					Code: "PL0000", Severity: plumbline.SeverityError, Origin: plumbline.Origin{Path: path, Line: i + 1}, Message: line,
				})
			}
			return nil
		}
		for _, doc := range strings.Split(string(data), "\n---\n") {
			o, err := p.object(path, doc)
			if err != nil {
				return err
			}
			if o.Ref.Name == "" {
				continue
			}
			out.Objects = out.Objects.With(o.Ref, &o)
		}
		return nil
	})
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

// panicking renders, unless the commit has a file "panic".
type panicking struct{ reconciler.Renderer }

func (p panicking) Render(ctx context.Context, s plumbline.Snapshot) (reconciler.Rendered, error) {
	if _, err := fs.Stat(s.FS, "panic"); err == nil {
		panic("rendering")
	}
	return p.Renderer.Render(ctx, s)
}
