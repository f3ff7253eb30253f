package render

import (
	"context"
	"crypto/sha256"
	"io/fs"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// tree is the files of a directory and what was parsed of them, kept between
// renderings: by directory, so that one that did not change is not looked at
// again; by the hash of contents, so that a file that moves is not read again;
// and by the hash of documents, so that only a changed one is parsed.
type tree struct {
	root     *directory
	contents map[string]*content
	parsed   map[[sha256.Size]byte]*definition.Document
	fresh    int // documents parsed since the last rendering
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

func newTree() *tree {
	return &tree{
		root:     &directory{},
		contents: map[string]*content{},
		parsed:   map[[sha256.Size]byte]*definition.Document{},
	}
}

// read brings the tree up to date. It calls change for every file with its old
// and new content, nil where there is none, and tells whether anything changed.
func (t *tree) read(ctx context.Context, fsys fs.FS, dir string, change func(path string, old, now *content)) (bool, error) {
	w := walker{tree: t, ctx: ctx, fsys: fsys}
	root, err := w.root(dir)
	if err != nil {
		return false, err
	}
	d := difference{tell: change}
	d.directories(dir, t.root, root)
	t.root = root
	t.forget()
	return d.found, nil
}

// forget drops what no file holds any more, once that is most of the memory.
func (t *tree) forget() {
	if len(t.contents) <= 2*t.root.files+64 {
		return
	}
	contents := make(map[string]*content, t.root.files)
	live := make([]*content, 0, t.root.files)
	t.root.each(".", func(_ string, e entry) {
		contents[e.hash] = e.content
		live = append(live, e.content)
	})
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
