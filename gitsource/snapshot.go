package gitsource

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
)

// Snapshot is the commit with this SHA and its tree, as an *FS. It reads what
// the mirror holds and goes to no network; a commit that it does not hold is
// ErrUnknownCommit. The tree is read as it is asked for, until Close.
func (m *Mirror) Snapshot(ctx context.Context, sha string) (plumbline.Snapshot, error) {
	store, err := m.open()
	if err != nil {
		return plumbline.Snapshot{}, err
	}
	c, err := lookup(ctx, store, sha)
	if errors.Is(err, ErrUnknownCommit) && sha == m.last().SHA {
		err = fmt.Errorf("%w: %w", odb.ErrCorrupt, err) // it was there when it was fetched
	}
	if err != nil {
		return plumbline.Snapshot{}, m.spoiled(err)
	}
	t := newTree(mirrored{m, c.Hash}, c, m.o.MaxFileBytes)
	return plumbline.Snapshot{Commit: commitOf(c), FS: &FS{t: t, base: "."}}, nil
}

// lookup reads a commit by its full name.
func lookup(ctx context.Context, store *odb.Store, sha string) (odb.Commit, error) {
	op := "read commit " + sha
	if err := ctx.Err(); err != nil {
		return odb.Commit{}, plumbline.Errorf(plumbline.KindTransient, op, "%w", err)
	}
	if !plumbing.IsHash(sha) {
		return odb.Commit{}, plumbline.Errorf(plumbline.KindInvalid, op, "%w: not 40 hex digits", ErrUnknownCommit)
	}
	c, err := store.Commit(plumbing.NewHash(sha))
	if odb.IsMissing(err) {
		return odb.Commit{}, plumbline.Errorf(plumbline.KindInvalid, op, "%w: it is not in the history that was fetched", ErrUnknownCommit)
	}
	if err != nil {
		return odb.Commit{}, &plumbline.Error{Op: op, Err: err}
	}
	return c, nil
}

// Commits are those of to's first-parent path after from, newest first. Where
// from is not on that path, as after a force-push, it is only to.
func (m *Mirror) Commits(ctx context.Context, from, to string) ([]plumbline.Commit, error) {
	store, err := m.open()
	if err != nil {
		return nil, err
	}
	c, err := lookup(ctx, store, to)
	if err != nil {
		return nil, m.spoiled(err)
	}
	head := commitOf(c)
	var path []string
	for range maxHistory {
		if c.Hash.String() == from {
			return m.read(ctx, store, path)
		}
		path = append(path, c.Hash.String())
		if len(c.Parents) == 0 {
			break
		}
		if c, err = lookup(ctx, store, c.Parents[0].String()); err != nil {
			if errors.Is(err, ErrUnknownCommit) {
				break // the end of a shallow history
			}
			return nil, m.spoiled(err)
		}
	}
	return []plumbline.Commit{head}, nil
}

// read reads commits that a walk has seen: messages are kept of those only that
// are asked for.
func (m *Mirror) read(ctx context.Context, store *odb.Store, shas []string) ([]plumbline.Commit, error) {
	var list []plumbline.Commit
	for _, sha := range shas {
		c, err := lookup(ctx, store, sha)
		if err != nil {
			return nil, m.spoiled(err)
		}
		list = append(list, commitOf(c))
	}
	return list, nil
}

// spoiled passes err on, and has the next fetch make the mirror anew if it says
// that the mirror is damaged.
func (m *Mirror) spoiled(err error) error {
	if errors.Is(err, odb.ErrCorrupt) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.damage = err
	}
	return err
}

// mirrored reads from whatever store the mirror has at the time, so that a
// snapshot outlives a mirror that is made anew.
type mirrored struct {
	m      *Mirror
	commit plumbing.Hash // what is read is reached from it
}

// read reads from the store. Where the commit is and what it reaches is not, a
// part of the mirror was lost, and no fetch would bring it: the mirror says that
// it has it.
func (r mirrored) read(from func(*odb.Store) error) error {
	store, err := r.m.open()
	if err != nil {
		return err
	}
	err = from(store)
	if odb.IsMissing(err) && store.Has(r.commit) {
		err = fmt.Errorf("%w: %w", odb.ErrCorrupt, err)
	}
	return r.m.spoiled(err)
}

func (r mirrored) Read(t plumbing.ObjectType, h plumbing.Hash, limit int64) (o odb.Object, err error) {
	err = r.read(func(s *odb.Store) error {
		o, err = s.Read(t, h, limit)
		return err
	})
	return o, err
}

func (r mirrored) Size(h plumbing.Hash) (n int64, err error) {
	err = r.read(func(s *odb.Store) error {
		n, err = s.Size(h)
		return err
	})
	return n, err
}

func (r mirrored) Tree(h plumbing.Hash) (entries []odb.Entry, err error) {
	err = r.read(func(s *odb.Store) error {
		entries, err = s.Tree(h)
		return err
	})
	return entries, err
}
