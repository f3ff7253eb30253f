package definition

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/sops"
)

// Document is what one document of a file says. Most hold one value; a List
// holds several. Places are relative to the document.
type Document struct {
	Versions []*Version
	Routes   []*Routes
	Secrets  []*Secret
	Roles    []*Role
	Projects []*Project
	Plain    []*Plain
	Posts    []*PostRender

	// Data are the definitions as data, where they were asked for.
	Data []Data

	Violations []plumbline.Violation
	// Values is how many values the document has, those of an alias each time
	// that it is used: about what it takes to keep.
	Values int
	// Skipped says why a document that is not ours was left out.
	Skipped string
	// From is where an overlay says that the document comes from.
	From From

	// Encrypted is set for documents that SOPS encrypted. Closed says why the
	// values of one could not be decrypted. Hidden is set where not even what it
	// is about can be told.
	Encrypted bool
	Closed    string
	Hidden    bool
}

// From is the place and the project of a document before an overlay took it.
type From struct {
	Path    string // relative to the overlay's directory; "" is not known
	Line    int    // of the document's beginning; 0 is not known
	Project string // "" where it had none
	Service string // the id of a service that the overlay calls otherwise; else ""
}

// annotationOrigin is where an overlay writes From, as YAML.
const annotationOrigin = "config.kubernetes.io/origin"

// Parse reads one document that is not encrypted.
func Parse(text []byte) *Document { return parse(text, &reader{}) }

func parse(text []byte, r *reader) *Document { return r.document(load(text, &r.problems)) }

// document reads what was loaded, if anything was.
func (r *reader) document(root *yaml.Node) *Document {
	d := &Document{}
	if root != nil {
		d.read(r, root, 0)
	}
	d.Violations, d.Values = Cut(r.found, MaxProblems), r.values
	return d
}

func (d *Document) read(r *reader, root *yaml.Node, depth int) {
	root = resolve(root)
	if root.Kind != yaml.MappingNode {
		d.Skipped = "not a definition and not a Kubernetes object"
		return
	}
	apiVersion, kind := scalar(root, "apiVersion"), scalar(root, "kind")
	group, version, _ := strings.Cut(apiVersion, "/")
	items := get(root, "items")
	switch {
	case sops.Is(root) && isOurs(root):
		r.errorf(CodeEncrypted, keyPos(root, sops.Key), "the document is encrypted where no encrypted one can stand")
	case r.misplaced(root, apiVersion, kind):
	case isSpaceCloud(root, apiVersion):
		r.form = FormSpaceCloud
		d.spaceCloud(r, root)
	case isBatch(root) && depth == 0:
		for _, item := range get(root, "specs").Content {
			d.read(r, item, depth+1)
		}
	case strings.HasPrefix(group, "plumbline"):
		r.form = FormPlumbline
		d.plumbline(r, root, group, version, kind)
	case apiVersion == "" && slices.Contains(plumblineKinds(), kind):
		r.errorf(CodeMissing, keyPos(root, "kind"), "apiVersion is missing: a %s is a definition of apiVersion: %s", kind, plumbline.APIVersion)
	case apiVersion == "" || kind == "":
		d.Skipped = "not a definition and not a Kubernetes object"
	case strings.HasPrefix(group, "kustomize.config.k8s.io"):
		d.Skipped = "a part of an overlay: only kustomization.yaml of the environment's own directory is built"
	case strings.HasSuffix(kind, "List") && items != nil && items.Kind == yaml.SequenceNode && depth < 3:
		for _, item := range items.Content {
			d.read(r, item, depth+1)
		}
	default:
		r.form = FormPlumbline
		if p := r.plain(root, apiVersion, kind); p != nil {
			d.Plain = append(d.Plain, p)
		}
	}
	if d.From == (From{}) {
		d.From = readFrom(root)
	}
}

// plumblineKinds are the kinds of plumbline.dev/v1 that stand in a repository.
func plumblineKinds() []string {
	return []string{"ServiceVersion", "ServiceRoutes", "ServiceSecret", "ServiceRole", "Project", "PostRender"}
}

func (d *Document) plumbline(r *reader, root *yaml.Node, group, version, kind string) {
	at := keyPos(root, "apiVersion")
	if group != "plumbline.dev" || version != "v1" {
		r.errorf(CodeKind, at, "unknown apiVersion %s: expected %q", r.shown(group+"/"+version), plumbline.APIVersion)
		return
	}
	at = keyPos(root, "kind")
	switch kind {
	case "Config":
		d.Skipped = "the operator's configuration, not a definition"
	case "Policy":
		d.Skipped = "a policy, not a definition: it counts where the operator's policies.paths names its file"
	case "ServiceVersion", "ServiceRoutes", "ServiceSecret", "ServiceRole", "Project":
		e := r.envelope(root, kind)
		d.definition(r, kind, e)
	case "PostRender":
		if p := r.postRender(root); p != nil {
			d.Posts = append(d.Posts, p)
		}
	default:
		r.unknownValue(Text{kind, at}, "kind", plumblineKinds()...)
	}
}

// definition reads the spec behind an envelope of either form.
func (d *Document) definition(r *reader, kind string, e envelope) {
	switch kind {
	case "ServiceVersion":
		if v := r.version(e); v != nil {
			d.Versions = append(d.Versions, v)
		}
	case "ServiceRoutes":
		if v := r.routes(e); v != nil {
			d.Routes = append(d.Routes, v)
		}
	case "ServiceSecret":
		if v := r.secret(e); v != nil {
			d.Secrets = append(d.Secrets, v)
		}
	case "Project":
		if v := r.project(e); v != nil {
			d.Projects = append(d.Projects, v)
		}
	case "ServiceRole":
		if v := r.role(e); v != nil {
			d.Roles = append(d.Roles, v)
		}
	}
}

// keyPos is the place of a key of root, or of root itself.
func keyPos(root *yaml.Node, key string) Pos {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == key {
			return posOf(root.Content[i])
		}
	}
	return posOf(root)
}

// readFrom reads the origin annotation. A generated document comes from the
// kustomization that configures it.
func readFrom(root *yaml.Node) (f From) {
	text := scalar(get(get(root, "metadata"), "annotations"), annotationOrigin)
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch key {
		case "path", "configuredIn":
			f.Path = path.Clean(value)
		case "line":
			f.Line, _ = strconv.Atoi(value)
		case "project":
			f.Project = value
		case "service":
			f.Service = value
		}
	}
	return f
}
