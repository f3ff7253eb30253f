package drift

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

const valueObject = `{
  "metadata": {"labels": {"app": "cart", "app.kubernetes.io": "x", "plumbline.dev/service": "cart", "plumbline.dev/service.of": "y"}},
  "spec": {
    "replicas": 2000000,
    "containers": [
      {"name": "proxy"},
      {"name": "a],b=\"c", "image": "cart:2", "ports": [{"containerPort": 80}, {"containerPort": 81, "protocol": "UDP"}]}
    ],
    "args": ["a", "b"],
    "hosts": ["shop", "cart.shop"]
  }
}`

func TestValue(t *testing.T) {
	t.Parallel()
	var object any
	if err := json.Unmarshal([]byte(valueObject), &object); err != nil {
		t.Fatal(err)
	}
	container := fieldpath.KeyByFields("name", `a],b="c`)
	for _, c := range []struct {
		path fieldpath.Path
		want any
		ok   bool
	}{
		{fieldpath.MakePathOrDie("spec", "replicas"), int64(2000000), true},
		{fieldpath.MakePathOrDie("metadata", "labels", "plumbline.dev/service"), "cart", true},
		{fieldpath.MakePathOrDie("metadata", "labels", "plumbline.dev/service.of"), "y", true},
		{fieldpath.MakePathOrDie("metadata", "labels", "plumbline.dev/gone"), nil, false},
		{fieldpath.MakePathOrDie("spec", "containers", container, "image"), "cart:2", true},
		{fieldpath.MakePathOrDie("spec", "containers", container, "ports", fieldpath.KeyByFields("containerPort", 80, "protocol", "TCP"), "containerPort"), int64(80), true},
		{fieldpath.MakePathOrDie("spec", "containers", container, "ports", fieldpath.KeyByFields("containerPort", 81, "protocol", "TCP"), "containerPort"), nil, false},
		{fieldpath.MakePathOrDie("spec", "containers", fieldpath.KeyByFields("name", "gone"), "image"), nil, false},
		{fieldpath.MakePathOrDie("spec", "args", 1), "b", true},
		{fieldpath.MakePathOrDie("spec", "args", 2), nil, false},
		{fieldpath.MakePathOrDie("spec", "hosts", value.NewValueInterface("cart.shop")), "cart.shop", true},
		{fieldpath.MakePathOrDie("spec", "replicas", "deeper"), nil, false},
	} {
		got, ok := Value(object, c.path.String())
		if diff := cmp.Diff(c.want, got); ok != c.ok || diff != "" {
			t.Errorf("%s: %v, %s", c.path, ok, diff)
		}
	}
}

func FuzzValue(f *testing.F) {
	f.Add(valueObject, `.spec.containers[name="proxy"].image`)
	f.Add(valueObject, `.spec.args[0]`)
	f.Add(`{"a":[1]}`, `.a[=1]`)
	f.Add(`{"a":[{"b":1}]}`, `.a[b=1,c="`)
	f.Fuzz(func(t *testing.T, object, path string) {
		var v any
		if json.Unmarshal([]byte(object), &v) != nil {
			return
		}
		if got, ok := Value(v, path); ok && path == "" && !cmp.Equal(got, v) {
			t.Errorf("the empty path leads elsewhere")
		}
	})
}
