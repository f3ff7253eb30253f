package drift_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// TestOnlyOwnership changes one thing of an object at a time.
func TestOnlyOwnership(t *testing.T) {
	t.Parallel()
	yes := true
	for _, c := range []struct {
		name   string
		change func(m *metav1.ObjectMeta)
		want   bool
	}{
		{"managedFields", func(m *metav1.ObjectMeta) { m.ManagedFields, m.ResourceVersion = nil, "101" }, true},
		{"spec", func(m *metav1.ObjectMeta) { m.Generation++ }, false},
		{"a label", func(m *metav1.ObjectMeta) { m.Labels[plumbline.LabelEnvironment] = "f" }, false},
		{"a label that became an annotation", func(m *metav1.ObjectMeta) {
			m.Labels, m.Annotations = nil, m.Labels
		}, false},
		{"an annotation", func(m *metav1.ObjectMeta) { m.Annotations = map[string]string{"a": ""} }, false},
		{"a finalizer", func(m *metav1.ObjectMeta) { m.Finalizers = []string{"a"} }, false},
		{"an owner", func(m *metav1.ObjectMeta) {
			m.OwnerReferences = []metav1.OwnerReference{{Kind: "ConfigMap", Name: "a", Controller: &yes}}
		}, false},
	} {
		before, m := drift.Observe(ref, live()), live()
		c.change(m)
		if got := drift.OnlyOwnership(before, drift.Observe(ref, m)); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
	m := live()
	m.Generation = 0
	if o := drift.Observe(ref, m); drift.OnlyOwnership(o, o) {
		t.Error("a kind without a generation tells nothing")
	}
}

// TestSecretLeavesNoTrace observes a Secret whose values stand in an annotation
// too, as kubectl apply leaves them: nothing that is kept depends on them.
func TestSecretLeavesNoTrace(t *testing.T) {
	t.Parallel()
	secret := func(applied string) drift.Record {
		m := live()
		m.Generation = 0
		m.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": applied}
		return drift.Verify(drift.Observe(plumbline.Ref{Kind: "Secret", Namespace: "shop", Name: "pin"}, m))
	}
	if a, b := secret(`{"data":{"PIN":"MTIzNA=="}}`), secret(`{"data":{"PIN":"NDMyMQ=="}}`); a != b {
		t.Errorf("another value leaves another record: %+v, %+v", a, b)
	}
}
