package reconciler_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

var (
	services    = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	ksvcs       = schema.GroupVersionResource{Group: "serving.knative.dev", Version: "v1", Resource: "services"}
	routes      = schema.GroupVersionResource{Group: "serving.knative.dev", Version: "v1", Resource: "routes"}
	splits      = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}
)

// ledger is a service in one mode, as a file of objects. There is no Knative
// here: what it makes of a Route, the test makes.
type ledger string

const (
	ledgerKnative    ledger = "ksvc Route"
	ledgerDirect     ledger = "ksvc Service Service-internal VirtualService"
	ledgerDeployment ledger = "Deployment Service Service-internal VirtualService"
)

// file is the service's objects; extra goes into the metadata of each.
func (l ledger) file(extra string) string {
	parts := map[string]string{
		"ksvc": `apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: ledger-v1, META}
spec: {template: {spec: {containers: [{image: registry.example.com/ledger}]}}}
`,
		"Route": `apiVersion: serving.knative.dev/v1
kind: Route
metadata: {name: ledger, META}
spec: {traffic: [{configurationName: ledger-v1, percent: 100}]}
`,
		"Deployment": `apiVersion: apps/v1
kind: Deployment
metadata: {name: ledger-v1, META}
spec:
  selector: {matchLabels: {app: ledger}}
  template: {metadata: {labels: {app: ledger}}, spec: {containers: [{name: main, image: registry.example.com/ledger}]}}
`,
		"Service": `apiVersion: v1
kind: Service
metadata: {name: ledger, META}
spec: {selector: {app: ledger}, ports: [{port: 80, targetPort: PORT}]}
`,
		"Service-internal": `apiVersion: v1
kind: Service
metadata: {name: ledger-v1-internal, META}
spec: {selector: {app: ledger}, ports: [{port: 80, targetPort: PORT}]}
`,
		"VirtualService": `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ledger, META}
spec: {hosts: [ledger], http: [{route: [{destination: {host: ledger-v1-internal, port: {number: 80}}}]}]}
`,
	}
	port := "8080"
	if l == ledgerDirect {
		port = "8012"
	}
	var docs []string
	for _, part := range strings.Fields(string(l)) {
		docs = append(docs, strings.TrimSpace(parts[part]))
	}
	return strings.NewReplacer("PORT", port, "META", "namespace: NS, labels: {plumbline.dev/service: ledger}"+extra).
		Replace(strings.Join(docs, "\n---\n") + "\n")
}

// objects are what is live then.
func (l ledger) objects(others ...string) []string {
	names := map[string]string{
		"ksvc": "Service ledger-v1", "Route": "Route ledger", "Deployment": "Deployment ledger-v1", "Service": "Service ledger",
		"Service-internal": "Service ledger-v1-internal", "VirtualService": "VirtualService ledger",
	}
	out := others
	for _, part := range strings.Fields(string(l)) {
		out = append(out, names[part])
	}
	slices.Sort(out)
	return out
}

// liveAll are the objects of all kinds of this test that are ours.
func (w *world) liveAll() []string {
	w.t.Helper()
	return w.live(configMaps, services, deployments, ksvcs, routes, splits)
}

// settled checks that the objects of ledger, the others, and nothing else are
// live and in the inventory, and that another process has nothing to do.
func (w *world) settled(at any, want []string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.liveAll()); diff != "" {
		w.t.Errorf("%v: live objects (-want +got):\n%s", at, diff)
	}
	if diff := cmp.Diff(want, w.listed()); diff != "" {
		w.t.Errorf("%v: inventory (-want +got):\n%s", at, diff)
	}
	if sent := w.sent(); len(sent) > 0 {
		w.t.Errorf("%v: a second process sent %q", at, sent)
	}
}

// knativeService makes what Knative's controller makes of the Route: a Service
// of its name, with copies of its labels.
func (w *world) knativeService() {
	w.t.Helper()
	r := w.get(routes, "ledger")
	w.create(services, "controller", fmt.Sprintf(`apiVersion: v1
kind: Service
metadata:
  name: ledger
  namespace: NS
  labels: {%s: %s, %s: %s, %s: %s, %s: ledger, serving.knative.dev/route: ledger}
  ownerReferences: [{apiVersion: serving.knative.dev/v1, kind: Route, name: ledger, uid: %s, controller: true, blockOwnerDeletion: true}]
spec: {type: ExternalName, externalName: knative-local-gateway.istio-system.svc.cluster.local}
`, plumbline.LabelManagedBy, plumbline.ManagedBy, plumbline.LabelInstallation, w.installation(), plumbline.LabelEnvironment, w.env, plumbline.LabelService, r.GetUID()))
}

