package policies

import (
	"cmp"
	"slices"

	"github.com/plumbline-dev/plumbline"
)

// Endpoint is a service in the call graph.
type Endpoint struct {
	Project string `json:"project"`
	Service string `json:"service"`
}

// String is "project/service".
func (e Endpoint) String() string { return e.Project + "/" + e.Service }

// Compare orders by project and service.
func (e Endpoint) Compare(o Endpoint) int {
	return cmp.Or(cmp.Compare(e.Project, o.Project), cmp.Compare(e.Service, o.Service))
}

// Edge is one allowed call.
type Edge struct {
	From Endpoint `json:"from"`
	To   Endpoint `json:"to"`
}

// CallGraph are the calls that the definitions allow: From names To, or a
// pattern that covers it, among its upstreams, and To admits From in its
// whitelist. Several peers of one service (its versions) count together. A
// service is not its own neighbour. The result is sorted, each edge once.
func CallGraph(peers []plumbline.Peer) []Edge {
	var edges []Edge
	for _, from := range peers {
		a := endpoint(from.Service)
		for _, to := range peers {
			b := endpoint(to.Service)
			if a != b && covers(from.Upstreams, b) && covers(to.Whitelist, a) {
				edges = append(edges, Edge{From: a, To: b})
			}
		}
	}
	slices.SortFunc(edges, func(x, y Edge) int { return cmp.Or(x.From.Compare(y.From), x.To.Compare(y.To)) })
	return slices.Compact(edges)
}

func endpoint(r plumbline.PeerRef) Endpoint { return Endpoint{Project: r.Project, Service: r.Service} }

// covers tells whether one of the rules names e: itself, every service of its
// project, or everyone (project "*", whatever the service says).
func covers(rules []plumbline.PeerRef, e Endpoint) bool {
	return slices.ContainsFunc(rules, func(r plumbline.PeerRef) bool {
		return r.Project == "*" || r.Project == e.Project && (r.Service == "*" || r.Service == e.Service)
	})
}
