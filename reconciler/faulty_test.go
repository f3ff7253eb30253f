package reconciler_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// faulty is a world whose processes reach the API server through a proxy. What
// the test itself reads and writes goes past it.
//
// Its time of day is moved on by the test, and the loop looks at it every few
// milliseconds: a process that waits for a backoff goes on when the test moves the
// clock.
type faulty struct {
	*world
	proxy *servers.Proxy
	clock *clock
	p     *process
	files map[string]string

	bystanders map[string]string // resourceVersions of objects that are nobody's business
	drifts     int               // how often drift is to be told; the rest is false
	loose      bool              // it may be told more often
}

// interval at which a head that is denied is tried again, by the clock.
const interval = 30 * time.Second

func newFaulty(t testing.TB) *faulty {
	t.Helper()
	f := &faulty{world: newWorld(t), clock: &clock{}, files: map[string]string{}, bystanders: map[string]string{}}
	f.proxy = f.cluster.Proxy(t)
	f.config = f.proxy.Config()
	f.tune = func(o *reconciler.Options) {
		o.Now = f.clock.now
		o.Interval = interval
		o.Jitter = func(time.Duration) time.Duration { return 20 * time.Millisecond } // of fetches alone
	}
	f.create(configMaps, "kubectl", configMap("bystander", "grey"))
	f.create(configMaps, "cloner", fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: clone, namespace: NS, labels: {%s: %s, %s: %s, %s: %s}}\n",
		plumbline.LabelManagedBy, plumbline.ManagedBy, plumbline.LabelInstallation, f.installation(), plumbline.LabelEnvironment, f.env))
	for _, name := range []string{"bystander", "clone"} {
		f.bystanders[name] = f.get(configMaps, name).GetResourceVersion()
	}
	return f
}

// begin runs a daemon to the end of a first commit.
func (f *faulty) begin() {
	f.t.Helper()
	f.push(map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile})
	f.p = f.start()
	f.settle()
}

// push commits changes of files; an empty text deletes.
func (f *faulty) push(change map[string]string) string {
	f.t.Helper()
	maps.Copy(f.files, change)
	maps.DeleteFunc(f.files, func(_, text string) bool { return text == "" })
	return f.commit(f.files)
}

// hurry moves the clock on until done.
func (f *faulty) hurry(what string, done func() bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	for !done() {
		if ctx.Err() != nil {
			f.t.Fatalf("it did not come to that: %s; statuses %q and %q", what,
				f.posted.of(f.repo.head(), "plumbline/"+f.env), f.posted.of(f.repo.head(), "plumbline/"+f.env+"/drift"))
		}
		f.repo.awaitFetches(f.t, 1)
		f.clock.advance(time.Second)
	}
}

// pass lets time go by, in steps at each of which the loop looks at it.
func (f *faulty) pass(d time.Duration) {
	f.t.Helper()
	step, end := max(time.Second, d/60), f.clock.now().Add(d)
	for left := d; left > 0; left = end.Sub(f.clock.now()) {
		f.repo.awaitFetches(f.t, 1)
		f.clock.advance(min(step, left))
	}
}

// settle moves the clock on until the head is a success.
func (f *faulty) settle() {
	f.t.Helper()
	f.hurry("the head is in sync", func() bool {
		return strings.HasPrefix(last(f.posted.of(f.repo.head(), "plumbline/"+f.env)), "success: ")
	})
}

