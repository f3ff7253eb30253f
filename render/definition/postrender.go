package definition

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// PostRender are patches of what was rendered.
type PostRender struct {
	// Project is that to whose objects the patches are confined; "" is none.
	Project Text
	Patches []Patch
	At      Pos
}

// Patch is one patch and what it is for, as in a kustomization.
type Patch struct {
	Target PatchTarget
	Text   string // a strategic merge patch or a list of JSON patch operations, as YAML
	// TargetAt is the place of the target, At that of the patch.
	TargetAt, At Pos
}

// PatchTarget says which objects a patch is for: those that all of it is true of. The
// first five are regular expressions that match the whole value, the others
// selectors as kubectl takes them. What is empty is true of all.
type PatchTarget struct {
	Group, Version, Kind, Namespace, Name string
	LabelSelector, AnnotationSelector     string
}

func (t *PatchTarget) field(key string) *string {
	switch key {
	case "group":
		return &t.Group
	case "version":
		return &t.Version
	case "kind":
		return &t.Kind
	case "namespace":
		return &t.Namespace
	case "name":
		return &t.Name
	case "labelSelector":
		return &t.LabelSelector
	case "annotationSelector":
		return &t.AnnotationSelector
	}
	return nil
}

// postRender reads a document of kind PostRender.
func (r *reader) postRender(root *yaml.Node) *PostRender {
	out := &PostRender{At: posOf(root)}
	named := false
	r.mapping(root, "PostRender", []string{"apiVersion", "kind", "metadata", "spec"}, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "apiVersion", "kind":
		case "metadata":
			e := envelope{}
			r.metadata(v, &e)
			named, out.Project = e.name.Value != "", e.project
		case "spec":
			r.mapping(v, "the PostRender", []string{"patches"}, func(k, v *yaml.Node) bool {
				if k.Value != "patches" {
					return false
				}
				r.list(v, "spec.patches", func(v *yaml.Node) { r.patch(v, out) })
				return true
			})
		default:
			return false
		}
		return true
	})
	if !named {
		r.errorf(CodeMissing, out.At, "PostRender needs metadata.name")
	}
	if len(out.Patches) == 0 && len(r.found) == 0 {
		r.errorf(CodeMissing, out.At, "PostRender needs spec.patches: a list of {target, patch}")
	}
	if hasErrors(r.found) {
		return nil
	}
	return out
}

func (r *reader) patch(n *yaml.Node, out *PostRender) {
	p, before := Patch{TargetAt: posOf(n), At: posOf(n)}, len(r.found)
	known := []string{"target", "patch"}
	whole := r.mapping(n, "an entry of patches", known, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "target":
			p.TargetAt = posOf(k)
			r.patchTarget(v, &p.Target)
		case "patch":
			t := r.text(v, "patch")
			p.Text, p.At = t.Value, t.At
		case "path":
			r.errorf(CodePatch, posOf(k), "path: a patch of rendered objects stands in the document itself: write it under patch")
		case "options":
			r.errorf(CodePatch, posOf(k), "options: a patch of rendered objects changes no name and no kind")
		default:
			return false
		}
		return true
	})
	switch {
	case !whole || len(r.found) > before: // said
	case p.Target == (PatchTarget{}):
		r.errorf(CodeMissing, p.TargetAt, "the patch needs target: {kind, name, …}, which objects it is for")
	case strings.TrimSpace(p.Text) == "":
		r.errorf(CodeMissing, p.At, "the entry needs patch: a part of an object, or a list of {op, path, value}, as text")
	default:
		out.Patches = append(out.Patches, p)
	}
}

func (r *reader) patchTarget(n *yaml.Node, t *PatchTarget) {
	known := []string{"group", "version", "kind", "namespace", "name", "labelSelector", "annotationSelector"}
	r.mapping(n, "the target of a patch", known, func(k, v *yaml.Node) bool {
		field := t.field(k.Value)
		if field == nil {
			return false
		}
		text := r.text(v, "target."+k.Value)
		if _, err := regexp.Compile(text.Value); err != nil && !strings.HasSuffix(k.Value, "Selector") {
			r.errorf(CodePatch, text.At, "target.%s is %s: not a regular expression", k.Value, r.shown(text.Value))
			return true
		}
		*field = text.Value
		return true
	})
	if t.Kind == "Secret" || t.Kind == "ServiceSecret" {
		r.errorf(CodePatch, posOf(n), "Secrets are not patched after rendering: their values would pass through what may print them; change the definition, in an overlay if need be")
	}
	for _, kind := range plumblineKinds() {
		if t.Kind == kind {
			r.errorf(CodePatch, posOf(n), "%s is a definition, and rendered to other kinds: patch it in a kustomization.yaml, or name what it is rendered to", kind)
		}
	}
}
