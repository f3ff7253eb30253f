package reconciler_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

var peerAuthentications = schema.GroupVersionResource{Group: "security.istio.io", Version: "v1", Resource: "peerauthentications"}

// loseInventory deletes what is known of the environment on the cluster.
func (w *world) loseInventory() {
	w.t.Helper()
	maps := w.dynamic.Resource(configMaps).Namespace(w.system)
	list, err := maps.List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	lost := 0
	for i := range list.Items {
		if name := list.Items[i].GetName(); strings.HasPrefix(name, "plumbline-inventory-"+w.env) {
			lost++
			if err := maps.Delete(w.t.Context(), name, metav1.DeleteOptions{}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if lost == 0 {
		w.t.Fatal("there is no inventory to lose")
	}
}

// TestForgottenNamespaces deletes the inventory of an environment with a Namespace
// that is shared with somebody, one that was adopted, and one that we made. After
// it is rebuilt the shared one still is, and none counts as made by us: a commit
// without it would delete it, with all that others have in it.
func TestForgottenNamespaces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lost bool
		want map[string]bool // what is gone from Git: whether it was there before us, as far as is known
	}{
		"known":     {false, map[string]bool{"adopt": true, "made": false, "theirs": true}},
		"forgotten": {true, map[string]bool{"adopt": true, "made": true, "theirs": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForgetting(t)
			f.allow = true
			f.commit(map[string]string{"settings.yaml": settingsIs("blue"), "adopt.yaml": f.files["adopt.yaml"]})
			f.sent()
			f.allow = false
			f.commit(f.files)
			f.sent()
			as := map[string]string{"adopt": "enabled, mTLS", "made": "enabled, mTLS", "theirs": ""}
			if diff := cmp.Diff(as, f.meshed()); diff != "" {
				t.Errorf("Namespaces (-want +got):\n%s", diff)
			}
			if c.lost {
				f.loseInventory()
				f.sent()
				if diff := cmp.Diff(as, f.meshed()); diff != "" {
					t.Errorf("Namespaces after the inventory was rebuilt (-want +got):\n%s", diff)
				}
			}
			if got := f.sent(); len(got) > 0 {
				t.Errorf("another process sent %q", got)
			}
			f.commit(map[string]string{"settings.yaml": settingsIs("blue")})
			f.sent()
			if diff := cmp.Diff(c.want, f.adopted); diff != "" {
				t.Errorf("there before us (-want +got):\n%s", diff)
			}
		})
	}
}

// forgetting is a world with three projects: the Namespaces of two were there
// before, and one of them is to be adopted.
type forgetting struct {
	*world
	files   map[string]string
	allow   bool            // adoption
	adopted map[string]bool // of the Namespaces that were candidates for prune
}

func newForgetting(t *testing.T) *forgetting {
	t.Helper()
	f := &forgetting{world: newWorld(t), files: map[string]string{"settings.yaml": settingsIs("blue")}, adopted: map[string]bool{}}
	f.tune = func(o *reconciler.Options) {
		o.Renderer, o.Adopt = ofTheProject{o.Renderer}, f.allow
		o.Prune = func(q reconciler.PruneRequest) reconciler.PruneDecision {
			d := reconciler.PruneDecision{Kept: map[plumbline.Ref]string{}}
			for _, c := range q.Candidates {
				d.Kept[c.Ref] = "kept"
				if c.Ref.Kind == "Namespace" {
					f.adopted[strings.TrimPrefix(c.Ref.Name, f.ns+"-")] = c.Adopted
				}
			}
			return d
		}
	}
	all := f.dynamic.Resource(namespaces)
	for _, short := range []string{"adopt", "made", "theirs"} {
		name := f.ns + "-" + short
		if short != "made" {
			u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
			u.SetName(name)
			if _, err := all.Create(t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl-create"}); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() { _ = all.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}) })
		f.files[short+".yaml"] = strings.ReplaceAll(`apiVersion: v1
kind: Namespace
metadata: {name: NAME, labels: {istio-injection: enabled}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: NAME}
spec: {mtls: {mode: STRICT}}
`, "NAME", name)
	}
	return f
}

// meshed is how the mesh treats each Namespace: whether pods get a proxy, and
// whether that demands mTLS.
func (f *forgetting) meshed() map[string]string {
	f.t.Helper()
	out := map[string]string{}
	for _, short := range []string{"adopt", "made", "theirs"} {
		name := f.ns + "-" + short
		u, err := f.dynamic.Resource(namespaces).Get(f.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			f.t.Fatal(err)
		}
		list, err := f.dynamic.Resource(peerAuthentications).Namespace(name).List(f.t.Context(), metav1.ListOptions{})
		if err != nil {
			f.t.Fatal(err)
		}
		out[short] = u.GetLabels()["istio-injection"]
		if slices.ContainsFunc(list.Items, func(u unstructured.Unstructured) bool { return u.GetName() == "default" }) {
			out[short] += ", mTLS"
		}
	}
	return out
}
