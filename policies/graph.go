package policies

import (
	"cmp"
	"fmt"
	"maps"
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

// Graph is who may call whom, as the definitions alone say it: commands, pages
// and previews all read this one.
type Graph struct {
	Nodes []Node // sorted
}

// Node is one service with its allowed calls.
type Node struct {
	Endpoint
	Origin plumbline.Origin `json:"origin"`
	// Open: its whitelist admits everyone, at the line OpenAt.
	Open   bool             `json:"open,omitempty"`
	OpenAt plumbline.Origin `json:"openAt,omitzero"`
	// Closed: its whitelist is empty.
	Closed bool `json:"closed,omitempty"`
	// Calls are the services that it may call, sorted.
	Calls []Call `json:"calls"`
	// Outside are callers that it admits and that nobody defines here: a
	// gateway's namespace, a service of another environment. Sorted.
	Outside []plumbline.PeerRef `json:"outside,omitempty"`
	// Refused are calls that it declares and the other side does not, sorted.
	Refused []Half `json:"refused,omitempty"`
	// Unused are callers that it names and that do not name it, sorted.
	Unused []Half `json:"unused,omitempty"`
}

// Call is one allowed call: both sides declare it.
type Call struct {
	Endpoint
	Upstream plumbline.Origin `json:"upstream"` // the caller's line
	// Whitelist is the callee's line; zero where the caller's namespace may
	// always call.
	Whitelist plumbline.Origin `json:"whitelist,omitzero"`
}

// Half is a call that one side declares.
type Half struct {
	Endpoint                  // the other side
	Origin   plumbline.Origin `json:"origin"`  // of the declaration
	Missing  plumbline.Origin `json:"missing"` // the service whose half is missing
}

// CallGraph is the graph of allowed calls: an edge A → B exists when A names B,
// or a pattern that covers it, among its upstreams, and B admits A in its
// whitelist. Projects in alwaysAllowed are admitted everywhere. Several peers
// of one service (its versions) count together. A service is not its own
// neighbour.
func CallGraph(peers []plumbline.Peer, alwaysAllowed []string) Graph {
	g := drafting(peers, alwaysAllowed)
	for _, e := range g.all {
		g.edges(e)
		g.halves(e)
	}
	out := Graph{Nodes: make([]Node, 0, len(g.all))}
	for _, e := range g.all {
		out.Nodes = append(out.Nodes, g.nodes[e].Node)
	}
	return out
}

// draft is a graph in the making.
type draft struct {
	nodes     map[Endpoint]*draftNode
	all       []Endpoint // sorted
	byProject map[string][]Endpoint
	always    []string
}

type draftNode struct {
	Node
	upstreams, whitelist []plumbline.PeerRef
}

func drafting(peers []plumbline.Peer, alwaysAllowed []string) *draft {
	g := &draft{nodes: make(map[Endpoint]*draftNode, len(peers)), byProject: map[string][]Endpoint{}, always: alwaysAllowed}
	for _, p := range peers {
		e := Endpoint{Project: p.Service.Project, Service: p.Service.Service}
		n := g.nodes[e]
		if n == nil {
			n = &draftNode{Node: Node{Endpoint: e, Origin: p.Origin, Calls: []Call{}}}
			g.nodes[e] = n
		}
		n.upstreams = append(n.upstreams, p.Upstreams...)
		n.whitelist = append(n.whitelist, p.Whitelist...)
	}
	g.all = slices.SortedFunc(maps.Keys(g.nodes), Endpoint.Compare)
	for _, e := range g.all {
		g.byProject[e.Project] = append(g.byProject[e.Project], e)
	}
	return g
}

// matching are the services that a rule names.
func (g *draft) matching(r plumbline.PeerRef) []Endpoint {
	e := Endpoint{Project: r.Project, Service: r.Service}
	switch {
	case r.Project == "*":
		return g.all
	case r.Service == "*":
		return g.byProject[r.Project]
	case g.nodes[e] != nil:
		return []Endpoint{e}
	}
	return nil
}

// edges finds what a service may call.
func (g *draft) edges(from Endpoint) {
	n := g.nodes[from]
	found := map[Endpoint]bool{from: true}
	for _, u := range n.upstreams {
		for _, to := range g.matching(u) {
			if found[to] {
				continue
			}
			if at, ok := g.admits(to, from); ok {
				found[to] = true
				n.Calls = append(n.Calls, Call{Endpoint: to, Upstream: u.Origin, Whitelist: at})
			}
		}
	}
	slices.SortFunc(n.Calls, func(a, b Call) int { return a.Compare(b.Endpoint) })
}

func (g *draft) admits(to, from Endpoint) (plumbline.Origin, bool) {
	if w := g.nodes[to].whitelist; covers(w, from) >= 0 {
		return w[covers(w, from)].Origin, true
	}
	return plumbline.Origin{}, slices.Contains(g.always, from.Project)
}

// halves finds what a service declares and the other side does not. Patterns
// name nobody in particular, so they owe nobody an answer.
func (g *draft) halves(e Endpoint) {
	n := g.nodes[e]
	n.Closed = len(n.whitelist) == 0
	for _, u := range n.upstreams {
		other := Endpoint{Project: u.Project, Service: u.Service}
		if callee := g.nodes[other]; callee != nil && other != e {
			if _, ok := g.admits(other, e); !ok {
				n.Refused = append(n.Refused, Half{Endpoint: other, Origin: u.Origin, Missing: callee.Origin})
			}
		}
	}
	for _, w := range n.whitelist {
		other := Endpoint{Project: w.Project, Service: w.Service}
		caller := g.nodes[other]
		switch {
		case w.Project == "*":
			if !n.Open {
				n.Open, n.OpenAt = true, w.Origin
			}
		case len(g.matching(w)) == 0:
			n.Outside = append(n.Outside, w)
		case caller != nil && other != e && covers(caller.upstreams, e) < 0:
			n.Unused = append(n.Unused, Half{Endpoint: other, Origin: w.Origin, Missing: caller.Origin})
		}
	}
	byName := func(a, b Half) int { return a.Compare(b.Endpoint) }
	same := func(a, b Half) bool { return a.Endpoint == b.Endpoint }
	slices.SortStableFunc(n.Refused, byName)
	slices.SortStableFunc(n.Unused, byName)
	n.Refused, n.Unused = slices.CompactFunc(n.Refused, same), slices.CompactFunc(n.Unused, same)
	slices.SortStableFunc(n.Outside, func(a, b plumbline.PeerRef) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Service, b.Service))
	})
	n.Outside = slices.CompactFunc(n.Outside, func(a, b plumbline.PeerRef) bool {
		return a.Project == b.Project && a.Service == b.Service
	})
}

