package reconciler_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/reconciler"
)

var (
	crds       = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
)

// gadgets is a CustomResourceDefinition of a group of the test's own, whose spec
// knows these properties.
func (f *faulty) gadgets(properties ...string) string {
	f.t.Cleanup(func() {
		_ = f.dynamic.Resource(crds).Delete(context.WithoutCancel(f.t.Context()), "gadgets."+f.group(), metav1.DeleteOptions{})
	})
	var known []string
	for _, p := range properties {
		known = append(known, p+": {type: string}")
	}
	return fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.GROUP}
spec:
  group: GROUP
  names: {kind: Gadget, listKind: GadgetList, plural: gadgets, singular: gadget}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {%s}}}}}
`, strings.Join(known, ", "))
}

func (f *faulty) group() string { return f.suffix + ".faults.example.com" }

func (f *faulty) gadget(spec string) string {
	return "apiVersion: GROUP/v1\nkind: Gadget\nmetadata: {name: first, namespace: NS}\nspec: {" + spec + "}\n"
}

// pushGadgets commits files in which GROUP stands for the group.
func (f *faulty) pushGadgets(change map[string]string) {
	for name, text := range change {
		change[name] = strings.ReplaceAll(text, "GROUP", f.group())
	}
	f.push(change)
}

// waiting moves the clock on until the head is pending or failed with that text.
func (f *faulty) waiting(text string) {
	f.t.Helper()
	f.hurry("the head says "+text, func() bool {
		return strings.Contains(last(f.posted.of(f.repo.head(), "plumbline/"+f.env)), text)
	})
}

// TestKindArrives applies objects whose kind is not served yet, or comes with
// them: they wait, and the others do not.
func TestKindArrives(t *testing.T) {
	t.Parallel()
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		f := newFaulty(t)
		f.begin()
		f.pushGadgets(map[string]string{"settings.yaml": settingsIs("green"), "gadget.yaml": f.gadget("size: large")})
		f.waiting("does not serve this kind")
		if got := f.get(configMaps, "settings").Object["data"]; fmt.Sprint(got) != "map[color:green]" {
			t.Errorf("settings %v waited too", got)
		}
		f.edit("red")
		f.healed()
		f.createCluster(crds, strings.ReplaceAll(f.gadgets("size"), "GROUP", f.group()))
		f.converged()
	})
	t.Run("in the same commit", func(t *testing.T) {
		t.Parallel()
		f := newFaulty(t)
		f.begin()
		f.pushGadgets(map[string]string{"crd.yaml": f.gadgets("size"), "gadget.yaml": f.gadget("size: large")})
		f.converged()
	})
	t.Run("with a new field in the same commit", func(t *testing.T) {
		t.Parallel()
		f := newFaulty(t)
		f.begin()
		f.pushGadgets(map[string]string{"crd.yaml": f.gadgets("size"), "gadget.yaml": f.gadget("size: large")})
		f.settle()
		f.pushGadgets(map[string]string{"crd.yaml": f.gadgets("size", "color"), "gadget.yaml": f.gadget("size: large, color: red")})
		f.settle()
		// Whether this process or the next one hears first that the schema
		// changed, is all the same.
		f.p.stop()
		f.sent()
		f.p = f.start()
		f.converged()
	})
}

func (f *faulty) createCluster(gvr schema.GroupVersionResource, text string) {
	f.t.Helper()
	o, err := plainRenderer{}.object("", text)
	if err != nil {
		f.t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(o.Body.Reveal()); err != nil {
		f.t.Fatal(err)
	}
	u.SetLabels(nil)
	if _, err := f.dynamic.Resource(gvr).Create(f.t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl"}); err != nil {
		f.t.Fatal(err)
	}
}

// TestNamespaceArrives applies objects whose namespace does not exist yet, or
// comes with them.
func TestNamespaceArrives(t *testing.T) {
	t.Parallel()
	const namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: NS-late}\n"
	late := strings.ReplaceAll(configMap("late", "1"), "NS", "NS-late")
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		f := newFaulty(t)
		f.begin()
		f.push(map[string]string{"late.yaml": late, "new.yaml": configMap("new", "1")})
		f.waiting("not found")
		f.get(configMaps, "new")
		f.createCluster(namespaces, strings.ReplaceAll(namespace, "NS", f.ns))
		f.converged()
	})
	t.Run("in the same commit", func(t *testing.T) {
		t.Parallel()
		f := newFaulty(t)
		f.begin()
		f.push(map[string]string{"late.yaml": late, "namespace.yaml": namespace})
		f.converged()
	})
}

// TestNamespaceEnds deletes a namespace under an object of ours, and makes it
// again later: the object waits, others are healed meanwhile.
func TestNamespaceEnds(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	name := f.ns + "-short"
	text := "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + "}\n"
	f.createCluster(namespaces, text)
	f.files["late.yaml"] = strings.ReplaceAll(configMap("late", "1"), "NS", name)
	f.begin()
	core, err := kubernetes.NewForConfig(f.cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	if err := core.CoreV1().Namespaces().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := core.CoreV1().ConfigMaps(name).Delete(t.Context(), "late", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.drifts++
	f.hurry("the object is tried", func() bool {
		return strings.Contains(last(f.posted.of(f.repo.head(), "plumbline/"+f.env+"/drift")), "its namespace is being deleted")
	})
	tried, begun := len(f.proxy.Seen(writes("/late"))), f.clock.now()
	f.edit("red")
	f.hurry("the other is healed", func() bool { return f.told(reconciler.EventHealed) == 1 })
	f.push(map[string]string{"new.yaml": configMap("new", "1")})
	f.hurry("another commit is applied", func() bool {
		_, err := f.dynamic.Resource(configMaps).Namespace(f.ns).Get(t.Context(), "new", metav1.GetOptions{})
		return err == nil
	})
	// As a heal and for the commit, each at its own intervals.
	if got, most := len(f.proxy.Seen(writes("/late")))-tried, 12+int(f.clock.now().Sub(begun)/(15*time.Second)); got > most {
		t.Errorf("%d tries to create it meanwhile, want at most %d", got, most)
	}
	// There is no namespace controller here: this is what it would do at last.
	ns, err := core.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ns.Spec.Finalizers = nil
	if _, err := core.CoreV1().Namespaces().Finalize(t.Context(), ns, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.createCluster(namespaces, text)
	f.converged()
}

// TestRightsRevoked takes the right to Secrets away in the middle, and gives it
// back: what goes on there meanwhile is not known and said so, ConfigMaps go on,
// and nothing has to be done about it afterwards.
func TestRightsRevoked(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	core, err := kubernetes.NewForConfig(f.cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	rbac := core.RbacV1()
	user := "user-" + f.suffix
	grant := func(resource string) {
		t.Helper()
		name := user + "-" + resource
		_, err := rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{resource}, Verbs: []string{"*"}}},
		}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		if _, err := rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, resource := range []string{"namespaces", "configmaps", "secrets"} {
		grant(resource)
	}
	f.config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	f.begin()

	if err := rbac.ClusterRoleBindings().Delete(t.Context(), user+"-secrets", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.hurry("the API server knows that the right is gone", func() bool {
		review, err := core.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "watch", Resource: "secrets"}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return !review.Status.Allowed
	})
	secretWatch := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/secrets") }
	f.proxy.Cut(secretWatch)
	f.hurry("drift of Secrets is not known", func() bool {
		return last(f.posted.of(f.repo.head(), "plumbline/"+f.env+"/drift")) == "error: drift is not known of Secret"
	})
	f.patch(secrets, "token", `{"data":{"key":"eHh4"}}`, "kubectl-edit")
	f.edit("red")
	f.hurry("the ConfigMap is healed", func() bool { return f.told(reconciler.EventHealed) == 1 })
	before := len(f.proxy.Seen(func(s servers.Seen) bool { return strings.Contains(s.Path, "/secrets/") }))
	f.push(map[string]string{"new.yaml": configMap("new", "1"), "more.yaml": strings.ReplaceAll(tokenFile, "token", "more")})
	f.waiting("failure: ")
	f.get(configMaps, "new")
	if got := len(f.proxy.Seen(func(s servers.Seen) bool { return strings.Contains(s.Path, "/secrets/") })); got > before {
		t.Errorf("%d requests for Secrets, of which nothing is known", got-before)
	}
	f.drifts++ // the edit in the dark
	grant("secrets")
	f.converged()
}

// TestReplacedBeforeApply puts an object of somebody else in the place of ours
// between the decision and the write: it is not written onto, and the status
// says so until that object is gone.
func TestReplacedBeforeApply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		exists bool // before
	}{{"settings", true}, {"new", false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t)
			f.begin()
			var theirs *unstructured.Unstructured
			f.proxy.Put(servers.Fault{Match: on(http.MethodPatch, "/"+c.name), Times: 1, Do: func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
				if c.exists {
					f.delete(configMaps, c.name)
				}
				theirs = f.create(configMaps, "helm", configMap(c.name, "purple"))
				pass.ServeHTTP(w, r)
			}})
			f.push(map[string]string{c.name + ".yaml": configMap(c.name, "green"), "other.yaml": configMap("other", "1")})
			f.waiting("failure: ")
			f.get(configMaps, "other")
			if now := f.get(configMaps, c.name); now.GetResourceVersion() != theirs.GetResourceVersion() {
				t.Errorf("it was written onto: %v", now.Object)
			}
			f.delete(configMaps, c.name)
			f.loose = c.exists // whether the commit or the watch is first to find it gone
			f.converged()
		})
	}
}
