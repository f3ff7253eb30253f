package render

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// tree is the files of a directory and what was parsed of them, kept between
// renderings: by the hash of contents, so that a file that moves is not read
// again, and by the hash of documents, so that only a changed one is parsed.
type tree struct {
	files    []file
	dirs     map[string]listing // by path; of file systems that know the hash of a directory
	contents map[string]*content
	parsed   map[[sha256.Size]byte]*definition.Document
	skipped  []Skip
	fresh    int // documents parsed since the last rendering
}

// file is a file with its content.
type file struct {
	path    string
	hash    string
	content *content
}

// content of a file: the same for all files with the same bytes.
type content struct {
	docs       []chunk
	violations []plumbline.Violation // about the file as a whole
}

func (c *content) documents() []chunk {
	if c == nil {
		return nil
	}
	return c.docs
}

type chunk struct {
	doc    *definition.Document
	before int
}

// listing is what a directory of a known hash holds.
type listing struct {
	hash    string
	files   []file
	skipped []Skip
}

func newTree() *tree {
	return &tree{
		dirs:     map[string]listing{},
		contents: map[string]*content{},
		parsed:   map[[sha256.Size]byte]*definition.Document{},
	}
}

// read brings the tree up to date. It calls change for every file with its
// old and new content, nil where there is none, and tells whether anything
// changed.
func (t *tree) read(ctx context.Context, fsys fs.FS, dir string, change func(path string, old, now *content)) (bool, error) {
	w := walker{tree: t, ctx: ctx, fsys: fsys, files: make([]file, 0, len(t.files)), dirs: make(map[string]listing, len(t.dirs))}
	if err := w.dir(dir); err != nil {
		return false, err
	}
	changed := !slices.Equal(w.skipped, t.skipped)
	tell := func(path string, old, now *content) {
		changed = true
		change(path, old, now)
	}
	if slices.EqualFunc(w.files, t.files, func(a, b file) bool { return a.path == b.path }) {
		for i, f := range w.files {
			if old := t.files[i].content; old != f.content {
				tell(f.path, old, f.content)
			}
		}
	} else {
		t.compare(w.files, tell)
	}
	t.files, t.skipped, t.dirs = w.files, w.skipped, w.dirs
	t.forget()
	return changed, nil
}

// compare finds what differs between two sets of files.
func (t *tree) compare(files []file, tell func(path string, old, now *content)) {
	old := make(map[string]*content, len(t.files))
	for _, f := range t.files {
		old[f.path] = f.content
	}
	for _, f := range files {
		if before := old[f.path]; before != f.content {
			tell(f.path, before, f.content)
		}
		delete(old, f.path)
	}
	for path, before := range old {
		tell(path, before, nil)
	}
}

// forget drops what no file holds any more, once that is most of the memory.
func (t *tree) forget() {
	if len(t.contents) <= 2*len(t.files)+64 {
		return
	}
	contents := make(map[string]*content, len(t.files))
	live := make([]*content, 0, len(t.files))
	for _, f := range t.files {
		contents[f.hash] = f.content
		live = append(live, f.content)
	}
	t.contents = contents
	t.only(live...)
}

// only keeps the parsed documents of live contents.
func (t *tree) only(live ...*content) {
	keep := map[*definition.Document]bool{}
	for _, c := range live {
		for _, d := range c.docs {
			keep[d.doc] = true
		}
	}
	for sum, doc := range t.parsed {
		if !keep[doc] {
			delete(t.parsed, sum)
		}
	}
}

// walker reads a tree once.
type walker struct {
	tree    *tree
	ctx     context.Context //nolint:containedctx // lives for one walk
	fsys    fs.FS
	files   []file
	skipped []Skip
	dirs    map[string]listing
}

func (w *walker) skip(name, reason string) {
	w.skipped = append(w.skipped, Skip{Origin: plumbline.Origin{Path: name}, Reason: reason})
}

func (w *walker) dir(dir string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	entries, err := fs.ReadDir(w.fsys, dir)
	if err != nil {
		return plumbline.Errorf(plumbline.KindUnset, "read "+dir, "%w", err)
	}
	for _, e := range entries {
		if e.Name() == "Chart.yaml" && e.Type().IsRegular() {
			w.skip(dir, "a Helm chart")
			return nil
		}
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
			if e.IsDir() || isYAML(e.Name()) {
				w.skip(name, "hidden")
			}
		case e.IsDir():
			err = w.known(name, e)
		case !isYAML(e.Name()):
		case !e.Type().IsRegular():
			w.skip(name, "not a regular file: links are not followed")
		default:
			err = w.file(name, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// known walks a directory, unless its hash says that it is as before.
func (w *walker) known(dir string, e fs.DirEntry) error {
	hash := contentHash(e)
	if l, ok := w.tree.dirs[dir]; ok && hash != "" && l.hash == hash {
		w.files = append(w.files, l.files...)
		w.skipped = append(w.skipped, l.skipped...)
		w.dirs[dir] = l
		return nil
	}
	files, skipped := len(w.files), len(w.skipped)
	if err := w.dir(dir); err != nil {
		return err
	}
	if hash != "" {
		w.dirs[dir] = listing{hash: hash, files: w.files[files:len(w.files):len(w.files)], skipped: w.skipped[skipped:len(w.skipped):len(w.skipped)]}
	}
	return nil
}

// file adds a file, read only where its content is not known.
func (w *walker) file(name string, e fs.DirEntry) error {
	hash := contentHash(e)
	if c, ok := w.tree.contents[hash]; ok && hash != "" {
		w.files = append(w.files, file{name, hash, c})
		return nil
	}
	info, err := e.Info()
	if err != nil {
		return plumbline.Errorf(plumbline.KindUnset, "read "+name, "%w", err)
	}
	if info.Size() > definition.MaxFile {
		c := &content{violations: []plumbline.Violation{{
			Code: definition.CodeTooLarge, Severity: plumbline.SeverityError,
			Message: fmt.Sprintf("the file has %d bytes; the limit is %d: split it", info.Size(), definition.MaxFile),
		}}}
		w.files = append(w.files, file{name, fmt.Sprintf("size %d", info.Size()), c})
		return nil
	}
	text, err := fs.ReadFile(w.fsys, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // gone since the directory was read
	case err != nil:
		return plumbline.Errorf(plumbline.KindUnset, "read "+name, "%w", err)
	}
	if hash == "" {
		sum := sha256.Sum256(text)
		hash = "sha256:" + string(sum[:])
	}
	c, ok := w.tree.contents[hash]
	if !ok {
		c = w.tree.parse(text)
		w.tree.contents[hash] = c
	}
	w.files = append(w.files, file{name, hash, c})
	return nil
}

// parse splits a text and parses the documents that are new.
func (t *tree) parse(text []byte) *content {
	chunks, violations := definition.Split(text)
	c := &content{violations: violations, docs: make([]chunk, 0, len(chunks))}
	for _, ch := range chunks {
		sum := sha256.Sum256(ch.Text)
		doc, ok := t.parsed[sum]
		if !ok {
			doc = definition.Parse(ch.Text)
			t.parsed[sum] = doc
			t.fresh++
		}
		c.docs = append(c.docs, chunk{doc, ch.Before})
	}
	return c
}

// contentHash is the hash that a file system knows without reading, or "".
func contentHash(e fs.DirEntry) string {
	if h, ok := e.(plumbline.ContentHasher); ok {
		return h.ContentHash()
	}
	if info, err := e.Info(); err == nil {
		if h, ok := info.(plumbline.ContentHasher); ok {
			return h.ContentHash()
		}
	}
	return ""
}

func isYAML(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}
