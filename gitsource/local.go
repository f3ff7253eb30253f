package gitsource

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
)

// Clone is the repository that a directory of this machine lies in. Only its
// objects and references are read: neither the work tree nor the index.
type Clone struct {
	repo  *git.Repository
	store *odb.Store
	path  string
}

// Local opens the clone that dir lies in: dir itself or a directory above it
// has a .git, or is a bare repository.
func Local(dir string) (*Clone, error) {
	op := "open the clone of " + dir
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir) // or the clone of a link's directory is looked for
	}
	if err != nil {
		return nil, plumbline.Errorf(plumbline.KindUsage, op, "%w", err)
	}
	at, err := enclosing(dir)
	if errors.Is(err, odb.ErrNoRepository) {
		return nil, plumbline.Errorf(plumbline.KindUsage, op, "it is in no Git repository: leave out --revision, or name a directory of a clone")
	}
	if err != nil {
		return nil, plumbline.Errorf(plumbline.KindUsage, op, "%w", err)
	}
	path, err := inside(at, dir)
	if err != nil {
		return nil, plumbline.Errorf(plumbline.KindUsage, op, "%w", err)
	}
	repo, err := git.Open(unconfigured{filesystem.NewStorageWithOptions(at.Files(), cache.NewObjectLRUDefault(),
		filesystem.Options{AlternatesFS: osfs.New("/")})}, nil)
	if err != nil {
		return nil, plumbline.Errorf(plumbline.KindUsage, op, "%w", err)
	}
	store, err := odb.Wrap(at.Files())
	if err != nil {
		return nil, plumbline.Errorf(plumbline.KindUsage, op, "%w", err)
	}
	return &Clone{repo: repo, store: store, path: path}, nil
}

// enclosing is the repository of dir, or else of the nearest work tree around it.
func enclosing(dir string) (odb.Location, error) {
	at, err := odb.Locate(dir)
	for up := filepath.Dir(dir); errors.Is(err, odb.ErrNoRepository) && up != dir; dir, up = up, filepath.Dir(up) {
		if around, e := odb.Locate(up); e != nil || around.Tree != "" {
			at, err = around, e
		}
	}
	return at, err
}

// unconfigured is a repository without its owner's configuration, of which go-git
// would refuse what it does not know.
type unconfigured struct{ *filesystem.Storage }

func (unconfigured) Config() (*config.Config, error) { return config.NewConfig(), nil }

// inside is dir, which is absolute and without links, relative to the root of its work tree.
func inside(at odb.Location, dir string) (string, error) {
	if at.Tree == "" {
		return ".", nil
	}
	rel, err := filepath.Rel(at.Tree, dir)
	return filepath.ToSlash(rel), err
}

// Path is the directory's path inside the repository, "." for its root.
func (c *Clone) Path() string { return c.path }

// Snapshot is the commit that a revision names (a branch, a tag, a SHA or the
// beginning of one, HEAD~1) and its tree, as an *FS of the repository's root.
func (c *Clone) Snapshot(ctx context.Context, revision string) (plumbline.Snapshot, error) {
	op := "resolve revision " + revision
	if revision == "" || strings.HasPrefix(revision, "-") || strings.Contains(revision, ":") { // a path in a commit is none
		return plumbline.Snapshot{}, plumbline.Errorf(plumbline.KindUsage, op, "not a revision")
	}
	h, err := c.repo.ResolveRevision(plumbing.Revision(revision))
	if err != nil {
		return plumbline.Snapshot{}, plumbline.Errorf(plumbline.KindUsage, op, "%w: the clone has no such commit, branch or tag", err)
	}
	found, err := lookup(ctx, c.store, h.String())
	if err != nil {
		return plumbline.Snapshot{}, err
	}
	return plumbline.Snapshot{Commit: commitOf(found), FS: &FS{t: newTree(c.store, found, DefaultMaxFileBytes), base: "."}}, nil
}

// Close closes the clone's files. Its snapshots cannot be read afterwards.
func (c *Clone) Close() error {
	c.store.Close()
	return nil
}
