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

// directory is what a directory held when it was read. It is never changed:
// another takes its place, which shares with it all that is as before.
type directory struct {
	hash    string  // "" where the file system knows none
	entries []entry // files and directories, by name
	skipped []Skip  // of the entries, in the order of their names

	counted       bool // what follows is known
	holds         load // in it and below
	faulty, skips int  // in it and below
}

// entry of a directory: a file with its content, or a directory.
type entry struct {
	name    string
	hash    string
	content *content
	dir     *directory
}

func (d *directory) add(e entry) { d.entries = append(d.entries, e) }

func (d *directory) skip(name, reason string) {
	d.skipped = append(d.skipped, Skip{Origin: plumbline.Origin{Path: name}, Reason: reason})
}

// count finds out what it holds, when all of it is parsed.
func (d *directory) count() {
	if d.counted {
		return
	}
	d.counted, d.skips = true, len(d.skipped)
	for _, e := range d.entries {
		if e.dir == nil {
			d.holds.add(e.content.holds)
			if e.content.faulty() {
				d.faulty++
			}
			continue
		}
		e.dir.count()
		d.holds.add(e.dir.holds)
		d.faulty += e.dir.faulty
		d.skips += e.dir.skips
	}
}

// all is what it holds, with what was skipped.
func (d *directory) all() load {
	l := d.holds
	l.files += d.skips
	return l
}

// each calls file for all files in the directory and below.
func (d *directory) each(at string, file func(path string, e entry)) {
	for _, e := range d.entries {
		if e.dir != nil {
			e.dir.each(path.Join(at, e.name), file)
		} else {
			file(path.Join(at, e.name), e)
		}
	}
}

// withoutHashes is the same directory without the hashes of some files, and of
// the directories that hold them.
func (d *directory) withoutHashes(some func(*content) bool) *directory {
	out := *d
	for i, e := range d.entries {
		now := e
		if e.dir != nil {
			if now.dir = e.dir.withoutHashes(some); now.dir == e.dir {
				continue
			}
		} else if !some(e.content) {
			continue
		}
		if out.hash, now.hash = "", ""; &out.entries[0] == &d.entries[0] {
			out.entries = slices.Clone(d.entries)
		}
		out.entries[i] = now
	}
	if len(d.entries) == 0 || &out.entries[0] == &d.entries[0] {
		return d
	}
	return &out
}

// allSkipped are what was skipped, in the directory and below.
func (d *directory) allSkipped() []Skip {
	if d.skips == 0 {
		return nil
	}
	out := slices.Clone(d.skipped)
	for _, e := range d.entries {
		if e.dir != nil {
			out = append(out, e.dir.allSkipped()...)
		}
	}
	return out
}

// violations are those about files as a whole, in the directory and below.
func (d *directory) violations(at string) []plumbline.Violation {
	if d.faulty == 0 {
		return nil
	}
	var out []plumbline.Violation
	for _, e := range d.entries {
		if e.dir != nil {
			out = append(out, e.dir.violations(path.Join(at, e.name))...)
			continue
		}
		for _, v := range e.content.violations {
			out = append(out, definition.Source{Path: path.Join(at, e.name)}.Place(v))
		}
	}
	return out
}

// difference finds what differs between directories. What they share is not
// looked at.
type difference struct {
	tell    func(path string, old, now *content)
	found   bool
	remarks bool // in what was skipped, or in violations about files as a whole
}

