package state

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/plumbline-dev/plumbline"
)

// The entries of a project are divided into shards, each a ConfigMap, so that a
// change writes what lies near it and not the project. All objects of a service
// are in one shard. There are 2ⁿ shards: when they get too large, each becomes
// two. There are never fewer again.
const (
	fullShard = 512       // entries, on average
	maxShard  = 700 << 10 // bytes, encoded; the API server takes 1 MiB
	maxShards = 1 << 12

	// maxPlanned is for what is planned, in bytes, encoded. It is in one ConfigMap
	// with a shard and the record.
	maxPlanned = 256 << 10
)

// group is what stays together: the objects of a service, or one object that is
// of none.
type group struct {
	project string
	sum     uint32
}

func groupOf(e *Entry) group {
	h := fnv.New32a()
	if e.Service != "" {
		_, _ = h.Write([]byte(e.Service))
	} else {
		_, _ = h.Write([]byte(e.Ref.String()))
	}
	return group{e.Project, h.Sum32()}
}

// shard of the group, of n.
func (g group) shard(n int) int { return int(g.sum) & (n - 1) }

// sharding is how a project is divided.
type sharding struct {
	n    int
	anew bool // not all is in its place: every shard is to be written
}

// layout is the shards of a project, as far as they are to be written.
type layout struct {
	n       int
	all     bool
	encoded map[int][]byte
}

// layout encodes the shards that are due; all, where their number changes.
func (s *Store) layout(inv *Inventory, project string, due func(shard, n int) bool) (layout, error) {
	groups, before := inv.groups[project], s.shards[project]
	entries := 0
	for _, refs := range groups {
		entries += len(refs)
	}
	n := max(1, before.n)
	for entries > n*s.full && n < maxShards {
		n *= 2
	}
	for {
		all := n != before.n || before.anew
		out, fits, err := inv.encode(project, n, s.plan, func(shard int) bool { return all || due(shard, n) })
		out.all = all
		if err != nil || fits {
			return out, err
		}
		if n *= 2; n > maxShards {
			return layout{}, fmt.Errorf("one service of project %q has an inventory of more than %d bytes", project, maxShard)
		}
	}
}

// encode encodes those shards of a project, of n, that are wanted, and tells
// whether each fits into a ConfigMap.
func (inv *Inventory) encode(project string, n int, plan string, wanted func(shard int) bool) (out layout, fits bool, err error) {
	out = layout{n: n, encoded: map[int][]byte{}}
	content := map[int][]Entry{}
	for i := range n {
		if wanted(i) {
			content[i] = nil
		}
	}
	for sum, refs := range inv.groups[project] {
		i := group{project, sum}.shard(n)
		list, ok := content[i]
		if !ok {
			continue
		}
		for _, ref := range refs {
			e, _ := inv.Get(ref)
			list = append(list, e)
		}
		content[i] = list
	}
	for i, list := range content {
		slices.SortFunc(list, func(a, b Entry) int { return a.Ref.Compare(b.Ref) })
		if out.encoded[i], err = encodeShard(list, plan); err != nil {
			return out, false, err
		}
		if len(out.encoded[i]) > maxShard {
			return out, false, nil
		}
	}
	return out, true, nil
}

// unsaved are the entries of projects in groups whose shard must be written,
// sorted.
func (inv *Inventory) unsaved() []Entry {
	var out []Entry
	for g := range inv.dirty {
		if g.project == "" {
			continue
		}
		for _, ref := range inv.groups[g.project][g.sum] {
			e, _ := inv.Get(ref)
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return a.Ref.Compare(b.Ref) })
	return out
}

// members are the objects of the groups of one project.
type members map[uint32][]plumbline.Ref

func (inv *Inventory) join(g group, ref plumbline.Ref) {
	m := inv.groups[g.project]
	if m == nil {
		m = members{}
		inv.groups[g.project] = m
	}
	m[g.sum] = append(m[g.sum], ref)
}

func (inv *Inventory) leave(g group, ref plumbline.Ref) {
	m := inv.groups[g.project]
	m[g.sum] = slices.DeleteFunc(m[g.sum], func(r plumbline.Ref) bool { return r == ref })
	if len(m[g.sum]) == 0 {
		delete(m, g.sum)
	}
}

// written notes that a shard, of n, is as the inventory is.
func (inv *Inventory) written(project string, n, shard int) {
	for _, set := range []map[group]bool{inv.dirty, inv.soft} {
		for g := range set {
			if g.project == project && g.shard(n) == shard {
				delete(set, g)
			}
		}
	}
}

// shard is what one ConfigMap holds.
type shard struct {
	index   int
	plan    string // the last before it was written
	entries []Entry
}

// index of the shard that a ConfigMap is named for; -1 for a name that is none.
func (s *Store) index(project, name string) int {
	rest, ok := strings.CutPrefix(name, s.name(project, 0))
	if !ok {
		return -1
	}
	if rest == "" {
		return 0
	}
	if project == "" {
		if rest, ok = strings.CutSuffix(rest, ownShard); !ok {
			return -1
		}
	}
	i, err := strconv.Atoi(strings.TrimPrefix(rest, "."))
	if err != nil || i < 2 || i > maxShards {
		return -1
	}
	return i - 1
}

// holds tells whether a shard that was written after a plan holds the result of
// what was planned for a group.
func (d sharding) holds(g group, plan string, shards []shard) bool {
	return slices.ContainsFunc(shards, func(s shard) bool { return s.index == g.shard(d.n) && s.plan == plan })
}

// gather is the entries of a project's shards. Where a process was killed while
// it made them more, an entry may be in two of them, of which the one in its
// place is the newer: it comes later.
func gather(shards []shard) ([]Entry, sharding) {
	n := 1
	for _, s := range shards {
		for n <= s.index {
			n *= 2
		}
	}
	out := sharding{n: n, anew: len(shards) != n}
	var entries, placed []Entry
	for _, s := range shards {
		for _, e := range s.entries {
			if groupOf(&e).shard(n) == s.index {
				placed = append(placed, e)
				continue
			}
			out.anew = true
			entries = append(entries, e)
		}
	}
	return append(entries, placed...), out
}
