package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource"
	"github.com/plumbline-dev/plumbline/render"
)

// tree is a repository, or a directory without one, as files.
type tree struct {
	fs   fs.FS
	dir  string // slash-separated in fs: where the argument pointed
	root string // on disk

	// shown stands before paths in fs where people and tools are told of them:
	// without a repository around, whose root they would know, DIR as it was given.
	shown string
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
	root, shown := abs, filepath.ToSlash(filepath.Clean(dir))
	for at := abs; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, ".git")); err == nil {
			root, shown = at, ""
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
	return tree{fs: fenced.FS(), dir: filepath.ToSlash(rel), root: root, shown: shown}, nil
}

// place is where an origin lies for those who are told of it.
func (t tree) place(o plumbline.Origin) plumbline.Origin {
	if o.Path != "" {
		o.Path = path.Join(t.shown, o.Path)
	}
	return o
}

// excluded is what a commit holds and its files do not show, below the directory
// that is rendered.
func (t tree) excluded() []render.Skip {
	commit, ok := t.fs.(interface{ Excluded() map[string]string })
	if !ok {
		return nil // a work tree shows all
	}
	var out []render.Skip
	for name, why := range commit.Excluded() {
		if t.dir == "." || strings.HasPrefix(name, t.dir+"/") {
			out = append(out, render.Skip{Origin: plumbline.Origin{Path: name}, Reason: why})
		}
	}
	slices.SortFunc(out, func(a, b render.Skip) int { return a.Origin.Compare(b.Origin) })
	return out
}

// placed are violations at their places.
func (t tree) placed(vs []plumbline.Violation) []plumbline.Violation {
	out := slices.Clone(vs)
	for i := range out {
		out[i].Origin = t.place(out[i].Origin)
		out[i].Related = slices.Clone(out[i].Related)
		for j := range out[i].Related {
			out[i].Related[j] = t.place(out[i].Related[j])
		}
	}
	return out
}

// placedResult is what was rendered, with all but its objects at their places:
// the origins of objects are what the inventory records.
func (t tree) placedResult(res render.Result) render.Result {
	if t.shown == "" {
		return res
	}
	res.Violations = t.placed(res.Violations)
	res.Skipped, res.Closed = slices.Clone(res.Skipped), slices.Clone(res.Closed)
	for _, skips := range [][]render.Skip{res.Skipped, res.Closed} {
		for i := range skips {
			skips[i].Origin = t.place(skips[i].Origin)
		}
	}
	res.Peers = slices.Clone(res.Peers)
	for i := range res.Peers {
		p := &res.Peers[i]
		p.Origin = t.place(p.Origin)
		p.Upstreams, p.Whitelist = slices.Clone(p.Upstreams), slices.Clone(p.Whitelist)
		for _, refs := range [][]plumbline.PeerRef{p.Upstreams, p.Whitelist} {
			for j := range refs {
				refs[j].Origin = t.place(refs[j].Origin)
			}
		}
	}
	return res
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
