package drift_test

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// TestMadeByOthers tells of an object that carries our entry besides these.
func TestMadeByOthers(t *testing.T) {
	t.Parallel()
	update, apply := metav1.ManagedFieldsOperationUpdate, metav1.ManagedFieldsOperationApply
	for _, c := range []struct {
		name  string
		entry metav1.ManagedFieldsEntry
		want  bool
	}{
		{"our own", entry(plumbline.FieldManager, apply, 1, fields("spec.a")), false},
		{"a person", entry("kubectl-create", update, 1, fields("spec.a")), true},
		{"a person, of whose fields only a label is left", entry("kubectl-create", update, 1, fields("metadata.labels.a")), true},
		{"another applier", entry("helm", apply, 1, fields("spec.a")), true},
		{"a status", status(1), false},
		{"a controller's mark", entry("controller", update, 1, fields("metadata.finalizers")), false},
		{"a controller that makes such objects", entry("kube-controller-manager", update, 1, fields("data.a", "metadata.annotations.b")), true},
		{"our name, but no apply", entry(plumbline.FieldManager, update, 1, fields("spec.a")), true},
	} {
		m := live()
		m.ManagedFields = append(m.ManagedFields, c.entry)
		if got := drift.MadeByOthers(drift.Observe(ref, m)); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

func TestTakeOver(t *testing.T) {
	t.Parallel()
	update := metav1.ManagedFieldsOperationUpdate
	scale := entry("runner", update, 3, fields("spec.a"))
	scale.Subresource = "scale"
	for _, c := range []struct {
		name    string
		entries []metav1.ManagedFieldsEntry
		body    string // {"spec":{"a":1}} where it is empty
		want    string
	}{
		{
			"who made it",
			[]metav1.ManagedFieldsEntry{entry("runner", update, 1, fields("spec.a", "spec.old"))},
			"",
			`entry 0 owns {"f:spec":{"f:a":{},"f:old":{}}}, gone []`,
		},
		{
			"two of them, the last writer first",
			[]metav1.ManagedFieldsEntry{
				entry("runner", update, 1, fields("spec.a")), entry("kubectl-edit", update, 2, fields("spec.a", "spec.b")),
			},
			"",
			`entry 1 owns {"f:spec":{"f:a":{},"f:b":{}}}, gone [0]`,
		},
		{"one who set only what is not ours", []metav1.ManagedFieldsEntry{entry("kubectl-annotate", update, 1, fields("metadata.annotations.a"))}, "", "nobody"},
		{"a controller", []metav1.ManagedFieldsEntry{entry("kube-controller-manager", update, 1, fields("spec.a"))}, "", "nobody"},
		{"another applier", []metav1.ManagedFieldsEntry{entry("helm", metav1.ManagedFieldsOperationApply, 1, fields("spec.a"))}, "", "nobody"},
		{"a subresource", []metav1.ManagedFieldsEntry{scale}, "", "nobody"},
		{
			"what stays live",
			[]metav1.ManagedFieldsEntry{entry("runner", update, 1, fields("metadata.finalizers", "metadata.ownerReferences", "metadata.labels.x", "spec.a", "spec.replicas"))},
			"",
			`entry 0 owns {"f:metadata":{"f:labels":{"f:x":{}}},"f:spec":{"f:a":{}}}, gone []`,
		},
		{
			"replicas that are defined",
			[]metav1.ManagedFieldsEntry{entry("runner", update, 1, fields("spec.replicas"))},
			`{"spec":{"replicas":2}}`,
			`entry 0 owns {"f:spec":{"f:replicas":{}}}, gone []`,
		},
		{
			"a second attempt",
			[]metav1.ManagedFieldsEntry{
				entry(plumbline.FieldManager, metav1.ManagedFieldsOperationApply, 2, fields("spec.a")), entry("runner", update, 1, fields("spec.a", "spec.old")),
			},
			"",
			`entry 0 owns {"f:spec":{"f:a":{},"f:old":{}}}, gone [1]`,
		},
	} {
		if c.body == "" {
			c.body = `{"spec":{"a":1}}`
		}
		got, found, err := drift.TakeOver(drift.Observe(ref, &metav1.ObjectMeta{ManagedFields: c.entries}), []byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		text := "nobody"
		if found {
			text = fmt.Sprintf("entry %d owns %s, gone %v", got.Own, got.Fields.Value(), got.Gone)
		}
		if text != c.want {
			t.Errorf("%s: %s, want %s", c.name, text, c.want)
		}
	}
}
