package definition

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline"
)

// envelope is what surrounds a spec, in either form.
type envelope struct {
	project Text
	id      Text // service, secret; of a project the project itself
	version Text
	service Text // that a role belongs to
	name    Text // metadata.name of plumbline.dev/v1
	labels  *yaml.Node
	spec    *yaml.Node // never nil
	control Control
	at      Pos // of the document's first key
}

// envelope reads metadata and spec of a plumbline.dev/v1 document.
func (r *reader) envelope(root *yaml.Node, kind string) envelope {
	e := envelope{at: posOf(root), spec: emptySpec(root)}
	known := []string{"apiVersion", "kind", "metadata", "spec"}
	seen := false
	// A value that is not indented stands among these keys.
	r.private = kind == "ServiceSecret"
	defer func() { r.private = false }()
	r.mapping(root, kind, known, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "apiVersion", "kind":
		case "metadata":
			seen = true
			r.metadata(v, &e)
		case "spec":
			e.spec = v
		default:
			return false
		}
		return true
	})
	e.id = e.name
	switch {
	case !seen || e.name.Value == "":
		r.errorf(CodeMissing, e.at, "%s needs metadata.name", kind)
	case kind == "Project":
		e.project = e.name
	case e.project.Value == "":
		r.errorf(CodeMissing, e.at, "%s %q needs metadata.namespace: the project", kind, e.name.Value)
	}
	return e
}

func (r *reader) metadata(n *yaml.Node, e *envelope) {
	known := []string{"name", "namespace", "labels", "annotations"}
	r.mapping(n, "metadata", known, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "name":
			e.name = r.text(v, "metadata.name")
		case "namespace":
			e.project = r.text(v, "metadata.namespace")
		case "labels":
			e.labels = v
		case "annotations":
			e.control = r.control(v, "metadata.annotations")
		default:
			return contains(ServerFields(), k.Value)
		}
		return true
	})
}

// ServerFields are what an API server adds to the metadata of an exported
// object. They are passed over.
func ServerFields() []string {
	return []string{"creationTimestamp", "generation", "resourceVersion", "uid", "managedFields"}
}

// emptySpec stands for a spec that is not there, at the document's own place.
func emptySpec(root *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: root.Line, Column: root.Column}
}

// controlPrefix begins every annotation that is meant for Plumbline.
const controlPrefix = "plumbline.dev/"

// control reads the control annotations out of a mapping of annotations.
func (r *reader) control(n *yaml.Node, what string) Control {
	var c Control
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.wrongType(n, what, "a mapping")
		return c
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], resolve(n.Content[i+1])
		if strings.HasPrefix(k.Value, controlPrefix) {
			r.controlWord(k, v, &c)
		}
	}
	return c
}

func (r *reader) controlWord(k, v *yaml.Node, c *Control) {
	value := r.text(v, k.Value)
	set := func(flag *bool, word string) {
		if *flag = value.Value == word; !*flag {
			r.errorf(CodeControl, value.At, "%s is %s: expected %q", k.Value, r.shown(value.Value), word)
		}
	}
	switch k.Value {
	case plumbline.AnnotationPrune:
		set(&c.KeepOnPrune, "disabled")
	case plumbline.AnnotationDrift:
		set(&c.ReportDrift, "report")
	case plumbline.AnnotationAdopt:
		set(&c.Adopt, "true")
	case plumbline.AnnotationWave:
		n, err := strconv.Atoi(value.Value)
		if err != nil || n < -99 || n > 99 {
			r.errorf(CodeControl, value.At, "%s is %s: expected a whole number from -99 to 99", k.Value, r.shown(value.Value))
			return
		}
		c.WaveShift = n
	case plumbline.AnnotationIgnore:
		r.notYet(posOf(k), "the annotation "+plumbline.AnnotationIgnore)
	default:
		words := []string{
			plumbline.AnnotationPrune, plumbline.AnnotationDrift, plumbline.AnnotationAdopt,
			plumbline.AnnotationWave, plumbline.AnnotationIgnore,
		}
		hint := ""
		if near := Nearest(k.Value, words); near != "" {
			hint = "; did you mean " + strconv.Quote(near) + "?"
		}
		r.errorf(CodeControl, posOf(k), "unknown annotation %q%s", k.Value, hint)
	}
}

// projectName checks the project of a document.
func (r *reader) projectName(t Text) bool {
	const what = "the project"
	switch {
	case t.Value == "":
		return false
	case IsSystemNamespace(t.Value):
		r.errorf(CodeSystemNamespace, t.At, "%s %q is a namespace of the cluster itself: choose another name", what, t.Value)
	case !IsLabel(t.Value):
		r.badName(t, what, "lower case letters, digits and '-', at most 63")
	default:
		return true
	}
	return false
}

// serviceName checks the id of a service.
func (r *reader) serviceName(t Text, what string) bool {
	switch {
	case t.Value == "":
		return false
	case t.Value == "default":
		r.errorf(CodeName, t.At, "%s \"default\" is the name of the ServiceAccount that every namespace has of its own: choose another", what)
		return false
	case !isService(t.Value):
		r.badName(t, what, "lower case letters, digits and '-', beginning with a letter, at most 63")
		return false
	}
	return true
}

func (r *reader) badName(t Text, what, expected string) {
	if len(t.Value) > maxLabel {
		r.errorf(CodeNameLength, t.At, "%s %s is no name that Kubernetes takes: expected %s; it has %d characters", what, r.shown(t.Value), expected, len(t.Value))
		return
	}
	r.errorf(CodeName, t.At, "%s %s is no name that Kubernetes takes: expected %s", what, r.shown(t.Value), expected)
}
