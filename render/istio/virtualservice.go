package istio

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	networking "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
)

// Split is how the calls on one port of a service are shared out.
type Split struct {
	Port           uint32
	TCP            bool
	Retries        int
	TimeoutSeconds int // per try
	Shares         []Share
}

// Share is what one host gets of a Split.
type Share struct {
	Host   string
	Port   uint32
	Weight int
}

// VirtualService shares out the calls of a service, port by port.
func VirtualService(namespace, id string, splits []Split) *networkingv1.VirtualService {
	out := &networkingv1.VirtualService{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingVersion, Kind: "VirtualService"},
		ObjectMeta: metav1.ObjectMeta{Name: id, Namespace: namespace},
	}
	out.Spec.Hosts = []string{Host(namespace, id)}
	out.Spec.Gateways = []string{"mesh"}
	for _, s := range splits {
		if s.TCP {
			out.Spec.Tcp = append(out.Spec.Tcp, tcpRoute(s))
		} else {
			out.Spec.Http = append(out.Spec.Http, httpRoute(s))
		}
	}
	return out
}

func httpRoute(s Split) *networking.HTTPRoute {
	r := &networking.HTTPRoute{
		Name:  "http-" + strconv.Itoa(int(s.Port)),
		Match: []*networking.HTTPMatchRequest{{Port: s.Port}},
		Retries: &networking.HTTPRetry{
			Attempts:      int32(s.Retries), //nolint:gosec // at most 100
			PerTryTimeout: durationpb.New(time.Duration(s.TimeoutSeconds) * time.Second),
		},
	}
	for _, t := range s.Shares {
		r.Route = append(r.Route, &networking.HTTPRouteDestination{Destination: destination(t), Weight: int32(t.Weight)}) //nolint:gosec // at most 100
	}
	return r
}

func tcpRoute(s Split) *networking.TCPRoute {
	r := &networking.TCPRoute{Match: []*networking.L4MatchAttributes{{Port: s.Port}}}
	for _, t := range s.Shares {
		r.Route = append(r.Route, &networking.RouteDestination{Destination: destination(t), Weight: int32(t.Weight)}) //nolint:gosec // at most 100
	}
	return r
}

func destination(t Share) *networking.Destination {
	return &networking.Destination{Host: t.Host, Port: &networking.PortSelector{Number: t.Port}}
}
