package gitsource

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
)

const (
	maxLinks       = 40      // followed on the way to one file
	maxLinkBytes   = 4096    // of a link's text
	maxDepth       = 100     // directories below each other
	maxCachedLines = 200_000 // entries of directories kept by one snapshot
)

// objects is where a tree is read from.
type objects interface {
	Read(t plumbing.ObjectType, h plumbing.Hash, limit int64) (odb.Object, error)
	Size(h plumbing.Hash) (int64, error)
	Tree(h plumbing.Hash) ([]odb.Entry, error)
}

// tree reads a commit's tree. It is shared by all its sub-trees.
type tree struct {
	objects objects
	root    odb.Entry
	time    time.Time // of the commit: there is no better for a file
	max     int64

	mu       sync.Mutex
	dirs     map[plumbing.Hash]*directory
	lines    int // entries in dirs
	excluded map[string]string
}

// directory is a Git tree as a directory: what can be a path, by name.
type directory struct {
	entries []odb.Entry // sorted by name
	skipped []odb.Entry // what is not shown
}

func newTree(o objects, c odb.Commit, maxFile int64) *tree {
	return &tree{
		objects:  o,
		root:     odb.Entry{Name: ".", Mode: odb.ModeTree, Hash: c.Tree},
		time:     c.Time,
		max:      maxFile,
		dirs:     map[plumbing.Hash]*directory{},
		excluded: map[string]string{},
	}
}

// dir reads the directory at full, a path that was resolved.
func (t *tree) dir(full string, h plumbing.Hash) (*directory, error) {
	t.mu.Lock()
	d := t.dirs[h]
	t.mu.Unlock()
	if d == nil {
		entries, err := t.objects.Tree(h)
		if err != nil {
			return nil, err
		}
		d = newDirectory(entries)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dirs[h] == nil && t.lines+len(d.entries) <= maxCachedLines {
		t.dirs[h] = d
		t.lines += len(d.entries)
	}
	for _, e := range d.skipped {
		t.excluded[path.Join(full, e.Name)] = whySkipped(e)
	}
	return d, nil
}

func newDirectory(entries []odb.Entry) *directory {
	d := &directory{entries: make([]odb.Entry, 0, len(entries))}
	for _, e := range entries {
		if whySkipped(e) != "" {
			d.skipped = append(d.skipped, e)
		} else {
			d.entries = append(d.entries, e)
		}
	}
	byName := func(a, b odb.Entry) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(d.entries, byName) { // Git's order is another where there are directories
		slices.SortStableFunc(d.entries, byName)
	}
	d.entries = slices.CompactFunc(d.entries, func(a, b odb.Entry) bool { return a.Name == b.Name })
	return d
}

// whySkipped is the reason why an entry is not shown; "" for one that is.
func whySkipped(e odb.Entry) string {
	switch {
	case e.Mode == odb.ModeSubmodule:
		return "submodule: " + ErrNotFetched.Error()
	case !utf8.ValidString(e.Name):
		return "its name is not UTF-8"
	case e.Name == "." || e.Name == ".." || strings.ContainsAny(e.Name, "/\x00") || strings.EqualFold(e.Name, ".git"):
		return "its name is not one that Git allows"
	case !e.Mode.IsTree() && !e.Mode.IsFile() && e.Mode != odb.ModeSymlink:
		return fmt.Sprintf("unknown mode %o", uint32(e.Mode))
	}
	return ""
}

func (d *directory) find(name string) (odb.Entry, bool) {
	i, ok := slices.BinarySearchFunc(d.entries, name, func(e odb.Entry, n string) int { return strings.Compare(e.Name, n) })
	if !ok {
		return odb.Entry{}, false
	}
	return d.entries[i], true
}

// node is where a path led: the entry, and the path without any link.
type node struct {
	odb.Entry
	full string
}

// resolve walks to a path that is valid for io/fs. Links in the middle are
// always followed, one at the end if follow says so.
func (t *tree) resolve(name string, follow bool) (node, error) {
	at := []node{{Entry: t.root, full: "."}} // the directories from the root to here
	todo := split(name)
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		here := at[len(at)-1]
		if part == ".." {
			if len(at) == 1 {
				return node{}, ErrOutsideTree
			}
			at = at[:len(at)-1]
			continue
		}
		next, err := t.step(here, part)
		if err != nil {
			return node{}, err
		}
		if next.Mode != odb.ModeSymlink || len(todo) == 0 && !follow {
			at = append(at, next)
			continue
		}
		if links++; links > maxLinks {
			return node{}, ErrLinkLoop
		}
		target, err := t.readLink(next.Hash)
		if err != nil {
			return node{}, err
		}
		parts, err := linkParts(target)
		if err != nil {
			return node{}, err
		}
		todo = append(parts, todo...)
	}
	return at[len(at)-1], nil
}

func (t *tree) step(here node, name string) (node, error) {
	if !here.Mode.IsTree() {
		return node{}, fs.ErrNotExist
	}
	if err := checkDepth(here.full); err != nil {
		return node{}, err
	}
	d, err := t.dir(here.full, here.Hash)
	if err != nil {
		return node{}, err
	}
	e, ok := d.find(name)
	if !ok {
		for _, s := range d.skipped {
			if s.Name == name && s.Mode == odb.ModeSubmodule {
				return node{}, ErrNotFetched
			}
		}
		return node{}, fs.ErrNotExist
	}
	return node{Entry: e, full: path.Join(here.full, name)}, nil
}

func checkDepth(dir string) error {
	if strings.Count(dir, "/") >= maxDepth {
		return plumbline.Errorf(plumbline.KindInvalid, "", "directories are nested more than %d deep", maxDepth)
	}
	return nil
}

func (t *tree) readLink(h plumbing.Hash) (string, error) {
	o, err := t.objects.Read(plumbing.BlobObject, h, maxLinkBytes)
	if err != nil {
		return "", err
	}
	return string(o.Data), nil
}

// split is the parts of a valid path.
func split(name string) []string {
	if name == "." {
		return nil
	}
	return strings.Split(name, "/")
}

// linkParts is the text of a link as the steps that it asks for; ".." is kept,
// for what it leaves is known only on the way. A link to an absolute path leads
// out, whatever is there.
func linkParts(target string) ([]string, error) {
	if target == "" || strings.HasPrefix(target, "/") || strings.Contains(target, "\x00") || !utf8.ValidString(target) {
		return nil, ErrOutsideTree
	}
	var parts []string
	for p := range strings.SplitSeq(target, "/") {
		if p != "" && p != "." {
			parts = append(parts, p)
		}
	}
	return parts, nil
}

// pathError is what every method of FS returns. What the repository's content
// is to blame for is Invalid.
func pathError(op, name string, err error) error {
	var tooLarge *odb.TooLargeError
	switch {
	case errors.Is(err, ErrOutsideTree), errors.Is(err, ErrLinkLoop), errors.Is(err, ErrNotFetched), errors.As(err, &tooLarge):
		err = &plumbline.Error{Kind: plumbline.KindInvalid, Err: err}
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}
