package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
)

// now is an object as it is.
func (s *stage) now(ref plumbline.Ref) *unstructured.Unstructured {
	s.t.Helper()
	o, err := s.dynamic.Resource(renderedKinds()[ref.GroupKind()]).Namespace(ref.Namespace).Get(s.t.Context(), ref.Name, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

// uninstall runs it and wants an exit code.
func (s *stage) uninstall(code int, args ...string) (said string) {
	s.t.Helper()
	got, out, errs := s.plumbline(append([]string{"uninstall", "--config", "plumbline.yaml"}, args...)...)
	if got != code {
		s.t.Errorf("uninstall %q: exit %d, want %d\n%s%s", args, got, code, out, errs)
	}
	return out + errs
}

func TestUninstall(t *testing.T) {
	t.Parallel()
	s := newStage(t, t.TempDir(), servers.Cluster(t))
	in := s.install(everyRule)
	if code, said := in.reconcile(); code != 0 {
		t.Fatalf("exit %d\n%s", code, said)
	}
	before := s.live()
	if len(before) == 0 {
		t.Fatal("nothing is applied")
	}

	mark := s.cluster.Mark(t)
	s.uninstall(2)
	s.uninstall(2, "--orphan")
	// The plan is output, as that of apply --dry-run is.
	_, plan, errs := s.plumbline("uninstall", "--config", "plumbline.yaml", "--orphan", "--dry-run")
	if n := strings.Count("\n"+plan, "\norphan "); n < len(before) || !strings.Contains(plan, "\ndelete     ConfigMap ") || errs != "Nothing was written.\n" {
		t.Errorf("%d objects are told of, want %d:\n%s%s", n, len(before), plan, errs)
	}
	for _, r := range mark.Requests(t, func(r servers.Request) bool { return r.User == s.user }) {
		if r.Verb != "get" && r.Verb != "list" {
			t.Errorf("written without --yes: %s", r)
		}
	}

	release := in.holdLease()
	if said := s.uninstall(4, "--orphan", "--yes"); !strings.Contains(said, "environment production is kept by somebody") {
		t.Errorf("said %s", said)
	}
	release()
	s.uninstall(0, "--orphan", "--yes")
	for ref, was := range before {
		is := s.now(ref)
		s.wantFree(ref, &was, is)
	}
	in.wantNoState()
}

// wantFree wants an object as it was, but for our marks.
func (s *stage) wantFree(ref plumbline.Ref, was, is *unstructured.Unstructured) {
	s.t.Helper()
	if was.GetUID() != is.GetUID() || was.GetGeneration() != is.GetGeneration() || is.GetDeletionTimestamp() != nil {
		s.t.Errorf("%s is another one", ref)
	}
	labels := was.GetLabels()
	for _, l := range []string{plumbline.LabelManagedBy, plumbline.LabelInstallation, plumbline.LabelEnvironment} {
		delete(labels, l)
	}
	if diff := cmp.Diff(labels, is.GetLabels()); diff != "" {
		s.t.Errorf("%s: labels:\n%s", ref, diff)
	}
	for _, f := range is.GetManagedFields() {
		if f.Manager == plumbline.FieldManager {
			s.t.Errorf("%s: plumbline still owns fields", ref)
		}
	}
	for _, o := range []*unstructured.Unstructured{was, is} {
		unstructured.RemoveNestedField(o.Object, "metadata")
		unstructured.RemoveNestedField(o.Object, "status")
	}
	if diff := cmp.Diff(was.Object, is.Object); diff != "" {
		s.t.Errorf("%s has changed:\n%s", ref, diff)
	}
}

// holdLease holds the environment's Lease, as a daemon does.
func (in *installed) holdLease() (release func()) {
	in.t.Helper()
	leases := in.account.client.CoordinationV1().Leases(in.namespace)
	holder, seconds, now := "somebody", int32(3600), metav1.NewMicroTime(time.Now())
	l, err := leases.Get(in.t.Context(), "plumbline-production", metav1.GetOptions{})
	if err != nil {
		in.t.Fatal(err)
	}
	spec := l.Spec
	l.Spec = coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &now, AcquireTime: &now}
	if l, err = leases.Update(in.t.Context(), l, metav1.UpdateOptions{}); err != nil {
		in.t.Fatal(err)
	}
	return func() {
		l.Spec = spec
		if _, err := leases.Update(in.t.Context(), l, metav1.UpdateOptions{}); err != nil {
			in.t.Fatal(err)
		}
	}
}

// wantNoState wants nothing of Plumbline's own to be left.
func (in *installed) wantNoState() {
	in.t.Helper()
	ctx, c := in.t.Context(), in.account.client
	maps, err := c.CoreV1().ConfigMaps(in.namespace).List(ctx, metav1.ListOptions{LabelSelector: stateSelector})
	if err != nil || len(maps.Items) > 0 {
		in.t.Errorf("inventories are left: %v, %v", maps.Items, err)
	}
	_, secret := c.CoreV1().Secrets(in.namespace).Get(ctx, hashKeySecret, metav1.GetOptions{})
	_, lease := c.CoordinationV1().Leases(in.namespace).Get(ctx, "plumbline-production", metav1.GetOptions{})
	_, role := c.RbacV1().ClusterRoles().Get(ctx, in.namespace+":plumbline", metav1.GetOptions{})
	_, binding := c.RbacV1().ClusterRoleBindings().Get(ctx, in.namespace+":plumbline", metav1.GetOptions{})
	for what, err := range map[string]error{"the hash key": secret, "the Lease": lease, "the ClusterRole": role, "its binding": binding} {
		if !apierrors.IsNotFound(err) {
			in.t.Errorf("%s is left: %v", what, err)
		}
	}
	// No controller finishes the delete here.
	ns, err := c.CoreV1().Namespaces().Get(ctx, in.namespace, metav1.GetOptions{})
	if err == nil && ns.DeletionTimestamp == nil {
		in.t.Error("the Namespace is not deleted")
	}
}

// What another environment needs stays.
func TestUninstallOneOfTwo(t *testing.T) {
	t.Parallel()
	s := newStage(t, t.TempDir(), servers.Cluster(t))
	in := s.install(everyRule)
	s.writeFile("plumbline.yaml", strings.ReplaceAll(s.theirs(strings.Replace(installConfig, "environments: [", "environments: [{name: other, path: environments/other}, ", 1)), "$REPOSITORY", s.origin()))
	s.writeFile("repo/environments/other/object.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other\n  namespace: shop-x"+strings.TrimPrefix(s.project, "shop")+"\n---\napiVersion: plumbline.dev/v1\nkind: Project\nmetadata:\n  name: shop-x"+strings.TrimPrefix(s.project, "shop")+"\n")
	s.commit("Another environment")
	if code, out, errs := s.plumbline("run", "--once", "--config", "plumbline.yaml"); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	if said := s.uninstall(0, "--orphan", "--yes", "-e", "other"); !strings.Contains(said, "environment production is kept there") {
		t.Errorf("said %s", said)
	}
	if len(s.live()) == 0 {
		t.Error("the other environment's objects are freed")
	}
	if _, err := in.account.client.CoreV1().Secrets(in.namespace).Get(t.Context(), hashKeySecret, metav1.GetOptions{}); err != nil {
		t.Errorf("the hash key: %v", err)
	}
}
