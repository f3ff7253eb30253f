// Package importer turns what was exported from Space Cloud into definitions
// that are pleasant to keep: one directory a project, one file a service. Files
// go in, files and notes come out. What exports are known to get wrong is
// repaired and said; what they lose is said, as far as it can be told. It reads
// and writes nothing itself, and never guesses a secret.
package importer

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// File is a file by its slash-separated path.
type File struct {
	Path string
	Text []byte
	// Secret tells of one that is written that it holds values of secrets.
	Secret bool
}

// Options of an import.
type Options struct {
	// Form of what was in Space Cloud's; "" is plumbline.dev/v1. Documents of
	// plumbline.dev/v1 keep theirs.
	Form definition.Form
	// Adopt asks on every definition, other than projects, that what is on the
	// cluster be taken over.
	Adopt bool
}

// Note is something to know about what was imported.
type Note struct {
	Origin  plumbline.Origin      `json:"origin,omitzero"`
	Kind    definition.RepairKind `json:"kind"`
	Message string                `json:"message"`
}

// String is the note on one line.
func (n Note) String() string {
	if n.Origin.Path == "" {
		return fmt.Sprintf("%s: %s", n.Kind, n.Message)
	}
	return fmt.Sprintf("%s: %s: %s", n.Origin, n.Kind, n.Message)
}

// More kinds of notes.
const (
	Plain definition.RepairKind = "plaintext" // secret values that everyone can read
	Kept  definition.RepairKind = "kept"      // copied as it is
)

// Result of an import.
type Result struct {
	// Files are sorted by path, relative to where they are to be written; none
	// where a violation is an error.
	Files      []File
	Notes      []Note                // sorted by origin
	Violations []plumbline.Violation // errors only, sorted
}

// Import converts files. The same files give the same result, and its own
// output comes out as it went in.
func Import(files []File, o Options) Result {
	in := importing{options: o, written: map[string]*document{}}
	for _, f := range slices.SortedFunc(slices.Values(files), func(a, b File) int { return cmp.Compare(a.Path, b.Path) }) {
		in.file(f)
	}
	in.unexported()
	res := Result{Notes: in.notes, Violations: plumbline.SortViolations(in.violations)}
	slices.SortStableFunc(res.Notes, func(a, b Note) int { return a.Origin.Compare(b.Origin) })
	if len(res.Violations) == 0 {
		res.Files = in.files()
	}
	return res
}

// importing is an import under way.
type importing struct {
	options    Options
	written    map[string]*document // by what they define
	notes      []Note
	violations []plumbline.Violation
	exported   bool // a service of Space Cloud is among the documents
	roles      bool
	patches    int // of what is rendered: they have an order
}

// document is one that will be written.
type document struct {
	path   string
	rank   int    // in its file
	name   string // among those of a rank
	text   []byte
	secret bool
	origin plumbline.Origin
}

// The ranks of documents in the file of a service.
const (
	rankVersion = iota
	rankRoutes
	rankRole
)

func (in *importing) file(f File) {
	chunks, violations := definition.Split(f.Text)
	for _, v := range violations {
		in.violations = append(in.violations, definition.Source{Path: f.Path}.Place(v))
	}
	if definition.MaybeEncrypted(f.Text) && in.encrypted(f, chunks) {
		return
	}
	for _, c := range chunks {
		in.chunk(f.Path, c)
	}
}

// encrypted takes a file that SOPS encrypted as it is: a changed one could not
// be decrypted any more.
func (in *importing) encrypted(f File, chunks []definition.Chunk) bool {
	texts := make([][]byte, 0, len(chunks))
	for _, c := range chunks {
		texts = append(texts, c.Text)
	}
	docs := (&definition.Opener{Lenient: true}).ParseEncrypted(texts)
	if !slices.ContainsFunc(docs, func(d *definition.Document) bool { return d.Encrypted }) {
		return false
	}
	to := "encrypted/" + path.Base(f.Path)
	if len(docs) == 1 && len(docs[0].Secrets) == 1 {
		to = secretPath(docs[0].Secrets[0])
	}
	at := plumbline.Origin{Path: f.Path}
	in.note(at, Kept, "encrypted with SOPS, so it is copied as it is: decrypt it first, to have it converted")
	in.put(&document{path: to, text: verbatim(f.Text), secret: true, origin: at})
	return true
}