// covers is the first of the rules that names e: itself, every service of its
// project, or everyone (project "*", whatever the service says); -1 for none.
func covers(rules []plumbline.PeerRef, e Endpoint) int {
	return slices.IndexFunc(rules, func(r plumbline.PeerRef) bool {
		return r.Project == "*" || r.Project == e.Project && (r.Service == "*" || r.Service == e.Service)
	})
}

// The codes of what the graph itself shows.
const (
	CodeOpen   = "PL8101"
	CodeUnused = "PL8102"
)

// Warnings are what is worth a second look, sorted: services that are open to
// everyone, and whitelists of which nobody makes use.
func (g Graph) Warnings() []plumbline.Violation {
	called := map[Endpoint]bool{}
	for _, n := range g.Nodes {
		for _, c := range n.Calls {
			called[c.Endpoint] = true
		}
	}
	var vs []plumbline.Violation
	for _, n := range g.Nodes {
		switch {
		case n.Open:
			vs = append(vs, plumbline.Violation{
				Code: CodeOpen, Severity: plumbline.SeverityWarning, Origin: n.OpenAt,
				Message: fmt.Sprintf("%s is open to everyone in the mesh", n.Endpoint),
			})
		case !n.Closed && len(n.Outside) == 0 && !called[n.Endpoint]:
			vs = append(vs, plumbline.Violation{
				Code: CodeUnused, Severity: plumbline.SeverityWarning, Origin: n.Origin,
				Message: fmt.Sprintf("%s has a whitelist, and nobody in it has %s among its upstreams: nobody may call it", n.Endpoint, n.Endpoint),
			})
		}
	}
	return plumbline.SortViolations(vs)
}

// Only is the part of the graph that concerns some projects: their services,
// and those that these may call or are called by. Without projects it is all.
func (g Graph) Only(projects []string) Graph {
	if len(projects) == 0 {
		return g
	}
	keep := map[Endpoint]bool{}
	for _, n := range g.Nodes {
		own := slices.Contains(projects, n.Project)
		for _, c := range n.Calls {
			if own || slices.Contains(projects, c.Project) {
				keep[n.Endpoint], keep[c.Endpoint] = true, true
			}
		}
		if own {
			keep[n.Endpoint] = true
		}
	}
	out := Graph{Nodes: make([]Node, 0, len(keep))}
	for _, n := range g.Nodes {
		if !keep[n.Endpoint] {
			continue
		}
		if !slices.Contains(projects, n.Project) {
			n.Calls = slices.DeleteFunc(slices.Clone(n.Calls), func(c Call) bool { return !slices.Contains(projects, c.Project) })
			n.Outside, n.Refused, n.Unused = nil, nil, nil
		}
		out.Nodes = append(out.Nodes, n)
	}
	return out
}
