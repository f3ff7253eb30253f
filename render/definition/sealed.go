package definition

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/sops"
)

// sealing is what a reader knows of its document's encryption.
type sealing struct {
	encrypted bool        // by SOPS, as a whole or in parts
	opened    sops.Opened // the nodes that were
	closed    string      // why they still are
	// passed is set behind an overlay, where nodes are others than in the file:
	// every value counts as encrypted.
	passed bool
}

// sealed notes whether a secret's value stands in the file as it is, and refuses
// one that is encrypted where SOPS says of nothing how.
func (r *reader) sealed(out *Sealing, key, v *yaml.Node) {
	v = resolve(v)
	s := &r.sealing
	out.Closed, out.Partly = s.closed != "", s.encrypted
	switch {
	case !s.encrypted && v.Kind == yaml.ScalarNode && sops.IsValue(v.Value):
		r.errorf(CodeSeal, posOf(v), "an encrypted value, and the document has no sops block: take the file from Git's history, or encrypt it again")
	case v.Kind != yaml.ScalarNode || isNull(v) || v.Value == "": // SOPS leaves those as they are
	case s.passed || s.opened[v] || s.closed != "" && sops.IsValue(v.Value):
	case isDataKey(key.Value):
		if len(out.Plain) == 0 {
			out.PlainAt = posOf(key)
		}
		out.Plain = append(out.Plain, key.Value)
	}
}

// first is the first encrypted value at or below n, or nil.
func (s *sealing) first(n *yaml.Node) *yaml.Node {
	if s.closed == "" {
		return s.opened.In(n)
	}
	if n.Kind == yaml.ScalarNode && sops.IsValue(n.Value) {
		return n
	}
	for _, c := range n.Content {
		if found := s.first(c); found != nil {
			return found
		}
	}
	return nil
}

// misplaced refuses encrypted values in what is no secret: they would be
// readable in the object.
func (r *reader) misplaced(root *yaml.Node, apiVersion, kind string) bool {
	if !r.sealing.encrypted {
		return false
	}
	if isSpaceCloud(root, apiVersion) {
		t, _ := dispatch(scalar(root, "api"), scalar(root, "type"))
		kind = t.kind
	} else if apiVersion == "" || strings.HasPrefix(apiVersion, "kustomize.config.k8s.io") {
		return false
	}
	switch kind {
	case "":
		return false
	case "ServiceSecret":
		if apiVersion == "" || strings.HasPrefix(apiVersion, "plumbline") {
			return false
		}
	case "Secret":
		if apiVersion == "v1" {
			return false
		}
	}
	if r.sealing.passed {
		r.errorf(CodeEncryptedElsewhere, posOf(root),
			"the overlay makes a %s of an encrypted secret, and its values would be readable on the cluster: leave its kind and apiVersion as they are", kind)
		return true
	}
	at := r.sealing.first(root)
	if at == nil || strings.HasSuffix(kind, "List") && get(root, "items") != nil {
		return false
	}
	r.errorf(CodeEncryptedElsewhere, posOf(at),
		"a %s cannot hold encrypted values, they would be readable on the cluster: put the value into a secret, and encrypt only secrets (encrypted_regex in .sops.yaml)", kind)
	return true
}

// Opener opens documents that SOPS encrypted. The zero value has no keys, and
// refuses them.
type Opener struct {
	Keys sops.Keys // nil: none
	// Lenient lets documents pass for which there is no key: they are read as
	// far as they are plain, and Document.Closed says why no farther.
	Lenient bool
	// Away is set where a key service did not answer: what was read since is not
	// to be used.
	Away error
	// passed are the marks of documents that went through an overlay, and why
	// their values are still encrypted.
	passed map[string]string
	// converted are files as the overlay got them: now, and in the build before.
	converted, before map[[sha256.Size]byte][]converted
}

// converted is a document for an overlay.
type converted struct {
	text []byte
	doc  *Document
}

// noKeys are the keys of who has none.
type noKeys struct{}

func (noKeys) DataKey(sops.Recipient) ([]byte, error) { return nil, sops.ErrNoKey }
func (noKeys) Ask(sops.Recipient) ([]byte, error)     { return nil, sops.ErrNoKey }

// MaybeEncrypted tells cheaply of most documents that they are not encrypted.
func MaybeEncrypted(text []byte) bool { return bytes.Contains(text, []byte(sops.Key)) }

// ParseEncrypted reads the documents of one file of which MaybeEncrypted is
// true: all of them, in their order, since SOPS takes them as one. A document
// that is not encrypted after all is read as by Parse.
func (o *Opener) ParseEncrypted(texts [][]byte) []*Document {
	loaded := o.load(texts)
	out := make([]*Document, 0, len(loaded))
	for _, l := range loaded {
		out = append(out, l.document())
	}
	return out
}

// Parse reads a document behind an overlay, which Convert may have opened.
func (o *Opener) Parse(text []byte) *Document {
	l := loadedDocument{reader: &reader{}}
	if l.root = resolve(load(text, &l.reader.problems)); l.root != nil {
		mark := scalar(get(get(l.root, "metadata"), "annotations"), annotationMark)
		if closed, ok := o.passed[mark]; ok {
			l.reader.sealing = sealing{encrypted: true, passed: true, closed: closed}
		}
	}
	return l.document()
}

// loadedDocument is a document that is ready to be read.
type loadedDocument struct {
	reader *reader
	root   *yaml.Node // nil where it is not
	hidden bool       // not even its name is plain
}

func (l *loadedDocument) document() *Document {
	root := l.root
	if l.hidden {
		root = nil
	}
	d := l.reader.document(root)
	s := l.reader.sealing
	d.Encrypted, d.Hidden = s.encrypted, l.hidden
	if !s.passed { // said already, with the line
		d.Closed = s.closed
	}
	return d
}

