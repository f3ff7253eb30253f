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
	// Versions of the service, sorted.
	Versions []Version `json:"versions"`
	// Away: routes lead calls by its name out of the mesh, where no whitelist is
	// asked.
	Away bool `json:"away,omitempty"`
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

// Version is one of the versions of a service.
type Version struct {
	Version string          `json:"version"`
	Reach   plumbline.Reach `json:"reach,omitempty"`
}

// Call is one allowed call: both sides declare it, and it gets there.
type Call struct {
	Endpoint
	Upstream plumbline.Origin `json:"upstream"` // the caller's line
	// Whitelist is the callee's line; zero where the caller's namespace may
	// always call.
	Whitelist plumbline.Origin `json:"whitelist,omitzero"`
	// Versions that call, and that answer calls by the service's name.
	Versions Versions `json:"versions"`
	// Straight are those that call, and that answer, by hosts of the versions'
	// own: proxies know them where an upstream is a pattern.
	Straight Versions `json:"straight,omitzero"`
}

// Versions are pairs of versions: each of From with each of To, both sorted.
type Versions struct {
	From []string `json:"from"`
	To   []string `json:"to"`
}

// None tells whether there is no pair.
func (v Versions) None() bool { return len(v.From) == 0 || len(v.To) == 0 }

// Has tells whether one version calls another.
func (v Versions) Has(from, to string) bool {
	return slices.Contains(v.From, from) && slices.Contains(v.To, to)
}

// Half is a call that one side declares.
type Half struct {
	Endpoint                  // the other side
	Origin   plumbline.Origin `json:"origin"`  // of the declaration
	Missing  plumbline.Origin `json:"missing"` // the service whose half is missing
	// Unreached: both declare it, and the versions that would admit the caller get
	// none of its calls: no route leads to them, or they have no port.
	Unreached bool `json:"unreached,omitempty"`
}

// calls tells whether a service may call another.
func (n *Node) calls(e Endpoint) bool {
	return slices.ContainsFunc(n.Calls, func(c Call) bool { return c.Endpoint == e })
}

// CallGraph is the graph of allowed calls: an edge A → B exists when a version of
// A names B, or a pattern that covers it, among its upstreams, and a version of B
// that its calls get to admits A in its whitelist. Projects in alwaysAllowed are
// admitted everywhere. Peers are the versions of services; what a node says of
// its service, any version says. A service is not its own neighbour.
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
	peers                []plumbline.Peer // sorted by version
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
		n.peers = append(n.peers, p)
		n.Away = n.Away || p.Away
	}
	for _, n := range g.nodes {
		n.join()
	}
	g.all = slices.SortedFunc(maps.Keys(g.nodes), Endpoint.Compare)
	for _, e := range g.all {
		g.byProject[e.Project] = append(g.byProject[e.Project], e)
	}
	return g
}

// join collects the lists of a service's versions, which are those that the node
// goes by.
func (n *draftNode) join() {
	slices.SortStableFunc(n.peers, func(a, b plumbline.Peer) int { return cmp.Compare(a.Version, b.Version) })
	n.Versions = make([]Version, 0, len(n.peers))
	for _, p := range n.peers {
		n.Versions = append(n.Versions, Version{p.Version, p.Reach})
		n.upstreams = append(n.upstreams, p.Upstreams...)
		n.whitelist = append(n.whitelist, p.Whitelist...)
	}
	n.upstreams, n.whitelist = distinct(n.upstreams), distinct(n.whitelist)
}

// distinct sorts rules by project and service, and keeps the first of those that
// name the same.
func distinct(rules []plumbline.PeerRef) []plumbline.PeerRef {
	slices.SortStableFunc(rules, func(a, b plumbline.PeerRef) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Service, b.Service))
	})
	return slices.CompactFunc(rules, func(a, b plumbline.PeerRef) bool {
		return a.Project == b.Project && a.Service == b.Service
	})
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
			found[to] = true
			at, ok := g.admits(to, from)
			c := Call{Endpoint: to, Upstream: u.Origin, Whitelist: at}
			c.Versions, c.Straight = g.versions(from, to)
			if ok && (!c.Versions.None() || !c.Straight.None() || g.nodes[to].Away) {
				n.Calls = append(n.Calls, c)
			}
		}
	}
	slices.SortFunc(n.Calls, func(a, b Call) int { return a.Compare(b.Endpoint) })
}

