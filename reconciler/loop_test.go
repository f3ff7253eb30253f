package reconciler_test

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/reconciler"
)

const threeObjects = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NS}
data: {color: blue}
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: NS}
data: {key: czNjcjN0}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: web, namespace: NS}
spec: {egress: [{hosts: ["istio-system/*"]}]}
`

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// object lists the requests on managed objects since mark.
func (w *world) objects(mark servers.Mark) []string {
	w.t.Helper()
	var out []string
	for _, r := range mark.Requests(w.t, servers.BySuffix(w.suffix), servers.ByClass(servers.ClassObject)) {
		out = append(out, r.String())
	}
	slices.Sort(out)
	return out
}

func (w *world) states(mark servers.Mark) []string {
	w.t.Helper()
	var out []string
	for _, r := range mark.Requests(w.t, servers.BySuffix(w.suffix), servers.ByClass(servers.ClassState)) {
		if r.Verb != "get" && r.Verb != "list" {
			out = append(out, r.String())
		}
	}
	return out
}

func TestApplyThenNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sha := w.commit(map[string]string{"all.yaml": threeObjects})
	mark := w.cluster.Mark(t)
	res, err := w.once()
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Outcomes) != 3 {
		t.Fatalf("outcomes %v", res.Outcomes)
	}
	t.Log(w.objects(mark), w.states(mark), w.posted.of(sha, "plumbline/"+w.env))

	mark = w.cluster.Mark(t)
	res, err = w.once()
	if err != nil {
		t.Fatal(err)
	}
	if got := append(w.objects(mark), w.states(mark)...); len(got) != 0 {
		t.Fatalf("a second process sent %v", got)
	}
	if len(res.Outcomes) != 0 {
		t.Fatalf("outcomes %v", res.Outcomes)
	}
}

func TestForeignEditIsNamedAndHealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.applied()
	p := w.start()
	_, err := w.dynamic.Resource(configMaps).Namespace(w.ns).Patch(t.Context(), "settings", types.MergePatchType,
		[]byte(`{"data":{"color":"red"}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	if err != nil {
		t.Fatal(err)
	}
	ev := p.events.await(t, func(e reconciler.Event) bool { return e.Kind == reconciler.EventHealed })
	if got := ev.Verdict.Managers(); !slices.Equal(got, []string{"kubectl-edit"}) {
		t.Fatalf("managers %v", got)
	}
}

func (w *world) applied() {
	w.t.Helper()
	w.commit(map[string]string{"all.yaml": threeObjects})
	if _, err := w.once(); err != nil {
		w.t.Fatal(err)
	}
}