func (in *importing) chunk(file string, c definition.Chunk) {
	src := definition.Source{Path: file, Before: c.Before}
	doc := definition.ParseExport(c.Text)
	failed := false
	for _, v := range doc.Violations {
		v = src.Place(v)
		if v.Severity == plumbline.SeverityError {
			in.violations, failed = append(in.violations, v), true
			continue
		}
		doc.Repairs = append(doc.Repairs, definition.Repair{
			Kind: definition.Repaired, At: definition.Pos{Line: v.Origin.Line - c.Before, Column: v.Origin.Column}, Message: v.Message,
		})
	}
	slices.SortStableFunc(doc.Repairs, func(a, b definition.Repair) int { return cmp.Compare(a.At.Line, b.At.Line) })
	for _, r := range doc.Repairs {
		in.note(src.At(r.At), r.Kind, "%s", r.Message)
	}
	switch {
	case failed:
	case doc.Skipped != "" && doc.Form == "":
		in.note(src.At(definition.Pos{Line: 1}), definition.Left, "%s", doc.Skipped)
	case len(doc.Posts) > 0:
		in.patches++
		in.put(&document{path: "post-render.yaml", rank: in.patches, text: verbatim(c.Text), origin: src.At(doc.Posts[0].At)})
	case len(doc.Plain) > 0:
		in.plain(src, c.Text, doc)
	default:
		in.definitions(src, c.Text, doc)
	}
}

// plain takes a document of Kubernetes objects as it is.
func (in *importing) plain(src definition.Source, text []byte, doc definition.Export) {
	p := doc.Plain[0]
	dir := nonEmpty(p.Ref.Namespace, "_cluster")
	name := strings.NewReplacer("/", "_", ":", "_").Replace(strings.ToLower(p.Ref.Kind) + "-" + p.Ref.Name)
	d := &document{
		path: dir + "/objects/" + name + ".yaml", name: p.Ref.String(), text: verbatim(text), origin: src.At(p.At),
		secret: p.Ref.Kind == "Secret",
	}
	in.put(d)
}

// definitions writes each of a document's definitions.
func (in *importing) definitions(src definition.Source, text []byte, doc definition.Export) {
	w := writer{form: definition.FormPlumbline, adopt: in.options.Adopt}
	if doc.Form == definition.FormSpaceCloud && in.options.Form != "" {
		w.form = in.options.Form
	}
	head := comments(text, doc.Repairs)
	put := func(d document, at definition.Pos, value any) {
		out, err := encode(value)
		if err != nil {
			in.violations = append(in.violations, src.Place(plumbline.Violation{
				Code: definition.CodeSyntax, Severity: plumbline.SeverityError,
				Origin: plumbline.Origin{Line: at.Line, Column: at.Column}, Message: "the definition cannot be written: " + err.Error(),
			}))
			return
		}
		d.text, d.origin = append(bytes.Clone(head), out...), src.At(at)
		in.put(&d)
	}
	for _, p := range doc.Projects {
		put(document{path: p.ID.Value + "/project.yaml"}, p.At, w.project(p))
	}
	for _, s := range doc.Secrets {
		in.plaintext(src, s)
		put(document{path: secretPath(s), secret: true}, s.At, w.secret(s))
	}
	for _, v := range doc.Versions {
		in.exported = in.exported || v.Form == definition.FormSpaceCloud
		put(document{path: servicePath(v.Project, v.ID), rank: rankVersion, name: v.Version.Value}, v.At, w.version(v))
	}
	for _, r := range doc.Routes {
		put(document{path: servicePath(r.Project, r.ID), rank: rankRoutes}, r.At, w.routes(r))
	}
	for _, r := range doc.Roles {
		in.roles = true
		put(document{path: servicePath(r.Project, r.Service), rank: rankRole, name: r.ID.Value}, r.At, w.role(r))
	}
	in.innerComments(src, text)
}

func servicePath(project, id definition.Text) string {
	return project.Value + "/services/" + id.Value + ".yaml"
}

func secretPath(s *definition.Secret) string {
	return s.Project.Value + "/secrets/" + s.ID.Value + ".yaml"
}

