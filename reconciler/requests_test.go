package reconciler_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/reconciler"
)

var (
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	secrets    = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
)

// settingsIs is a ConfigMap of one value.
func settingsIs(color string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: NS}\ndata: {color: " + color + "}\n"
}

const (
	tokenFile = "apiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: NS}\ndata: {key: czNjcjN0}\n"
	extraFile = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra, namespace: NS}\ndata: {a: b}\n"
)

// sent is what a one-shot run of a new process sent for objects, with what it
// wrote of the state, in the order of the words.
func (w *world) sent() []string {
	w.t.Helper()
	mark := w.cluster.Mark(w.t)
	if _, err := w.once(); err != nil {
		w.t.Fatal(err)
	}
	return w.requests(mark)
}

// requests lists the requests for objects and the writes of state since mark.
func (w *world) requests(mark servers.Mark) []string {
	w.t.Helper()
	out := append(w.objects(mark), w.states(mark)...)
	for i := range out {
		out[i] = strings.NewReplacer(w.ns+"/", "", w.system+"/", "", w.env, "ENV").Replace(out[i])
	}
	return out
}

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

// TestRequests lists exactly what is sent for each kind of commit. Every run is
// a new process.
func TestRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const (
		record    = "UPDATE configmaps plumbline-inventory-ENV"
		inventory = "UPDATE configmaps plumbline-inventory-ENV.shop"
	)
	files := map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile}
	for _, c := range []struct {
		name   string
		change func()
		want   []string
	}{
		{"the first apply", func() {}, []string{
			"GET configmaps settings", "GET secrets token", "PATCH configmaps settings", "PATCH secrets token",
			"CREATE configmaps plumbline-inventory-ENV", "CREATE configmaps plumbline-inventory-ENV.shop", record,
		}},
		{"an unrelated file", func() { files["README.yaml"] = "# nothing\n" }, []string{record}},
		{"a comment", func() { files["settings.yaml"] = "# a comment\n" + settingsIs("blue") }, []string{record}},
		{"a definition moved", func() {
			files["moved/settings.yaml"] = files["settings.yaml"]
			delete(files, "settings.yaml")
		}, []string{record}},
		{"an object changed", func() { files["moved/settings.yaml"] = settingsIs("green") }, []string{
			"PATCH configmaps settings", record, inventory, record,
		}},
		{"an object added", func() { files["extra.yaml"] = extraFile }, []string{
			"GET configmaps extra", "PATCH configmaps extra", record, inventory, record,
		}},
		{"an object removed", func() { delete(files, "extra.yaml") }, []string{
			"DELETE configmaps extra", record, inventory, record,
		}},
	} {
		c.change()
		sha := w.commit(maps.Clone(files))
		got := w.sent()
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		statuses := w.posted.of(sha, "plumbline/"+w.env)
		if len(statuses) == 0 || !strings.HasPrefix(statuses[len(statuses)-1], "success: ") {
			t.Errorf("%s: statuses %q", c.name, statuses)
		}
		if len(c.want) == 1 && len(statuses) != 1 {
			t.Errorf("%s: statuses %q, want one", c.name, statuses)
		}
		if got := w.sent(); len(got) != 0 {
			t.Errorf("%s: a new process sent %q for the same commit", c.name, got)
		}
		if diff := cmp.Diff(statuses, w.posted.of(sha, "plumbline/"+w.env)); diff != "" {
			t.Errorf("%s: a new process posted again:\n%s", c.name, diff)
		}
	}
}

// TestEditWhileDown restarts on the same commit after a foreign edit: it is
// named, healed by one request, and nothing else is sent.
func TestEditWhileDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile})
	w.sent()
	w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "kubectl-edit")
	mark := w.cluster.Mark(t)
	p := w.start()
	e := p.events.await(t, healedAs("settings"))
	if got := e.Verdict.String(); !strings.HasSuffix(got, "drifted at .data.color by kubectl-edit") {
		t.Errorf("verdict %q", got)
	}
	p.stop()
	if got, want := w.objects(mark), []string{"PATCH configmaps " + w.ns + "/settings"}; !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
}

// healedAs accepts the heal of an object of that name.
func healedAs(name string) func(reconciler.Event) bool {
	return func(e reconciler.Event) bool { return e.Kind == reconciler.EventHealed && e.Verdict.Ref.Name == name }
}

// driftOf accepts the drift of an object of that name.
func driftOf(name string) func(reconciler.Event) bool {
	return func(e reconciler.Event) bool { return e.Kind == reconciler.EventDrift && e.Verdict.Ref.Name == name }
}
