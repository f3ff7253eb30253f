package reconciler_test

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// TestFight lets the same manager take the same field again and again: healing
// stops at the fifth time within ten minutes, and a commit that changes the
// object ends it.
func TestFight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	day := &clock{}
	w.tune = func(o *reconciler.Options) { o.Now = day.now }
	w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	p := w.start()
	w.synced(w.repo.head())
	for n := 1; n <= 5; n++ {
		day.advance(time.Minute) // past the backoff
		w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "operator")
		p.events.awaitCount(t, reconciler.EventDrift, n)
		if n < 5 {
			p.events.awaitCount(t, reconciler.EventHealed, n)
		}
	}
	got := w.driftStatus(func(s plumbline.Status) bool { return s.State == plumbline.StatusFailure })
	if want := "failure: 1 field drifted: ConfigMap settings data.color by operator HH:MMZ (fight with operator, healing stopped)"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}

	w.commit(map[string]string{"settings.yaml": settingsIs("green")})
	day.advance(time.Minute)
	w.synced(w.repo.head())
	w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "operator")
	p.events.awaitCount(t, reconciler.EventDrift, 6)
	p.events.awaitCount(t, reconciler.EventHealed, 6) // the commit healed the fifth
}

// TestClosedGate edits an object while nothing may be written: it is told, left
// as it is, and healed when the gate opens.
func TestClosedGate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	w.sent()
	var open atomic.Bool
	w.tune = func(o *reconciler.Options) {
		o.Gate = func(now time.Time) (bool, time.Time, string) {
			return open.Load(), now.Add(50 * time.Millisecond), "outside the window"
		}
	}
	p := w.start()
	mark := w.cluster.Mark(t)
	edited := w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "kubectl-edit")
	got := w.driftStatus(func(s plumbline.Status) bool { return s.State == plumbline.StatusFailure })
	if want := "failure: 1 field drifted: ConfigMap settings data.color by kubectl-edit HH:MMZ (outside the window)"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	next := w.commit(map[string]string{"settings.yaml": settingsIs("green"), "extra.yaml": extraFile})
	w.posted.await(t, func(s plumbline.Status) bool {
		return s.SHA == next && s.State == plumbline.StatusPending && s.Description == "outside the window"
	})
	if got := w.objects(mark); slices.ContainsFunc(got, func(s string) bool { return !strings.HasPrefix(s, "GET ") }) {
		t.Errorf("sent %q", got)
	}
	if now := w.get(configMaps, "settings"); now.GetResourceVersion() != edited.GetResourceVersion() {
		t.Error("settings was written")
	}
	open.Store(true)
	w.synced(next)
	p.stop()
	w.tune = nil
	w.converged("after the gate opened", map[string]string{"settings": "green"}, "ConfigMap extra")
}

// TestDriftToldByTheDead kills a process right after it posted that there is
// drift, before it wrote that down. When the next one starts there is none any
// more, and that is told.
func TestDriftToldByTheDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sha := w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	w.sent()
	ours := w.get(configMaps, "settings")
	w.tune = func(o *reconciler.Options) { o.Heal = func(plumbline.Ref) bool { return false } }
	w.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/plumbline-inventory-") {
			return nil, errKilled
		}
		return send()
	}
	p := w.start()
	p.events.awaitRuns(t, sha, 1)
	w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "kubectl-edit")
	w.driftStatus(func(s plumbline.Status) bool { return s.State == plumbline.StatusFailure })
	p.stop()
	w.tune, w.between = nil, nil

	again := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": ours.Object["data"]}}
	again.SetName("settings")
	again.SetLabels(ours.GetLabels())
	if _, err := w.dynamic.Resource(configMaps).Namespace(w.ns).Apply(t.Context(), "settings", again, metav1.ApplyOptions{FieldManager: plumbline.FieldManager, Force: true}); err != nil {
		t.Fatal(err)
	}
	p = w.start()
	w.awaitNoDrift(t)
	p.stop()
}

// TestLostInventory deletes the inventory: what the head desires is taken in
// again, the rest is nobody's and stays.
func TestLostInventory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue"), "extra.yaml": extraFile})
	w.sent()
	states := w.dynamic.Resource(configMaps).Namespace(w.system)
	for _, name := range []string{"plumbline-inventory-" + w.env, "plumbline-inventory-" + w.env + ".shop"} {
		if err := states.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	mark := w.cluster.Mark(t)
	w.sent()
	if got, want := w.objects(mark), []string{"PATCH configmaps " + w.ns + "/settings"}; !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	if got, want := w.listed(), []string{"ConfigMap settings"}; !slices.Equal(got, want) {
		t.Errorf("inventory %q, want %q", got, want)
	}
	if got := w.sent(); len(got) != 0 {
		t.Errorf("another process sent %q", got)
	}
	w.get(configMaps, "extra")
}

// TestDeletedShard deletes one ConfigMap of the inventory, in which all objects
// of a project are: they are taken in again, by a process that may not write for
// objects when it finds out, and by the next.
func TestDeletedShard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile})
	w.sent()
	if err := w.dynamic.Resource(configMaps).Namespace(w.system).Delete(t.Context(), "plumbline-inventory-"+w.env+".shop", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.commit(map[string]string{"settings.yaml": settingsIs("green"), "token.yaml": tokenFile})
	w.tune = func(o *reconciler.Options) {
		o.Gate = func(time.Time) (bool, time.Time, string) { return false, time.Time{}, "outside the window" }
	}
	w.sent()
	w.tune = nil
	w.sent()
	w.converged("after the shard was deleted", map[string]string{"settings": "green"}, "Secret token")
}

// TestDamagedInventory damages a shard: its objects are read from the cluster
// again, and what cannot be known is not pruned.
func TestDamagedInventory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue"), "extra.yaml": extraFile})
	w.sent()
	w.damage()
	w.commit(map[string]string{"settings.yaml": settingsIs("green")})
	w.sent()
	if got, want := w.listed(), []string{"ConfigMap settings"}; !slices.Equal(got, want) {
		t.Errorf("inventory %q, want %q", got, want)
	}
	w.get(configMaps, "extra")
}
