package gitsource

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
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
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) { // neither a root nor bare: look above
		repo, err = git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	}
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, plumbline.Errorf(plumbline.KindUsage, op, "it is in no Git repository: leave out --revision, or name a directory of a clone")
	}
	if err != nil {
		return nil, plumbline.Errorf(plumbline.KindUsage, op, "%w", err)
	}
	path, err := inside(repo, dir)
	if err != nil {
		return nil, plumbline.Errorf(plumbline.KindUsage, op, "%w", err)
	}
	sto, ok := repo.Storer.(*filesystem.Storage)
	if !ok {
		return nil, plumbline.Errorf(plumbline.KindInternal, op, "storage is a %T", repo.Storer)
	}
	store, err := odb.Wrap(sto.Filesystem())
	if err != nil {
		return nil, plumbline.Errorf(plumbline.KindUsage, op, "%w", err)
	}
	return &Clone{repo: repo, store: store, path: path}, nil
}

// inside is dir, which is absolute and without links, relative to the root of its work tree.
func inside(repo *git.Repository, dir string) (string, error) {
	tree, err := repo.Worktree()
	if errors.Is(err, git.ErrIsBareRepository) {
		return ".", nil
	}
	if err != nil {
		return "", err
	}
	root, err := filepath.EvalSymlinks(tree.Filesystem.Root())
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(root, dir)
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
