package plumbline

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestRefMap plays edits of two maps that stem from one, beside Go's maps.
func TestRefMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ref := rapid.Custom(func(t *rapid.T) Ref {
			return Ref{
				Kind: rapid.SampledFrom([]string{"ConfigMap", "Secret", "Service"}).Draw(t, "kind"),
				Name: fmt.Sprintf("n%02d", rapid.IntRange(0, 60).Draw(t, "name")),
			}
		})
		edit := func(m RefMap[int], model map[Ref]int, label string) (RefMap[int], map[Ref]int) {
			model = maps.Clone(model)
			for range rapid.IntRange(0, 80).Draw(t, label) {
				r := ref.Draw(t, "ref")
				if rapid.Bool().Draw(t, "set") {
					v := rapid.IntRange(0, 3).Draw(t, "value")
					m, model[r] = m.With(r, v), v
				} else {
					m = m.Without(r)
					delete(model, r)
				}
			}
			sameAs(t, m, model)
			return m, model
		}
		a, modelA := edit(RefMap[int]{}, map[Ref]int{}, "first")
		b, modelB := edit(a, modelA, "then")
		sameAs(t, a, modelA) // what came of it did not change it

		var want []Ref
		for r := range unionOf(modelA, modelB) {
			x, inA := modelA[r]
			y, inB := modelB[r]
			if x != y || inA != inB {
				want = append(want, r)
			}
		}
		slices.SortFunc(want, Ref.Compare)
		if got := slices.Collect(a.Diff(b)); !slices.Equal(got, want) {
			t.Fatalf("Diff: %v, want %v", got, want)
		}
		if got := slices.Collect(b.Diff(a)); !slices.Equal(got, want) {
			t.Fatalf("Diff the other way: %v, want %v", got, want)
		}
		refs := slices.SortedFunc(maps.Keys(modelB), Ref.Compare)
		built := RefMapOf(len(refs), func(i int) (Ref, int) { return refs[i], modelB[refs[i]] })
		sameAs(t, built, modelB)
		if got := slices.Collect(b.Diff(built)); len(got) > 0 {
			t.Fatalf("the same, built at once, differs: %v", got)
		}
	})
}

func unionOf(a, b map[Ref]int) map[Ref]int {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func sameAs(t *rapid.T, m RefMap[int], model map[Ref]int) {
	t.Helper()
	want := slices.SortedFunc(maps.Keys(model), Ref.Compare)
	var got []Ref
	for r, v := range m.All() {
		got = append(got, r)
		if seen, ok := m.Get(r); !ok || seen != v || v != model[r] {
			t.Fatalf("%s: %d, Get %d %v, want %d", r, v, seen, ok, model[r])
		}
	}
	if !slices.Equal(got, want) || m.Len() != len(want) {
		t.Fatalf("%d: %v, want %v", m.Len(), got, want)
	}
	if _, ok := m.Get(Ref{Kind: "Pod"}); ok {
		t.Fatal("Get finds what is not there")
	}
	var kinds []GroupKind
	for _, r := range want {
		kinds = append(kinds, r.GroupKind())
	}
	if kinds = slices.Compact(kinds); !slices.Equal(m.Kinds(), kinds) {
		t.Fatalf("Kinds: %v, want %v", m.Kinds(), kinds)
	}
	balanced(t, m.root)
}

func balanced(t *rapid.T, n *refNode[int]) {
	if n == nil {
		return
	}
	if heavier(n.left.len(), n.right.len()) || heavier(n.right.len(), n.left.len()) || n.size != n.left.len()+n.right.len()+1 {
		t.Fatalf("%d over %d and %d", n.size, n.left.len(), n.right.len())
	}
	balanced(t, n.left)
	balanced(t, n.right)
}

// TestRefMapSharesWhatIsTheSame: a change allocates, and Diff looks at, a path
// of nodes, not the map.
func TestRefMapSharesWhatIsTheSame(t *testing.T) {
	const n = 1 << 15
	key := func(i int) Ref { return Ref{Kind: "Secret", Name: fmt.Sprintf("s%06d", i)} }
	m := RefMapOf(n, func(i int) (Ref, int) { return key(i), i })
	changed := key(12345)
	edits := testing.AllocsPerRun(10, func() { _ = m.With(changed, -1) })
	next := m.With(changed, -1).Without(key(0)).With(key(n), 1)
	diffs := testing.AllocsPerRun(10, func() {
		if got := slices.Collect(m.Diff(next)); !slices.Equal(got, []Ref{key(0), changed, key(n)}) {
			t.Errorf("Diff: %v", got)
		}
	})
	if edits > 32 || diffs > 100 {
		t.Errorf("%v allocations to change one of %d, %v to tell three changes", edits, n, diffs)
	}
}
