package gitsource

import (
	"context"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
)

const (
	// maxHistory bounds the walks that look for one commit among the ancestors
	// of another.
	maxHistory = 100_000
	// maxHaves bounds what a fetch tells the server that the mirror holds.
	maxHaves = 32
	// maxPacks is how many packs a mirror has before the small ones are merged.
	maxPacks = 40
)

func commitOf(c odb.Commit) plumbline.Commit {
	return plumbline.Commit{SHA: c.Hash.String(), Author: c.Author, Time: c.Time, Message: c.Message}
}

// haves are the mirror's head and ancestors of it at growing distances: a
// server that has lost the head to a force-push knows one of them.
func (m *Mirror) haves(store *odb.Store) ([]plumbing.Hash, error) {
	h, ok, err := store.Ref(m.ref)
	if err != nil || !ok {
		return nil, err
	}
	var haves []plumbing.Hash
	next := 0
	for n := 0; len(haves) < maxHaves && n < maxHistory; n++ {
		c, err := store.Commit(h)
		if odb.IsMissing(err) && n > 0 {
			break // the end of a shallow history
		}
		if odb.IsMissing(err) {
			err = fmt.Errorf("%w: the branch's head: %w", odb.ErrCorrupt, err)
		}
		if err != nil {
			return nil, err
		}
		if n >= next {
			haves = append(haves, h)
			next = n*2 + 1
		}
		if len(c.Parents) == 0 {
			break
		}
		h = c.Parents[0]
	}
	return haves, nil
}

// descends tells whether ancestor is among what commit descends from, as far
// as it is looked for.
func descends(ctx context.Context, store *odb.Store, commit, ancestor plumbing.Hash) bool {
	seen := map[plumbing.Hash]bool{commit: true}
	queue := []plumbing.Hash{commit}
	for len(queue) > 0 && len(seen) < maxHistory && ctx.Err() == nil {
		h := queue[0]
		queue = queue[1:]
		if h == ancestor {
			return true
		}
		c, err := store.Commit(h)
		if err != nil {
			continue
		}
		for _, p := range c.Parents {
			if !seen[p] {
				seen[p] = true
				queue = append(queue, p)
			}
		}
	}
	return false
}
