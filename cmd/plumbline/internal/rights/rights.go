// Package rights says what Plumbline has to be allowed on a cluster, and why.
//
// In go the kinds that an environment applies and the names that Plumbline
// keeps its state under; out come rights, as plain values: `install` writes
// them as RBAC, `check` asks the API server for each. The package does no I/O.
// Nothing is in the list that no request needs.
package rights

import (
	"cmp"
	"slices"

	"k8s.io/client-go/kubernetes/scheme"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// Right is leave to do some verbs on one resource.
type Right struct {
	Group     string
	Resource  string
	Verbs     []string
	Namespace string   // empty: in all of them, or of no namespace
	Names     []string // empty: whatever the name
	Why       string   // in the words of "needed to …"
}

// Kind is a kind of object as RBAC knows it.
type Kind struct {
	plumbline.GroupKind
	Resource string // "deployments"
}

// Needs are what rights follow from.
type Needs struct {
	Namespace    string   // Plumbline's own
	Environments []string // that are kept on this cluster
	Kinds        []Kind   // that these environments apply
	KeySecrets   []string // with decryption keys, in Namespace
	// Observe is for environments that are never written.
	Observe bool
}

// The names in Plumbline's own namespace.
const (
	HashKeySecret = "plumbline-hash-key"
	clusterID     = "kube-system" // whose uid tells clusters apart
)

// LeaseName is the Lease of an environment.
func LeaseName(environment string) string { return "plumbline-" + environment }

// The verbs of what is done to objects: a server-side apply is a patch, and a
// create where there is nothing yet.
var (
	readVerbs  = [...]string{"get", "list", "watch"}
	writeVerbs = [...]string{"get", "list", "watch", "create", "patch", "delete"}
)

// Of lists every right that n asks for: those on objects first, each kind once
// and in order, then those on Plumbline's own state.
func Of(n Needs) []Right {
	verbs, why := writeVerbs[:], "see, apply and prune its objects"
	if n.Observe {
		verbs, why = readVerbs[:], "see its objects"
	}
	kinds := slices.Clone(n.Kinds)
	slices.SortFunc(kinds, func(a, b Kind) int { return cmp.Or(a.Compare(b.GroupKind), cmp.Compare(a.Resource, b.Resource)) })
	kinds = slices.Compact(kinds)
	var out []Right
	for _, k := range kinds {
		out = append(out, Right{Group: k.Group, Resource: k.Resource, Verbs: verbs, Why: why})
		if r := handsOut(k); r.Verbs != nil && !n.Observe {
			out = append(out, r)
		}
	}
	if !slices.ContainsFunc(kinds, func(k Kind) bool { return k.Group == "" && k.Resource == "namespaces" }) {
		out = append(out, Right{
			Resource: "namespaces", Verbs: []string{"get"}, Names: []string{clusterID, n.Namespace},
			Why: "know this cluster and this installation by their uids",
		})
	}
	if slices.ContainsFunc(kinds, defined) {
		out = append(out, Right{
			Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Verbs: []string{"list", "watch"},
			Why: "see at once that the definition of a kind changed",
		})
	}
	if !n.Observe {
		out = append(out, Right{Resource: "events", Verbs: []string{"create"}, Why: "tell of drift, heals and prunes as Events on the objects"})
	}
	return append(out, own(n)...)
}

// handsOut is the right to give services rights that Plumbline has not itself:
// without it the API server refuses the role, or its binding.
func handsOut(k Kind) Right {
	if k.Group != "rbac.authorization.k8s.io" || k.Kind != "Role" && k.Kind != "ClusterRole" {
		return Right{}
	}
	return Right{Group: k.Group, Resource: k.Resource, Verbs: []string{"bind", "escalate"}, Why: "give services rights that it has not itself"}
}

// defined tells whether a kind is defined by a CustomResourceDefinition.
func defined(k Kind) bool { return !scheme.Scheme.IsGroupRegistered(k.Group) }

// own are the rights in Plumbline's own namespace.
func own(n Needs) []Right {
	var keys []Right
	if len(n.KeySecrets) > 0 {
		names := slices.Compact(slices.Sorted(slices.Values(n.KeySecrets)))
		keys = []Right{{Namespace: n.Namespace, Resource: "secrets", Verbs: []string{"get"}, Names: names, Why: "read the keys that encrypted secrets are opened with"}}
	}
	if n.Observe {
		return append([]Right{
			{Namespace: n.Namespace, Resource: "configmaps", Verbs: []string{"list"}, Why: "read inventories"},
			{Namespace: n.Namespace, Resource: "secrets", Verbs: []string{"get"}, Names: []string{HashKeySecret}, Why: "read the key of all hashes over secret values"},
		}, keys...)
	}
	var leases []string
	for _, e := range n.Environments {
		leases = append(leases, LeaseName(e))
	}
	slices.Sort(leases)
	var orders []string
	for _, e := range n.Environments {
		orders = append(orders, state.OrdersName(e))
	}
	slices.Sort(orders)
	const lease = "coordination.k8s.io"
	return append([]Right{
		{Namespace: n.Namespace, Resource: "configmaps", Verbs: []string{"list", "create", "update", "delete"}, Why: "keep inventories and records"},
		{Namespace: n.Namespace, Resource: "configmaps", Verbs: []string{"watch"}, Names: orders, Why: "hear what people order by `plumbline sync`"},
		{Namespace: n.Namespace, Resource: "secrets", Verbs: []string{"get"}, Names: []string{HashKeySecret}, Why: "read the key of all hashes over secret values"},
		{Namespace: n.Namespace, Resource: "secrets", Verbs: []string{"create"}, Why: "make that key once"}, // a create has no name to narrow it by
		{Namespace: n.Namespace, Group: lease, Resource: "leases", Verbs: []string{"get", "update"}, Names: leases, Why: "be the only one that writes"},
		{Namespace: n.Namespace, Group: lease, Resource: "leases", Verbs: []string{"create"}, Why: "make the Lease once"},
	}, keys...)
}