// directories compares two directories at one path; nil is none.
func (d *difference) directories(at string, old, now *directory) {
	if old == now {
		return
	}
	var a, b directory
	if old != nil {
		a = *old
	}
	if now != nil {
		b = *now
	}
	if !slices.Equal(a.skipped, b.skipped) {
		d.found, d.remarks = true, true
	}
	for len(a.entries) > 0 || len(b.entries) > 0 {
		var x, y entry
		switch c := compareFirst(a.entries, b.entries); {
		case c < 0:
			x, a.entries = a.entries[0], a.entries[1:]
		case c > 0:
			y, b.entries = b.entries[0], b.entries[1:]
		default:
			x, a.entries, y, b.entries = a.entries[0], a.entries[1:], b.entries[0], b.entries[1:]
		}
		if x.content == y.content && x.dir == y.dir {
			continue
		}
		name := path.Join(at, max(x.name, y.name))
		d.directories(name, x.dir, y.dir)
		if x.content != y.content {
			d.found = true
			d.remarks = d.remarks || x.content.faulty() || y.content.faulty()
			d.tell(name, x.content, y.content)
		}
	}
}

func compareFirst(a, b []entry) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return strings.Compare(a[0].name, b[0].name)
}

// walker reads a tree once.
type walker struct {
	tree *tree
	ctx  context.Context //nolint:containedctx // lives for one walk
	fsys fs.FS
	dir  string // that is rendered
	read load   // so far, with what is as before

	queue []queued // not in read, in the order of the names
	bytes int      // of the files in it
}

// queued is what a name holds, or a file that is not parsed yet.
type queued struct {
	name string
	load load
	file *content
}

// Files that are new are parsed together, so many, or so many bytes of them, at
// a time: as much as may be read above a limit before that shows.
const (
	queueLength = 1024
	queueBytes  = 1 << 20
)

// took counts what was read up to name; c is its content, where it is a file.
func (w *walker) took(name string, l load, c *content) error {
	if len(w.queue) > 0 {
		return w.enqueue(queued{name: name, load: l})
	}
	w.read.add(l)
	example := ""
	if c != nil && w.read.problems > w.tree.limits.problems {
		example = c.example(name)
	}
	return w.read.within(w.tree.limits, w.dir, name, example)
}

func (w *walker) enqueue(q queued) error {
	w.queue = append(w.queue, q)
	if w.bytes += q.load.bytes; len(w.queue) < queueLength && w.bytes < queueBytes {
		return nil
	}
	return w.settle()
}

// settle parses what is new and counts what is queued.
func (w *walker) settle() error {
	last, err := w.tree.parseNew(w.ctx, w.tree.limits.values-w.read.values)
	if errors.Is(err, errValues) {
		over := load{values: w.tree.limits.values + 1}
		return over.within(w.tree.limits, w.dir, w.holder(last), "")
	}
	if err != nil {
		return err
	}
	queue := w.queue
	w.queue, w.bytes = w.queue[:0], 0
	for _, q := range queue {
		if q.file != nil {
			q.file.holds = loadOf(q.load.bytes, q.file)
			q.load = q.file.holds
		}
		if err := w.took(q.name, q.load, q.file); err != nil {
			return err
		}
	}
	return nil
}

// holder is the first queued file with a document.
func (w *walker) holder(doc *definition.Document) string {
	i := slices.IndexFunc(w.queue, func(q queued) bool {
		return slices.ContainsFunc(q.file.documents(), func(c chunk) bool { return c.doc == doc })
	})
	if i < 0 {
		return ""
	}
	return w.queue[i].name
}

// root reads the directory that is rendered.
func (w *walker) root(dir string) (*directory, error) {
	info, err := fs.Stat(w.fsys, dir)
	if err != nil {
		return nil, plumbline.Errorf(plumbline.KindUnset, "read "+dir, "%w", err)
	}
	hash := ""
	if h, ok := info.(plumbline.ContentHasher); ok {
		hash = h.ContentHash()
	}
	d, err := w.directory(dir, hash, w.tree.root)
	if err == nil {
		err = w.settle()
	}
	if err != nil {
		return nil, err
	}
	d.count()
	return d, nil
}

