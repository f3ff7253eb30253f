package odb

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"
)

// Closure lists the objects that are reached from the commit and for which has
// is false. What has knows is not entered: it is taken to be complete below.
// Submodules are not followed; a parent that is missing from a shallow
// repository ends its line.
func (s *Store) Closure(ctx context.Context, commit plumbing.Hash, has func(plumbing.Hash) bool) ([]plumbing.Hash, error) {
	c := closure{s: s, has: has, seen: map[plumbing.Hash]bool{}}
	for todo := []plumbing.Hash{commit}; len(todo) > 0; {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !c.take(h) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		parsed, err := s.Commit(h)
		if err != nil {
			return nil, err
		}
		if err := c.tree(parsed.Tree); err != nil {
			return nil, err
		}
		for _, p := range parsed.Parents {
			if s.shallow && !s.Has(p) {
				continue
			}
			todo = append(todo, p)
		}
	}
	return c.list, nil
}

type closure struct {
	s    *Store
	has  func(plumbing.Hash) bool
	seen map[plumbing.Hash]bool
	list []plumbing.Hash
}

// take lists h unless it was listed or is known.
func (c *closure) take(h plumbing.Hash) bool {
	if c.seen[h] || c.has(h) {
		return false
	}
	c.seen[h] = true
	c.list = append(c.list, h)
	return true
}

func (c *closure) tree(root plumbing.Hash) error {
	for todo := []plumbing.Hash{root}; len(todo) > 0; {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !c.take(h) {
			continue
		}
		entries, err := c.s.Tree(h)
		if err != nil {
			return err
		}
		for _, e := range entries {
			switch {
			case e.Mode.IsTree():
				todo = append(todo, e.Hash)
			case e.Mode != ModeSubmodule:
				c.take(e.Hash)
			}
		}
	}
	return nil
}

// IsMissing tells whether err says that an object is not in the store.
func IsMissing(err error) bool { return errors.Is(err, plumbing.ErrObjectNotFound) }
