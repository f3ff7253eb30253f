package odb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

const (
	cacheBytes    = 8 * cache.MiByte // bases of deltas
	maxTreeBytes  = 64 << 20
	maxCommitSize = 1 << 20
)

// ErrCorrupt is what every error about a damaged store wraps: it has to be made
// anew.
var ErrCorrupt = errors.New("the object database is damaged")

// Store is an object database. It is safe for concurrent use.
type Store struct {
	fs      billy.Filesystem
	dir     string // of a store that Receive may write to; empty when wrapped
	shallow bool

	mu     sync.Mutex
	sto    *filesystem.Storage // nil while released
	closed bool
}

// Wrap reads the repository whose .git directory (or bare directory) is fsys.
func Wrap(fsys billy.Filesystem) (*Store, error) {
	s := &Store{fs: fsys}
	sto, err := s.storage()
	if err != nil {
		return nil, err
	}
	shallow, err := sto.Shallow()
	if err != nil {
		return nil, err
	}
	s.shallow = len(shallow) > 0
	return s, nil
}

// storage opens the files; s.mu is held, or s is not shared yet.
func (s *Store) storage() (*filesystem.Storage, error) {
	if s.closed {
		return nil, fs.ErrClosed
	}
	if s.sto == nil {
		s.sto = filesystem.NewStorageWithOptions(refFiles{s.fs}, cache.NewObjectLRU(cacheBytes), filesystem.Options{
			KeepDescriptors:      true,
			LargeObjectThreshold: maxTreeBytes,
			AlternatesFS:         osfs.New("/"),
		})
	}
	return s.sto, nil
}

// refFiles is the file system of a repository in which a listing of references
// has only files that may be one, as git has it: go-git takes every file for one,
// and none is readable as long as somebody's lock is empty.
type refFiles struct{ billy.Filesystem }

// Capabilities are those of the file system.
func (f refFiles) Capabilities() billy.Capability { return billy.Capabilities(f.Filesystem) }

// ReadDir leaves out locks, files on their way, and what a crash of the machine
// emptied.
func (f refFiles) ReadDir(path string) ([]os.FileInfo, error) {
	files, err := f.Filesystem.ReadDir(path)
	if path := filepath.ToSlash(path); path != "refs" && !strings.HasPrefix(path, "refs/") {
		return files, err
	}
	return slices.DeleteFunc(files, func(i os.FileInfo) bool {
		return !i.IsDir() && (strings.HasSuffix(i.Name(), ".lock") || strings.HasPrefix(i.Name(), ".") || i.Size() == 0)
	}), err
}

// Release closes the files and drops what was cached. The next read opens them
// again.
func (s *Store) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release()
}

func (s *Store) release() {
	if s.sto != nil {
		_ = s.sto.Close()
		s.sto = nil
	}
}

// Close releases the store for good.
func (s *Store) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release()
	s.closed = true
}

// Has tells whether the object is in the store.
func (s *Store) Has(h plumbing.Hash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sto, err := s.storage()
	return err == nil && sto.HasEncodedObject(h) == nil
}

// Size is the size of an object's content in bytes.
func (s *Store) Size(h plumbing.Hash) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sto, err := s.storage()
	if err != nil {
		return 0, err
	}
	n, err := sto.EncodedObjectSize(h)
	return n, s.readError(h, err)
}

// TooLargeError says that an object is not read because of its size.
type TooLargeError struct{ Size, Limit int64 }

// Error is "n bytes, the limit is m".
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%d bytes, the limit is %d", e.Size, e.Limit)
}

// Read returns the object with its whole content, which is the caller's; more
// than limit bytes are a *TooLargeError.
func (s *Store) Read(t plumbing.ObjectType, h plumbing.Hash, limit int64) (Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.read(t, h, limit)
	if s.dir == "" && (IsMissing(err) || errors.Is(err, os.ErrNotExist) || errors.Is(err, dotgit.ErrPackfileNotFound)) {
		s.release() // somebody may have repacked: what was in one file is in another
		o, err = s.read(t, h, limit)
	}
	return o, err
}