// collect does what Kubernetes' garbage collector does, of which there is none
// here: Services go when the Route that owns them is gone.
func (w *world) collect() {
	w.t.Helper()
	seen, err := w.dynamic.Resource(routes).Namespace(w.ns).Watch(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	w.t.Cleanup(func() { seen.Stop(); <-done })
	ctx := w.t.Context()
	go func() {
		defer close(done)
		for e := range seen.ResultChan() {
			gone, ok := e.Object.(*unstructured.Unstructured)
			if e.Type != watch.Deleted || !ok {
				continue
			}
			list, err := w.dynamic.Resource(services).Namespace(w.ns).List(ctx, metav1.ListOptions{})
			if ctx.Err() != nil {
				return // the test has ended
			}
			if err != nil {
				w.t.Errorf("collect: %v", err)
				return
			}
			for i := range list.Items {
				s := &list.Items[i]
				if c := metav1.GetControllerOf(s); c == nil || c.UID != gone.GetUID() {
					continue
				}
				err := w.dynamic.Resource(services).Namespace(w.ns).Delete(ctx, s.GetName(), metav1.DeleteOptions{})
				if err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
					w.t.Errorf("collect: %v", err)
				}
			}
		}
	}()
}

// TestModeChangeWaitsForItsName: while what Knative made of a Route stands, the
// service waits and nothing else does.
func TestModeChangeWaitsForItsName(t *testing.T) {
	t.Parallel()
	for _, to := range []ledger{ledgerDeployment, ledgerDirect} {
		t.Run(string(to), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var mu sync.Mutex
			counted := map[string]bool{}
			w.tune = func(o *reconciler.Options) {
				o.Prune = func(q reconciler.PruneRequest) reconciler.PruneDecision {
					mu.Lock()
					defer mu.Unlock()
					for _, c := range q.Candidates {
						counted[c.Ref.Kind+" "+c.Ref.Name] = !c.Replaced
					}
					return pruneAll(q)
				}
			}
			w.commit(map[string]string{"ledger.yaml": ledgerKnative.file(""), "settings.yaml": settingsIs("blue"), "extra.yaml": extraFile})
			w.sent()
			w.knativeService()
			sha := w.commit(map[string]string{"ledger.yaml": to.file(""), "settings.yaml": settingsIs("green")})
			p := w.start()
			w.posted.await(t, func(s plumbline.Status) bool {
				return s.SHA == sha && s.State == plumbline.StatusPending && strings.Contains(s.Description, "what is to make way for it is not gone yet")
			})
			p.events.awaitRuns(t, sha, 3)
			want := ledger("ksvc Service-internal").objects("ConfigMap settings")
			if to == ledgerDeployment {
				want = ledger("ksvc Deployment Service-internal").objects("ConfigMap settings")
			}
			if diff := cmp.Diff(want, w.liveAll()); diff != "" {
				t.Errorf("while it waits (-want +got)\n%s", diff)
			}
			if data := w.get(configMaps, "settings").Object["data"]; !cmp.Equal(data, map[string]any{"color": "green"}) {
				t.Errorf("settings is %v", data)
			}
			run := p.events.await(t, func(e reconciler.Event) bool { return e.Kind == reconciler.EventRun && e.Result.Commit.SHA == sha })
			if s := reconciler.PendingStatus("plumbline/"+w.env, run.Result); !strings.Contains(s.Description, "; shop/ledger changes from knative to ") {
				t.Errorf("what is said before it is done is %q", s.Description)
			}
			w.delete(services, "ledger")
			w.synced(sha)
			p.stop()
			w.settled("then", to.objects("ConfigMap settings"))
			if counted["Route ledger"] || !counted["ConfigMap extra"] {
				t.Errorf("counts against the budget: %v", counted)
			}
		})
	}
}

// TestModeChanges goes through all changes of mode, in the order of a run.
func TestModeChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to ledger
		want     []string
	}{
		{ledgerKnative, ledgerDirect, []string{"deleted Route", "created Service", "created Service", "created VirtualService"}},
		{ledgerKnative, ledgerDeployment, []string{"created Deployment", "deleted Route", "created Service", "created Service", "created VirtualService", "deleted Service"}},
		{ledgerDirect, ledgerKnative, []string{"deleted Service", "deleted VirtualService", "created Route", "deleted Service"}},
		{ledgerDirect, ledgerDeployment, []string{"created Deployment", "configured Service", "configured Service", "deleted Service"}},
		{ledgerDeployment, ledgerKnative, []string{"created Service", "deleted Service", "deleted VirtualService", "created Route", "deleted Service", "deleted Deployment"}},
		{ledgerDeployment, ledgerDirect, []string{"created Service", "configured Service", "configured Service", "deleted Deployment"}},
	} {
		t.Run(string(c.from)+" to "+string(c.to), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.commit(map[string]string{"ledger.yaml": c.from.file("")})
			w.sent()
			sha := w.commit(map[string]string{"ledger.yaml": c.to.file("")})
			p := w.start()
			w.synced(sha)
			p.stop()
			var got []string
			for _, e := range p.events.all() {
				if e.Kind == reconciler.EventOutcome {
					got = append(got, string(e.Outcome.Action)+" "+e.Outcome.Ref.Kind)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("steps (-want +got)\n%s", diff)
			}
			w.settled("then", c.to.objects())
		})
	}
}

