package plumbline

import "iter"

// RefMap is an immutable map by Ref, in order. With and Without give another
// map, which shares with the first all but a path of nodes, and Diff of two such
// maps costs what differs between them: what was derived from one can be brought
// up to date for the other. The zero value is the empty map.
//
// It is a weight-balanced tree (Adams, "Efficient sets: a balancing act", with
// the parameters of Hirai and Yamamoto, "Balancing weight-balanced trees").
type RefMap[V comparable] struct{ root *refNode[V] }

type refNode[V comparable] struct {
	ref         Ref
	value       V
	left, right *refNode[V]
	size        int
}

// RefMapOf makes a map of n entries, whose Refs at gives in ascending order,
// none twice.
func RefMapOf[V comparable](n int, at func(int) (Ref, V)) RefMap[V] {
	var build func(from, to int) *refNode[V]
	build = func(from, to int) *refNode[V] {
		if from == to {
			return nil
		}
		middle := from + (to-from)/2
		left := build(from, middle)
		ref, v := at(middle)
		return newRefNode(left, ref, v, build(middle+1, to))
	}
	return RefMap[V]{build(0, n)}
}

// Len is the number of entries.
func (m RefMap[V]) Len() int { return m.root.len() }

// Get returns the value of ref.
func (m RefMap[V]) Get(ref Ref) (v V, ok bool) {
	for n := m.root; n != nil; {
		switch c := ref.Compare(n.ref); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n.value, true
		}
	}
	return v, false
}

// With is the map in which ref has the value v.
func (m RefMap[V]) With(ref Ref, v V) RefMap[V] { return RefMap[V]{m.root.with(ref, v)} }

// Without is the map in which ref has no value.
func (m RefMap[V]) Without(ref Ref) RefMap[V] { return RefMap[V]{m.root.without(ref)} }

// All are the entries in the order of their Refs.
func (m RefMap[V]) All() iter.Seq2[Ref, V] {
	return func(yield func(Ref, V) bool) { m.root.each(yield) }
}

// Kinds are the kinds of the Refs, in order. It does not look at every entry.
func (m RefMap[V]) Kinds() []GroupKind {
	var out []GroupKind
	for n := m.root.firstAfter(GroupKind{}); n != nil; n = m.root.firstAfter(n.ref.GroupKind()) {
		out = append(out, n.ref.GroupKind())
	}
	return out
}

// Diff are the Refs of which the two maps do not hold the same, in order. What
// the maps share is not looked at.
func (m RefMap[V]) Diff(o RefMap[V]) iter.Seq[Ref] {
	return func(yield func(Ref) bool) { diffRefs(m.root, o.root, yield) }
}

func diffRefs[V comparable](a, b *refNode[V], yield func(Ref) bool) bool {
	entry := func(ref Ref, _ V) bool { return yield(ref) }
	switch {
	case a == b:
		return true
	case a == nil:
		return b.each(entry)
	case b == nil:
		return a.each(entry)
	}
	less, same, more := a.split(b.ref)
	return diffRefs(less, b.left, yield) &&
		(same != nil && same.value == b.value || yield(b.ref)) &&
		diffRefs(more, b.right, yield)
}

func (n *refNode[V]) len() int {
	if n == nil {
		return 0
	}
	return n.size
}

func (n *refNode[V]) each(yield func(Ref, V) bool) bool {
	return n == nil || n.left.each(yield) && yield(n.ref, n.value) && n.right.each(yield)
}

// firstAfter is the first node of a kind after k; the empty kind is before all.
func (n *refNode[V]) firstAfter(k GroupKind) (found *refNode[V]) {
	for n != nil {
		if n.ref.GroupKind().Compare(k) > 0 {
			found, n = n, n.left
		} else {
			n = n.right
		}
	}
	return found
}