// read reads an object from the files as they were when they were listed; s.mu is
// held.
func (s *Store) read(t plumbing.ObjectType, h plumbing.Hash, limit int64) (Object, error) {
	sto, err := s.storage()
	if err != nil {
		return Object{}, err
	}
	o, err := sto.EncodedObject(t, h)
	if err != nil {
		return Object{}, s.readError(h, err)
	}
	if o.Size() > limit {
		return Object{}, &TooLargeError{Size: o.Size(), Limit: limit}
	}
	r, err := o.Reader()
	if err != nil {
		return Object{}, s.readError(h, err)
	}
	defer func() { _ = r.Close() }()
	b := make([]byte, o.Size())
	if _, err := io.ReadFull(r, b); err != nil {
		return Object{}, s.readError(h, err)
	}
	return Object{Type: o.Type(), Data: b}, nil
}

// readError names the object. In a store of our own, where every pack was
// checked, anything but a missing object means damage, unless it says that the
// process has no file descriptor or memory left.
func (s *Store) readError(h plumbing.Hash, err error) error {
	switch {
	case err == nil:
		return nil
	case IsMissing(err) || s.dir == "" || isScarce(err):
		return fmt.Errorf("object %s: %w", h, err)
	default:
		return fmt.Errorf("object %s: %w: %w", h, ErrCorrupt, err)
	}
}

// isScarce tells whether err is of the process or the machine at the moment, and
// says nothing about what is stored.
func isScarce(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// Commit reads a commit.
func (s *Store) Commit(h plumbing.Hash) (Commit, error) {
	o, err := s.Read(plumbing.CommitObject, h, maxCommitSize)
	if err != nil {
		return Commit{}, err
	}
	return ParseCommit(h, o.Data)
}

// Tree reads a tree's entries, in Git's order.
func (s *Store) Tree(h plumbing.Hash) ([]Entry, error) {
	o, err := s.Read(plumbing.TreeObject, h, maxTreeBytes)
	if err != nil {
		return nil, err
	}
	entries, err := ParseTree(o.Data)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", h, err)
	}
	return entries, nil
}

// Ref is the hash that a reference names, and whether there is such a one. A
// symbolic reference counts as none.
func (s *Store) Ref(name string) (plumbing.Hash, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sto, err := s.storage()
	if err != nil {
		return plumbing.ZeroHash, false, err
	}
	ref, err := sto.Reference(plumbing.ReferenceName(name))
	switch {
	case errors.Is(err, plumbing.ErrReferenceNotFound):
		return plumbing.ZeroHash, false, nil
	case err != nil:
		return plumbing.ZeroHash, false, err
	case ref.Type() != plumbing.HashReference:
		return plumbing.ZeroHash, false, nil
	}
	return ref.Hash(), true, nil
}

// maxLinks is how many symbolic references may lead to each other, as in git.
const maxLinks = 5

// Refs are all references that lead to a hash, symbolic ones among them.
func (s *Store) Refs() (map[string]plumbing.Hash, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sto, err := s.storage()
	if err != nil {
		return nil, err
	}
	iter, err := sto.IterReferences()
	if err != nil {
		return nil, err
	}
	refs := map[string]plumbing.Hash{}
	symbolic := map[string]string{}
	err = iter.ForEach(func(r *plumbing.Reference) error {
		if r.Type() == plumbing.HashReference {
			refs[r.Name().String()] = r.Hash()
		} else {
			symbolic[r.Name().String()] = r.Target().String()
		}
		return nil
	})
	for name, target := range symbolic {
		for links := 1; links < maxLinks && symbolic[target] != ""; links++ {
			target = symbolic[target]
		}
		if h, ok := refs[target]; ok && symbolic[target] == "" {
			refs[name] = h
		}
	}
	return refs, err
}

// SetRef makes a reference of a store of our own name h: written beside it,
// synced and renamed, so that a kill leaves the old or the new.
func (s *Store) SetRef(name string, h plumbing.Hash) error {
	path := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return writeFile(path, []byte(h.String()+"\n"))
}

func writeFile(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Add stores objects one by one, each in a file of its own.
func (s *Store) Add(objects []Object) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sto, err := s.storage()
	if err != nil {
		return err
	}
	for _, o := range objects {
		m := sto.NewEncodedObject()
		m.SetType(o.Type)
		m.SetSize(int64(len(o.Data)))
		w, err := m.Writer()
		if err != nil {
			return err
		}
		if _, err := w.Write(o.Data); err != nil {
			return err
		}
		if _, err := sto.SetEncodedObject(m); err != nil {
			return err
		}
	}
	return nil
}
