package istio

import (
	"crypto/sha256"
	"net/netip"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	networking "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// External is a host outside of the cluster that gets calls of a service.
//
// In the mesh it has a name of its own, which nobody but the service's
// VirtualService uses. So calls that pods make to the host themselves are left
// alone, those over TLS above all; and two services may call one host in two
// ways.
type External struct {
	Namespace string
	Service   string // id
	Address   string // the host
	Port      int
	TLS       bool
	Protocol  definition.Protocol
}

// Name of the objects: no id has a dot, so no two are equal.
func (e External) Name() string {
	scheme := string(e.Protocol)
	if e.TLS {
		scheme += "s"
	}
	return e.Service + "." + e.Address + "." + scheme + "-" + strconv.Itoa(e.Port)
}

// Host is what the mesh calls it.
func (e External) Host() string { return e.Name() + "." + e.Namespace + ".external" }

// Share is the destination of calls to it.
func (e External) Share(weight int) Share {
	s := Share{Host: e.Host(), Port: e.port().Number, Weight: weight}
	if e.Protocol != definition.ProtocolTCP {
		s.Authority = e.Address
		if e.Port != DefaultPort(e.TLS) {
			s.Authority += ":" + strconv.Itoa(e.Port)
		}
	}
	return s
}

// DefaultPort is where a host answers HTTP.
func DefaultPort(tls bool) int {
	if tls {
		return 443
	}
	return 80
}

// port is the one in the mesh. HTTP is told apart by host, so all share port
// 80, which the proxies read as HTTP anyway; on 443 they would no longer let
// TLS of others through.
func (e External) port() *networking.ServicePort {
	p := &networking.ServicePort{Number: 80, Name: string(e.Protocol), TargetPort: uint32(e.Port)} //nolint:gosec // 1 to 65535
	switch e.Protocol {
	case definition.ProtocolTCP:
		p.Protocol, p.Number, p.TargetPort = "TCP", p.TargetPort, 0
	case definition.ProtocolGRPC:
		p.Protocol = "GRPC"
	case definition.ProtocolH2C:
		p.Protocol = "HTTP2"
	case definition.ProtocolHTTP:
		p.Protocol = "HTTP"
	}
	return p
}

// ServiceEntry makes the host known to the mesh.
func (e External) ServiceEntry() *networkingv1.ServiceEntry {
	out := &networkingv1.ServiceEntry{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingVersion, Kind: "ServiceEntry"},
		ObjectMeta: metav1.ObjectMeta{Name: e.Name(), Namespace: e.Namespace},
	}
	out.Spec.Hosts = []string{e.Host()}
	out.Spec.Location = networking.ServiceEntry_MESH_EXTERNAL
	out.Spec.Resolution = networking.ServiceEntry_DNS
	out.Spec.Ports = []*networking.ServicePort{e.port()}
	out.Spec.Endpoints = []*networking.WorkloadEntry{{Address: e.Address}}
	if e.Protocol == definition.ProtocolTCP {
		out.Spec.Addresses = []string{e.unused()}
	}
	return out
}

// unused is an address where a proxy may listen for it without taking other
// calls: class E, which no network routes. Equal ones do no harm, as nobody
// calls them.
func (e External) unused() string {
	sum := sha256.Sum256([]byte(e.Host()))
	return netip.AddrFrom4([4]byte{241, sum[0], sum[1], sum[2]}).String()
}

// DestinationRule makes the proxies call the host over TLS, with its name
// checked; nil where it is called without.
func (e External) DestinationRule() *networkingv1.DestinationRule {
	if !e.TLS {
		return nil
	}
	out := &networkingv1.DestinationRule{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingVersion, Kind: "DestinationRule"},
		ObjectMeta: metav1.ObjectMeta{Name: e.Name(), Namespace: e.Namespace},
	}
	out.Spec.Host = e.Host()
	out.Spec.TrafficPolicy = &networking.TrafficPolicy{Tls: &networking.ClientTLSSettings{
		Mode: networking.ClientTLSSettings_SIMPLE, Sni: e.Address, SubjectAltNames: []string{e.Address},
	}}
	return out
}

// InCluster tells whether a host is a Service of the cluster.
func InCluster(host string) bool { return strings.HasSuffix(host, ".svc.cluster.local") }
