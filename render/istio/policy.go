package istio

import (
	security "istio.io/api/security/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// Access says which pods a policy protects, and whom it lets in.
type Access struct {
	Namespace string
	Name      string
	Selector  map[string]string
	Whitelist []definition.Peer
	Open      bool // to everyone, without looking at the whitelist
}

// DeploymentPolicy lets the whitelist call ports, and nobody else anything. No
// ports are no ports to call: everything is refused.
func (m Mesh) DeploymentPolicy(a Access, ports []string) *securityv1.AuthorizationPolicy {
	spec := &security.AuthorizationPolicy{Action: security.AuthorizationPolicy_ALLOW}
	from := m.callers(a.Whitelist).from()
	switch {
	case a.Open:
		spec.Rules = []*security.Rule{{}}
	case len(from) > 0 && len(ports) > 0:
		spec.Rules = []*security.Rule{{From: from, To: to(ports)}}
	}
	return policy(a.Namespace, a.Name, spec, a.Selector)
}

const (
	knativeNamespace = "knative-serving"
	activatorAccount = "activator"
	healthPath       = "/healthz"
	metricsPath      = "/metrics"
)

// knativePorts are where queue-proxy serves: http, and h2c.
func knativePorts() []string { return []string{"8012", "8013"} }

// KnativePolicy lets the whitelist call pods of Knative, and Knative itself
// look after them. With activator, calls that come through the activator are
// let in: whoever is behind it must be kept out there, by Guard.
func (m Mesh) KnativePolicy(a Access, activator bool) *securityv1.AuthorizationPolicy {
	spec := &security.AuthorizationPolicy{Action: security.AuthorizationPolicy_ALLOW}
	if a.Open {
		spec.Rules = []*security.Rule{{}}
		return policy(a.Namespace, a.Name, spec, a.Selector)
	}
	activatorName := m.principal(knativeNamespace, activatorAccount)
	controller := m.principal(knativeNamespace, "controller")
	c := m.callers(a.Whitelist)
	add := func(from []*security.Rule_From, to []*security.Rule_To) {
		spec.Rules = append(spec.Rules, &security.Rule{From: from, To: to})
	}
	if from := c.from(); len(from) > 0 {
		add(from, to(knativePorts()))
	}
	probes := []string{activatorName, controller}
	if activator {
		add(principals(activatorName), to(knativePorts()))
		probes = probes[1:]
	}
	add(principals(append(probes, m.gateways(c)...)...), to(knativePorts(), healthPath))
	add(principals(controller), to([]string{"9090"}, metricsPath))
	return policy(a.Namespace, a.Name, spec, a.Selector)
}

// GuardName is the name of the guard of a Knative Service. A namespace's name
// has no dot, so no two guards have one name.
func GuardName(namespace, service string) string { return "guard-" + namespace + "." + service }

// RequireHeadersName is the name of the guard that all guards rest on.
const RequireHeadersName = "plumbline-require-revision-headers"

func activatorSelector() map[string]string { return map[string]string{"app": "activator"} }

// AdmitsActivator tells whether an entry of a whitelist names Knative's activator.
func AdmitsActivator(p definition.Peer) bool {
	return p.Project == knativeNamespace && (p.Service == "*" || p.Service == activatorAccount)
}

// Guard keeps the whitelist of a Knative Service at the activator, which hides
// the caller from the pod: it routes by the headers that the guard reads. Callers
// may write these themselves, so the guard reads them as the activator does. A
// gateway may look after the service's health, no more.
func (m Mesh) Guard(namespace, service string, whitelist []definition.Peer) *securityv1.AuthorizationPolicy {
	c := m.callers(whitelist)
	gateways := m.gateways(c)
	when := []*security.Condition{
		{Key: headerNamespace, Values: first(namespace)},
		{Key: headerRevision, Values: []string{service + "-*"}},
	}
	admitted := append([]string{m.principal(knativeNamespace, "controller")}, c.principals...)
	admitted = append(admitted, gateways...)
	strangers := &security.Rule{
		From: []*security.Rule_From{{Source: &security.Source{NotPrincipals: admitted, NotNamespaces: c.namespaces}}},
		To:   to(knativePorts()),
		When: when,
	}
	spec := &security.AuthorizationPolicy{Action: security.AuthorizationPolicy_DENY, Rules: []*security.Rule{strangers}}
	if len(gateways) > 0 {
		spec.Rules = append(spec.Rules, &security.Rule{
			From: principals(gateways...),
			To:   []*security.Rule_To{{Operation: &security.Operation{Ports: knativePorts(), NotPaths: []string{healthPath}}}},
			When: when,
		})
	}
	return policy(knativeNamespace, GuardName(namespace, service), spec, activatorSelector())
}

// first are the values of a header that the activator takes for value: it reads
// the first of several, without the blanks behind it, where Envoy sees all, with
// commas between them.
func first(value string) []string { return []string{value, value + ",*", value + " *", value + "\t*"} }

const (
	headerNamespace = "request.headers[Knative-Serving-Namespace]"
	headerRevision  = "request.headers[Knative-Serving-Revision]"
)

// RequireHeaders refuses calls through the activator whose headers, by which
// guards tell services apart, do not begin as names do: where one is not there,
// or is empty, the activator takes the host that was asked for, and the blanks
// before a name it does not see. There is one for a cluster.
func RequireHeaders() *securityv1.AuthorizationPolicy {
	spec := &security.AuthorizationPolicy{Action: security.AuthorizationPolicy_DENY}
	for _, header := range []struct{ key, begins string }{{headerNamespace, letters + digits}, {headerRevision, letters}} {
		spec.Rules = append(spec.Rules, &security.Rule{
			From: []*security.Rule_From{{Source: &security.Source{NotNamespaces: []string{knativeNamespace}}}},
			To:   to(knativePorts()),
			When: []*security.Condition{{Key: header.key, NotValues: beginning(header.begins)}},
		})
	}
	return policy(knativeNamespace, RequireHeadersName, spec, activatorSelector())
}

// What names in Kubernetes begin with: those of Revisions with a letter.
const (
	letters = "abcdefghijklmnopqrstuvwxyz"
	digits  = "0123456789"
)

// beginning are the values that begin with one of some characters.
func beginning(with string) []string {
	out := make([]string, 0, len(with))
	for _, c := range with {
		out = append(out, string(c)+"*")
	}
	return out
}