// plaintext notes the values that will stand in a file for everyone to read.
func (in *importing) plaintext(src definition.Source, s *definition.Secret) {
	var keys []string
	for _, d := range s.Data {
		if v := d.Value.Reveal(); v != "" && v != definition.Placeholder {
			keys = append(keys, d.Key)
		}
	}
	if len(keys) > 0 {
		in.note(src.At(s.At), Plain, "%s will hold the values of %s for everyone to read: encrypt it before it is committed (sops --encrypt --in-place)",
			secretPath(s), strings.Join(keys, ", "))
	}
}

// put takes a document in. Of two that are the same one is enough.
func (in *importing) put(d *document) {
	key := fmt.Sprintf("%s %d %s", d.path, d.rank, d.name)
	first, twice := in.written[key]
	switch {
	case !twice:
		in.written[key] = d
	case bytes.Equal(first.text, d.text):
		in.note(d.origin, definition.Left, "the same as at %s", first.origin)
	default:
		in.violations = append(in.violations, plumbline.Violation{
			Code: definition.CodeDuplicate, Severity: plumbline.SeverityError, Origin: d.origin, Related: []plumbline.Origin{first.origin},
			Message: fmt.Sprintf("this is defined at %s too, and otherwise: leave one of them out", first.origin),
		})
	}
}

func (in *importing) note(at plumbline.Origin, kind definition.RepairKind, format string, args ...any) {
	in.notes = append(in.notes, Note{Origin: at, Kind: kind, Message: fmt.Sprintf(format, args...)})
}

// unexported notes what no export holds.
func (in *importing) unexported() {
	if !in.exported {
		return
	}
	in.note(plumbline.Origin{}, definition.Lost, "exports hold no gpu of a task: look for .com/gpu in the limits of the Deployments")
	if !in.roles {
		in.note(plumbline.Origin{}, definition.Lost, "exports hold no roles: look for them with kubectl get roles,clusterroles -A -l app.kubernetes.io/managed-by=space-cloud")
	}
}

// files joins the documents of each file.
func (in *importing) files() []File {
	var docs []*document
	for _, d := range in.written {
		docs = append(docs, d)
	}
	slices.SortFunc(docs, func(a, b *document) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.rank, b.rank), cmp.Compare(a.name, b.name))
	})
	var out []File
	for _, d := range docs {
		if n := len(out); n > 0 && out[n-1].Path == d.path {
			f := &out[n-1]
			f.Text = append(append(f.Text, "---\n"...), d.text...)
			f.Secret = f.Secret || d.secret
			continue
		}
		out = append(out, File{Path: d.path, Text: bytes.Clone(d.text), Secret: d.secret})
	}
	return out
}

// verbatim is a document, or a file of them, as it is: without the marker
// before it, and with an end of line.
func verbatim(text []byte) []byte {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	for {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.Equal(line, []byte("---")) || len(rest) == 0 {
			break
		}
		text = rest
	}
	return append(bytes.TrimRight(text, " \t\r\n"), '\n')
}

// comments are the comments above a document, and those that say what was
// repaired in it.
func comments(text []byte, repairs []definition.Repair) []byte {
	var lines []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "---") || strings.HasPrefix(line, "%") {
			continue
		}
		if !strings.HasPrefix(line, "#") {
			break
		}
		lines = append(lines, line)
	}
	for _, r := range repairs {
		line := fmt.Sprintf("# import: %s: %s", r.Kind, strings.Join(strings.Fields(r.Message), " "))
		if (r.Kind == definition.Repaired || r.Kind == definition.Lost) && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

// innerComments notes that comments inside of a document are lost.
func (in *importing) innerComments(src definition.Source, text []byte) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil || len(root.Content) == 0 {
		return // it was parsed before
	}
	top := root.Content[0]
	for i, n := range top.Content {
		if at := commented(n, i == 0); at > 0 {
			in.note(src.At(definition.Pos{Line: at}), definition.Lost, "comments inside of a document are not kept")
			return
		}
	}
}

// commented is the line of the first comment in n, 0 where there is none. The
// one above a document belongs to its first key.
func commented(n *yaml.Node, first bool) int {
	if n.HeadComment != "" && !first || n.LineComment != "" || n.FootComment != "" {
		return n.Line
	}
	for _, c := range n.Content {
		if at := commented(c, false); at > 0 {
			return at
		}
	}
	return 0
}

func nonEmpty(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