// TestModeChangeRefused: where a step cannot be done, what serves calls now is
// left.
func TestModeChangeRefused(t *testing.T) {
	t.Parallel()
	keeping := func(o *reconciler.Options) {
		o.Prune = func(q reconciler.PruneRequest) reconciler.PruneDecision {
			d := reconciler.PruneDecision{Kept: map[plumbline.Ref]string{}}
			for _, c := range q.Candidates {
				if c.Keep {
					d.Kept[c.Ref] = "so it says"
				} else {
					d.Allowed = append(d.Allowed, c.Ref)
				}
			}
			return d
		}
	}
	const keep = ", annotations: {plumbline.dev/prune: disabled}"
	for _, c := range []struct {
		name     string
		from, to string
		stranger bool // somebody made a Service of the name
		want     plumbline.Kind
		says     string
		left     []string
	}{
		{
			name: "kept Route", from: ledgerKnative.file(keep), to: ledgerDeployment.file(""), want: plumbline.KindDenied,
			says: "Route ledger must go first, and stays: so it says", left: ledger("ksvc Route Deployment").objects(),
		},
		{
			name: "kept Service", from: ledgerDeployment.file(keep), to: ledgerKnative.file(""), want: plumbline.KindDenied,
			says: "Service ledger must go first, and stays: so it says", left: ledger("ksvc " + string(ledgerDeployment)).objects(),
		},
		{
			name: "a stranger's Service", from: ledgerKnative.file(""), to: ledgerDeployment.file(""), stranger: true, want: plumbline.KindDenied,
			says: "was not made by Plumbline", left: ledger("ksvc Route Deployment").objects(),
		},
		{
			name: "a workload that is refused", from: ledgerKnative.file(""), want: plumbline.KindInvalid,
			to:   strings.Replace(ledgerDeployment.file(""), "matchLabels: {app: ledger}", "matchLabels: {app: other}", 1),
			says: "Deployment", left: ledgerKnative.objects(),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.tune = keeping
			w.commit(map[string]string{"ledger.yaml": c.from})
			w.sent()
			switch {
			case c.stranger:
				w.create(services, "kubectl-create", "apiVersion: v1\nkind: Service\nmetadata: {name: ledger, namespace: NS}\nspec: {ports: [{port: 80}]}\n")
			case strings.Contains(c.from, "kind: Route"):
				w.knativeService()
			}
			w.commit(map[string]string{"ledger.yaml": c.to, "settings.yaml": settingsIs("green")})
			_, err := w.once()
			if plumbline.KindOf(err) != c.want || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("error %v, want %s of %q", err, c.want, c.says)
			}
			want := append(c.left, "ConfigMap settings")
			slices.Sort(want)
			if diff := cmp.Diff(want, w.liveAll()); diff != "" {
				t.Errorf("live (-want +got)\n%s", diff)
			}
		})
	}
}

// TestModeChangeKilled kills a change of mode at each of its writes, before and
// after the write reached the server. The next process brings it to its end.
func TestModeChangeKilled(t *testing.T) {
	t.Parallel()
	modes := map[string]ledger{"knative": ledgerKnative, "direct": ledgerDirect, "deployment": ledgerDeployment}
	for _, from := range slices.Sorted(maps.Keys(modes)) {
		for _, to := range slices.Sorted(maps.Keys(modes)) {
			if from == to {
				continue
			}
			for _, reach := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s to %s, reached=%v", from, to, reach), func(t *testing.T) {
					t.Parallel()
					for n := 0; ; n++ {
						w := newWorld(t)
						w.commit(map[string]string{"ledger.yaml": modes[from].file("")})
						w.sent()
						if from == "knative" {
							w.collect()
							w.knativeService()
						}
						w.commit(map[string]string{"ledger.yaml": modes[to].file("")})
						if !w.killedAt(n, reach) {
							if n < 5 {
								t.Errorf("the run had %d writes only", n)
							}
							return
						}
						for _, o := range w.liveAll() {
							if !slices.Contains(w.listed(), o) {
								t.Errorf("killed at %d: %s is live and not in the inventory", n, o)
							}
						}
						w.sent()
						w.settled(n, modes[to].objects())
					}
				})
			}
		}
	}
}
