package callgraph

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/policies"
)

// hostile are names that would break out of each format, if they could.
func hostile() []string {
	return []string{
		`"]; click n0 "javascript:alert(1)"`, `</text><script>alert(1)</script>`, `a"b\`, "x\nend\nn9-->n8", `&lt;b&gt;`,
		"\x00\x1b[31m", "\xff\xfe", `<img src=x onerror=alert(1)>`, "`code` **bold**", `\N\G`, `%%{init: {"theme":"dark"}}%%`,
	}
}

func hostileGraph() policies.Graph {
	var peers []plumbline.Peer
	for i, name := range hostile() {
		peers = append(peers, plumbline.Peer{
			Service:   plumbline.PeerRef{Project: name, Service: name},
			Upstreams: []plumbline.PeerRef{{Project: "*", Service: "*"}},
			Whitelist: []plumbline.PeerRef{{Project: fmt.Sprint(name, i), Service: name}, {Project: hostile()[0], Service: hostile()[0]}},
		})
	}
	return policies.CallGraph(peers, nil)
}

// Whatever a name holds, an SVG has no elements but ours, no attributes that
// run anything, and shows the name as it is.
func TestSVGHoldsNoMarkupOfNames(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := SVG(&b, hostileGraph(), hostile()[1]); err != nil {
		t.Fatal(err)
	}
	ours := []string{"svg", "title", "defs", "style", "marker", "path", "rect", "text", "g"}
	attributes := []string{
		"xmlns", "width", "height", "viewBox", "role", "font-family", "id", "class", "refX", "refY", "markerWidth", "markerHeight",
		"orient", "d", "x", "y", "rx", "marker-end",
	}
	var shown []string
	for d := xml.NewDecoder(&b); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if !slices.Contains(ours, token.Name.Local) {
				t.Errorf("element <%s>", token.Name.Local)
			}
			for _, a := range token.Attr {
				if !slices.Contains(attributes, a.Name.Local) {
					t.Errorf("attribute %s=%q", a.Name.Local, a.Value)
				}
			}
		case xml.CharData:
			shown = append(shown, string(token))
		}
	}
	for _, name := range []string{hostile()[0], hostile()[1], hostile()[4]} {
		if !slices.Contains(shown, name) {
			t.Errorf("%q is not shown", name)
		}
	}
}

// Mermaid's lines are of known forms, with nothing but plain letters and
// entities inside of quotes.
func TestMermaidHoldsNoMarkupOfNames(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := Mermaid(&b, hostileGraph()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		before, rest, quoted := strings.Cut(strings.TrimSuffix(line, "\n"), `"`)
		name, after, closed := strings.Cut(rest, `"`)
		if quoted != closed || strings.ContainsAny(before+after, "\"'`<&%;\\") || strings.ContainsAny(name, "\"'`<>&%()[]{}\\") {
			t.Errorf("line %q", line)
		}
	}
	if lines := strings.Count(b.String(), "\n"); lines < 2*len(hostile()) {
		t.Errorf("%d lines", lines)
	}
}

// In DOT every quote and backslash of a name is escaped: read as DOT reads it,
// a line ends outside of strings, and outside of them stands nothing of names.
func TestDOTHoldsNoMarkupOfNames(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := DOT(&b, hostileGraph()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		inside, outside := false, ""
		for i := 0; i < len(line); i++ {
			switch {
			case inside && line[i] == '\\':
				i++
			case line[i] == '"':
				inside = !inside
			case !inside:
				outside += line[i : i+1]
			}
		}
		if inside || strings.Contains(outside, "alert") || strings.Contains(outside, "click") || strings.ContainsAny(outside, "<%") {
			t.Errorf("line %q", line)
		}
	}
}

// The same graph gives the same bytes, in whatever order its services came.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		peers := drawPeers(t, 12)
		draw := func() string {
			var b bytes.Buffer
			g := policies.CallGraph(peers, nil)
			for _, err := range []error{SVG(&b, g, "x"), Mermaid(&b, g), DOT(&b, g)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			return b.String()
		}
		first := draw()
		slices.Reverse(peers)
		if second := draw(); second != first {
			t.Fatal("another picture")
		}
	})
}

