package overlay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// The most that one build reads.
const (
	maxBytes = 256 << 20
	maxFiles = 100_000
)

func fileNames() []string { return konfig.RecognizedKustomizationFileNames() }

// loader copies what a kustomization can reach into memory. All problems are
// collected, not only the first.
type loader struct {
	stopped func() error // the context's Err: between two files is often enough
	source  fs.FS
	convert Convert

	memory   filesys.FileSystem
	loaded   map[string]bool // path → is in memory
	bytes    int
	stack    []string // directories being loaded, outermost first
	secrets  secrets
	problems []*plumbline.Error

	kustomizations []kustomization // in memory; one after those that it uses
}

func newLoader(ctx context.Context, source fs.FS, convert Convert) *loader {
	return &loader{
		stopped: ctx.Err, source: source, convert: convert,
		memory: filesys.MakeFsInMemory(), loaded: map[string]bool{},
	}
}

// load reads the kustomization in dir with all that it refers to, and is the
// path of its file.
func (l *loader) load(dir string) (file string, err error) {
	if err := l.memory.WriteFile(fieldsFile, []byte(fieldSpecs)); err != nil {
		return "", &plumbline.Error{Op: opBuild, Kind: plumbline.KindInternal, Err: err}
	}
	at := reference{file: path.Join(dir, fileNames()[0])}
	if !names.MatchString(dir) {
		l.problem(at, "%s: an overlay takes only letters, digits and -_.: in names", dir)
	} else {
		file = l.directory(dir, at)
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
		l.references(&k, dir, reference{file: file, text: text})
		l.writeKustomization(kustomization{dir: dir, file: file, text: text, k: k})
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
	if err := l.scan(text); err != nil {
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

// writeKustomization puts b, whose references have been checked and rewritten,
// into memory.
func (l *loader) writeKustomization(b kustomization) {
	b.k.BuildMetadata = []string{types.OriginAnnotations}
	b.k.Configurations = append(b.k.Configurations, fieldsFile)
	if err := l.write(b.file, b.k); err != nil {
		l.problem(reference{file: b.file}, "%w", err)
		return
	}
	l.kustomizations = append(l.kustomizations, b)
}

// resource loads a file of objects or definitions.
func (l *loader) resource(file string, from reference) {
	if l.loaded[file] {
		return
	}
	text, ok := l.read(file, from)
	if !ok {
		return
	}
	chunks, violations := definition.Split(text)
	for _, v := range violations {
		v.Origin.Path = file
		l.problemAt(v.Origin, errors.New(v.Message))
	}
	var out bytes.Buffer
	for _, c := range chunks {
		doc, ok := l.document(file, c)
		if !ok {
			continue
		}
		if len(doc) > 0 {
			out.WriteString("---\n")
			out.Write(bytes.TrimPrefix(doc, []byte("---\n")))
			out.WriteString("\n")
		}
	}
	if err := l.memory.WriteFile(path.Join(root, file), out.Bytes()); err != nil {
		l.problem(from, "%w", err)
	}
}

// document is one document of a resource file, converted.
func (l *loader) document(file string, c definition.Chunk) (doc []byte, ok bool) {
	at := plumbline.Origin{Path: file, Line: c.Before + 1}
	if err := l.scan(c.Text); err != nil {
		at.Line = c.Before + err.line
		l.problemAt(at, err)
		return nil, false
	}
	if l.convert == nil {
		return l.mark(c.Text, at.Line), true
	}
	doc, err := l.convert(at, c.Text)
	if err == nil {
		if syntax := l.scan(doc); syntax != nil {
			err = fmt.Errorf("converted document: %w", syntax)
		}
	}
	var placed *plumbline.Error
	switch {
	case err == nil:
		return l.mark(doc, at.Line), true
	case errors.As(err, &placed) && !placed.Origin.IsZero():
		l.problems = append(l.problems, placed)
	default:
		l.problemAt(at, err)
	}
	return nil, false
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
	if strings.HasPrefix(from.field, "patches") {
		if err := l.scan(text); err != nil {
			l.problemAt(plumbline.Origin{Path: file, Line: err.line}, err)
			return
		}
	}
	if strings.HasPrefix(from.field, "secretGenerator") {
		l.secrets.addLines(string(text))
	}
	if err := l.memory.WriteFile(path.Join(root, file), text); err != nil {
		l.problem(from, "%w", err)
	}
}

// read reads a file of the repository, within the limits.
func (l *loader) read(file string, from reference) ([]byte, bool) {
	l.loaded[file] = true
	if len(l.loaded) > maxFiles || l.bytes > maxBytes {
		if l.problems == nil {
			l.problem(from, "more than %d files or %d MiB", maxFiles, maxBytes>>20)
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

// scan checks the syntax of a stream and remembers its secret values.
func (l *loader) scan(doc []byte) *syntaxError {
	d := yaml.NewDecoder(bytes.NewReader(doc))
	for {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			e := syntaxError{message: strings.TrimPrefix(err.Error(), "yaml: ")}
			if _, err := fmt.Sscanf(e.message, "line %d: ", &e.line); err == nil {
				_, e.message, _ = strings.Cut(e.message, ": ")
			}
			return &e
		}
		l.secrets.addNode(&n, 0)
	}
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
