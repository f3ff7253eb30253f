package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource"
)

// tree is a repository, or a directory without one, as files.
type tree struct {
	fs   fs.FS
	dir  string // slash-separated in fs: where the argument pointed
	root string // on disk
}

// openTree opens the repository around dir. An overlay may use what lies
// beside it, so the tree is the whole repository; nothing outside of it can be
// read, by symbolic links neither.
func openTree(dir string) (tree, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return tree{}, noDirectory(dir, err)
	}
	if info, err := os.Stat(abs); err != nil || !info.IsDir() {
		return tree{}, noDirectory(dir, err)
	}
	root := abs
	for at := abs; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, ".git")); err == nil {
			root = at
			break
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	fenced, err := os.OpenRoot(root)
	if err != nil {
		return tree{}, noDirectory(root, err)
	}
	rel, err := filepath.Rel(root, abs)
	if err != nil {
		return tree{}, noDirectory(dir, err)
	}
	return tree{fs: fenced.FS(), dir: filepath.ToSlash(rel), root: root}, nil
}

func noDirectory(dir string, err error) error {
	switch {
	case err == nil:
		err = errors.New("not a directory")
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("no such directory")
	}
	return plumbline.Errorf(plumbline.KindInvalid, "read "+dir, "%w", err)
}

// at is the tree of a revision, straight from the clone's Git objects, instead
// of the files on disk. It is to be closed.
func (t tree) at(ctx context.Context, revision string) (tree, func() error, error) {
	clone, err := gitsource.Local(t.root)
	if err != nil {
		return t, nil, err
	}
	snapshot, err := clone.Snapshot(ctx, revision)
	if err != nil {
		return t, nil, errors.Join(err, clone.Close())
	}
	t.fs = snapshot.FS
	return t, clone.Close, nil
}
