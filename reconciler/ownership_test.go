package reconciler_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/reconciler"
)

const cartFile = `apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: cart-v1, namespace: NS}
spec:
  template:
    spec:
      containers: [{name: cart, image: "example.com/cart:1"}]
`

func knative(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "serving.knative.dev", Version: "v1", Resource: resource}
}

// labels are ours, as a line of YAML.
func (w *world) labels(more string) string {
	return fmt.Sprintf("{%s: %s, %s: %s, %s: %s, %s: shop%s}", plumbline.LabelManagedBy, plumbline.ManagedBy,
		plumbline.LabelInstallation, w.installation(), plumbline.LabelEnvironment, w.env, plumbline.LabelProject, more)
}

// TestCopiedLabels runs ten reconciles and a prune while objects stand around
// that a controller made with copies of our labels, as Knative does.
func TestCopiedLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	files := map[string]string{"cart.yaml": cartFile, "extra.yaml": extraFile}
	w.commit(maps.Clone(files))
	w.sent()
	cart := w.get(knative("services"), "cart-v1")
	owner := fmt.Sprintf(`ownerReferences: [{apiVersion: serving.knative.dev/v1, kind: Service, name: cart-v1, uid: %s, controller: true}]`, cart.GetUID())
	copies := map[schema.GroupVersionResource]*unstructured.Unstructured{}
	spec := `spec: {template: {spec: {containers: [{image: example.com/cart:1}]}}}`
	for gvr, text := range map[schema.GroupVersionResource]string{
		knative("configurations"): fmt.Sprintf("apiVersion: serving.knative.dev/v1\nkind: Configuration\nmetadata: {name: copy, labels: %s, %s}\n%s", w.labels(", serving.knative.dev/service: cart-v1"), owner, spec),
		knative("routes"):         fmt.Sprintf("apiVersion: serving.knative.dev/v1\nkind: Route\nmetadata: {name: copy, labels: %s, %s}", w.labels(", serving.knative.dev/route: cart-v1"), owner),
		knative("services"):       fmt.Sprintf("apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: copy, labels: %s}\n%s", w.labels(""), spec),
		configMaps:                fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: copy, labels: %s, %s}", w.labels(""), owner),
		secrets:                   fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: copy, labels: %s}", w.labels("")),
	} {
		copies[gvr] = w.create(gvr, "controller", text)
	}
	p := w.start()
	mark := w.cluster.Mark(t)
	for i := range 10 {
		files["settings.yaml"] = settingsIs(fmt.Sprintf("c%d", i))
		w.synced(w.commit(maps.Clone(files)))
	}
	delete(files, "extra.yaml")
	w.synced(w.commit(maps.Clone(files)))
	p.stop()
	for _, e := range p.events.all() {
		if e.Verdict.Ref.Name == "copy" || e.Outcome.Ref.Name == "copy" {
			t.Errorf("event %s", describe(e))
		}
	}
	sent := w.objects(mark)
	if i := slices.IndexFunc(sent, func(s string) bool { return strings.Contains(s, "copy") }); i >= 0 {
		t.Errorf("sent %q", sent[i])
	}
	if !slices.Contains(sent, "DELETE configmaps "+w.ns+"/extra") {
		t.Errorf("sent %q, and no delete", sent)
	}
	for gvr, c := range copies {
		if now := w.get(gvr, "copy"); now.GetResourceVersion() != c.GetResourceVersion() {
			t.Errorf("%s copy moved from %s to %s", gvr.Resource, c.GetResourceVersion(), now.GetResourceVersion())
		}
	}
}

// TestForeignObjectInOurPlace finds an object that someone else made where a
// definition wants one: it is left alone until it is gone.
func TestForeignObjectInOurPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	theirs := w.create(configMaps, "kubectl-create", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {color: theirs}")
	sha := w.commit(map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile})
	mark := w.cluster.Mark(t)
	p := w.start()
	p.events.awaitRuns(t, sha, 3)
	w.told(sha)
	if now := w.get(configMaps, "settings"); now.GetResourceVersion() != theirs.GetResourceVersion() {
		t.Errorf("settings was written: %v", now.Object)
	}
	if got := w.objects(mark); slices.Contains(got, "PATCH configmaps "+w.ns+"/settings") || !slices.Contains(got, "PATCH secrets "+w.ns+"/token") {
		t.Errorf("sent %q", got)
	}
	got := w.posted.of(sha, "plumbline/"+w.env)
	want := "failure: settings.yaml:1: apply ConfigMap " + w.ns + "/settings: it exists and was not made by Plumbline; nothing is sent"
	if len(got) == 0 || got[len(got)-1] != want {
		t.Errorf("statuses %q, want %q", got, want)
	}
	w.delete(configMaps, "settings")
	w.synced(sha)
	p.stop()
	if got, want := w.live(configMaps, secrets), w.listed(); !slices.Equal(got, want) {
		t.Errorf("live %q, inventory %q", got, want)
	}
}

