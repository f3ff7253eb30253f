package render

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync/atomic"

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
	unparsed []unparsed
	fresh    int // documents parsed since the last rendering
	opener   *definition.Opener
	data     bool // definitions are wanted as data, too
	limits   limits
}

// content of a file: the same for all files with the same bytes.
type content struct {
	docs       []chunk
	holds      load
	violations []plumbline.Violation // about the file as a whole
}

func (c *content) documents() []chunk {
	if c == nil {
		return nil
	}
	return c.docs
}

// encrypted tells whether a document of it is.
func (c *content) encrypted() bool {
	return slices.ContainsFunc(c.documents(), func(ch chunk) bool { return ch.doc.Encrypted })
}

func (c *content) faulty() bool { return c != nil && len(c.violations) > 0 }

type chunk struct {
	doc    *definition.Document
	before int
}

func newTree(opener *definition.Opener, data bool) *tree {
	return &tree{
		data:     data,
		opener:   opener,
		root:     &directory{},
		contents: map[string]*content{},
		parsed:   map[[sha256.Size]byte]*definition.Document{},
	}
}

// read brings the tree up to date. It calls change for every file with its old
// and new content, nil where there is none, and returns what else it found out.
func (t *tree) read(ctx context.Context, fsys fs.FS, dir string, change func(path string, old, now *content)) (difference, error) {
	w := walker{tree: t, ctx: ctx, fsys: fsys, dir: dir}
	root, err := w.root(dir)
	if err != nil {
		return difference{}, err
	}
	d := difference{tell: change}
	d.directories(dir, t.root, root)
	t.root = root
	t.forget()
	return d, nil
}

// forget drops what no file holds any more, once that is most of the memory.
func (t *tree) forget() {
	if len(t.contents) <= 2*t.root.holds.files+64 {
		return
	}
	contents := make(map[string]*content, t.root.holds.files)
	live := make([]*content, 0, t.root.holds.files)
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

// parse splits a text and parses the documents that are new. Those that may be
// encrypted belong together: one of them is new when any is.
func (t *tree) parse(text []byte) *content {
	chunks, violations := definition.Split(text)
	c := &content{violations: violations, docs: make([]chunk, len(chunks))}
	var encrypted [][]byte
	for i, ch := range chunks {
		c.docs[i].before = ch.Before
		if definition.MaybeEncrypted(ch.Text) {
			encrypted = append(encrypted, ch.Text)
			continue
		}
		c.docs[i].doc = t.later(ch.Text)
	}
	if len(encrypted) == 0 {
		return c
	}
	sum := sha256.New()
	for _, e := range encrypted {
		fmt.Fprintf(sum, "%d\n%s", len(e), e)
	}
	var opened []*definition.Document
	n := 0
	for i := range c.docs {
		if c.docs[i].doc != nil {
			continue
		}
		own := sha256.Sum256(fmt.Appendf(sum.Sum(nil), "%d", n))
		c.docs[i].doc = t.document(own, encrypted[n], func() *definition.Document {
			if opened == nil {
				opened = t.opener.ParseEncrypted(encrypted)
			}
			return opened[n]
		})
		n++
	}
	return c
}

// parseBuilt parses what an overlay built, on all cores. It ends with errValues
// where that has too many values.
func (t *tree) parseBuilt(ctx context.Context, text []byte) (*content, error) {
	chunks, violations := definition.Split(text)
	c := &content{violations: violations, docs: make([]chunk, 0, len(chunks))}
	for _, ch := range chunks {
		c.docs = append(c.docs, chunk{t.later(ch.Text), ch.Before})
	}
	list := t.unparsed
	t.unparsed = nil
	var values atomic.Int64
	return c, inParallel(ctx, runtime.GOMAXPROCS(0), len(list), func(_, i int) error {
		u := &list[i]
		*u.doc = *t.opener.Parse(u.text)
		if values.Add(int64(u.doc.Values)) > int64(t.limits.values) {
			return errValues
		}
		if t.data {
			u.doc.Data = definition.DataOf(u.text)
		}
		return nil
	})
}

// unparsed is a document that has its place, and is not parsed yet.
type unparsed struct {
	doc  *definition.Document
	text []byte
}

// later is a document that is known by its hash, or else is parsed by parseNew.
func (t *tree) later(text []byte) *definition.Document {
	sum := sha256.Sum256(text)
	doc, ok := t.parsed[sum]
	if !ok {
		doc = &definition.Document{}
		t.parsed[sum] = doc
		t.unparsed = append(t.unparsed, unparsed{doc, text})
		t.fresh++
	}
	return doc
}

// errValues ends parseNew where there are too many values.
var errValues = errors.New("too many values")

// parseNew parses the documents that are new, on all cores. Where they have more
// than room values, it ends with errValues and the document that has one too
// many.
func (t *tree) parseNew(ctx context.Context, room int) (*definition.Document, error) {
	list := t.unparsed
	t.unparsed = nil
	var values atomic.Int64
	err := inParallel(ctx, runtime.GOMAXPROCS(0), len(list), func(_, i int) error {
		u := &list[i]
		*u.doc = *definition.Parse(u.text)
		if values.Add(int64(u.doc.Values)) > int64(room) {
			return errValues
		}
		if t.data {
			u.doc.Data = definition.DataOf(u.text)
		}
		u.text = nil
		return nil
	})
	if !errors.Is(err, errValues) {
		return nil, err
	}
	// Which were parsed is a matter of chance: count in order.
	for _, u := range list {
		if u.text != nil {
			*u.doc = *definition.Parse(u.text)
		}
		if room -= u.doc.Values; room < 0 {
			return u.doc, err
		}
	}
	return nil, err
}

// document is a document that is known by its hash, or else is parsed.
func (t *tree) document(sum [sha256.Size]byte, text []byte, parse func() *definition.Document) *definition.Document {
	doc, ok := t.parsed[sum]
	if !ok {
		if doc = parse(); t.data {
			doc.Data = definition.DataOf(text)
		}
		t.parsed[sum] = doc
		t.fresh++
	}
	return doc
}

// forgetEncrypted drops what was opened, or was not, with other keys: the next
// reading reads those files again.
func (t *tree) forgetEncrypted() {
	t.opener.Forget()
	for hash, c := range t.contents {
		if c.encrypted() {
			delete(t.contents, hash)
		}
	}
	for sum, doc := range t.parsed {
		if doc.Encrypted {
			delete(t.parsed, sum)
		}
	}
	t.root = t.root.withoutHashes((*content).encrypted)
}
