package reconciler_test

import (
	"context"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline/fixtures/servers"
)

// awaitValue waits until a path of a live ConfigMap holds want. The API server
// may be away meanwhile.
func (w *world) awaitValue(t *testing.T, name, path, want string) {
	t.Helper()
	poll(t, func(ctx context.Context) bool {
		u, err := w.dynamic.Resource(configMaps).Namespace(w.ns).Get(ctx, name, metav1.GetOptions{})
		return err == nil && field(u, path) == want
	})
}

// exists tells whether an object is there.
func (w *world) exists(t *testing.T, gvr schema.GroupVersionResource, name string) bool {
	t.Helper()
	_, err := w.dynamic.Resource(gvr).Namespace(w.ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

// TestRestored puts older data of etcd back below a running loop, and below a
// new process: the commit is applied again, what the old data brings back is
// not pruned by the loop that saw it happen, and nobody else's object is
// touched.
func TestRestored(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{true, false} {
		t.Run(map[bool]string{true: "running", false: "new process"}[running], func(t *testing.T) {
			t.Parallel()
			own := servers.Own(t)
			w := newWorldOn(t, own.ClusterHandle)
			foreign := w.create(configMaps, "kubectl-create", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: foreign}\ndata: {a: b}")
			files := map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile, "extra.yaml": extraFile}
			w.commit(files)
			w.sent()
			restore := own.Backup(t)

			p := w.start()
			w.synced(w.repo.head())
			delete(files, "extra.yaml")
			files["settings.yaml"], files["late.yaml"] = settingsIs("green"), configMap("late", "1")
			for range 20 { // so that the newer data is far ahead
				w.patch(configMaps, "foreign", `{"metadata":{"annotations":{"n":null}}}`, "kubectl-edit")
				w.patch(configMaps, "foreign", `{"metadata":{"annotations":{"n":"1"}}}`, "kubectl-edit")
			}
			w.synced(w.commit(files))
			if w.exists(t, configMaps, "extra") {
				t.Fatal("extra was not pruned")
			}
			if !running {
				p.stop()
			}
			restore()
			if !running {
				files["README.yaml"] = "# nothing\n"
				w.commit(files)
				p = w.start()
			}
			w.awaitValue(t, "settings", ".data.color", `"green"`)
			poll(t, func(context.Context) bool { return w.exists(t, configMaps, "late") })
			if running {
				w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "kubectl-edit")
				w.awaitValue(t, "settings", ".data.color", `"green"`)
				if !w.exists(t, configMaps, "extra") {
					t.Error("extra was pruned by the loop that saw it come back")
				}
				files["README.yaml"] = "# nothing\n"
				w.commit(files)
			}
			w.synced(w.repo.head()) // a commit of its own: not only pruned, but written down
			poll(t, func(context.Context) bool { return !w.exists(t, configMaps, "extra") })
			p.stop()
			if err := p.r.Save(context.WithoutCancel(t.Context())); err != nil {
				t.Fatal(err)
			}
			if got, want := w.live(configMaps, secrets), w.listed(); !slices.Equal(got, want) {
				t.Errorf("live %q, inventory %q", got, want)
			}
			if now := w.get(configMaps, "foreign"); now.GetResourceVersion() != foreign.GetResourceVersion() {
				t.Error("a foreign object was touched")
			}
			if sent := w.sent(); len(sent) != 0 {
				t.Errorf("a new process sent %q", sent)
			}
		})
	}
}