func drawPeers(t *rapid.T, most int) []plumbline.Peer {
	n := rapid.IntRange(0, most).Draw(t, "services")
	ref := func(i int) plumbline.PeerRef {
		return plumbline.PeerRef{Project: fmt.Sprintf("p%d", i%3), Service: fmt.Sprintf("s%d", i)}
	}
	var peers []plumbline.Peer
	for i := range n {
		p := plumbline.Peer{Service: ref(i)}
		for _, j := range rapid.SliceOfN(rapid.IntRange(0, n-1), 0, 4).Draw(t, "upstreams") {
			p.Upstreams = append(p.Upstreams, ref(j))
		}
		for _, j := range rapid.SliceOfN(rapid.IntRange(-2, n-1), 0, 4).Draw(t, "whitelist") {
			switch j {
			case -1:
				p.Whitelist = append(p.Whitelist, plumbline.PeerRef{Project: "*", Service: "*"})
			case -2:
				p.Whitelist = append(p.Whitelist, plumbline.PeerRef{Project: "gateway", Service: "*"})
			default:
				p.Whitelist = append(p.Whitelist, ref(j))
			}
		}
		peers = append(peers, p)
	}
	return peers
}

// Of every layout: no two boxes touch, all lies in the picture, and each edge
// goes from a side of its one box to a side of its other.
func TestArrange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 14).Draw(t, "nodes")
		boxes := make([]box, n)
		for i := range boxes {
			boxes[i] = box{rapid.Float64Range(20, 200).Draw(t, "w"), nodeHeight}
		}
		var edges [][2]int
		for range rapid.IntRange(0, 3*n).Draw(t, "edges") {
			a, b := rapid.IntRange(0, n-1).Draw(t, "from"), rapid.IntRange(0, n-1).Draw(t, "to")
			if a != b && !slices.Contains(edges, [2]int{a, b}) {
				edges = append(edges, [2]int{a, b})
			}
		}
		laid := arrange(boxes, edges)
		for i, p := range laid.at {
			if p.x-boxes[i].w/2 < -0.01 || p.y-boxes[i].h/2 < -0.01 || p.x+boxes[i].w/2 > laid.w+0.01 || p.y+boxes[i].h/2 > laid.h+0.01 {
				t.Fatalf("box %d at %v is outside of %v × %v", i, p, laid.w, laid.h)
			}
			for j, q := range laid.at[:i] {
				if math.Abs(p.x-q.x) < (boxes[i].w+boxes[j].w)/2 && math.Abs(p.y-q.y) < (boxes[i].h+boxes[j].h)/2+rowGap-0.01 {
					t.Fatalf("boxes %d at %v and %d at %v touch", i, p, j, q)
				}
			}
		}
		side := func(i int, p point) bool {
			return math.Abs(math.Abs(p.x-laid.at[i].x)-boxes[i].w/2) < 0.01 && math.Abs(p.y-laid.at[i].y) <= boxes[i].h/2
		}
		for i, e := range edges {
			if way := laid.way[i]; !side(e[0], way[0]) || !side(e[1], way[len(way)-1]) {
				t.Fatalf("edge %v goes %v, its boxes are at %v and %v", e, way, laid.at[e[0]], laid.at[e[1]])
			}
		}
	})
}

// Edges that need not cross do not.
func TestArrangeUncrosses(t *testing.T) {
	t.Parallel()
	boxes := make([]box, 8)
	for i := range boxes {
		boxes[i] = box{80, nodeHeight}
	}
	s := newSheet(boxes, [][2]int{{0, 7}, {1, 6}, {2, 5}, {3, 4}})
	place := func() []int {
		p := make([]int, len(s.cells))
		for _, l := range s.layers {
			for i, c := range l {
				p[c] = i
			}
		}
		return p
	}
	if n := s.crossings(place()); n != 6 {
		t.Fatalf("%d crossings before", n)
	}
	s.order()
	if n := s.crossings(place()); n != 0 {
		t.Errorf("%d crossings are left", n)
	}
}

func BenchmarkSVG(b *testing.B) {
	var peers []plumbline.Peer
	ref := func(i int) plumbline.PeerRef {
		return plumbline.PeerRef{Project: fmt.Sprintf("p%d", i/50), Service: fmt.Sprintf("s%d", i)}
	}
	for i := range 1000 {
		peers = append(peers, plumbline.Peer{
			Service:   ref(i),
			Upstreams: []plumbline.PeerRef{ref((i*7 + 1) % 1000), ref((i*31 + 5) % 1000), ref((i + 1) % 1000)},
			Whitelist: []plumbline.PeerRef{{Project: "*"}},
		})
	}
	g := policies.CallGraph(peers, nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := SVG(io.Discard, g, "x"); err != nil {
			b.Fatal(err)
		}
	}
}
