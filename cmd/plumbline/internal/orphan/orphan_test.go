package orphan

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
)

func TestPatch(t *testing.T) {
	t.Parallel()
	entry := func(manager, subresource string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource}
	}
	cases := []struct {
		name string
		meta metav1.ObjectMeta
		want string
	}{
		{"nothing of ours", metav1.ObjectMeta{Labels: map[string]string{"app": "cart", plumbline.LabelManagedBy: "Helm"}, ManagedFields: []metav1.ManagedFieldsEntry{entry("helm", "")}}, ""},
		{"labels and an entry among others", metav1.ObjectMeta{
			Labels: map[string]string{
				plumbline.LabelManagedBy: "plumbline", plumbline.LabelInstallation: "u", plumbline.LabelEnvironment: "e",
				plumbline.LabelProject: "shop", plumbline.LabelService: "cart",
			},
			ManagedFields: []metav1.ManagedFieldsEntry{entry("plumbline", ""), entry("controller", "status")},
		}, `[{"op":"test","path":"/metadata/resourceVersion","value":"7"},` +
			`{"op":"remove","path":"/metadata/labels/app.kubernetes.io~1managed-by"},` +
			`{"op":"remove","path":"/metadata/labels/plumbline.dev~1installation"},` +
			`{"op":"remove","path":"/metadata/labels/plumbline.dev~1environment"},` +
			`{"op":"remove","path":"/metadata/managedFields/0"}]`},
		{
			"two entries, the last one first",
			metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{entry("plumbline", ""), entry("x", ""), entry("plumbline", "")}},
			`[{"op":"test","path":"/metadata/resourceVersion","value":"7"},` +
				`{"op":"remove","path":"/metadata/managedFields/2"},{"op":"remove","path":"/metadata/managedFields/0"}]`,
		},
		{
			"the only entry",
			metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{entry("plumbline", "")}},
			`[{"op":"test","path":"/metadata/resourceVersion","value":"7"},{"op":"replace","path":"/metadata/managedFields","value":[{}]}]`,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.meta.ResourceVersion = "7"
			got, err := Patch(&c.meta)
			if err != nil || string(got) != c.want {
				t.Errorf("got  %s\nwant %s (%v)", got, c.want, err)
			}
		})
	}
}
