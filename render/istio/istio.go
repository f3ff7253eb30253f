// Package istio makes the mesh's objects of a service: who may call it
// (AuthorizationPolicy, and guards at Knative's activator), whom it may call
// (Sidecar), and how calls are split where Knative does not do it
// (VirtualService). In go names, ports and peers, out come objects; whether a
// service needs them is decided by the caller.
package istio

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"
	api "istio.io/api/type/v1beta1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"

	"github.com/plumbline-dev/plumbline/render/definition"
)

const (
	networkingVersion = "networking.istio.io/v1"
	securityVersion   = "security.istio.io/v1"
	systemNamespace   = "istio-system"
)

// Mesh is what is true of the whole mesh.
type Mesh struct {
	TrustDomain string   // "cluster.local"
	Gateways    []string // "<namespace>/<service account>"
	// AlwaysAllowed namespaces may call every service.
	AlwaysAllowed []string
	// StrictUpstreams refuses calls to hosts that the mesh does not know.
	StrictUpstreams bool
}

// principal is the identity of a service account in a namespace.
func (m Mesh) principal(namespace, account string) string {
	return m.TrustDomain + "/ns/" + namespace + "/sa/" + account
}

// PeerAuthentication refuses calls without mTLS in a namespace.
func PeerAuthentication(namespace string) *securityv1.PeerAuthentication {
	return &securityv1.PeerAuthentication{
		TypeMeta:   metav1.TypeMeta{APIVersion: securityVersion, Kind: "PeerAuthentication"},
		ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: namespace},
		Spec: security.PeerAuthentication{
			Mtls: &security.PeerAuthentication_MutualTLS{Mode: security.PeerAuthentication_MutualTLS_STRICT},
		},
	}
}

// Sidecar says what the pods that selector selects know of the mesh.
func (m Mesh) Sidecar(namespace, name string, selector map[string]string, upstreams []definition.Peer) *networkingv1.Sidecar {
	mode := networking.OutboundTrafficPolicy_ALLOW_ANY
	if m.StrictUpstreams {
		mode = networking.OutboundTrafficPolicy_REGISTRY_ONLY
	}
	return &networkingv1.Sidecar{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingVersion, Kind: "Sidecar"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: networking.Sidecar{
			WorkloadSelector:      &networking.WorkloadSelector{Labels: selector},
			OutboundTrafficPolicy: &networking.OutboundTrafficPolicy{Mode: mode},
			Egress:                []*networking.IstioEgressListener{{Hosts: egress(upstreams)}},
		},
	}
}

// egress is the hosts that upstreams stand for, none that another covers: Istio
// warns of those. The system's are always among them.
func egress(upstreams []definition.Peer) []string {
	hosts := []string{systemNamespace + "/*"}
	for _, u := range upstreams {
		host := u.Project + "/*"
		if u.Service != "*" {
			host = u.Project + "/" + Host(u.Project, u.Service)
		}
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	if everything := "*/*"; slices.Contains(hosts, everything) {
		return []string{everything}
	}
	return slices.DeleteFunc(slices.Clone(hosts), func(h string) bool {
		project, service, _ := strings.Cut(h, "/")
		return service != "*" && slices.Contains(hosts, project+"/*")
	})
}

// Host is the name under which a service is called.
func Host(project, service string) string { return service + "." + project + ".svc.cluster.local" }

// callers are the sources that a whitelist admits.
type callers struct {
	principals []string
	namespaces []string
}

func (m Mesh) callers(whitelist []definition.Peer) callers {
	c := callers{namespaces: slices.Clone(m.AlwaysAllowed)}
	for _, p := range whitelist {
		if p.Service == "*" {
			c.namespaces = append(c.namespaces, p.Project)
		} else {
			c.principals = append(c.principals, m.principal(p.Project, p.Service))
		}
	}
	slices.Sort(c.principals)
	slices.Sort(c.namespaces)
	c.principals, c.namespaces = slices.Compact(c.principals), slices.Compact(c.namespaces)
	return c
}

// from is the callers as the sources of a rule: any of them matches.
func (c callers) from() []*security.Rule_From {
	var out []*security.Rule_From
	if len(c.principals) > 0 {
		out = append(out, &security.Rule_From{Source: &security.Source{Principals: c.principals}})
	}
	if len(c.namespaces) > 0 {
		out = append(out, &security.Rule_From{Source: &security.Source{Namespaces: c.namespaces}})
	}
	return out
}

func principals(names ...string) []*security.Rule_From {
	return []*security.Rule_From{{Source: &security.Source{Principals: names}}}
}

func to(ports []string, paths ...string) []*security.Rule_To {
	return []*security.Rule_To{{Operation: &security.Operation{Ports: ports, Paths: paths}}}
}

// gateways are the principals of the gateways, without those that the callers
// include already.
func (m Mesh) gateways(c callers) []string {
	var out []string
	for _, g := range m.Gateways {
		namespace, account, _ := strings.Cut(g, "/")
		if p := m.principal(namespace, account); !slices.Contains(c.namespaces, namespace) && !slices.Contains(c.principals, p) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, cmp.Compare[string])
	return slices.Compact(out)
}

func policy(namespace, name string, spec *security.AuthorizationPolicy, selector map[string]string) *securityv1.AuthorizationPolicy {
	out := &securityv1.AuthorizationPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: securityVersion, Kind: "AuthorizationPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
	}
	out.Spec.Selector = &api.WorkloadSelector{MatchLabels: selector}
	out.Spec.Action = spec.Action
	out.Spec.Rules = spec.Rules
	return out
}