// versions are the versions between which calls are allowed: by the name of the
// service that is called, and by hosts of its versions.
func (g *draft) versions(from, to Endpoint) (named, straight Versions) {
	named, straight = Versions{From: []string{}, To: []string{}}, Versions{}
	for _, p := range g.nodes[from].peers {
		if covers(p.Upstreams, to) < 0 {
			continue
		}
		named.From = append(named.From, p.Version)
		if pattern(p.Upstreams, to) {
			straight.From = append(straight.From, p.Version)
		}
	}
	for _, p := range g.nodes[to].peers {
		if p.Reach == plumbline.ReachPortless || covers(p.Whitelist, from) < 0 && !slices.Contains(g.always, from.Project) {
			continue
		}
		if straight.To = append(straight.To, p.Version); p.Reach == plumbline.ReachRouted {
			named.To = append(named.To, p.Version)
		}
	}
	if straight.None() {
		straight = Versions{}
	}
	return named, straight
}

// pattern tells whether one of the rules covers every service of e's project.
func pattern(rules []plumbline.PeerRef, e Endpoint) bool {
	return slices.ContainsFunc(rules, func(r plumbline.PeerRef) bool {
		return r.Project == "*" || r.Project == e.Project && r.Service == "*"
	})
}

// admits tells whether a version of to lets from in, and by which line: none for
// a project that is always allowed.
func (g *draft) admits(to, from Endpoint) (plumbline.Origin, bool) {
	w := g.nodes[to].whitelist
	if i := covers(w, from); i >= 0 {
		return w[i].Origin, true
	}
	return plumbline.Origin{}, slices.Contains(g.always, from.Project)
}

// halves finds the calls that a service declares and the other side does not. An
// upstream or a whitelist with "*" names no service in particular, so none is
// missed on the other side.
func (g *draft) halves(e Endpoint) {
	n := g.nodes[e]
	n.Closed = len(n.whitelist) == 0
	for _, u := range n.upstreams {
		other := Endpoint{Project: u.Project, Service: u.Service}
		if callee := g.nodes[other]; callee != nil && other != e && !n.calls(other) {
			_, ok := g.admits(other, e)
			n.Refused = append(n.Refused, Half{Endpoint: other, Origin: u.Origin, Missing: callee.Origin, Unreached: ok})
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
	n.Outside = distinct(n.Outside)
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
	CodeOpen      = "PL8101"
	CodeUnused    = "PL8102"
	CodeUnreached = "PL8103"
)

// Warnings are what is worth a second look, sorted: services that are open to
// everyone, whitelists of which nobody makes use, and calls that both sides
// declare and that do not get there.
func (g Graph) Warnings() []plumbline.Violation {
	called := map[Endpoint]bool{}
	for _, n := range g.Nodes {
		for _, c := range n.Calls {
			called[c.Endpoint] = true
		}
		for _, r := range n.Refused {
			called[r.Endpoint] = called[r.Endpoint] || r.Unreached
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
	return plumbline.SortViolations(append(vs, g.unreached()...))
}

// unreached are the warnings of calls that do not get there.
func (g Graph) unreached() []plumbline.Violation {
	var vs []plumbline.Violation
	for _, n := range g.Nodes {
		for _, r := range n.Refused {
			if r.Unreached {
				vs = append(vs, plumbline.Violation{
					Code: CodeUnreached, Severity: plumbline.SeverityWarning, Origin: r.Origin, Related: []plumbline.Origin{r.Missing},
					Message: fmt.Sprintf("%s and %s both declare this call, and it is refused: no version of %s that admits %s has a port and a route that leads to it",
						n.Endpoint, r.Endpoint, r.Endpoint, n.Endpoint),
				})
			}
		}
	}
	return vs
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
