package reconciler_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/plumbline-dev/plumbline"
)

// clone makes copies of objects in another namespace as a backup tool does:
// with labels, annotations and managedFields.
func (w *world) clone(into string, objects map[string]schema.GroupVersionResource) map[string]*unstructured.Unstructured {
	w.t.Helper()
	out := map[string]*unstructured.Unstructured{}
	for name, gvr := range objects {
		u := w.get(gvr, name)
		u.SetNamespace(into)
		u.SetUID("")
		u.SetResourceVersion("")
		made, err := w.dynamic.Resource(gvr).Namespace(into).Create(w.t.Context(), u, metav1.CreateOptions{FieldManager: "velero"})
		if err != nil {
			w.t.Fatal(err)
		}
		// A create takes no managedFields, so such a tool sets them by a second request.
		made.SetManagedFields(u.GetManagedFields())
		made, err = w.dynamic.Resource(gvr).Namespace(into).Update(w.t.Context(), made, metav1.UpdateOptions{FieldManager: "velero"})
		if err != nil {
			w.t.Fatal(err)
		}
		if !applied(made) {
			w.t.Fatalf("the copy of %s has %v", name, made.GetManagedFields())
		}
		out[name] = made
	}
	return out
}

// TestClonedNamespace restores a namespace under another name: marks and entry
// are ours, the objects are not. They are never told of, written or pruned,
// also when a definition wants one of their names, and after a restart.
func TestClonedNamespace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	files := map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile, "extra.yaml": extraFile}
	w.commit(maps.Clone(files))
	w.sent()
	p := w.start()
	into := w.cluster.Namespace(t)
	copies := w.clone(into, map[string]schema.GroupVersionResource{"settings": configMaps, "extra": configMaps, "token": secrets})
	mark := w.cluster.Mark(t)
	delete(files, "extra.yaml")
	files["settings.yaml"] = settingsIs("green")
	w.synced(w.commit(maps.Clone(files)))
	if got := w.posted.of(w.repo.head(), "plumbline/"+w.env); !slices.Contains(got, "success: 2 objects applied, in sync") {
		t.Errorf("statuses %q", got)
	}

	files["copy.yaml"] = strings.ReplaceAll(settingsIs("green"), "NS", into)
	sha := w.commit(maps.Clone(files))
	p.events.awaitRuns(t, sha, 1)
	p.stop()
	p = w.start()
	p.events.awaitRuns(t, sha, 1)
	w.told(sha)
	p.stop()
	got, want := w.posted.of(sha, "plumbline/"+w.env), "failure: copy.yaml:1: apply ConfigMap "+into+"/settings: it exists and was not made by Plumbline; nothing is sent"
	if !slices.Contains(got, want) {
		t.Errorf("statuses %q, want %q", got, want)
	}
	for name, c := range copies {
		gvr := configMaps
		if c.GetKind() == "Secret" {
			gvr = secrets
		}
		now, err := w.dynamic.Resource(gvr).Namespace(into).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || now.GetResourceVersion() != c.GetResourceVersion() {
			t.Errorf("%s was touched: %v", name, err)
		}
	}
	for _, s := range w.objects(mark) {
		if strings.Contains(s, into) && !strings.HasPrefix(s, "GET ") {
			t.Errorf("sent %q", s)
		}
	}
	if e := slices.IndexFunc(w.inventory().Refs(), func(r plumbline.Ref) bool { return r.Namespace == into }); e >= 0 {
		t.Errorf("the inventory has %s", w.inventory().Refs()[e])
	}
}
