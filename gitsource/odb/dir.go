package odb

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/plumbline-dev/plumbline"
)

// Dir is a directory with one Store in it that mirrors a remote: what the
// remote is, a lock against other processes, and the repository itself.
type Dir struct {
	path string
	lock *os.File
}

const (
	dirFormat = 1
	lockName  = "lock"
	stampName = "mirror.json"
	repoName  = "repo.git"
)

// stamp says what a Dir holds.
type stamp struct {
	Format int    `json:"format"`
	URL    string `json:"url"` // without credentials
}

// LockDir makes the directory, takes it for this process and keeps it until
// Close.
func LockDir(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		return nil, plumbline.Errorf(plumbline.KindTransient, "lock "+path, "another plumbline uses the directory: %w", err)
	}
	return &Dir{path: path, lock: f}, nil
}

// Open opens the repository, which has to be one for this URL and undamaged:
// everything else is ErrCorrupt and needs Recreate.
func (d *Dir) Open(url string) (*Store, error) {
	b, err := os.ReadFile(filepath.Join(d.path, stampName))
	if isScarce(err) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	var s stamp
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if s != (stamp{Format: dirFormat, URL: url}) {
		return nil, fmt.Errorf("%w: it is for %q", ErrCorrupt, s.URL)
	}
	return Open(filepath.Join(d.path, repoName))
}

// IsNew tells whether there is nothing to open yet.
func (d *Dir) IsNew() bool {
	_, err := os.Stat(filepath.Join(d.path, stampName))
	return errors.Is(err, os.ErrNotExist)
}

// Recreate throws away what is there and makes an empty repository whose HEAD
// names head. The stamp goes first and comes last: a kill between leaves what
// Open refuses.
func (d *Dir) Recreate(url, head string) (*Store, error) {
	repo := filepath.Join(d.path, repoName)
	if err := os.Remove(filepath.Join(d.path, stampName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := os.RemoveAll(repo); err != nil {
		return nil, err
	}
	if err := Create(repo, head); err != nil {
		return nil, err
	}
	b, err := json.Marshal(stamp{Format: dirFormat, URL: url})
	if err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(d.path, stampName), b); err != nil {
		return nil, err
	}
	return Open(repo)
}

// Close gives the directory to others.
func (d *Dir) Close() error { return errors.Join(unlockFile(d.lock), d.lock.Close()) }