// TestLostRaceForAName lets someone else create the object between our look and
// our creating apply.
func TestLostRaceForAName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, theirs string
		want         []string
	}{
		{"with the same value", "{color: blue, theirs: x}", []string{"GET 404", "PATCH 200", "PATCH 200"}},
		{"with another value", "{color: theirs}", []string{"GET 404", "PATCH 409"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var first sync.Once
			var theirs *unstructured.Unstructured
			w.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
				if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/settings") {
					first.Do(func() {
						theirs = w.create(configMaps, "kubectl-create", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, labels: {their: label}}\ndata: "+c.theirs)
					})
				}
				return send()
			}
			w.commit(map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile})
			mark := w.cluster.Mark(t)
			if _, err := w.once(); plumbline.KindOf(err) != plumbline.KindDenied {
				t.Errorf("error %v, want denied", err)
			}
			w.untouched(theirs)
			var got []string
			for _, r := range mark.Requests(t, servers.BySuffix(w.suffix), servers.ByClass(servers.ClassObject)) {
				if r.Name == "settings" {
					got = append(got, fmt.Sprintf("%s %d", strings.ToUpper(r.Verb), r.Code))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("sent %q, want %q", got, c.want)
			}

			w.commit(map[string]string{"token.yaml": tokenFile})
			if _, err := w.once(); err != nil {
				t.Error(err)
			}
			w.untouched(theirs)
			if got, want := w.listed(), []string{"Secret token"}; !slices.Equal(got, want) {
				t.Errorf("inventory %q, want %q", got, want)
			}
		})
	}
}

// TestOwnCreateArrivesLate lets a create whose answer was lost arrive between the
// look of the next process and its creating apply: the object is ours.
func TestOwnCreateArrivesLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var first sync.Once
	w.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/settings") {
			first.Do(func() {
				body, err := r.GetBody()
				if err != nil {
					t.Error(err)
				}
				late := r.Clone(r.Context())
				late.Body = body
				transport, err := rest.TransportFor(w.config)
				if err != nil {
					t.Error(err)
				}
				resp, err := transport.RoundTrip(late)
				if err != nil || resp.StatusCode != http.StatusCreated {
					t.Errorf("the late create: %v, %v", resp, err)
					return
				}
				_ = resp.Body.Close()
			})
		}
		return send()
	}
	w.commit(map[string]string{"token.yaml": tokenFile})
	w.sent()
	sha := w.commit(map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile})
	p := w.start()
	w.synced(sha)
	p.stop()
	w.between = nil
	w.converged("after the late create", map[string]string{"settings": "blue"}, "Secret token")
}

// untouched checks that an object holds what its maker gave it, and nothing of
// ours.
func (w *world) untouched(theirs *unstructured.Unstructured) {
	w.t.Helper()
	now := w.get(configMaps, theirs.GetName())
	type view struct {
		UID    any
		Labels map[string]string
		Data   any
	}
	of := func(u *unstructured.Unstructured) view {
		return view{u.GetUID(), u.GetLabels(), u.Object["data"]}
	}
	if diff := cmp.Diff(of(theirs), of(now)); diff != "" {
		w.t.Errorf("%s (-theirs +now):\n%s", theirs.GetName(), diff)
	}
	if slices.ContainsFunc(now.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool { return f.Manager == plumbline.FieldManager }) {
		w.t.Errorf("our entry is on %s", theirs.GetName())
	}
}

// TestForeignController gives an object of ours a controller: it is not applied
// any more, and not pruned.
func TestForeignController(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile})
	w.sent()
	edited := w.patch(configMaps, "settings", `{"data":{"color":"red"},"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Thing","name":"boss","uid":"00000000-0000-0000-0000-000000000000","controller":true}]}}`, "boss")
	p := w.start()
	p.events.await(t, func(e reconciler.Event) bool {
		return e.Kind == reconciler.EventOutcome && e.Outcome.Ref.Name == "settings" && plumbline.KindOf(e.Outcome.Err) == plumbline.KindDenied
	})
	p.stop()
	w.commit(map[string]string{"token.yaml": tokenFile})
	mark := w.cluster.Mark(t)
	if _, err := w.once(); err != nil {
		t.Error(err)
	}
	if got := w.objects(mark); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
	if now := w.get(configMaps, "settings"); now.GetResourceVersion() != edited.GetResourceVersion() {
		t.Error("settings was written")
	}
}

// TestReplacedDuringApply lets someone replace an object of ours, labels and all,
// between our look and our apply: the new one is not taken over.
func TestReplacedDuringApply(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	w.sent()
	var first sync.Once
	var theirs *unstructured.Unstructured
	w.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/settings") {
			first.Do(func() {
				w.delete(configMaps, "settings")
				theirs = w.create(configMaps, "kubectl-create", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, labels: "+w.labels("")+"}\ndata: {color: theirs}")
			})
		}
		return send()
	}
	w.commit(map[string]string{"settings.yaml": settingsIs("green")})
	if _, err := w.once(); plumbline.KindOf(err) != plumbline.KindDenied {
		t.Errorf("error %v, want denied", err)
	}
	w.untouched(theirs)
}
