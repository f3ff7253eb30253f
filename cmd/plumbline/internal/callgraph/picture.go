// Package callgraph draws who may call whom: as Mermaid, as DOT, and as an SVG
// with a layout of its own.
//
// In goes the graph that package policies decided, out comes text: the same
// graph gives the same bytes. Whatever a name holds is shown as text and is
// never markup of the format. The package does no I/O beyond its writer.
package callgraph

import (
	"cmp"
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/policies"
)

// picture is a graph as all formats draw it.
type picture struct {
	nodes    []node // services first, as in the graph, then callers from outside
	edges    []edge // sorted
	projects []string
}

// node is a box.
type node struct {
	kind    nodeKind
	project string
	label   string
	note    string // why it looks as it does; may be empty
}

type nodeKind int

const (
	service  nodeKind = iota
	everyone          // whoever is in the mesh
	outside           // a caller that nobody defines here
)

// edge is an arrow between two boxes, by their places in nodes.
type edge struct {
	from, to int
	kind     edgeKind
}

type edgeKind int

const (
	allowed    edgeKind = iota
	notInvited          // only the caller declares it
	notAsked            // only the callee declares it
)

// title says what an edge means.
func (p *picture) title(e edge) string {
	from, to := p.name(e.from), p.name(e.to)
	switch e.kind {
	case notInvited:
		return from + " lists " + to + " as an upstream, but is not in its whitelist: refused"
	case notAsked:
		return from + " is in the whitelist of " + to + ", but does not list it as an upstream"
	}
	return from + " may call " + to
}

func (p *picture) name(i int) string {
	n := p.nodes[i]
	if n.kind == everyone {
		return "everyone"
	}
	return n.project + "/" + n.label
}

func draw(g policies.Graph) *picture {
	p := &picture{}
	at := make(map[policies.Endpoint]int, len(g.Nodes))
	for i, n := range g.Nodes {
		at[n.Endpoint] = i
		box := node{project: n.Project, label: n.Service}
		switch {
		case n.Open:
			box.note = "open to everyone"
		case n.Closed:
			box.note = "its whitelist is empty: nobody may call it"
		}
		p.nodes = append(p.nodes, box)
		if len(p.projects) == 0 || p.projects[len(p.projects)-1] != n.Project {
			p.projects = append(p.projects, n.Project)
		}
	}
	add := func(from, to policies.Endpoint, kind edgeKind) {
		f, known := at[from]
		t, too := at[to]
		if known && too {
			p.edges = append(p.edges, edge{f, t, kind})
		}
	}
	for _, n := range g.Nodes {
		for _, c := range n.Calls {
			add(n.Endpoint, c.Endpoint, allowed)
		}
		for _, h := range n.Refused {
			add(n.Endpoint, h.Endpoint, notInvited)
		}
		for _, h := range n.Unused {
			add(h.Endpoint, n.Endpoint, notAsked)
		}
	}
	p.callersFromOutside(g)
	slices.SortFunc(p.edges, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.kind, b.kind))
	})
	return p
}

// callersFromOutside adds a box for everyone, and one for each caller that
// whitelists name and nobody defines.
func (p *picture) callersFromOutside(g policies.Graph) {
	open := -1
	for i, n := range g.Nodes {
		if !n.Open {
			continue
		}
		if open < 0 {
			open = len(p.nodes)
			p.nodes = append(p.nodes, node{kind: everyone, label: "everyone", note: "whoever is in the mesh"})
		}
		p.edges = append(p.edges, edge{open, i, allowed})
	}
	type caller struct{ project, service string }
	name := func(r plumbline.PeerRef) caller { return caller{r.Project, r.Service} }
	var all []caller
	for _, n := range g.Nodes {
		for _, o := range n.Outside {
			all = append(all, name(o))
		}
	}
	slices.SortFunc(all, func(a, b caller) int {
		return cmp.Or(cmp.Compare(a.project, b.project), cmp.Compare(a.service, b.service))
	})
	all = slices.Compact(all)
	first := len(p.nodes)
	for _, c := range all {
		p.nodes = append(p.nodes, node{kind: outside, project: c.project, label: c.service, note: "not defined in this environment"})
	}
	for i, n := range g.Nodes {
		for _, o := range n.Outside {
			p.edges = append(p.edges, edge{first + slices.Index(all, name(o)), i, allowed})
		}
	}
}
