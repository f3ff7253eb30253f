package plumbline

import (
	"cmp"
	"strings"
)

// Ref is the identity of a Kubernetes object. It has no version: the same
// object is served under several. Namespace is empty for cluster-scoped kinds,
// Group for the core group.
type Ref struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String is the form of messages and logs: "serving.knative.dev/Service
// shop/cart-v1", "Secret shop/token", "Namespace shop".
func (r Ref) String() string {
	var b strings.Builder
	if r.Group != "" {
		b.WriteString(r.Group)
		b.WriteByte('/')
	}
	b.WriteString(r.Kind)
	b.WriteByte(' ')
	if r.Namespace != "" {
		b.WriteString(r.Namespace)
		b.WriteByte('/')
	}
	b.WriteString(r.Name)
	return b.String()
}

// Short is the form of commit statuses, where every byte counts: the group is
// left out and Knative's kinds have their usual short names ("ksvc
// shop/cart-v1").
func (r Ref) Short() string {
	kind := r.Kind
	switch {
	case r.Group == "serving.knative.dev" && kind == "Service":
		kind = "ksvc"
	case r.Group == "serving.knative.dev" && kind == "Route":
		kind = "kroute"
	}
	return Ref{Kind: kind, Namespace: r.Namespace, Name: r.Name}.String()
}

// Compare orders by group, kind, namespace and name.
func (r Ref) Compare(o Ref) int {
	// Most are of one kind and in one namespace, and comparing for equality is
	// the faster way to find that out.
	switch {
	case r.Group != o.Group:
		return cmp.Compare(r.Group, o.Group)
	case r.Kind != o.Kind:
		return cmp.Compare(r.Kind, o.Kind)
	case r.Namespace != o.Namespace:
		return cmp.Compare(r.Namespace, o.Namespace)
	}
	return cmp.Compare(r.Name, o.Name)
}

// IsZero tells whether r names nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// GroupKind is a kind of object without an object.
type GroupKind struct {
	Group string `json:"group,omitempty"`
	Kind  string `json:"kind"`
}

// GroupKind of r.
func (r Ref) GroupKind() GroupKind { return GroupKind{Group: r.Group, Kind: r.Kind} }

// String is "group/Kind", or "Kind" in the core group.
func (k GroupKind) String() string {
	if k.Group == "" {
		return k.Kind
	}
	return k.Group + "/" + k.Kind
}

// Compare orders by group and kind.
func (k GroupKind) Compare(o GroupKind) int {
	return cmp.Or(cmp.Compare(k.Group, o.Group), cmp.Compare(k.Kind, o.Kind))
}
