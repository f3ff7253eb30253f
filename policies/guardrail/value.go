package guardrail

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// decode reads JSON as CEL takes it: whole numbers as such.
func decode(body []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	for k, v := range m {
		m[k] = numbers(v)
	}
	return m, nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = numbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = numbers(e)
		}
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String() // larger than any number that CEL has
		}
		return f
	}
	return v
}

// podOf is the spec of the pods that an object makes, of whatever kind it is:
// its own, that of its template, or that of its job's template.
func podOf(object map[string]any) map[string]any {
	spec := field(object, "spec")
	for _, at := range []map[string]any{
		field(field(field(field(spec, "jobTemplate"), "spec"), "template"), "spec"),
		field(field(spec, "template"), "spec"),
		spec,
	} {
		if _, ok := at["containers"].([]any); ok {
			return at
		}
	}
	if t := field(field(object, "template"), "spec"); t["containers"] != nil { // PodTemplate
		return t
	}
	return map[string]any{}
}

func field(m map[string]any, key string) map[string]any {
	f, _ := m[key].(map[string]any)
	return f
}

// containersOf are all containers of a pod.
func containersOf(pod map[string]any) []any {
	var out []any
	for _, key := range []string{"initContainers", "containers", "ephemeralContainers"} {
		list, _ := pod[key].([]any)
		out = append(out, list...)
	}
	return out
}

// adapter gives CEL the values of objects. Maps are walked in the order of
// their keys: the same object is to give the same message each time.
type adapter struct{ types.Adapter }

func newAdapter() (adapter, error) {
	registry, err := types.NewRegistry()
	return adapter{registry}, err
}

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case map[string]any:
		return ordered{types.NewStringInterfaceMap(a, v), v}
	case []any:
		return types.NewDynamicList(a, v)
	}
	return a.Adapter.NativeToValue(v)
}

// ordered is a map that is walked in the order of its keys.
type ordered struct {
	traits.Mapper
	values map[string]any
}

// Iterator implements traits.Iterable.
func (o ordered) Iterator() traits.Iterator {
	return types.NewStringList(types.DefaultTypeAdapter, slices.Sorted(maps.Keys(o.values))).Iterator()
}