// directory reads a directory, unless its hash says that it is as before.
func (w *walker) directory(dir, hash string, before *directory) (*directory, error) {
	if hash != "" && hash == before.hash {
		return before, w.took(dir, before.all(), nil)
	}
	if err := w.ctx.Err(); err != nil {
		return nil, err
	}
	list, err := fs.ReadDir(w.fsys, dir)
	if err != nil {
		return nil, plumbline.Errorf(plumbline.KindUnset, "read "+dir, "%w", err)
	}
	d := &directory{hash: hash, entries: make([]entry, 0, len(list))}
	if slices.ContainsFunc(list, func(e fs.DirEntry) bool { return e.Name() == "Chart.yaml" && e.Type().IsRegular() }) {
		d.skip(dir, "a Helm chart")
		return d, nil
	}
	if dir != w.dir && slices.ContainsFunc(list, func(e fs.DirEntry) bool { return e.Name() == ".git" }) {
		d.skip(dir, "a submodule, or another repository: of a commit it is not read")
		return d, nil
	}
	known := before.entries
	for _, e := range list {
		for len(known) > 0 && known[0].name < e.Name() {
			known = known[1:]
		}
		var was entry
		if len(known) > 0 && known[0].name == e.Name() {
			was = known[0]
		}
		if err := w.entry(d, dir, e, was); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// entry takes in one line of a directory; was is what had its name before.
func (w *walker) entry(d *directory, dir string, e fs.DirEntry, was entry) error {
	name := e.Name()
	switch {
	case strings.HasPrefix(name, "."):
		if !e.IsDir() && !isYAML(name) {
			return nil
		}
		if name != ".git" { // nobody takes it for definitions
			d.skip(path.Join(dir, name), "hidden")
		}
		return w.took(path.Join(dir, name), load{files: 1}, nil)
	case e.IsDir():
		if was.dir == nil {
			was.dir = &directory{}
		}
		hash := contentHash(e)
		sub, err := w.directory(path.Join(dir, name), hash, was.dir)
		if err == nil {
			d.add(entry{name: name, hash: hash, dir: sub})
		}
		return err
	case !isYAML(name):
		return nil
	case !e.Type().IsRegular():
		d.skip(path.Join(dir, name), "not a regular file: links are not followed")
		return w.took(path.Join(dir, name), load{files: 1}, nil)
	}
	hash := contentHash(e)
	if hash != "" && hash == was.hash && was.content != nil {
		d.add(was)
		return w.took(path.Join(dir, name), was.content.holds, was.content)
	}
	hash, c, err := w.file(path.Join(dir, name), hash, e)
	if c == nil || err != nil {
		return err
	}
	d.add(entry{name: name, hash: hash, content: c})
	return w.enqueue(queued{name: path.Join(dir, name), load: c.holds, file: c})
}

// file is the content of a file, read only where it is not known by its hash;
// nil for a file that is gone since the directory was read. What is new in it is
// not parsed yet.
func (w *walker) file(name, hash string, e fs.DirEntry) (string, *content, error) {
	if c, ok := w.tree.contents[hash]; ok && hash != "" {
		return hash, c, nil
	}
	info, err := e.Info()
	if err != nil {
		return "", nil, plumbline.Errorf(plumbline.KindUnset, "read "+name, "%w", err)
	}
	if info.Size() > definition.MaxFile {
		c := &content{violations: []plumbline.Violation{{
			Code: definition.CodeTooLarge, Severity: plumbline.SeverityError,
			Message: fmt.Sprintf("the file has %d bytes; the limit is %d: split it", info.Size(), definition.MaxFile),
		}}}
		return hash, c, nil
	}
	text, err := fs.ReadFile(w.fsys, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, nil
	case err != nil:
		return "", nil, plumbline.Errorf(plumbline.KindUnset, "read "+name, "%w", err)
	}
	if hash == "" {
		sum := sha256.Sum256(text)
		hash = "sha256:" + string(sum[:])
	}
	c, ok := w.tree.contents[hash]
	if !ok {
		c = w.tree.parse(text)
		c.holds.bytes = len(text)
		w.tree.contents[hash] = c
	}
	return hash, c, nil
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
