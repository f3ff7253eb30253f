package reconciler_test

import (
	"context"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/plumbline-dev/plumbline/fixtures/servers"
)

const widgetGroup = "reconciler.test"

// widgets is a kind of our own with what no installed kind has all of: atomic
// and keyed lists, an atomic map, a part without a schema, a default, two
// versions, and the subresources.
const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.reconciler.test}
spec:
  group: reconciler.test
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: &subresources
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    schema: &schema
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: string}
              mode: {type: string, default: plain}
              replicas: {type: integer}
              steps: {type: array, x-kubernetes-list-type: atomic, items: {type: string}}
              parts:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, color: {type: string}}
              place:
                type: object
                x-kubernetes-map-type: atomic
                additionalProperties: {type: string}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
          status:
            type: object
            x-kubernetes-preserve-unknown-fields: true
  - {name: v2, served: true, storage: false, subresources: *subresources, schema: *schema}
`

// installed makes the tests of one binary install the kind once.
var installed sync.Mutex

// installWidgets installs the kind, and returns when it is served.
func installWidgets(t testing.TB, c *servers.ClusterHandle) {
	t.Helper()
	installed.Lock()
	defer installed.Unlock()
	dyn, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	crd := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(widgets), &crd.Object); err != nil {
		t.Fatal(err)
	}
	crds := dyn.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if _, err := crds.Create(t.Context(), crd, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	awaitEstablished(t, crds, crd.GetName())
}

func awaitEstablished(t testing.TB, crds dynamic.ResourceInterface, name string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// Without a resourceVersion a watch begins with what there is.
	w, err := crds.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		u, _ := e.Object.(*unstructured.Unstructured)
		if u == nil {
			continue
		}
		conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		for _, c := range conditions {
			if m, _ := c.(map[string]any); m["type"] == "Established" && m["status"] == "True" {
				return
			}
		}
	}
	t.Fatal("the watch ended before the kind was established")
}
