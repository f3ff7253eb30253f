package odb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
)

// maxRepackObject bounds an object that Compact holds in memory; a pack with a
// larger one stays as it is.
const maxRepackObject = 64 << 20

// Compact merges the smaller packs into one when there are more than limit, so
// that a store which receives a small pack at every push stays fast. Afterwards
// each pack holds at least twice as many objects as the next smaller one, but for
// those with an object that is too large to be held.
func (s *Store) Compact(ctx context.Context, limit int) error {
	packs, err := s.packs()
	if err != nil {
		return err
	}
	for len(packs) > limit {
		merge := packs[:geometricSplit(packs)]
		if len(merge) < 2 {
			return nil
		}
		large, err := s.merge(ctx, merge)
		if large.IsZero() {
			return err
		}
		packs = slices.DeleteFunc(packs, func(p packIndex) bool { return slices.Contains(p.objects, large) })
	}
	return nil
}

// merge makes one pack of several. If an object is too large for that, nothing is
// changed, and it is returned.
func (s *Store) merge(ctx context.Context, packs []packIndex) (large plumbing.Hash, err error) {
	var list []plumbing.Hash
	seen := map[plumbing.Hash]bool{}
	for _, p := range packs {
		for _, h := range p.objects {
			if !seen[h] {
				seen[h] = true
				list = append(list, h)
			}
		}
	}
	merged, err := s.receive(ctx, 1<<62, func(w io.Writer) error {
		return WritePack(ctx, w, len(list), func(i int) (Object, error) {
			o, err := s.Read(plumbing.AnyObject, list[i], maxRepackObject)
			if errors.As(err, new(*TooLargeError)) {
				large = list[i]
			}
			return o, err
		})
	})
	if err != nil {
		return large, fmt.Errorf("merge packs: %w", err)
	}
	return large, s.remove(slices.DeleteFunc(packs, func(p packIndex) bool { return p.base == merged })) // one may have held everything
}

// packIndex is a pack's name and the objects in it.
type packIndex struct {
	base    string
	objects []plumbing.Hash
}

// packs lists the packs, the smallest first.
func (s *Store) packs() ([]packIndex, error) {
	files, err := filepath.Glob(filepath.Join(s.packDir(), "pack-*"+idxExt))
	if err != nil {
		return nil, err
	}
	packs := make([]packIndex, len(files))
	for i, f := range files {
		packs[i].base = strings.TrimSuffix(f, idxExt)
		if packs[i].objects, err = indexed(f); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	sortPacks(packs)
	return packs, nil
}

func sortPacks(packs []packIndex) {
	slices.SortFunc(packs, func(a, b packIndex) int {
		return cmp.Or(cmp.Compare(len(a.objects), len(b.objects)), strings.Compare(a.base, b.base))
	})
}

func indexed(path string) ([]plumbing.Hash, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	idx := idxfile.NewMemoryIndex()
	if err := idxfile.NewDecoder(f).Decode(idx); err != nil {
		return nil, err
	}
	entries, err := idx.Entries()
	if err != nil {
		return nil, err
	}
	defer func() { _ = entries.Close() }()
	var list []plumbing.Hash
	for {
		e, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, e.Hash)
	}
}

// geometricSplit is how many of the smallest packs have to become one for each
// of the others to be twice as large as the one before.
func geometricSplit(packs []packIndex) int {
	split := len(packs) - 1
	for split > 0 && len(packs[split].objects) >= 2*len(packs[split-1].objects) {
		split--
	}
	if split <= 0 {
		return 0
	}
	split++
	total := 0
	for i, p := range packs {
		if i >= split && len(p.objects) >= 2*total {
			break
		}
		split = max(split, i+1)
		total += len(p.objects)
	}
	return split
}

// remove deletes packs whose objects are elsewhere by now. The index goes first:
// half a pack is swept away by the next Open.
func (s *Store) remove(packs []packIndex) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release()
	var err error
	for _, p := range packs {
		err = errors.Join(err, os.Remove(p.base+idxExt), os.Remove(p.base+packExt))
	}
	return err
}
