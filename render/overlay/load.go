package overlay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// The most that one build reads, and puts out.
const (
	MaxBytes   = 256 << 20
	MaxFiles   = 100_000
	MaxObjects = 100_000
	maxStack   = 50 // kustomizations that use each other
)

func fileNames() []string { return konfig.RecognizedKustomizationFileNames() }

// loader copies what a kustomization can reach into memory. All problems are
// collected, not only the first.
type loader struct {
	stopped func() error // the context's Err: between two files is often enough
	source  fs.FS
	convert Convert

	loaded   map[string]bool // path → was read
	limits   limits
	bytes    int
	stack    []string // directories being loaded, outermost first
	secrets  secrets
	problems []*plumbline.Error

	before    map[string]*resourceFile // of the last build
	resources map[string]*resourceFile
	pending   []*conversion
	raws      map[string][]byte // patches, and content for generators

	kustomizations []kustomization // one after those that it uses
	facts          map[patchKey]*patchFacts
	root, file     string // the directory that is built, and its kustomization file
}

func newLoader(ctx context.Context, source fs.FS, convert Convert, before map[string]*resourceFile) *loader {
	return &loader{
		stopped: ctx.Err, source: source, convert: convert, before: before,
		loaded:    map[string]bool{},
		resources: map[string]*resourceFile{}, raws: map[string][]byte{},
		facts: map[patchKey]*patchFacts{},
	}
}

// resourceFile is a file of objects or definitions, in the form that kustomize
// gets it.
type resourceFile struct {
	hash    string // that the file system knows it by; "" when it must be read again
	text    []byte
	sum     [sha256.Size]byte // of text
	objects []objectName
	odd     bool // kustomize may see others in it, or in another way
}

// load reads the kustomization in dir with all that it refers to, and is the
// path of its file.
func (l *loader) load(dir string) (file string, err error) {
	at := reference{file: path.Join(dir, fileNames()[0])}
	if !names.MatchString(dir) {
		l.problem(at, "%s: an overlay takes only letters, digits and -_.: in names", dir)
	} else {
		file = l.directory(dir, at)
		l.convertAll()
	}
	if err := l.stopped(); err != nil {
		return file, &plumbline.Error{Op: opBuild, Err: err}
	}
	slices.SortStableFunc(l.problems, func(a, b *plumbline.Error) int { return a.Origin.Compare(b.Origin) })
	errs := make([]error, 0, len(l.problems))
	for _, p := range l.problems {
		errs = append(errs, p)
	}
	return file, errors.Join(errs...)
}

// reference is a place in a kustomization file that names something else.
type reference struct {
	file  string // the kustomization file
	text  []byte // its content
	field string // "resources"
	value string // as written
}

// problem records what is wrong at r.
func (l *loader) problem(r reference, format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if r.field != "" {
		err = fmt.Errorf("%s: %w", r.field, err)
	}
	l.problemAt(plumbline.Origin{Path: r.file, Line: lineOf(r.text, r.field, r.value)}, err)
}

func (l *loader) problemAt(at plumbline.Origin, err error) {
	l.problems = append(l.problems, &plumbline.Error{Op: opBuild, Kind: plumbline.KindInvalid, Origin: at, Err: err})
}

