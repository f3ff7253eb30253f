package istio

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	networking "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// Split is how the calls on one port of a service, or those of them that
// Matchers match, are shared out.
type Split struct {
	Port           uint32
	TCP            bool
	Matchers       []definition.Matcher // any of them; none match all
	Retries        int
	TimeoutSeconds int // per try
	Shares         []Share
}

// Share is what one host gets of a Split.
type Share struct {
	Host   string
	Port   uint32
	Weight int
	// Authority is what an HTTP call asks the host for; "" leaves it as it is.
	Authority string
}

// VirtualService shares out the calls of a service: of the splits for one port
// the first that matches counts.
func VirtualService(namespace, id string, splits []Split) *networkingv1.VirtualService {
	out := &networkingv1.VirtualService{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingVersion, Kind: "VirtualService"},
		ObjectMeta: metav1.ObjectMeta{Name: id, Namespace: namespace},
	}
	out.Spec.Hosts = []string{Host(namespace, id)}
	out.Spec.Gateways = []string{"mesh"}
	count := map[uint32]int{}
	for _, s := range splits {
		if s.TCP {
			out.Spec.Tcp = append(out.Spec.Tcp, tcpRoute(s))
			continue
		}
		r := httpRoute(s)
		if count[s.Port]++; count[s.Port] > 1 {
			r.Name += "-" + strconv.Itoa(count[s.Port]) // what metrics tell routes apart by
		}
		out.Spec.Http = append(out.Spec.Http, r)
	}
	return out
}

func httpRoute(s Split) *networking.HTTPRoute {
	r := &networking.HTTPRoute{
		Name:  "http-" + strconv.Itoa(int(s.Port)),
		Match: httpMatches(s),
		Retries: &networking.HTTPRetry{
			Attempts:      int32(s.Retries), //nolint:gosec // at most 100
			PerTryTimeout: durationpb.New(time.Duration(s.TimeoutSeconds) * time.Second),
		},
	}
	for _, t := range s.Shares {
		d := &networking.HTTPRouteDestination{Destination: destination(t), Weight: int32(t.Weight)} //nolint:gosec // at most 100
		if t.Authority != "" {
			d.Headers = &networking.Headers{Request: &networking.Headers_HeaderOperations{Set: map[string]string{"Host": t.Authority}}}
		}
		r.Route = append(r.Route, d)
	}
	return r
}

func httpMatches(s Split) []*networking.HTTPMatchRequest {
	if len(s.Matchers) == 0 {
		return []*networking.HTTPMatchRequest{{Port: s.Port}}
	}
	var out []*networking.HTTPMatchRequest
	for _, m := range s.Matchers {
		match := &networking.HTTPMatchRequest{Port: s.Port, IgnoreUriCase: m.IgnoreCase}
		if m.URL.Kind != "" {
			match.Uri = stringMatch(m.URL)
		}
		for _, h := range m.Headers {
			if match.Headers == nil {
				match.Headers = make(map[string]*networking.StringMatch, len(m.Headers))
			}
			match.Headers[h.Key] = stringMatch(h.Match)
		}
		out = append(out, match)
	}
	return out
}

// stringMatch is a match in Istio's words. An empty one asks for presence.
func stringMatch(m definition.Match) *networking.StringMatch {
	switch m.Kind {
	case definition.MatchExact:
		return &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: m.Value}}
	case definition.MatchPrefix:
		return &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: m.Value}}
	case definition.MatchRegex:
		return &networking.StringMatch{MatchType: &networking.StringMatch_Regex{Regex: m.Value}}
	case definition.MatchPresent:
	}
	return &networking.StringMatch{}
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
