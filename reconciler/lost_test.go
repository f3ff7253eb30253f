package reconciler_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/tools/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// told are the events of a kind.
func (e *events) told(kind reconciler.EventKind) []reconciler.Event {
	return slices.DeleteFunc(e.all(), func(ev reconciler.Event) bool { return ev.Kind != kind })
}

// applied tells whether an object has our entry.
func applied(u *unstructured.Unstructured) bool {
	return slices.ContainsFunc(u.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager == plumbline.FieldManager && f.Operation == metav1.ManagedFieldsOperationApply
	})
}

// TestOwnershipLost clears the managedFields of 60 objects, a tenth of them with
// another value: one event, one status, no drift of any object, and everything
// is ours again.
func TestOwnershipLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	installWidgets(t, w.cluster)
	files := map[string]string{}
	var names []string
	for i := range 60 {
		name := fmt.Sprintf("w%02d", i)
		names = append(names, name)
		files[name+".yaml"] = widget(name)
	}
	w.commit(files)
	w.sent()
	p := w.start()
	p.events.awaitRuns(t, w.repo.head(), 1)
	for i, name := range names {
		body := `{"metadata":{"managedFields":[{}]}}`
		if i >= 54 {
			body = `{"metadata":{"managedFields":[{}]},"spec":{"parts":[{"name":"rim","color":"green"},{"name":"hub","color":"red"}]}}`
		}
		w.patch(widgetObjects, name, body, "storage-migrator")
	}
	for _, name := range names {
		poll(t, func(context.Context) bool {
			u := w.get(widgetObjects, name)
			return applied(u) && field(u, ".spec.parts[0].color") == `"blue"`
		})
	}
	w.awaitNoDrift(t)
	p.stop()
	if got := p.events.told(reconciler.EventShift); len(got) != 1 || got[0].Shift.Reason != "ownership lost by the server" {
		t.Errorf("told %v", got)
	}
	for _, kind := range []reconciler.EventKind{reconciler.EventDrift, reconciler.EventHealed} {
		if got := p.events.told(kind); len(got) != 0 {
			t.Errorf("told %s of %s and %d others", kind, got[0].Verdict, len(got)-1)
		}
	}
	if got, want := w.posted.of(w.repo.head(), "plumbline/"+w.env+"/drift")[0], "pending: Checking Widget: ownership lost by the server"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
}

// awaitNoDrift waits until the newest drift status of the head says that there is
// none.
func (w *world) awaitNoDrift(t *testing.T) {
	t.Helper()
	poll(t, func(context.Context) bool {
		all := w.posted.of(w.repo.head(), "plumbline/"+w.env+"/drift")
		return len(all) > 0 && all[len(all)-1] == "success: No drift"
	})
}

// TestDefinitionsUnreadable turns a list atomic where Plumbline may not see
// definitions: the objects show it, as each is written next.
func TestDefinitionsUnreadable(t *testing.T) {
	t.Parallel()
	a, err := txtar.ParseFile("testdata/drift/36-kind-turned-atomic.txtar")
	if err != nil {
		t.Fatal(err)
	}
	p := newPlay(t, a)
	var refused atomic.Int32
	p.w.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if !strings.Contains(r.URL.Path, "/customresourcedefinitions") {
			return send()
		}
		refused.Add(1)
		return &http.Response{
			Request: r, StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)),
		}, nil
	}
	p.define("kind.yaml")
	files := map[string]string{}
	for i := range 12 {
		name := fmt.Sprintf("g%02d", i)
		files[name+".yaml"] = p.fill("apiVersion: GROUP/v1\nkind: Gadget\nmetadata: {name: " + name + ", namespace: NS}\nspec: {parts: [{name: rim, color: blue}]}\n")
	}
	p.w.commit(files)
	p.p = p.w.start()
	p.w.synced(p.w.repo.head())
	p.define("later.yaml")
	until := parseSteps(t, section(a, "edit"))[1]
	until.args[1], until.payload = "g00", strings.ReplaceAll(until.payload, "cog", "g00")
	p.untilOwned(p.resource("gadgets.v1.GROUP"), until)
	for i := range 12 {
		p.edit(step{verb: "status", args: []string{"gadgets.v1.GROUP", fmt.Sprintf("g%02d", i)}, manager: "controller", payload: "{status: {ready: true}}"}, p.resource("gadgets.v1.GROUP"))
	}
	p.p.events.awaitCount(t, reconciler.EventShift, 1)
	p.w.awaitNoDrift(t)
	p.p.stop()
	if got := p.p.events.told(reconciler.EventShift); len(got) != 1 {
		t.Errorf("told %v", got)
	}
	if got := p.p.events.told(reconciler.EventDrift); len(got) != 0 {
		t.Errorf("told %v", got)
	}
	if got := refused.Load(); got != 1 {
		t.Errorf("definitions were asked for %d times", got)
	}
}

// TestVersionGone takes the version away that a loop watches, which is the
// preferred one: the kind is watched in the other one, and a commit that moves
// there is applied.
func TestVersionGone(t *testing.T) {
	t.Parallel()
	a, err := txtar.ParseFile("testdata/drift/35-kind-version-gone.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for i := range a.Files {
		swap := strings.NewReplacer("GROUP/v1", "GROUP/v2", "GROUP/v2", "GROUP/v1", "name: v1", "name: v2", "name: v2", "name: v1")
		a.Files[i].Data = []byte(swap.Replace(string(a.Files[i].Data)))
	}
	p := newPlay(t, a)
	p.define("kind.yaml")
	p.commit("desired.yaml")
	p.p = p.w.start()
	p.w.synced(p.w.repo.head())
	p.define("later.yaml")
	p.untilGone("gadgets.v2.GROUP")
	p.w.synced(p.commit("next.yaml"))
	gadgets := p.resource("gadgets.v1.GROUP")
	if u := p.get(gadgets, "cog"); field(u, ".spec.size") != "absent" || !applied(u) {
		t.Errorf("spec.size is %s, managedFields %v", field(u, ".spec.size"), u.GetManagedFields())
	}
	p.edit(step{verb: "patch", args: []string{"gadgets.v1.GROUP", "wheel"}, manager: "kubectl-edit", payload: "{spec: {parts: [{name: rim, color: green}]}}"}, gadgets)
	p.p.events.await(t, healedAs("wheel"))
	p.p.stop()
	if got := p.p.events.told(reconciler.EventShift); len(got) != 1 {
		t.Errorf("told %v", got)
	}
	if got := p.p.events.told(reconciler.EventDrift); len(got) != 1 || got[0].Verdict.Ref.Name != "wheel" {
		t.Errorf("told %v", got)
	}
}