// directory loads the kustomization in dir, which from names.
func (l *loader) directory(dir string, from reference) (file string) {
	if l.stopped() != nil || l.looping(dir, from) {
		return ""
	}
	var found []string
	for _, name := range fileNames() {
		if info, err := fs.Stat(l.source, path.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		l.problem(from, "no kustomization file in %s", dir)
		return ""
	case 1:
	default:
		l.problem(from, "%s in %s: keep one", strings.Join(found, " and "), dir)
		return ""
	}
	file = path.Join(dir, found[0])
	if l.loaded[file] {
		return file
	}
	text, ok := l.read(file, from)
	if !ok {
		return file
	}
	l.stack = append(l.stack, dir)
	defer func() { l.stack = l.stack[:len(l.stack)-1] }()
	if k, ok := l.parse(file, text); ok {
		b := kustomization{dir: dir, file: file, text: text, k: k}
		l.references(&b.k, dir, reference{file: file, text: text})
		b.inline(l.raws)
		l.keep(b)
	}
	return file
}

// looping reports a kustomization that is reached from itself, and a base that
// lies above its overlay, in which kustomize sees a loop too.
func (l *loader) looping(dir string, from reference) bool {
	if slices.Contains(l.stack, dir) {
		l.problem(from, "a cycle: %s", strings.Join(append(slices.Clone(l.stack), dir), " → "))
		return true
	}
	if len(l.stack) >= maxStack {
		l.problem(from, "more than %d kustomizations use each other: a link may lead to where it lies", maxStack)
		return true
	}
	for _, above := range l.stack {
		if dir == "." || strings.HasPrefix(above, dir+"/") {
			l.problem(from, "%s lies above %s, which uses it: move one beside the other", dir, above)
			return true
		}
	}
	return false
}

// parse decodes a kustomization file. Its own messages are replaced where they
// might quote a value.
func (l *loader) parse(file string, text []byte) (k types.Kustomization, ok bool) {
	at := reference{file: file, text: text}
	l.secrets.addText(text)
	if _, err := decode(text); err != nil {
		l.problemAt(plumbline.Origin{Path: file, Line: err.line}, err)
		return k, false
	}
	if err := k.Unmarshal(text); err != nil {
		message := strings.TrimPrefix(err.Error(), "invalid Kustomization: ")
		if _, field, unknown := strings.Cut(message, "unknown field "); unknown {
			at.value = strings.Trim(field, `"`)
			l.problem(at, "unknown field %s", field)
			return k, false
		}
		l.problem(at, "%s", l.secrets.redact(message))
		return k, false
	}
	k.FixKustomization()
	for _, message := range k.EnforceFields() {
		l.problem(at, "%s", message)
		return k, false
	}
	return k, true
}

// keep takes in b, whose references have been checked and rewritten.
func (l *loader) keep(b kustomization) {
	b.k.BuildMetadata = nil
	if b.k.NamePrefix+b.k.NameSuffix != "" || len(b.k.Labels)+len(b.k.Images) > 0 || len(l.stack) == 1 {
		b.k.Configurations = append(b.k.Configurations, fieldsFile)
	} else {
		// Reading it costs more than all else about a kustomization that is only a
		// list. But an empty one is refused.
		b.k.MetaData = &types.ObjectMeta{Name: "overlay"}
	}
	l.kustomizations = append(l.kustomizations, b)
}

// resource loads a file of objects or definitions.
func (l *loader) resource(file string, info fs.FileInfo, from reference) {
	if l.loaded[file] {
		return
	}
	if r, hash := l.before[file], hashOf(info); r != nil && hash != "" && r.hash == hash {
		l.loaded[file] = true
		l.resources[file] = r
		l.secrets.addText(r.text)
	} else if text, ok := l.read(file, from); ok {
		l.pending = append(l.pending, &conversion{file: file, text: text, hash: hash})
	}
}

// conversion is a file of objects or definitions that is to be converted.
type conversion struct {
	file, hash string
	text       []byte

	out      resourceFile
	unsaid   [][]byte // texts whose values no message may show
	problems []*plumbline.Error
}

// convertAll converts the files that were read, on all cores.
func (l *loader) convertAll() {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(l.pending)) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(l.pending) && l.stopped() == nil; i = int(next.Add(1)) - 1 {
				l.pending[i].run(l.convert)
			}
		})
	}
	all.Wait()
	for _, c := range l.pending {
		l.problems = append(l.problems, c.problems...)
		for _, text := range c.unsaid {
			l.secrets.addText(text)
		}
		l.resources[c.file] = &c.out
		l.secrets.addText(c.out.text)
	}
	l.pending = nil
}

func hashOf(info fs.FileInfo) string {
	if h, ok := info.(plumbline.ContentHasher); ok {
		return h.ContentHash()
	}
	return ""
}

// run gives the documents of the file the form that kustomize gets. The hash of
// the result is empty when it must not be used again.
func (c *conversion) run(convert Convert) {
	c.out.hash = c.hash
	chunks, violations := definition.Split(c.text)
	for _, v := range violations {
		v.Origin.Path = c.file
		c.problem(v.Origin, errors.New(v.Message))
		c.out.hash = ""
	}
	var out bytes.Buffer
	for _, chunk := range chunks {
		if !c.document(chunk, convert, &out) {
			c.out.hash = ""
		}
	}
	c.out.text = out.Bytes()
	c.out.odd = c.out.odd || bytes.Contains(c.out.text, []byte(internalNotes))
	c.out.sum = sha256.Sum256(c.out.text)
}

func (c *conversion) problem(at plumbline.Origin, err error) {
	c.problems = append(c.problems, &plumbline.Error{Op: opBuild, Kind: plumbline.KindInvalid, Origin: at, Err: err})
}

// document writes one document of the file, converted and marked, to out. It
// tells whether it would be the same the next time.
func (c *conversion) document(chunk definition.Chunk, convert Convert, out *bytes.Buffer) (again bool) {
	at := plumbline.Origin{Path: c.file, Line: chunk.Before + 1}
	doc, again := definition.Detached{Text: chunk.Text}, true
	if convert != nil {
		var err error
		var placed *plumbline.Error
		switch doc, again, err = convert(at, chunk.Text); {
		case errors.As(err, &placed) && !placed.Origin.IsZero():
			c.problems = append(c.problems, placed)
			return false
		case err != nil:
			if _, syntax := decode(chunk.Text); syntax != nil {
				at.Line, err = chunk.Before+syntax.line, syntax
			}
			c.problem(at, err)
			return false
		}
	}
	nodes, failed := nodesOf(doc)
	if failed != nil {
		at.Line = chunk.Before + failed.line
		c.unsaid = append(c.unsaid, chunk.Text)
		c.problem(at, failed)
		return false
	}
	for _, n := range nodes {
		c.out.odd = !markObject(n.Content[0], at, 0, &c.out.objects) || c.out.odd
	}
	if err := encodeAll(out, nodes); err != nil {
		c.problem(at, err)
		return false
	}
	return again
}

