package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
)

// localConn reads a repository on this machine without any program between.
type localConn struct {
	dir   string // the common directory: of objects and references
	store *odb.Store
}

func openLocal(ep endpoint) (*Session, error) {
	switch info, err := os.Stat(ep.path); {
	case errors.Is(err, os.ErrNotExist):
		return nil, plumbline.Errorf(plumbline.KindInvalid, "", "there is no such directory: check the path")
	case err == nil && !info.IsDir():
		return nil, plumbline.Errorf(plumbline.KindInvalid, "", "it is a file: name the directory of the repository")
	}
	at, err := odb.Locate(ep.path)
	switch {
	case errors.Is(err, odb.ErrNoRepository):
		return nil, plumbline.Errorf(plumbline.KindInvalid, "", "the directory is no Git repository: check the path")
	case errors.Is(err, os.ErrPermission):
		return nil, plumbline.Errorf(plumbline.KindDenied, "open", "%w", err)
	case err != nil:
		return nil, err
	}
	store, err := odb.Wrap(at.Files())
	if err != nil {
		return nil, err
	}
	refs, err := store.Refs()
	if err != nil {
		store.Close()
		return nil, err
	}
	return &Session{Refs: refs, conn: &localConn{dir: at.Common, store: store}}, nil
}

func (c *localConn) close() { c.store.Close() }

func (c *localConn) fetch(ctx context.Context, req FetchRequest, w io.Writer) error {
	has := req.Has
	if has == nil {
		has = func(plumbing.Hash) bool { return false }
	}
	list, err := c.store.Closure(ctx, req.Want, has)
	if err != nil {
		return err
	}
	return odb.WritePack(ctx, w, len(list), func(i int) (odb.Object, error) {
		return c.store.Read(plumbing.AnyObject, list[i], maxLocalObject)
	})
}

// maxLocalObject is the largest object that is copied from a directory.
const maxLocalObject = 1 << 30

// push stores the objects and moves the reference under Git's own lock, so that
// a git that pushes at the same time either sees it or is refused.
func (c *localConn) push(ctx context.Context, u Update) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.store.Add(u.Objects); err != nil {
		if errors.Is(err, os.ErrPermission) {
			return plumbline.Errorf(plumbline.KindDenied, "push "+u.Ref, "the repository's directory is not writable: %w", err)
		}
		return err
	}
	path := filepath.Join(c.dir, filepath.FromSlash(u.Ref))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	lock, err := lockRef(path)
	if err != nil {
		return err
	}
	err = c.moveLocked(u, lock)
	if err = errors.Join(err, lock.Close()); err == nil {
		err = os.Rename(lock.Name(), path)
	}
	if err != nil {
		_ = os.Remove(lock.Name())
	}
	return err
}

// staleLock is how old a reference's lock is when whoever made it must be dead:
// it is held for as long as a line takes to write.
const staleLock = 10 * time.Second

// lockRef takes Git's lock of the reference that is the file path.
func lockRef(path string) (*os.File, error) {
	name := path + ".lock"
	for range 2 {
		lock, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if !errors.Is(err, os.ErrExist) {
			return lock, err
		}
		if stale, err := breakLock(name); err != nil {
			return nil, err
		} else if !stale {
			break
		}
	}
	return nil, plumbline.Errorf(plumbline.KindTransient, "lock "+path, "another process holds %s; it counts as left over when it is 10 s old", name)
}

// breakLock takes away a lock that somebody died with. Times are those of the
// file system, which may be another machine's.
func breakLock(name string) (stale bool, err error) {
	held, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	aside, err := os.CreateTemp(filepath.Dir(name), ".stale-*")
	if err != nil {
		return false, err
	}
	now, err := aside.Stat()
	err = errors.Join(err, aside.Close())
	if err == nil && now.ModTime().Sub(held.ModTime()) >= staleLock {
		err = os.Rename(name, aside.Name())
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		moved, statErr := os.Stat(aside.Name())
		switch {
		case err != nil || statErr != nil:
			err = errors.Join(err, statErr)
		case os.SameFile(moved, held), os.SameFile(moved, now):
			stale = true
		default: // somebody else broke it meanwhile, and this is the lock that they took
			err = os.Link(aside.Name(), name)
		}
	}
	return stale, errors.Join(err, os.Remove(aside.Name()))
}

func (c *localConn) moveLocked(u Update, lock *os.File) error {
	c.store.Release()
	now, _, err := c.store.Ref(u.Ref)
	if err != nil {
		return err
	}
	if now != u.Old {
		return &RejectedError{Ref: u.Ref, Reason: fmt.Sprintf("it is at %s now", now)}
	}
	_, err = io.WriteString(lock, u.New.String()+"\n")
	return errors.Join(err, lock.Sync()) // or a crash of the machine leaves it empty, and all notes are forgotten
}
