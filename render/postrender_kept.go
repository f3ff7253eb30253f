package render

import (
	"reflect"
	"slices"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/knative"
	"github.com/plumbline-dev/plumbline/render/pod"
)

// A patch of rendered objects may change much, but not what other parts rely on:
// which object it is and whose; who runs in a pod and behind which proxy, on
// which the call graph rests; and what a definition decides together with other
// objects.

// keptBy names the first field that a patch changed and must not; "" is none.
func keptBy(o *plumbline.Object, before, after []byte) (string, error) {
	a, err := fieldsOf(before)
	if err != nil {
		return "", err
	}
	b, err := fieldsOf(after)
	if err != nil {
		return "", err
	}
	for _, field := range []string{"apiVersion", "kind", "status"} {
		if !same(a, b, field) {
			return field, nil
		}
	}
	if kept := keptMetadata(mapping(a, "metadata"), mapping(b, "metadata"), isReserved); kept != "" {
		return "metadata." + kept, nil
	}
	if o.Service == "" {
		return "", nil
	}
	for _, field := range keptFields(o.Ref.GroupKind()) {
		if !same(a, b, strings.Split(field, ".")...) {
			return field, nil
		}
	}
	template := []string{"spec", "template", "metadata"}
	if kept := keptMetadata(mapping(a, template...), mapping(b, template...), isReservedInPod); kept != "" {
		return "spec.template.metadata." + kept, nil
	}
	return "", nil
}

// keptMetadata names the first difference other than labels and annotations that
// are free.
func keptMetadata(a, b map[string]any, reserved func(key string) bool) string {
	for _, field := range keysOf(a, b) {
		if field != "labels" && field != "annotations" {
			if !same(a, b, field) {
				return field
			}
			continue
		}
		x, y := mapping(a, field), mapping(b, field)
		for _, key := range keysOf(x, y) {
			if reserved(key) && !same(x, y, key) {
				return field + "[" + key + "]"
			}
		}
	}
	return ""
}

// isReserved tells of labels and annotations that say whose an object is, or
// that controllers go by.
func isReserved(key string) bool {
	prefix, _, _ := strings.Cut(key, "/")
	switch prefix {
	case "plumbline.dev", "serving.knative.dev", "networking.knative.dev":
		return true
	}
	return key == plumbline.LabelManagedBy
}

// isReservedInPod tells of those in a pod's template: Services and policies
// select by some, the proxy and the autoscaler go by others.
func isReservedInPod(key string) bool {
	prefix, _, _ := strings.Cut(key, "/")
	switch prefix {
	case "sidecar.istio.io", "traffic.sidecar.istio.io", "autoscaling.knative.dev":
		return true
	}
	return isReserved(key) || key == pod.LabelApp || key == pod.LabelVersion
}

// keptFields are the fields of a service's objects that its definition decides
// together with other objects.
func keptFields(k plumbline.GroupKind) []string {
	const account, network = "spec.template.spec.serviceAccountName", "spec.template.spec.hostNetwork"
	switch k {
	case plumbline.GroupKind{Group: "apps", Kind: "Deployment"}:
		return []string{"spec.selector", "spec.replicas", account, network}
	case plumbline.GroupKind{Group: knative.Group, Kind: "Service"}:
		return []string{"spec.traffic", account, network}
	case plumbline.GroupKind{Group: knative.Group, Kind: "Route"}, plumbline.GroupKind{Group: "networking.istio.io", Kind: "Sidecar"}:
		return []string{"spec"}
	case plumbline.GroupKind{Kind: "Service"}:
		return []string{"spec.selector", "spec.type", "spec.ports", "spec.externalIPs"}
	case plumbline.GroupKind{Group: "networking.istio.io", Kind: "VirtualService"}:
		return []string{"spec.hosts", "spec.gateways"}
	}
	if k.Group == "security.istio.io" {
		return []string{"spec"}
	}
	return nil
}

// whereInstead says what to do instead.
func whereInstead(kept string) string {
	switch {
	case strings.HasPrefix(kept, "spec"):
		return "the definition decides it together with other objects; change it there"
	case strings.Contains(kept, "["):
		return "it is Plumbline's own, or a controller goes by it"
	}
	return "the object must stay what it is"
}

func mapping(v map[string]any, keys ...string) map[string]any {
	for _, k := range keys {
		v, _ = v[k].(map[string]any)
	}
	return v
}

// same tells whether a field is the same in both.
func same(a, b map[string]any, keys ...string) bool {
	last := len(keys) - 1
	x, y := mapping(a, keys[:last]...)[keys[last]], mapping(b, keys[:last]...)[keys[last]]
	return reflect.DeepEqual(x, y)
}

// keysOf are the keys of both, sorted.
func keysOf(a, b map[string]any) []string {
	out := make([]string, 0, len(a)+len(b))
	for _, m := range []map[string]any{a, b} {
		for k := range m {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
