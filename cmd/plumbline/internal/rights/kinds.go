package rights

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/plumbline-dev/plumbline"
)

// Rendered are the kinds that definitions can be rendered to, but for those of
// roles: who may hand out rights is decided with the repository at hand. Plain
// objects of the repository may be of any kind besides. KEDA's own are among
// them where it is declared.
func Rendered(keda bool) []plumbline.GroupKind {
	const networking, security, serving = "networking.istio.io", "security.istio.io", "serving.knative.dev"
	kinds := []plumbline.GroupKind{
		{Kind: "Namespace"},
		{Kind: "Secret"},
		{Kind: "Service"},
		{Kind: "ServiceAccount"},
		{Group: "apps", Kind: "Deployment"},
		{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"},
		{Group: "keda.sh", Kind: "ScaledObject"},
		{Group: "keda.sh", Kind: "TriggerAuthentication"},
		{Group: networking, Kind: "DestinationRule"},
		{Group: networking, Kind: "ServiceEntry"},
		{Group: networking, Kind: "Sidecar"},
		{Group: networking, Kind: "VirtualService"},
		{Group: "policy", Kind: "PodDisruptionBudget"},
		{Group: security, Kind: "AuthorizationPolicy"},
		{Group: security, Kind: "PeerAuthentication"},
		{Group: serving, Kind: "Route"},
		{Group: serving, Kind: "Service"},
	}
	if keda {
		return kinds
	}
	return slices.DeleteFunc(kinds, func(k plumbline.GroupKind) bool { return k.Group == "keda.sh" })
}

// Named gives a kind the name of its resource by the rules that all of
// Kubernetes' own kinds, and those of Knative and Istio, follow. A cluster that
// can be asked knows better.
func Named(k plumbline.GroupKind) Kind {
	plural, _ := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Group: k.Group, Kind: k.Kind})
	name := plural.Resource
	if stem, ok := strings.CutSuffix(name, "aies"); ok { // "gatewaies"
		name = stem + "ays"
	}
	return Kind{GroupKind: k, Resource: name}
}
