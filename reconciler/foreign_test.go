package reconciler_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// TestForeignReported tells of what others add to spec, and leaves it: not what
// a known controller adds, and not what is added outside of spec. A co-owner of
// a field of ours is suspect, once.
func TestForeignReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	installWidgets(t, w.cluster)
	w.tune = func(o *reconciler.Options) {
		o.Foreign = reconciler.Foreign{Report: true, Known: []string{"resizer"}}
	}
	w.commit(map[string]string{"cog.yaml": widget("cog"), "hub.yaml": widget("hub"), "axle.yaml": widget("axle")})
	w.sent()
	p := w.start()
	p.events.awaitRuns(t, w.repo.head(), 1)
	w.patch(widgetObjects, "hub", `{"metadata":{"labels":{"team":"blue"}}}`, "kubectl-edit")
	w.patch(widgetObjects, "hub", `{"spec":{"size":"large"}}`, "resizer")
	w.patch(widgetObjects, "cog", `{"spec":{"size":"large"}}`, "kubectl-edit")
	got := w.driftStatus(func(s plumbline.Status) bool { return s.State == plumbline.StatusFailure })
	if want := "failure: added beside ours: Widget cog spec.size by kubectl-edit HH:MMZ (drift.foreign is report)"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	mark := w.cluster.Mark(t)
	w.applyAs("argocd", "axle", `{"parts":[{"name":"rim","color":"blue"}]}`)
	p.events.await(t, func(e reconciler.Event) bool {
		return e.Kind == reconciler.EventSuspect && strings.HasPrefix(e.Verdict.Reason, "another manager owns")
	})
	p.events.await(t, func(e reconciler.Event) bool {
		return e.Kind == reconciler.EventOutcome && e.Outcome.Ref.Name == "axle" && e.Outcome.Action == plumbline.ActionUnchanged
	})
	w.patch(widgetObjects, "cog", `{"spec":{"size":null}}`, "kubectl-edit")
	w.awaitNoDrift(t)
	p.stop()
	if got := p.events.told(reconciler.EventForeign); len(got) != 1 || got[0].Verdict.String() != "Widget "+w.ns+"/cog foreign at .spec.size by kubectl-edit" {
		t.Errorf("told %v", got)
	}
	for _, kind := range []reconciler.EventKind{reconciler.EventDrift, reconciler.EventHealed} {
		if got := p.events.told(kind); len(got) != 0 {
			t.Errorf("told %s of %s", kind, got[0].Verdict)
		}
	}
	if got := w.objects(mark); !slices.Contains(got, "PATCH reconciler.test/widgets "+w.ns+"/axle") {
		t.Errorf("sent %q: the co-owner was not settled", got)
	}
}

// TestDriftBlocksChange commits a change of a field that someone else holds, of
// an object whose drift is only reported: theirs stays, and the status says why.
func TestDriftBlocksChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kept := func(color string) string {
		return strings.Replace(settingsIs(color), "namespace: NS}", "namespace: NS, annotations: {plumbline.dev/drift: report}}", 1)
	}
	w.commit(map[string]string{"settings.yaml": kept("blue")})
	w.sent()
	theirs := w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "kubectl-edit")
	sha := w.commit(map[string]string{"settings.yaml": kept("green")})
	p := w.start()
	s := w.posted.await(t, func(s plumbline.Status) bool {
		return s.SHA == sha && s.Context == "plumbline/"+w.env && s.State == plumbline.StatusFailure
	})
	p.stop()
	if got, want := s.Description, "drift blocks this change (plumbline.dev/drift: report)"; !strings.Contains(got, want) {
		t.Errorf("status %q, want %q in it", got, want)
	}
	if now := w.get(configMaps, "settings"); now.GetResourceVersion() != theirs.GetResourceVersion() {
		t.Errorf("settings was written: %v", now.Object["data"])
	}
}

// applyAs applies a Widget as another manager, without force.
func (w *world) applyAs(manager, name, spec string) {
	w.t.Helper()
	body := fmt.Sprintf(`{"apiVersion":"reconciler.test/v1","kind":"Widget","metadata":{"name":%q},"spec":%s}`, name, spec)
	_, err := w.dynamic.Resource(widgetObjects).Namespace(w.ns).Patch(w.t.Context(), name, types.ApplyPatchType, []byte(body), metav1.PatchOptions{FieldManager: manager})
	if err != nil {
		w.t.Fatal(err)
	}
}
