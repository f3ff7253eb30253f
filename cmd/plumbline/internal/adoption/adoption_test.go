package adoption_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/adoption"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// The objects of Space Cloud 0.21's service cart, version v1, in the order of
// its names, seen by an environment that defines cart and nothing else.
func TestList(t *testing.T) {
	t.Parallel()
	ref := func(gk, name string) plumbline.Ref {
		kind, group, _ := strings.Cut(gk, ".")
		return plumbline.Ref{Group: group, Kind: kind, Namespace: "shop", Name: name}
	}
	cart := func(gk, name string) *plumbline.Object {
		return &plumbline.Object{Ref: ref(gk, name), Project: "shop", Service: "cart"}
	}
	desired := plumbline.ObjectsOf(
		cart("Service.serving.knative.dev", "cart-v1"), cart("Route.serving.knative.dev", "cart"),
		cart("AuthorizationPolicy.security.istio.io", "cart"), cart("ServiceAccount", "cart"), cart("Sidecar.networking.istio.io", "cart-v1"),
		cart("Deployment.apps", "cart-v2"),
	)
	live := func(gk, name, service string) adoption.Live {
		return adoption.Live{Ref: ref(gk, name), Meta: &metav1.ObjectMeta{Labels: map[string]string{"app": service, plumbline.LabelManagedBy: "space-cloud"}}}
	}
	versioned := func(gk, name, version string) adoption.Live {
		l := live(gk, name, "cart")
		l.Meta.Labels["version"] = version
		return l
	}
	old := live("Deployment.apps", "cart-v0", "cart")
	old.Meta = &metav1.ObjectMeta{Labels: map[string]string{"app": "cart", "version": "v0"}, Annotations: map[string]string{"generatedBy": "space-cloud-runner-v0.19.7"}}
	theirs := live("Service", "mine", "mine")
	theirs.Meta.Labels[plumbline.LabelManagedBy] = "Helm"
	got := adoption.List(plumbline.Plan{Changes: []plumbline.Change{
		{Ref: ref("ServiceAccount", "cart"), Op: plumbline.OpConfigure, Reason: reconciler.ReasonAdopt},
		{Ref: ref("Sidecar.networking.istio.io", "cart-v1"), Op: plumbline.OpConflict, Reason: "it exists"},
		{Ref: ref("Deployment.apps", "cart-v2"), Op: plumbline.OpConfigure, Reason: reconciler.ReasonAdopt},
		{Ref: plumbline.Ref{Kind: "Namespace", Name: "shop"}, Op: plumbline.OpConfigure, Reason: reconciler.ReasonShared},
		{Ref: ref("Route.serving.knative.dev", "cart"), Op: plumbline.OpCreate},
	}}, desired, []adoption.Live{
		versioned("AuthorizationPolicy.security.istio.io", "auth-shop-cart-v1", "v1"),
		versioned("Deployment.apps", "cart-v1", "v1"), old,
		live("DestinationRule.networking.istio.io", "cart", "cart"),
		versioned("ScaledObject.keda.sh", "cart-v1", "v1"),
		live("Secret", "login", "space-cloud"),
		live("Service", "cart", "cart"), versioned("Service", "cart-v1-internal", "v1"), theirs,
		live("ServiceAccount", "cart", "cart"),
		live("ServiceAccount", "gone", "gone"),
		live("VirtualService.networking.istio.io", "cart", "cart"),
		{Ref: plumbline.Ref{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "nodes"}, Meta: live("ClusterRole", "nodes", "cart").Meta},
	}, map[plumbline.Ref]string{ref("Deployment.apps", "cart-v2"): "spec.selector: field is immutable"})
	var b strings.Builder
	for _, s := range got {
		fmt.Fprintf(&b, "%s %s: %s\n", s.Fate, s.Ref, s.Reason)
	}
	want := `shared Namespace shop: it exists; only our labels are added
left Secret shop/login: no definition stands for it; pods that use it still do
replaced Service shop/cart: by serving.knative.dev/Route shop/cart, which is not ready before you delete this: both have one host
replaced Service shop/cart-v1-internal: by serving.knative.dev/Service shop/cart-v1
adopted ServiceAccount shop/cart: it becomes what is defined; fields that are not go
left ServiceAccount shop/gone: no definition stands for service gone
left apps/Deployment shop/cart-v0: no definition stands for version v0 of service cart
replaced apps/Deployment shop/cart-v1: by serving.knative.dev/Service shop/cart-v1; delete it when that is ready
replaced apps/Deployment shop/cart-v2: it cannot be changed to what is defined: delete it, and a run makes it anew: spec.selector: field is immutable
replaced keda.sh/ScaledObject shop/cart-v1: by serving.knative.dev/Service shop/cart-v1
replaced networking.istio.io/DestinationRule shop/cart: by nothing: mutual TLS between sidecars is automatic
refused networking.istio.io/Sidecar shop/cart-v1: it exists; take it over (plumbline.dev/adopt, allow.adopt), or delete it
replaced networking.istio.io/VirtualService shop/cart: by serving.knative.dev/Route shop/cart, which is not ready before you delete this: both have one host
left rbac.authorization.k8s.io/ClusterRole nodes: the definitions of cart need nothing like it
replaced security.istio.io/AuthorizationPolicy shop/auth-shop-cart-v1: by security.istio.io/AuthorizationPolicy shop/cart; until you delete it, it goes on admitting callers: policies add up
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
