package main

import (
	"context"
	"crypto/sha1" //nolint:gosec // a name for files that are in no commit, not a safeguard
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource"
)

// localSource is a directory, or a revision of the clone around it, as the
// source of one reconcile.
type localSource struct {
	commit plumbline.Commit
	fs     fs.FS
	clone  *gitsource.Clone // nil for a directory
	tree   tree             // of a directory
}

// openLocal opens dir, or a revision of the clone that it lies in.
func openLocal(ctx context.Context, dir, revision string) (src *localSource, path string, err error) {
	if revision != "" {
		clone, err := gitsource.Local(dir)
		if err != nil {
			return nil, "", err
		}
		snapshot, err := clone.Snapshot(ctx, revision)
		if err != nil {
			return nil, "", errors.Join(err, clone.Close())
		}
		return &localSource{commit: snapshot.Commit, fs: snapshot.FS, clone: clone}, clone.Path(), nil
	}
	t, err := openTree(dir)
	if err != nil {
		return nil, "", err
	}
	sum, err := contents(t.fs, t.dir)
	if err != nil {
		return nil, "", noDirectory(dir, err)
	}
	return &localSource{commit: plumbline.Commit{SHA: sum}, fs: t.fs, tree: t}, t.dir, nil
}

// contents is a hash of the files below dir, in the form of a commit's SHA.
// Files on disk are in no commit, but a deployment needs a name.
func contents(fsys fs.FS, dir string) (string, error) {
	h := sha1.New() //nolint:gosec // as above
	err := fs.WalkDir(fsys, dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(h, "%s %d\x00%s", path, len(data), data)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// Fetch implements reconciler.Source.
func (l *localSource) Fetch(context.Context) (plumbline.Commit, error) { return l.commit, nil }

// Snapshot implements reconciler.Source. What is deployed may be in no commit
// of the clone: files of some directory, or another clone's. Then the revision
// at hand stands in for it, since that is what drift is about to be healed to.
func (l *localSource) Snapshot(ctx context.Context, sha string) (plumbline.Snapshot, error) {
	own := plumbline.Snapshot{Commit: l.commit, FS: l.fs}
	if sha == l.commit.SHA || l.clone == nil {
		return own, nil
	}
	s, err := l.clone.Snapshot(ctx, sha)
	if plumbline.KindOf(err) == plumbline.KindUsage {
		return own, nil
	}
	return s, err
}

// Commits implements reconciler.Source: the trailers of the commit itself
// count.
func (l *localSource) Commits(context.Context, string, string) ([]plumbline.Commit, error) {
	return []plumbline.Commit{l.commit}, nil
}

func (l *localSource) close() error {
	if l.clone == nil {
		return nil
	}
	return l.clone.Close()
}

// nowhere is the source of commands that read none.
type nowhere struct{}

func (nowhere) Fetch(context.Context) (plumbline.Commit, error) {
	return plumbline.Commit{}, errors.New("fetch: no source")
}

func (nowhere) Snapshot(context.Context, string) (plumbline.Snapshot, error) {
	return plumbline.Snapshot{}, errors.New("open snapshot: no source")
}

func (nowhere) Commits(context.Context, string, string) ([]plumbline.Commit, error) {
	return nil, errors.New("read commits: no source")
}
