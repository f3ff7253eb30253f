package callgraph

import (
	"cmp"
	"slices"
)

// The layout is that of Sugiyama, Tagawa and Toda (1981), from left to right:
// turn edges until there is no circle, put nodes into layers, order each layer
// so that few edges cross, and move nodes near their neighbours.

// box is the size of a node.
type box struct{ w, h float64 }

// point is a place in the picture.
type point struct{ x, y float64 }

// arranged is a finished layout: the centre of each node, and for each edge the
// points that it passes, from its beginning to its end.
type arranged struct {
	at   []point
	way  [][]point
	w, h float64
}

const (
	columnGap = 84.0 // between layers
	rowGap    = 22.0 // between nodes of a layer
	laneGap   = 14.0 // between edges that pass a layer
	portGap   = 12.0 // between edges at one side of a node, at most

	// In a picture of more lanes than anybody could follow, edges over more
	// layers than longEdge are drawn as they come, across what lies between.
	maxLanes = 10_000
	longEdge = 3
)

// cell is a node in its layer, or the place where an edge passes one.
type cell struct {
	real   bool
	box    box
	layer  int
	left   []int // neighbours in the layer before, and after
	right  []int
	y      float64
	column float64 // centre
}

// sheet is a layout in the making. The first cells are the nodes.
type sheet struct {
	cells  []cell
	layers [][]int
	// chains are the cells of each edge from left to right; turned edges begin
	// at their end.
	chains [][]int
	turned []bool
}

// arrange lays out nodes that edges (from, to) connect. No edge leads from a
// node to itself.
func arrange(boxes []box, edges [][2]int) arranged {
	s := newSheet(boxes, edges)
	s.order()
	s.columns()
	s.rows()
	return s.finish(edges)
}

func newSheet(boxes []box, edges [][2]int) *sheet {
	s := &sheet{turned: circles(len(boxes), edges)}
	for _, b := range boxes {
		s.cells = append(s.cells, cell{real: true, box: b})
	}
	straight := make([][2]int, len(edges))
	for i, e := range edges {
		straight[i] = e
		if s.turned[i] {
			straight[i] = [2]int{e[1], e[0]}
		}
	}
	count := 0
	for i, l := range layering(len(boxes), straight) {
		s.cells[i].layer = l
		count = max(count, l+1)
	}
	s.layers = make([][]int, count)
	lanes := 0
	for _, e := range straight {
		lanes += s.cells[e[1]].layer - s.cells[e[0]].layer - 1
	}
	for _, e := range straight {
		if lanes > maxLanes && s.cells[e[1]].layer-s.cells[e[0]].layer > longEdge {
			s.chains = append(s.chains, []int{e[0], e[1]})
			continue
		}
		chain := []int{e[0]}
		for l := s.cells[e[0]].layer + 1; l < s.cells[e[1]].layer; l++ {
			s.cells = append(s.cells, cell{layer: l})
			chain = append(chain, len(s.cells)-1)
		}
		chain = append(chain, e[1])
		for i := 1; i < len(chain); i++ {
			s.cells[chain[i-1]].right = append(s.cells[chain[i-1]].right, chain[i])
			s.cells[chain[i]].left = append(s.cells[chain[i]].left, chain[i-1])
		}
		s.chains = append(s.chains, chain)
	}
	for i, c := range s.cells {
		s.layers[c.layer] = append(s.layers[c.layer], i)
	}
	return s
}

// circles tells which edges to turn, so that there is no circle: those that
// lead back in a walk that begins at nodes nobody calls.
func circles(n int, edges [][2]int) []bool {
	out := make([][]int, n)
	called := make([]bool, n)
	for i, e := range edges {
		out[e[0]] = append(out[e[0]], i)
		called[e[1]] = true
	}
	turned := make([]bool, len(edges))
	state := make([]int, n) // 0 not seen, 1 on the way, 2 done
	type step struct{ node, next int }
	walk := func(from int) {
		if state[from] != 0 {
			return
		}
		state[from] = 1
		for way := []step{{from, 0}}; len(way) > 0; {
			top := &way[len(way)-1]
			if top.next == len(out[top.node]) {
				state[top.node] = 2
				way = way[:len(way)-1]
				continue
			}
			i := out[top.node][top.next]
			top.next++
			switch to := edges[i][1]; state[to] {
			case 0:
				state[to] = 1
				way = append(way, step{to, 0})
			case 1:
				turned[i] = true
			}
		}
	}
	for i := range n {
		if !called[i] {
			walk(i)
		}
	}
	for i := range n {
		walk(i)
	}
	return turned
}

