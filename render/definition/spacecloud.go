package definition

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// isSpaceCloud tells whether a document has Space Cloud's envelope.
func isSpaceCloud(root *yaml.Node, apiVersion string) bool {
	if apiVersion != "" {
		return false
	}
	api, typ := scalar(root, "api"), scalar(root, "type")
	meta, spec := get(root, "meta"), get(root, "spec")
	if strings.HasPrefix(api, "/v1/") {
		return meta != nil || spec != nil
	}
	return meta != nil && spec != nil && typ != ""
}

// isBatch tells whether a document is the body of Space Cloud's batch-apply:
// {specs: [document, ...]}.
func isBatch(root *yaml.Node) bool {
	specs := get(root, "specs")
	if specs == nil || specs.Kind != yaml.SequenceNode || len(specs.Content) == 0 || len(root.Content) != 2 {
		return false
	}
	for _, item := range specs.Content {
		if item = resolve(item); item.Kind != yaml.MappingNode || !isSpaceCloud(item, scalar(item, "apiVersion")) {
			return false
		}
	}
	return true
}

// target is what a Space Cloud document is about: the kind as in
// plumbline.dev/v1 ("" for the gateway's kinds), and which value of meta, or
// which literal part of the path, names it.
type target struct {
	kind                          string
	project, id, version, service string // segments of the path, with or without braces
	old                           bool   // the paths of v0.16, which name nothing but the project
}

// dispatch finds out by api what a document is; placeholder names do not
// count. Where api does not tell, type does.
func dispatch(api, typ string) (target, bool) {
	p := strings.Split(strings.Trim(api, "/"), "/")
	n := len(p)
	if n < 3 || p[0] != "v1" {
		return target{kind: kindOfType(typ)}, kindOfType(typ) != "" || isGatewayType(typ)
	}
	if p[1] == "config" {
		if p[2] == "projects" && n == 4 {
			return target{kind: "Project", project: p[3]}, true
		}
		return target{}, true
	}
	if p[1] != "runner" {
		return target{}, false
	}
	if p[2] == "project" && n == 4 {
		return target{kind: "Project", project: p[3]}, true
	}
	t := target{project: p[2]}
	switch {
	case n == 6 && p[3] == "services" && (kindOfType(typ) == "ServiceRole" || p[5] == "{roleId}"):
		t.kind, t.service, t.id = "ServiceRole", p[4], p[5]
	case n == 6 && p[3] == "services":
		t.kind, t.id, t.version = "ServiceVersion", p[4], p[5]
	case n == 4 && p[3] == "services":
		t.kind, t.old = "ServiceVersion", true
	case n == 4 && p[3] == "secrets":
		t.kind, t.old = "ServiceSecret", true
	case n == 5 && p[3] == "service-routes":
		t.kind, t.id = "ServiceRoutes", p[4]
	case n == 5 && p[3] == "secrets":
		t.kind, t.id = "ServiceSecret", p[4]
	case n == 6 && p[3] == "service-roles":
		t.kind, t.service, t.id = "ServiceRole", p[4], p[5]
	default:
		t.kind = kindOfType(typ)
		return t, t.kind != ""
	}
	return t, true
}

// kindOfType knows the words of all releases, in any case.
func kindOfType(typ string) string {
	switch strings.ToLower(typ) {
	case "service", "services":
		return "ServiceVersion"
	case "service-route", "service-routes", "services-route", "services-routes", "service-routing":
		return "ServiceRoutes"
	case "secret", "secrets", "services-secret", "services-secrets", "apply-service":
		return "ServiceSecret"
	case "service-role", "service-roles", "services-role", "services-roles":
		return "ServiceRole"
	case "project", "projects":
		return "Project"
	}
	return ""
}

func isGatewayType(typ string) bool {
	for _, prefix := range []string{"ingress-", "db-", "filestore-", "eventing-", "remote-service", "auth-provider", "cluster-config", "letsencrypt"} {
		if strings.HasPrefix(strings.ToLower(typ), prefix) {
			return true
		}
	}
	return false
}

func (d *Document) spaceCloud(r *reader, root *yaml.Node) {
	api, typ := scalar(root, "api"), scalar(root, "type")
	t, known := dispatch(api, typ)
	switch {
	case !known:
		r.errorf(CodeKind, keyPos(root, "api"), "unknown kind of document: api %s, type %s; expected a service, service-route, secret, service-role or project",
			r.shown(api), r.shown(typ))
		return
	case t.kind == "":
		d.Skipped = "a Space Cloud gateway document (" + nonEmpty(typ, api) + ")"
		r.export.gateway(posOf(root), nonEmpty(typ, api))
		return
	}
	e := envelope{at: posOf(root), spec: emptySpec(root)}
	if s := get(root, "spec"); s != nil && !isNull(s) {
		e.spec = s
	}
	meta := get(root, "meta")
	r.private = t.kind == "ServiceSecret" // as in envelope
	defer func() { r.private = false }()
	r.mapping(root, "the document", []string{"api", "type", "meta", "spec"}, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "api", "type", "spec":
		case "meta":
			e.control = r.control(v, "meta")
		default:
			return false
		}
		return true
	})
	e.project = r.named(e, meta, t.project, "project", "projectId")
	switch {
	case t.kind == "Project":
		if e.project.Value == "" {
			e.project = r.named(e, meta, "", "id", "name")
		}
		e.id = e.project
	case t.kind == "ServiceRole":
		e.service = r.named(e, meta, t.service, "serviceId", "service")
		e.id = r.named(e, meta, t.id, "roleId", "id", "name")
	default:
		e.id = r.named(e, meta, t.id, "id", "serviceId", "name", "secretID")
	}
	if e.project.Value == "" {
		r.errorf(CodeMissing, e.at, "the document names no project: add meta.project")
	}
	if e.id.Value == "" && t.kind != "Project" {
		field := "id"
		if t.kind == "ServiceRole" {
			field = "roleId"
		}
		r.errorf(CodeMissing, e.at, "the document names nothing: add meta.%s", field)
	}
	if t.kind == "ServiceVersion" {
		e.version = r.named(e, meta, t.version, "version")
		if t.old && e.version.Value == "" {
			e.version.Value = "v1" // v0.16 knew no other
		}
	}
	d.definition(r, t.kind, e)
}

// named is a name that a document gives: a literal segment of its api, or
// else the value of the segment's placeholder, or of one of keys, in meta or
// as a last resort in spec.
func (r *reader) named(e envelope, meta *yaml.Node, segment string, keys ...string) Text {
	if inner, ok := strings.CutPrefix(segment, "{"); ok {
		keys = append([]string{strings.TrimSuffix(inner, "}")}, keys...)
	} else if segment != "" {
		return Text{segment, e.at}
	}
	for _, from := range []*yaml.Node{meta, e.spec} {
		for _, k := range keys {
			if v := get(from, k); v != nil && v.Kind == yaml.ScalarNode && !isNull(v) && v.Value != "" {
				return r.text(v, k)
			}
		}
	}
	return Text{At: e.at}
}

func nonEmpty(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