// nodesOf are the documents that a document became.
func nodesOf(d definition.Detached) ([]*yaml.Node, *syntaxError) {
	if d.Root == nil {
		return decode(d.Text)
	}
	n := &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{d.Root}}
	return []*yaml.Node{n}, (&extent{}).of(n, 0)
}

// raw loads a file as it is: a patch, or content for a generator.
func (l *loader) raw(file string, from reference) {
	if l.loaded[file] {
		return
	}
	text, ok := l.read(file, from)
	if !ok {
		return
	}
	if from.field == "patches" {
		l.secrets.addText(text)
		if _, err := decode(text); err != nil {
			l.problemAt(plumbline.Origin{Path: file, Line: err.line}, err)
			return
		}
	}
	if strings.HasPrefix(from.field, "secretGenerator") {
		l.secrets.addLines(string(text))
	}
	l.raws[file] = text
}

// read reads a file of the repository, within the limits.
func (l *loader) read(file string, from reference) ([]byte, bool) {
	l.loaded[file] = true
	if len(l.loaded) > MaxFiles || l.bytes > MaxBytes {
		if l.problems == nil {
			l.problem(from, "more than %d files or %d MiB", MaxFiles, MaxBytes>>20)
		}
		return nil, false
	}
	f, err := l.source.Open(file)
	if err != nil {
		l.problem(from, "%w", err)
		return nil, false
	}
	defer f.Close() //nolint:errcheck // opened for reading
	text, err := io.ReadAll(io.LimitReader(f, definition.MaxFile+1))
	switch {
	case err != nil:
		l.problem(from, "read %s: %w", file, err)
		return nil, false
	case len(text) > definition.MaxFile:
		l.problem(from, "%s is larger than %d MiB", file, definition.MaxFile>>20)
		return nil, false
	}
	l.bytes += len(text)
	return text, true
}

// syntaxError is what the YAML parser says, which is never a value, and where.
type syntaxError struct {
	line    int // in the document, 0 when not known
	message string
}

func (e *syntaxError) Error() string { return e.message }

// The most that one document holds, counting each use of an alias, which
// kustomize writes out.
const (
	maxNodes = 400_000
	maxNest  = 100
)

// extent counts the values of a document.
type extent struct{ nodes int }

func (x *extent) of(n *yaml.Node, depth int) *syntaxError {
	x.nodes++
	switch {
	case x.nodes > maxNodes:
		return &syntaxError{n.Line, fmt.Sprintf("the document has more than %d values, counting each use of an alias", maxNodes)}
	case depth > maxNest:
		return &syntaxError{n.Line, fmt.Sprintf("values are nested more than %d deep, or an alias lies inside its own anchor", maxNest)}
	case n.Kind == yaml.AliasNode:
		return x.of(n.Alias, depth+1)
	}
	for _, c := range n.Content {
		if over := x.of(c, depth+1); over != nil {
			return over
		}
	}
	return nil
}

// decode parses a stream. Documents of comments only are left out. With an
// error come those before it.
func decode(stream []byte) (docs []*yaml.Node, failed *syntaxError) {
	defer func() {
		if r := recover(); r != nil {
			failed = &syntaxError{message: "the parser gave up"}
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(stream))
	for {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			e := syntaxError{message: strings.TrimPrefix(err.Error(), "yaml: ")}
			if _, err := fmt.Sscanf(e.message, "line %d: ", &e.line); err == nil {
				_, e.message, _ = strings.Cut(e.message, ": ")
			}
			return docs, &e
		}
		if len(n.Content) == 0 {
			continue
		}
		docs = append(docs, &n)
		if over := (&extent{}).of(&n, 0); over != nil {
			return docs, over
		}
	}
}

// encodeAll writes documents as a stream that another can follow.
func encodeAll(out *bytes.Buffer, docs []*yaml.Node) error {
	for _, n := range docs {
		out.WriteString("---\n")
		e := yaml.NewEncoder(out)
		e.SetIndent(2)
		if err := e.Encode(n); err != nil {
			return err
		}
		if err := e.Close(); err != nil {
			return err
		}
	}
	return nil
}

// lineOf is the line on which value stands in a YAML file, below field if that
// is given; 0 when it is not found.
func lineOf(text []byte, field, value string) int {
	if value == "" {
		value, field = field, ""
	}
	if value == "" {
		return 0
	}
	var n yaml.Node
	if yaml.Unmarshal(text, &n) != nil {
		return 0
	}
	top, _, _ := strings.Cut(field, "[")
	if len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode && top != "" {
		for i := 0; i+1 < len(n.Content[0].Content); i += 2 {
			if n.Content[0].Content[i].Value == top {
				return lineIn(n.Content[0].Content[i+1], value)
			}
		}
	}
	return lineIn(&n, value)
}

func lineIn(n *yaml.Node, value string) int {
	if n.Kind == yaml.ScalarNode && n.Value == value {
		return n.Line
	}
	for _, c := range n.Content {
		if line := lineIn(c, value); line > 0 {
			return line
		}
	}
	return 0
}
