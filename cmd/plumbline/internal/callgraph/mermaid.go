package callgraph

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/plumbline-dev/plumbline/policies"
)

// Mermaid writes a flowchart as forges show it in Markdown.
func Mermaid(w io.Writer, g policies.Graph) error {
	p := draw(g)
	var b bytes.Buffer
	b.WriteString("flowchart LR\n")
	for i, project := range p.projects {
		fmt.Fprintf(&b, "  subgraph p%d[\"%s\"]\n", i, mermaidText(project))
		for j, n := range p.nodes {
			if n.kind == service && n.project == project {
				fmt.Fprintf(&b, "    n%d[\"%s\"]\n", j, mermaidText(n.label))
			}
		}
		b.WriteString("  end\n")
	}
	for i, n := range p.nodes {
		switch n.kind {
		case everyone:
			fmt.Fprintf(&b, "  n%d((\"%s\"))\n", i, mermaidText(n.label))
		case outside:
			fmt.Fprintf(&b, "  n%d([\"%s\"])\n", i, mermaidText(n.project+"/"+n.label))
		}
	}
	for _, e := range p.edges {
		arrow := "-->"
		switch e.kind {
		case notInvited:
			arrow = "-. not admitted .->"
		case notAsked:
			arrow = "-. not an upstream .->"
		}
		fmt.Fprintf(&b, "  n%d %s n%d\n", e.from, arrow, e.to)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// mermaidText spells everything but plain letters as Mermaid's entities, so
// that no name ends a string or becomes markup.
func mermaidText(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" -_./", r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}