// layering is the layer of each node: right of all that lead to it, and as near
// as can be to those that it leads to.
func layering(n int, edges [][2]int) []int {
	in, out := make([][]int, n), make([][]int, n)
	for _, e := range edges {
		out[e[0]] = append(out[e[0]], e[1])
		in[e[1]] = append(in[e[1]], e[0])
	}
	layer, wait := make([]int, n), make([]int, n)
	var order []int
	for i := range n {
		if wait[i] = len(in[i]); wait[i] == 0 {
			order = append(order, i)
		}
	}
	for i := 0; i < len(order); i++ {
		for _, to := range out[order[i]] {
			layer[to] = max(layer[to], layer[order[i]]+1)
			if wait[to]--; wait[to] == 0 {
				order = append(order, to)
			}
		}
	}
	for _, i := range slices.Backward(order) {
		if len(out[i]) <= len(in[i]) {
			continue
		}
		next := n
		for _, to := range out[i] {
			next = min(next, layer[to])
		}
		layer[i] = next - 1
	}
	lowest := slices.Min(append([]int{n}, layer...))
	for i := range layer {
		layer[i] -= lowest
	}
	return layer
}

// order sorts the cells of each layer so that few edges cross.
func (s *sheet) order() {
	place := make([]int, len(s.cells))
	note := func(layer []int) {
		for i, c := range layer {
			place[c] = i
		}
	}
	for _, l := range s.layers {
		note(l)
	}
	best, fewest := s.copyLayers(), s.crossings(place)
	rounds := 24
	if len(s.cells) > 2000 {
		rounds = 4
	}
	for round := 0; round < rounds && fewest > 0; round++ {
		for k := range s.layers {
			i, toLeft := k, true
			if round%2 == 1 {
				i, toLeft = len(s.layers)-1-k, false
			}
			s.byMean(s.layers[i], toLeft, place)
			note(s.layers[i])
		}
		s.swap(place)
		if n := s.crossings(place); n < fewest {
			best, fewest = s.copyLayers(), n
		}
	}
	s.layers = best
}

func (s *sheet) copyLayers() [][]int {
	out := make([][]int, len(s.layers))
	for i, l := range s.layers {
		out[i] = slices.Clone(l)
	}
	return out
}

// byMean sorts a layer by the mean place of the neighbours on one side. Cells
// without any stay where they are.
func (s *sheet) byMean(layer []int, toLeft bool, place []int) {
	mean := make(map[int]float64, len(layer))
	for _, c := range layer {
		neighbours := s.cells[c].right
		if toLeft {
			neighbours = s.cells[c].left
		}
		mean[c] = float64(place[c])
		if len(neighbours) > 0 {
			sum := 0
			for _, n := range neighbours {
				sum += place[n]
			}
			mean[c] = float64(sum) / float64(len(neighbours))
		}
	}
	slices.SortStableFunc(layer, func(a, b int) int { return cmp.Compare(mean[a], mean[b]) })
}

// swap exchanges neighbours in a layer where that saves crossings.
func (s *sheet) swap(place []int) {
	for again, rounds := true, 0; again && rounds < 8; rounds++ {
		again = false
		for _, layer := range s.layers {
			for i := 1; i < len(layer); i++ {
				a, b := layer[i-1], layer[i]
				now := pairCrossings(s.cells[a].left, s.cells[b].left, place) + pairCrossings(s.cells[a].right, s.cells[b].right, place)
				then := pairCrossings(s.cells[b].left, s.cells[a].left, place) + pairCrossings(s.cells[b].right, s.cells[a].right, place)
				if then < now {
					layer[i-1], layer[i] = b, a
					place[a], place[b] = i, i-1
					again = true
				}
			}
		}
	}
}

// pairCrossings counts the edges of an upper cell that cross those of a lower.
func pairCrossings(upper, lower, place []int) int {
	n := 0
	for _, u := range upper {
		for _, l := range lower {
			if place[u] > place[l] {
				n++
			}
		}
	}
	return n
}

// crossings counts all edges that cross, layer by layer: pairs that are in one
// order on the left and in the other on the right (Barth, Mutzel and Jünger
// 2002).
func (s *sheet) crossings(place []int) int {
	total := 0
	for _, layer := range s.layers {
		var ends []int
		for _, c := range layer {
			right := make([]int, 0, len(s.cells[c].right))
			for _, n := range s.cells[c].right {
				right = append(right, place[n])
			}
			slices.Sort(right)
			ends = append(ends, right...)
		}
		if len(ends) == 0 {
			continue
		}
		tree := make([]int, slices.Max(ends)+2)
		for seen, e := range ends {
			notAbove := 0
			for i := e + 1; i > 0; i -= i & -i {
				notAbove += tree[i]
			}
			total += seen - notAbove
			for i := e + 1; i < len(tree); i += i & -i {
				tree[i]++
			}
		}
	}
	return total
}

// columns gives each layer its place from left to right.
func (s *sheet) columns() {
	x := 0.0
	for _, layer := range s.layers {
		w := 0.0
		for _, c := range layer {
			w = max(w, s.cells[c].box.w)
		}
		for _, c := range layer {
			s.cells[c].column = x + w/2
			if !s.cells[c].real {
				s.cells[c].box.w = w
			}
		}
		x += w + columnGap
	}
}

