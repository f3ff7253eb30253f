package callgraph

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/plumbline-dev/plumbline/policies"
)

// DOT writes the graph in Graphviz's language.
func DOT(w io.Writer, g policies.Graph) error {
	p := draw(g)
	var b bytes.Buffer
	b.WriteString("digraph calls {\n  rankdir=LR\n  node [shape=box, style=rounded, fontname=\"Helvetica\"]\n  edge [color=\"#64748b\"]\n")
	for i, project := range p.projects {
		fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=%s\n", i, dotText(project))
		for j, n := range p.nodes {
			if n.kind == service && n.project == project {
				fmt.Fprintf(&b, "    n%d [label=%s%s]\n", j, dotText(n.label), tooltip(n.note))
			}
		}
		b.WriteString("  }\n")
	}
	for i, n := range p.nodes {
		switch n.kind {
		case everyone:
			fmt.Fprintf(&b, "  n%d [label=%s, shape=ellipse%s]\n", i, dotText(n.label), tooltip(n.note))
		case outside:
			fmt.Fprintf(&b, "  n%d [label=%s, style=\"rounded,dashed\"%s]\n", i, dotText(n.project+"/"+n.label), tooltip(n.note))
		}
	}
	for _, e := range p.edges {
		look := ""
		switch e.kind {
		case notInvited:
			look = ", style=dashed, color=\"#dc2626\""
		case notAsked:
			look = ", style=dashed, color=\"#d97706\""
		}
		fmt.Fprintf(&b, "  n%d -> n%d [tooltip=%s%s]\n", e.from, e.to, dotText(p.title(e)), look)
	}
	b.WriteString("}\n")
	_, err := w.Write(b.Bytes())
	return err
}

func tooltip(note string) string {
	if note == "" {
		return ""
	}
	return ", tooltip=" + dotText(note)
}

// dotText is a quoted string of DOT. A backslash would begin an escape of
// labels, and control characters have no place in one.
func dotText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