// load parses documents and opens those that are encrypted.
func (o *Opener) load(texts [][]byte) []loadedDocument {
	out := make([]loadedDocument, len(texts))
	var roots []*yaml.Node
	var at []int
	ours := false
	for i, text := range texts {
		l := loadedDocument{reader: &reader{}}
		l.root = resolve(load(text, &l.reader.problems))
		if l.root != nil && sops.Is(l.root) {
			ours = ours || isOurs(l.root)
			roots, at = append(roots, l.root), append(at, i)
		}
		out[i] = l
	}
	if !ours {
		return out
	}
	keys := o.Keys
	if keys == nil {
		keys = noKeys{}
	}
	opened, problems := sops.Open(roots, keys)
	for _, i := range at {
		out[i].reader.sealing = sealing{encrypted: true, opened: opened}
	}
	for _, p := range problems {
		if p.Away != nil {
			o.Away = p.Away
		}
		for _, d := range p.Docs {
			out[at[d]].close(texts[at[d]], p.Message)
		}
		code := CodeSeal
		if p.NoKey {
			code = CodeEncrypted
		}
		if !p.NoKey || !o.Lenient {
			out[at[p.Doc]].reader.errorf(code, Pos{p.Line, p.Column}, "%s", p.Message)
		}
	}
	return out
}

// close reads the document again, for it may have been opened in parts.
func (l *loadedDocument) close(text []byte, why string) {
	l.root = resolve(load(text, &problems{}))
	l.root.Content = slices.Clone(l.root.Content)
	for i := 0; i+1 < len(l.root.Content); i += 2 {
		if l.root.Content[i].Value == sops.Key {
			l.root.Content = slices.Delete(l.root.Content, i, i+2)
			break
		}
	}
	l.reader.sealing = sealing{encrypted: true, closed: why}
	l.hidden = hides(l.root)
}

// isOurs tells by its keys alone, which SOPS leaves as they are, whether a
// document can be a definition or an object.
func isOurs(root *yaml.Node) bool {
	has := func(key string) bool { return get(root, key) != nil }
	return has("apiVersion") && has("kind") || has("meta") && (has("api") || has("type")) || has("specs")
}

// hides tells whether anything is encrypted besides the values of a secret.
func hides(n *yaml.Node) bool {
	if n.Kind == yaml.ScalarNode {
		return sops.IsValue(n.Value)
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && (n.Content[i-1].Value == "data" || n.Content[i-1].Value == "stringData") {
			continue
		}
		if hides(c) {
			return true
		}
	}
	return false
}

// annotationMark marks a document that was encrypted on its way through an
// overlay. It never gets into an object.
const annotationMark = "internal.plumbline.dev/encrypted"

// Begin is called before an overlay is built: what the one before it did not
// use is forgotten.
func (o *Opener) Begin() {
	o.before, o.converted = o.converted, map[[sha256.Size]byte][]converted{}
}

// Forget drops what was opened with other keys.
func (o *Opener) Forget() { o.before, o.converted, o.passed = nil, nil, nil }

// Convert opens document i of a file, which are given as to ParseEncrypted, for
// an overlay, in its Kubernetes form. A document that is hidden is left out.
// The text holds secret values. A file is opened once, however many documents
// it has, and again when it changes.
func (o *Opener) Convert(texts [][]byte, i int) (text []byte, d *Document) {
	h := sha256.New()
	for _, t := range texts {
		fmt.Fprintf(h, "%d\n%s", len(t), t)
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	file, ok := o.converted[sum]
	if !ok {
		file, ok = o.before[sum]
	}
	if !ok {
		for j, l := range o.load(texts) {
			file = append(file, o.convert(l, texts[j], hex.EncodeToString(sum[:])+"-"+strconv.Itoa(j)))
		}
	}
	if o.converted == nil {
		o.Begin()
	}
	o.converted[sum] = file
	return file[i].text, file[i].doc
}

func (o *Opener) convert(l loadedDocument, text []byte, mark string) converted {
	d := l.document()
	if !d.Encrypted {
		text, d.Violations = Convert(text)
		return converted{text, d}
	}
	n := l.root
	if d.Hidden || len(plumbline.Errors(d.Violations)) > 0 {
		return converted{nil, d}
	}
	if isSpaceCloud(n, scalar(n, "apiVersion")) {
		n = d.kubernetesForm(get(n, "spec"))
	}
	if n == nil || n.Kind != yaml.MappingNode || isBatch(n) {
		p := problems{}
		p.errorf(CodeOverlay, Pos{1, 1}, "an overlay takes encrypted documents one by one: write each secret as a document of its own")
		d.Violations = append(d.Violations, p.found...)
		return converted{nil, d}
	}
	if o.passed == nil {
		o.passed = map[string]string{}
	}
	o.passed[mark] = d.Closed
	annotate(n, mark)
	text, err := yaml.Marshal(n)
	if err != nil {
		p := problems{}
		p.errorf(CodeSeal, Pos{1, 1}, "the document cannot be written for the overlay")
		d.Violations = append(d.Violations, p.found...)
		return converted{nil, d}
	}
	return converted{text, d}
}

// annotate puts the mark on a document.
func annotate(n *yaml.Node, mark string) {
	for _, key := range []string{"metadata", "annotations"} {
		below := get(n, key)
		if below == nil || below.Kind != yaml.MappingNode {
			below = &yaml.Node{Kind: yaml.MappingNode}
			n.Content = append(n.Content, str(key), below)
		}
		n = below
	}
	n.Content = append(n.Content, str(annotationMark), str(mark))
}