func (n *refNode[V]) with(ref Ref, v V) *refNode[V] {
	if n == nil {
		return newRefNode(nil, ref, v, nil)
	}
	switch c := ref.Compare(n.ref); {
	case c < 0:
		return n.over(n.left.with(ref, v), n.right)
	case c > 0:
		return n.over(n.left, n.right.with(ref, v))
	case n.value == v:
		return n
	default:
		return newRefNode(n.left, ref, v, n.right)
	}
}

func (n *refNode[V]) without(ref Ref) *refNode[V] {
	if n == nil {
		return nil
	}
	switch c := ref.Compare(n.ref); {
	case c < 0:
		return n.over(n.left.without(ref), n.right)
	case c > 0:
		return n.over(n.left, n.right.without(ref))
	default:
		return joined(n.left, n.right)
	}
}

// split is what lies before ref, at it, and after it.
func (n *refNode[V]) split(ref Ref) (less, same, more *refNode[V]) {
	if n == nil {
		return nil, nil, nil
	}
	switch c := ref.Compare(n.ref); {
	case c < 0:
		less, same, more = n.left.split(ref)
		return less, same, n.linked(more, n.right)
	case c > 0:
		less, same, more = n.right.split(ref)
		return n.linked(n.left, less), same, more
	default:
		return n.left, n, n.right
	}
}

// The balance: of two siblings neither weighs more than three times the other.
const (
	maxWeights  = 3
	singleBelow = 2 // an inner child of less than twice the outer one is turned once
)

func heavier(a, b int) bool { return a+b > 1 && a > maxWeights*b }

// newRefNode makes a node of children that are in balance.
func newRefNode[V comparable](left *refNode[V], ref Ref, v V, right *refNode[V]) *refNode[V] {
	return &refNode[V]{ref: ref, value: v, left: left, right: right, size: left.len() + right.len() + 1}
}

// over is n over other children, of which one gained or lost one node.
func (n *refNode[V]) over(left, right *refNode[V]) *refNode[V] {
	switch {
	case left == n.left && right == n.right:
		return n
	case heavier(right.len(), left.len()):
		if r := right; r.left.len() < singleBelow*r.right.len() {
			return newRefNode(newRefNode(left, n.ref, n.value, r.left), r.ref, r.value, r.right)
		}
		m := right.left
		return newRefNode(newRefNode(left, n.ref, n.value, m.left), m.ref, m.value, newRefNode(m.right, right.ref, right.value, right.right))
	case heavier(left.len(), right.len()):
		if l := left; l.right.len() < singleBelow*l.left.len() {
			return newRefNode(l.left, l.ref, l.value, newRefNode(l.right, n.ref, n.value, right))
		}
		m := left.right
		return newRefNode(newRefNode(left.left, left.ref, left.value, m.left), m.ref, m.value, newRefNode(m.right, n.ref, n.value, right))
	default:
		return newRefNode(left, n.ref, n.value, right)
	}
}

// linked is n between two trees of any weights.
func (n *refNode[V]) linked(left, right *refNode[V]) *refNode[V] {
	switch {
	case left == n.left && right == n.right:
		return n
	case left == nil:
		return right.with(n.ref, n.value)
	case right == nil:
		return left.with(n.ref, n.value)
	case heavier(right.len(), left.len()):
		return right.over(n.linked(left, right.left), right.right)
	case heavier(left.len(), right.len()):
		return left.over(left.left, n.linked(left.right, right))
	default:
		return newRefNode(left, n.ref, n.value, right)
	}
}

// joined is the two children of a node without it.
func joined[V comparable](left, right *refNode[V]) *refNode[V] {
	switch {
	case left == nil:
		return right
	case right == nil:
		return left
	case left.size > right.size:
		last := left
		for last.right != nil {
			last = last.right
		}
		return last.over(left.without(last.ref), right)
	default:
		first := right
		for first.left != nil {
			first = first.left
		}
		return first.over(left, right.without(first.ref))
	}
}
