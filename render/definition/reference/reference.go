// Package reference is the definition language as data: every kind of document
// with its fields, what each means, which values it takes, and which field of
// which manifest it becomes in each mode.
//
// Nothing goes in; out comes the list from which `plumbline schema`, `plumbline
// explain` and docs/definitions.md are made. Package definition reads documents
// without it: a test there holds the two equal, field by field, and another one
// looks for every manifest field that is named here in a rendered object.
package reference

import (
	"strings"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// Kind is a kind of document.
type Kind struct {
	Name string // in plumbline.dev/v1: "ServiceVersion"
	Type string // a word for it: Space Cloud's, as its last releases wrote it, where it has the kind: "service"
	API  string // of Space Cloud: "/v1/runner/{project}/services/{id}/{version}"; "" where it has not
	Doc  string
	// Service is set where documents belong to one service, whose mode decides
	// what they become.
	Service bool
	Meta    []Field // the keys of Space Cloud's meta
	Spec    *Mapping
}

// Mapping is a place where keys stand.
type Mapping struct {
	Name   string // what messages call it: "a task"
	ID     string // where several have that name: another one, for machines
	Old    bool   // old exports of Space Cloud have others of the name, without effect
	Fields []Field
}

// Type is what stands behind a key.
type Type string

// The types. Objects and lists of objects have an Of.
const (
	Text    Type = "text"
	Number  Type = "number"
	Truth   Type = "true or false"
	Texts   Type = "list of text"
	TextMap Type = "mapping of text"
	Object  Type = "mapping"
	Objects Type = "list of mappings"
)

// Field is a key with what stands behind it.
type Field struct {
	Key  string
	Form definition.Form // the only form that has the field; "" for both
	Type Type
	Of   *Mapping
	Doc  string
	// Required fields must be there, and not be empty.
	Required bool
	Default  string
	Values   []string // the only ones; none are any
	// Also are values that old exports of Space Cloud have; Loose is set where
	// its form takes any, with a warning.
	Also  []string
	Loose bool
	// Pattern is a regular expression that JavaScript and Go read alike, and
	// KeyPattern one for the keys of a mapping.
	Pattern    string
	KeyPattern string
	Low        int // of a number
	High       int // of a number; 0 is no limit
	// Becomes is what the field becomes.
	Becomes Becomes
}

// Becomes says in each mode what a field becomes: places in manifests, as
// "Deployment: spec.replicas", with "; " between several; or "nothing: why"; or
// "unsupported: why". Of fields that do not belong to one service only All is set.
type Becomes struct{ Knative, Direct, Deployment, All string }

// In is what a field becomes in a mode of package render, or in "all".
func (b Becomes) In(mode string) string {
	switch mode {
	case "knative":
		return b.Knative
	case "knative-direct":
		return b.Direct
	case "deployment":
		return b.Deployment
	}
	return b.All
}

// Unsupported is the reason why a field cannot be used in a mode, or "".
func (b Becomes) Unsupported(mode string) string {
	reason, found := strings.CutPrefix(b.In(mode), "unsupported: ")
	if !found {
		return ""
	}
	return reason
}

// In tells whether a form has the field.
func (f Field) In(form definition.Form) bool { return f.Form == "" || f.Form == form }

// Kinds are all kinds of documents.
func Kinds() []Kind {
	meta := func(key, doc string) Field {
		return Field{Key: key, Type: Text, Doc: doc, Becomes: all("nothing: see the spec")}
	}
	project := meta("project", "The project. Older releases wrote projectId.")
	return []Kind{
		{
			Name: "ServiceVersion", Type: "service", API: "/v1/runner/{project}/services/{id}/{version}", Service: true,
			Doc:  "One version of a service: its containers, how they are scaled, who may call it, and whom it calls.",
			Meta: []Field{project, meta("id", "The service's id. Also serviceId."), meta("version", "The version.")},
			Spec: service(),
		},
		{
			Name: "ServiceRoutes", Type: "service-route", API: "/v1/runner/{project}/service-routes/{id}", Service: true,
			Doc:  "Which version of a service gets which calls. A service of several versions needs it.",
			Meta: []Field{project, meta("id", "The service's id.")},
			Spec: routes(),
		},
		{
			Name: "ServiceSecret", Type: "secret", API: "/v1/runner/{project}/secrets/{id}",
			Doc:  "Values that services of the project use as environment variables, as files, or to pull images. Keep it encrypted with SOPS.",
			Meta: []Field{project, meta("id", "The secret's id.")},
			Spec: secret(),
		},
		{
			Name: "ServiceRole", Type: "service-role", API: "/v1/runner/{project}/service-roles/{serviceId}/{roleId}",
			Doc:  "What a service may do with the API of the cluster.",
			Meta: []Field{project, meta("serviceId", "The service that has the role."), meta("roleId", "The role's id.")},
			Spec: role(),
		},
		{
			Name: "Project", Type: "project", API: "/v1/config/projects/{project}",
			Doc:  "A namespace of services. One that services name and no document defines is made all the same, with a note.",
			Meta: []Field{project},
			Spec: &Mapping{Name: "the project"},
		},
		{
			Name: "PostRender", Type: "post-render",
			Doc:  "Patches of what was rendered, for what the language has no word for. They are for the objects of the definitions in its directory and below, or of the overlay that it is a resource of.",
			Spec: postRender(),
		},
	}
}

// In tells whether documents of the kind have a form.
func (k Kind) In(form definition.Form) bool { return form == definition.FormPlumbline || k.API != "" }

// Envelope is what stands around the spec of a kind in a form.
func (k Kind) Envelope(form definition.Form) *Mapping {
	nothing := all("nothing: it tells what the document is")
	if k.Service {
		nothing = same("nothing: it tells what the document is")
	}
	if form == definition.FormSpaceCloud {
		return &Mapping{Name: "the document", ID: "document." + k.Type, Fields: []Field{
			{Key: "api", Type: Text, Doc: "The path of Space Cloud's API that takes the document; it tells what the document is. Names in braces stand for keys of meta.", Default: k.API, Becomes: nothing},
			{Key: "type", Type: Text, Doc: "What the document is, in a word. It counts where api does not tell.", Default: k.Type, Becomes: nothing},
			{Key: "meta", Type: Object, Of: &Mapping{Name: "meta", ID: "meta." + k.Type, Fields: k.Meta}, Doc: "The names that stand in api. Annotations for Plumbline may stand here too.", Becomes: nothing},
			{Key: "spec", Type: Object, Of: k.Spec, Doc: k.Doc, Becomes: nothing},
		}}
	}
	fields := []Field{
		{Key: "apiVersion", Type: Text, Required: true, Values: []string{string(definition.FormPlumbline)}, Doc: "Always plumbline.dev/v1.", Becomes: nothing},
		{Key: "kind", Type: Text, Required: true, Values: []string{k.Name}, Doc: k.Doc, Becomes: nothing},
		{Key: "metadata", Type: Object, Required: true, Of: k.metadata(), Doc: "The name of the document, its project, and annotations.", Becomes: nothing},
		{Key: "spec", Type: Object, Of: k.Spec, Doc: k.Doc, Becomes: nothing, Required: k.Name != "Project"},
	}
	return &Mapping{Name: k.Name, Fields: fields}
}

func (k Kind) metadata() *Mapping {
	name := Field{Key: "name", Type: Text, Required: true}
	namespace := Field{
		Key: "namespace", Type: Text, Required: true, Pattern: labelPattern, Doc: "The project that the document belongs to.",
		Becomes: either(k, "Knative Service: metadata.namespace", "Deployment: metadata.namespace"),
	}
	labels := Field{Key: "labels", Type: TextMap, Doc: "Labels of the document itself; they have no effect.", Becomes: all("nothing: labels of the document")}
	switch k.Name {
	case "ServiceVersion":
		name.Doc, name.Becomes = "The service's id and version, joined: <id>-<version>.", either(k, "Knative Service: metadata.name", "Deployment: metadata.name")
		labels.Doc, labels.Becomes = "Labels of the pods, as spec.labels, which count where both have one.", inPod("metadata.labels.*")
	case "ServiceRoutes":
		name.Doc, name.Pattern = "The id of the service whose calls are routed.", servicePattern
		name.Becomes = Becomes{Knative: "Knative Route: metadata.name", Direct: "VirtualService: metadata.name", Deployment: "VirtualService: metadata.name"}
		namespace.Becomes = Becomes{Knative: "Knative Route: metadata.namespace", Direct: "VirtualService: metadata.namespace", Deployment: "VirtualService: metadata.namespace"}
		labels.Becomes = same("nothing: labels of the document")
	case "ServiceSecret":
		name.Doc, name.Becomes = "The secret's id, by which tasks name it.", all("Secret: metadata.name")
		namespace.Becomes = all("Secret: metadata.namespace")
	case "ServiceRole":
		name.Doc, name.Becomes = "The role's id.", all("Role: metadata.name; RoleBinding: metadata.name")
		namespace.Becomes = all("Role: metadata.namespace")
	case "PostRender":
		name.Doc, name.Becomes = "A name; nothing goes by it.", all("nothing: it tells documents apart")
		namespace.Required, namespace.Doc = false, "The project to whose objects the patches are confined."
		namespace.Becomes = all("nothing: it says which objects the patches are for")
	case "Project":
		name.Doc, name.Becomes, name.Pattern = "The project's id.", all("Namespace: metadata.name; PeerAuthentication: metadata.namespace"), labelPattern
		namespace.Required, namespace.Doc = false, "Nothing: a project lies in no other."
		namespace.Becomes = all("nothing: the name counts")
	}
	annotations := Field{
		Key: "annotations", Type: TextMap,
		Doc:     "Annotations for Plumbline: plumbline.dev/prune: disabled, plumbline.dev/drift: report, plumbline.dev/adopt: \"true\", plumbline.dev/wave: \"<number>\". Others have no effect.",
		Becomes: either(k, "nothing: Plumbline obeys them itself", "nothing: Plumbline obeys them itself"),
	}
	return &Mapping{Name: "metadata", ID: k.Name + ".metadata", Fields: []Field{name, namespace, labels, annotations}}
}

// Patterns of names.
const (
	servicePattern = `^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`
	labelPattern   = `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`
	pathPattern    = `^/`
	hostPattern    = `^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`
	keyPattern     = `^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$` // of labels
)

func all(text string) Becomes { return Becomes{All: text} }

// same is one text for every mode.
func same(text string) Becomes { return Becomes{Knative: text, Direct: text, Deployment: text} }

// by is one text for the modes that run on Knative, and another for deployment.
func by(knative, deployment string) Becomes {
	return Becomes{Knative: knative, Direct: knative, Deployment: deployment}
}

// either is by for documents of one service, and knative for others.
func either(k Kind, knative, deployment string) Becomes {
	if !k.Service {
		return all(knative)
	}
	return by(knative, deployment)
}

// inPod are places in the template of the pods.
func inPod(paths ...string) Becomes {
	join := func(prefix string) string {
		var out []string
		for _, p := range paths {
			out = append(out, prefix+": spec.template."+p)
		}
		return strings.Join(out, "; ")
	}
	return by(join("Knative Service"), join("Deployment"))
}

// byMesh are places in the mesh's own routing, which the mode knative does not
// use.
func byMesh(text string) Becomes {
	return Becomes{Knative: "unsupported: asks for the mode knative-direct", Direct: text, Deployment: text}
}