// rows moves the cells of each layer near their neighbours, in their order.
func (s *sheet) rows() {
	for _, layer := range s.layers {
		y := 0.0
		for i, c := range layer {
			if i > 0 {
				y += s.distance(layer[i-1], c)
			}
			s.cells[c].y = y
		}
	}
	for round := range 40 {
		for k := range s.layers {
			i := k
			if round%2 == 1 {
				i = len(s.layers) - 1 - k
			}
			s.settle(s.layers[i])
		}
	}
}

// distance between the centres of two cells, one below the other.
func (s *sheet) distance(upper, lower int) float64 {
	a, b := s.cells[upper], s.cells[lower]
	gap := rowGap
	if !a.real || !b.real {
		gap = laneGap
	}
	return (a.box.h+b.box.h)/2 + gap
}

// settle gives the cells of a layer the places nearest to their neighbours (the
// least sum of squares) that keep their order and distances: cells that push
// each other move together.
func (s *sheet) settle(layer []int) {
	type group struct {
		sum, weight float64 // of the wished places, less the offset
		n           int
	}
	var groups []group
	offset := 0.0
	offsets := make([]float64, len(layer))
	for i, c := range layer {
		if i > 0 {
			offset += s.distance(layer[i-1], c)
		}
		offsets[i] = offset
		wish, weight := s.wish(c)
		groups = append(groups, group{(wish - offset) * weight, weight, 1})
		for len(groups) > 1 {
			a, b := groups[len(groups)-2], groups[len(groups)-1]
			if a.sum/a.weight <= b.sum/b.weight {
				break
			}
			groups = append(groups[:len(groups)-2], group{a.sum + b.sum, a.weight + b.weight, a.n + b.n})
		}
	}
	i := 0
	for _, g := range groups {
		for range g.n {
			s.cells[layer[i]].y = g.sum/g.weight + offsets[i]
			i++
		}
	}
}

// wish is where a cell would lie without others, and how much that matters:
// an edge that passes layers should be straight.
func (s *sheet) wish(c int) (y, weight float64) {
	for _, side := range [][]int{s.cells[c].left, s.cells[c].right} {
		for _, n := range side {
			w := 1.0
			if !s.cells[c].real && !s.cells[n].real {
				w = 8
			} else if !s.cells[c].real || !s.cells[n].real {
				w = 2
			}
			y += w * s.cells[n].y
			weight += w
		}
	}
	if weight == 0 {
		return s.cells[c].y, 0.01
	}
	return y / weight, weight
}

// finish moves the picture to the origin and leads the edges.
func (s *sheet) finish(edges [][2]int) arranged {
	top, bottom, right := 0.0, 0.0, 0.0
	for i, c := range s.cells {
		if i == 0 {
			top, bottom = c.y-c.box.h/2, c.y+c.box.h/2
		}
		top, bottom = min(top, c.y-c.box.h/2), max(bottom, c.y+c.box.h/2)
		right = max(right, c.column+c.box.w/2)
	}
	out := arranged{w: right, h: bottom - top}
	for i := range s.cells {
		s.cells[i].y -= top
		if s.cells[i].real {
			out.at = append(out.at, point{s.cells[i].column, s.cells[i].y})
		}
	}
	starts, ends := s.ports()
	for i := range edges {
		chain := s.chains[i]
		first, last := s.cells[chain[0]], s.cells[chain[len(chain)-1]]
		way := []point{{first.column + first.box.w/2, starts[i]}}
		for _, c := range chain[1 : len(chain)-1] {
			lane := s.cells[c]
			way = append(way, point{lane.column - lane.box.w/2, lane.y}, point{lane.column + lane.box.w/2, lane.y})
		}
		way = append(way, point{last.column - last.box.w/2, ends[i]})
		if s.turned[i] {
			slices.Reverse(way)
		}
		out.way = append(out.way, way)
	}
	return out
}

// ports are the heights at which each edge leaves its left node and reaches its
// right one: spread over the side, in the order of the other ends.
func (s *sheet) ports() (starts, ends []float64) {
	starts, ends = make([]float64, len(s.chains)), make([]float64, len(s.chains))
	leaving, arriving := map[int][]int{}, map[int][]int{}
	for i, chain := range s.chains {
		leaving[chain[0]] = append(leaving[chain[0]], i)
		last := chain[len(chain)-1]
		arriving[last] = append(arriving[last], i)
	}
	spread := func(at map[int][]int, next func(chain []int) int, into []float64) {
		for c, list := range at {
			slices.SortStableFunc(list, func(a, b int) int {
				return cmp.Compare(s.cells[next(s.chains[a])].y, s.cells[next(s.chains[b])].y)
			})
			gap := min(portGap, (s.cells[c].box.h-14)/float64(len(list)))
			for k, i := range list {
				into[i] = s.cells[c].y + (float64(k)-float64(len(list)-1)/2)*gap
			}
		}
	}
	spread(leaving, func(chain []int) int { return chain[1] }, starts)
	spread(arriving, func(chain []int) int { return chain[len(chain)-2] }, ends)
	return starts, ends
}
