package callgraph

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/plumbline-dev/plumbline/policies"
)

const (
	margin     = 28.0
	headHeight = 46.0
	nodeHeight = 38.0
	letter     = 7.6  // of a service's name, wider than most
	small      = 6.2  // of a project's name
	minWidth   = 84.0 // of a node
	pageWidth  = 760.0
	hues       = 8 // colours of projects, after which they come again
)

// SVG writes a picture that is laid out, for light and dark pages. Heading is
// its first line.
func SVG(w io.Writer, g policies.Graph, heading string) error {
	c := canvas{picture: draw(g)}
	c.place()
	var b bytes.Buffer
	c.head(&b, heading)
	for i, e := range c.edges {
		c.edge(&b, e, c.way[i])
	}
	for i := range c.nodes {
		c.node(&b, i)
	}
	if c.aloneAt > 0 {
		fmt.Fprintf(&b, `<text class="key" x="%.0f" y="%.1f">call nobody, called by nobody</text>`+"\n", margin, c.aloneAt)
	}
	c.legend(&b)
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

// canvas is a picture with a place for everything.
type canvas struct {
	*picture
	boxes []box
	at    []point
	way   [][]point
	w, h  float64 // of the part with nodes, margins included
	// aloneAt is the height of the caption above the nodes without edges; 0
	// where there are none.
	aloneAt float64
}

// place lays out what is connected, and below it, in rows, what is not.
func (c *canvas) place() {
	connected := make([]bool, len(c.nodes))
	for _, e := range c.edges {
		connected[e.from], connected[e.to] = true, true
	}
	index := make([]int, len(c.nodes))
	var boxes []box
	for i, n := range c.nodes {
		c.boxes = append(c.boxes, c.size(n))
		if connected[i] {
			index[i] = len(boxes)
			boxes = append(boxes, c.boxes[i])
		}
	}
	pairs := make([][2]int, 0, len(c.edges))
	for _, e := range c.edges {
		pairs = append(pairs, [2]int{index[e.from], index[e.to]})
	}
	top := margin + headHeight
	c.at = make([]point, len(c.nodes))
	c.w, c.h = 420, top
	if len(boxes) > 0 {
		laid := arrange(boxes, pairs)
		shift := func(p point) point { return point{p.x + margin, p.y + top} }
		for i := range c.nodes {
			if connected[i] {
				c.at[i] = shift(laid.at[index[i]])
			}
		}
		for _, way := range laid.way {
			for i := range way {
				way[i] = shift(way[i])
			}
			c.way = append(c.way, way)
		}
		c.w, c.h = max(c.w, laid.w+2*margin), top+laid.h+margin
	}
	c.alone(connected)
}

// alone places the nodes that have no edge.
func (c *canvas) alone(connected []bool) {
	if !slices.Contains(connected, false) {
		return
	}
	c.aloneAt = c.h
	x, y := margin, c.h+margin/2
	width := max(c.w, pageWidth)
	for i := range c.nodes {
		if connected[i] {
			continue
		}
		if x > margin && x+c.boxes[i].w+margin > width {
			x, y = margin, y+nodeHeight+rowGap
		}
		c.at[i] = point{x + c.boxes[i].w/2, y + nodeHeight/2}
		x += c.boxes[i].w + rowGap
		c.w = max(c.w, x-rowGap+margin)
	}
	c.h = y + nodeHeight + margin
}

// size of a node: its name, and its project where there are several.
func (c *canvas) size(n node) box {
	label, sub := c.lines(n)
	w := max(float64(utf8.RuneCountInString(label))*letter, float64(utf8.RuneCountInString(sub))*small)
	return box{max(minWidth, w+34), nodeHeight}
}

// lines are the text of a node; the second may be empty.
func (c *canvas) lines(n node) (label, sub string) {
	switch {
	case n.kind == everyone:
		return n.label, "in the mesh"
	case n.kind == outside && n.label == "*":
		return n.project, "any service"
	case n.kind == outside || len(c.projects) > 1:
		return n.label, n.project
	}
	return n.label, ""
}

func (c *canvas) head(b *bytes.Buffer, heading string) {
	h := c.h + c.legendHeight()
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img" font-family="ui-sans-serif, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif">`+"\n", c.w, h, c.w, h)
	fmt.Fprintf(b, "<title>%s</title>\n", text(heading))
	b.WriteString(style)
	for _, kind := range []string{"allowed", "refused", "unasked"} {
		fmt.Fprintf(b, `<marker id="%s" class="%s" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 1L10 5L0 9z"/></marker>`+"\n", kind, kind)
	}
	b.WriteString("</defs>\n")
	fmt.Fprintf(b, `<rect class="page" width="%.0f" height="%.0f"/>`+"\n", c.w, h)
	fmt.Fprintf(b, `<text class="heading" x="%.0f" y="%.0f">%s</text>`+"\n", margin, margin+14, text(heading))
}

// style knows light and dark pages. The colours of projects differ in hue and
// are alike in lightness.
const style = `<defs><style>
.page{fill:#fff}
.heading{fill:#0f172a;font-size:16px;font-weight:600}
.box{fill:#fff;stroke:#cbd5e1;stroke-width:1.25}
.outside .box{stroke-dasharray:5 3}
.everyone .box{fill:#f1f5f9}
.name{fill:#0f172a;font-size:13px;font-weight:600;text-anchor:middle}
.sub,.key{fill:#64748b;font-size:11px}
.sub{text-anchor:middle}
.line{fill:none;stroke:#94a3b8;stroke-width:1.5}
marker path{fill:#94a3b8}
.refused.line{stroke:#dc2626;stroke-dasharray:5 4}
.refused path{fill:#dc2626}
.unasked.line{stroke:#d97706;stroke-dasharray:2 4}
.unasked path{fill:#d97706}
.edge:hover .line{stroke-width:3}
.p0{fill:#2563eb}.p1{fill:#d97706}.p2{fill:#059669}.p3{fill:#db2777}
.p4{fill:#7c3aed}.p5{fill:#0891b2}.p6{fill:#65a30d}.p7{fill:#dc2626}
@media (prefers-color-scheme:dark){
.page{fill:#0f172a}.heading,.name{fill:#f1f5f9}.sub,.key{fill:#94a3b8}
.box{fill:#1e293b;stroke:#475569}.everyone .box{fill:#334155}
.line{stroke:#64748b}marker path{fill:#64748b}
.p0{fill:#60a5fa}.p1{fill:#fbbf24}.p2{fill:#34d399}.p3{fill:#f472b6}
.p4{fill:#a78bfa}.p5{fill:#22d3ee}.p6{fill:#a3e635}.p7{fill:#f87171}
}
</style>
`

func (k edgeKind) class() string { return [...]string{"allowed", "refused", "unasked"}[k] }

// edge draws one arrow through the points of its way.
func (c *canvas) edge(b *bytes.Buffer, e edge, way []point) {
	fmt.Fprintf(b, `<g class="edge"><title>%s</title><path class="%s line" marker-end="url(#%s)" d="M%.1f %.1f`,
		text(c.title(e)), e.kind.class(), e.kind.class(), way[0].x, way[0].y)
	for i := 1; i < len(way); i++ {
		from, to := way[i-1], way[i]
		if from.y == to.y {
			fmt.Fprintf(b, "L%.1f %.1f", to.x, to.y)
			continue
		}
		middle := (from.x + to.x) / 2
		fmt.Fprintf(b, "C%.1f %.1f %.1f %.1f %.1f %.1f", middle, from.y, middle, to.y, to.x, to.y)
	}
	b.WriteString("\"/></g>\n")
}

// node draws one box.
func (c *canvas) node(b *bytes.Buffer, i int) {
	n, at, size := c.nodes[i], c.at[i], c.boxes[i]
	x, y := at.x-size.w/2, at.y-size.h/2
	class, radius, middle := "service", 7.0, at.x
	switch n.kind {
	case everyone:
		class, radius = "everyone", nodeHeight/2
	case outside:
		class, radius = "outside", nodeHeight/2
	}
	title := c.name(i)
	if n.note != "" {
		title += ": " + n.note
	}
	fmt.Fprintf(b, `<g class="%s"><title>%s</title><rect class="box" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%.1f"/>`,
		class, text(title), x, y, size.w, size.h, radius)
	if n.kind == service {
		fmt.Fprintf(b, `<rect class="p%d" x="%.1f" y="%.1f" width="4" height="%.1f" rx="2"/>`, slices.Index(c.projects, n.project)%hues, x+6, y+9, size.h-18)
		middle += 3
	}
	label, sub := c.lines(n)
	if sub == "" {
		fmt.Fprintf(b, `<text class="name" x="%.1f" y="%.1f">%s</text>`, middle, at.y+4.5, text(label))
	} else {
		fmt.Fprintf(b, `<text class="name" x="%.1f" y="%.1f">%s</text><text class="sub" x="%.1f" y="%.1f">%s</text>`,
			middle, at.y-1.5, text(label), middle, at.y+12, text(sub))
	}
	b.WriteString("</g>\n")
}

// text is a value inside of markup: nothing in it is markup, and what XML
// cannot hold is left out.
func text(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffe || r == 0xffff {
			return ' '
		}
		return r
	}, s)
	return html.EscapeString(s)
}

const keyHeight = 20.0

// keys are the kinds of edges that need a word, in order.
func (c *canvas) keys() []edgeKind {
	var out []edgeKind
	for _, kind := range []edgeKind{notInvited, notAsked} {
		if slices.ContainsFunc(c.edges, func(e edge) bool { return e.kind == kind }) {
			out = append(out, kind)
		}
	}
	return out
}

func (c *canvas) legendHeight() float64 {
	if n := len(c.keys()); n > 0 {
		return float64(n)*keyHeight + margin/2
	}
	return 0
}

func (c *canvas) legend(b *bytes.Buffer) {
	for i, kind := range c.keys() {
		y := c.h + float64(i)*keyHeight
		says := map[edgeKind]string{
			notInvited: "not in the callee's whitelist: refused",
			notAsked:   "admitted, but not an upstream of the caller",
		}[kind]
		fmt.Fprintf(b, `<path class="%s line" marker-end="url(#%s)" d="M%.0f %.1fH%.0f"/><text class="key" x="%.0f" y="%.1f">%s</text>`+"\n",
			kind.class(), kind.class(), margin, y, margin+28, margin+38, y+4, says)
	}
}
