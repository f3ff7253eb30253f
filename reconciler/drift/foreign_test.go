package drift_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// TestForeign lets other managers own fields around spec.a, spec.b.c and
// spec.b.d, which are ours.
func TestForeign(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		manager string
		paths   []string
		fields  string // that are reported
		beside  bool
	}{
		{"beside", "kubectl-edit", []string{"spec.x.y", "spec.z"}, ".spec.x.y .spec.z", false},
		{"outside of spec", "kubectl-edit", []string{"metadata.labels.x", "data.x"}, "", false},
		{"the same", "kubectl-edit", []string{"spec.a"}, "", true},
		{"above", "kubectl-edit", []string{"spec.b"}, ".spec.b", true},
		{"below", "kubectl-edit", []string{"spec.a.x"}, ".spec.a.x", true},
		{"a sibling", "kubectl-edit", []string{"spec.b.x"}, ".spec.b.x", false},
		{"a controller", "kube-controller-manager", []string{"spec.a", "spec.x"}, "", false},
		{"one that is known", "resizer", []string{"spec.a", "spec.x"}, "", false},
	} {
		m := live()
		rec := drift.Verify(drift.Observe(ref, m))
		m.ManagedFields = append(m.ManagedFields, entry(c.manager, metav1.ManagedFieldsOperationUpdate, 20, fields(c.paths...)), status(20))
		o, known := drift.Observe(ref, m), []string{"resizer"}
		var got []string
		for _, f := range drift.Foreign(o, known) {
			got = append(got, f.Path)
		}
		if is := strings.Join(got, " "); is != c.fields {
			t.Errorf("%s: reported %q, want %q", c.name, is, c.fields)
		}
		if is := drift.Beside(rec, o, known); is != c.beside {
			t.Errorf("%s: beside %t, want %t", c.name, is, c.beside)
		}
		if drift.Beside(drift.Verify(o), o, known) {
			t.Errorf("%s: beside what was verified with it", c.name)
		}
	}
}
