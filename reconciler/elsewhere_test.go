package reconciler_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
)

// moving is a world whose address may become that of another cluster.
type moving struct {
	*world
	proxy *servers.Proxy
	other *servers.ClusterHandle
}

// newMoving has the same namespaces, empty, on both clusters. On the shared one
// resourceVersions are higher, on one of its own lower.
func newMoving(t *testing.T, up bool) *moving {
	t.Helper()
	from, to := servers.Cluster(t), servers.Own(t).ClusterHandle
	if up {
		from, to = to, from
	}
	m := &moving{world: newWorldOn(t, from), other: to}
	m.proxy = from.Proxy(t)
	m.config = m.proxy.Config()
	dyn, err := dynamic.NewForConfig(to.Config())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{m.ns, m.system} {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}}
		if _, err := dyn.Resource(namespaces).Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// move makes it the other cluster that answers, and that the test looks at. For a
// moment nobody does.
func (m *moving) move(watched bool) {
	m.t.Helper()
	dyn, err := dynamic.NewForConfig(m.other.Config())
	if err != nil {
		m.t.Fatal(err)
	}
	m.cluster, m.other, m.dynamic = m.other, m.cluster, dyn
	away := m.proxy.Put(servers.Fault{
		Match: func(r *http.Request) bool { return r.URL.Query().Get("watch") == "true" },
		Do:    servers.Refuse(http.StatusServiceUnavailable, 0),
	})
	m.proxy.Move(m.t, m.cluster)
	if watched {
		away.Await(m.t, 2)
	}
	away.Remove()
}

// settled wants everything that is live to be listed, and marked as this
// cluster's, and another process to have nothing to do.
func (m *moving) settled(want ...string) {
	m.t.Helper()
	if got := m.live(configMaps, secrets); !slices.Equal(got, want) {
		m.t.Errorf("live %q, want %q", got, want)
	}
	if got := m.listed(); !slices.Equal(got, want) {
		m.t.Errorf("inventory %q, want %q", got, want)
	}
	list, err := m.dynamic.Resource(configMaps).Namespace(m.ns).List(m.t.Context(), metav1.ListOptions{LabelSelector: plumbline.LabelEnvironment + "=" + m.env})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, u := range list.Items {
		if got := u.GetLabels()[plumbline.LabelInstallation]; got != m.installation() {
			m.t.Errorf("%s is marked as of installation %s, and this is %s", u.GetName(), got, m.installation())
		}
	}
	if sent := m.sent(); len(sent) != 0 {
		m.t.Errorf("a new process sent %q", sent)
	}
}

// TestAnotherCluster lets another cluster answer at the address of a running loop:
// what the commit says is made there too, as that cluster's own, and nothing of
// what is known of the first is used.
func TestAnotherCluster(t *testing.T) {
	t.Parallel()
	for name, up := range map[string]bool{"younger": false, "older": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMoving(t, up)
			files := map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile}
			m.commit(maps.Clone(files))
			p := m.start()
			m.synced(m.repo.head())
			m.move(true)
			m.awaitValue(t, "settings", ".data.color", `"blue"`)
			files["late.yaml"] = configMap("late", "1")
			m.synced(m.commit(maps.Clone(files)))
			p.stop()
			m.settled("ConfigMap late", "ConfigMap settings", "Secret token")
		})
	}
}

// TestStateOfAnotherCluster starts on a cluster to which a backup tool brought the
// inventory of another, with or without the objects: they have other uids. What is
// not there is made; what is there is somebody else's, and is neither changed nor
// deleted.
func TestStateOfAnotherCluster(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]bool{"the inventory alone": false, "with the objects": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMoving(t, false)
			files := map[string]string{"settings.yaml": settingsIs("blue"), "extra.yaml": extraFile}
			m.commit(maps.Clone(files))
			m.sent()
			brought := m.all(m.system)
			if with {
				brought = append(brought, m.all(m.ns)...)
			}
			m.move(false)
			before := map[string]string{}
			for _, u := range brought {
				made := m.bring(u)
				before[made.GetNamespace()+"/"+made.GetName()] = made.GetResourceVersion()
			}
			delete(files, "extra.yaml")
			sha := m.commit(maps.Clone(files))
			p := m.start()
			p.events.awaitRuns(t, sha, 1)
			if !with {
				m.synced(sha)
				p.stop()
				m.sent() // what was restored is not pruned by the run that finds it so
				m.settled("ConfigMap settings")
				return
			}
			m.told(sha)
			p.stop()
			if got, want := last(m.posted.of(sha, "plumbline/"+m.env)), "apply ConfigMap "+m.ns+"/settings: it exists and was not made by Plumbline"; !strings.Contains(got, want) {
				t.Errorf("status %q, want %q", got, want)
			}
			for _, u := range m.all(m.ns) {
				if was, ok := before[m.ns+"/"+u.GetName()]; ok && was != u.GetResourceVersion() {
					t.Errorf("%s was touched", u.GetName())
				} else {
					delete(before, m.ns+"/"+u.GetName())
				}
			}
			for name := range before {
				if strings.HasPrefix(name, m.ns+"/") {
					t.Errorf("%s is gone", name)
				}
			}
		})
	}
}

// all are the ConfigMaps of a namespace that its own controllers did not make.
func (m *moving) all(ns string) []unstructured.Unstructured {
	m.t.Helper()
	list, err := m.dynamic.Resource(configMaps).Namespace(ns).List(m.t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) == 0 {
		m.t.Fatal(len(list.Items), err)
	}
	return list.Items
}

// bring makes an object as a backup tool does, with its managedFields.
func (m *moving) bring(u unstructured.Unstructured) *unstructured.Unstructured {
	m.t.Helper()
	owned := u.GetManagedFields()
	u.SetUID("")
	u.SetResourceVersion("")
	made, err := m.dynamic.Resource(configMaps).Namespace(u.GetNamespace()).Create(m.t.Context(), &u, metav1.CreateOptions{FieldManager: "velero"})
	if err == nil {
		made.SetManagedFields(owned)
		made, err = m.dynamic.Resource(configMaps).Namespace(u.GetNamespace()).Update(m.t.Context(), made, metav1.UpdateOptions{FieldManager: "velero"})
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return made
}