func last(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

// told counts the events of a kind.
func (f *faulty) told(kind reconciler.EventKind) int {
	n := 0
	for _, e := range f.p.events.all() {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// edit changes settings as another manager would, and expects a heal.
func (f *faulty) edit(color string) {
	f.t.Helper()
	f.patch(configMaps, "settings", `{"data":{"color":"`+color+`"}}`, "kubectl-edit")
	f.drifts++
}

// healed moves the clock on until every drift was healed.
func (f *faulty) healed() {
	f.t.Helper()
	f.hurry("every drift is healed", func() bool { return f.told(reconciler.EventHealed) >= f.drifts })
}

// converged is what holds after every fault: what lives is what the head
// renders is what the inventory lists, by uid; nothing else was touched, no
// drift was seen that was none, and another process has nothing to do.
func (f *faulty) converged() {
	f.t.Helper()
	f.settle()
	if !f.loose {
		f.healed()
	}
	f.hurry("no drift is told", func() bool {
		s := last(f.posted.of(f.repo.head(), "plumbline/"+f.env+"/drift"))
		return s == "" || strings.HasPrefix(s, "success: ")
	})
	f.p.stop()
	if err := f.p.r.Save(f.t.Context()); err != nil {
		f.t.Error(err)
	}
	rendered := f.rendered()
	if kept := f.p.r.Kept(); kept > 3*len(rendered) {
		f.t.Errorf("%d things are remembered of %d objects", kept, len(rendered))
	}
	if got := f.told(reconciler.EventDrift); got != f.drifts && !(f.loose && got > f.drifts) {
		f.t.Errorf("%d drifts were told, and there were %d", got, f.drifts)
	}
	// What is found gone right behind the commit is healed, and decided about
	// again with the next commit.
	if open := f.p.r.Open(); open > 0 && !f.loose {
		f.t.Errorf("a plan that is done is kept, of %d objects", open)
	}
	var want, live, listed []string
	for _, ref := range f.inventory().Refs() {
		e, _ := f.inventory().Get(ref)
		listed = append(listed, f.short(ref)+" "+e.UID)
	}
	for _, o := range rendered {
		u, err := f.resource(o).Get(f.t.Context(), o.GetName(), metav1.GetOptions{})
		if err != nil {
			f.t.Fatal(err)
		}
		want = append(want, f.short(refTo(o))+" "+string(u.GetUID()))
		if !contains(u.Object, o.Object) {
			f.t.Errorf("%s is not as it is rendered: %v", o.GetName(), u.Object)
		}
	}
	for gvr := range f.kinds(rendered) {
		list, err := f.dynamic.Resource(gvr).List(f.t.Context(), metav1.ListOptions{LabelSelector: plumbline.LabelEnvironment + "=" + f.env})
		if err != nil {
			f.t.Fatal(err)
		}
		for i := range list.Items {
			u := &list.Items[i]
			if u.GetName() != "clone" {
				live = append(live, f.short(refTo(u))+" "+string(u.GetUID()))
			}
		}
	}
	for _, l := range [][]string{want, live, listed} {
		slices.Sort(l)
	}
	if diff := cmp.Diff(want, live); diff != "" {
		f.t.Errorf("live objects (-rendered +live):\n%s", diff)
	}
	if diff := cmp.Diff(want, listed); diff != "" {
		f.t.Errorf("inventory (-rendered +inventory):\n%s", diff)
	}
	for name, version := range f.bystanders {
		if now := f.get(configMaps, name).GetResourceVersion(); now != version {
			f.t.Errorf("%s was touched: %s, was %s", name, now, version)
		}
	}
	if got := f.sent(); len(got) > 0 {
		f.t.Errorf("another process sent %q", got)
	}
}

// atMost is the bound on requests of one class that reached the proxy, or the
// place where it would be, since the first commit.
func (f *faulty) atMost(n int, keep func(servers.Seen) bool) {
	f.t.Helper()
	if got := f.proxy.Seen(keep); len(got) > n {
		f.t.Errorf("%d requests, want at most %d", len(got), n)
	}
}

// rendered are the objects of the head.
func (f *faulty) rendered() []*unstructured.Unstructured {
	f.t.Helper()
	snap, err := f.repo.Snapshot(f.t.Context(), f.repo.head())
	if err != nil {
		f.t.Fatal(err)
	}
	out, err := plainRenderer{env: f.env}.Render(f.t.Context(), snap)
	if err != nil {
		f.t.Fatal(err)
	}
	var list []*unstructured.Unstructured
	for _, o := range out.Objects.All() {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(o.Body.Reveal()); err != nil {
			f.t.Fatal(err)
		}
		list = append(list, u)
	}
	return list
}

func (f *faulty) resource(u *unstructured.Unstructured) dynamic.ResourceInterface {
	return f.dynamic.Resource(resourceOf(u)).Namespace(u.GetNamespace())
}

// kinds are those of the head, and the usual ones.
func (f *faulty) kinds(rendered []*unstructured.Unstructured) map[schema.GroupVersionResource]bool {
	out := map[schema.GroupVersionResource]bool{configMaps: true, secrets: true}
	for _, u := range rendered {
		out[resourceOf(u)] = true
	}
	return out
}

func resourceOf(u *unstructured.Unstructured) schema.GroupVersionResource {
	gvk := u.GroupVersionKind()
	return gvk.GroupVersion().WithResource(strings.ToLower(gvk.Kind) + "s")
}

func refTo(u *unstructured.Unstructured) plumbline.Ref {
	gvk := u.GroupVersionKind()
	return plumbline.Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName()}
}

func (f *faulty) short(ref plumbline.Ref) string {
	return strings.ReplaceAll(ref.String(), f.ns+"/", "")
}

// contains tells whether whole has everything that part has.
func contains(whole, part any) bool {
	w, isMap := whole.(map[string]any)
	p, ok := part.(map[string]any)
	if !isMap || !ok {
		return reflect.DeepEqual(whole, part)
	}
	for k, v := range p {
		if !contains(w[k], v) {
			return false
		}
	}
	return true
}

// on matches requests of a method whose path ends in end.
func on(method, end string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method && strings.HasSuffix(r.URL.Path, end) }
}

// writes are the applies to objects whose path ends in end.
func writes(end string) func(servers.Seen) bool {
	return func(s servers.Seen) bool { return s.Method == http.MethodPatch && strings.HasSuffix(s.Path, end) }
}

// watchConfigMaps matches the opening of their watch.
func watchConfigMaps(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/configmaps") && r.URL.Query().Get("watch") == "true"
}
