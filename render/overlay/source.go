package overlay

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/resource"

	"github.com/plumbline-dev/plumbline"
)

// sourceAnnotation carries a mark through kustomize.
const sourceAnnotation = "config.plumbline.dev/source"

// objectName says which object a document is, and what it may refer to.
type objectName struct {
	apiVersion, kind, name, namespace string
	mentions                          mentions
}

func nameOf(n *yaml.Node) objectName {
	meta := value(n, "metadata")
	return objectName{
		apiVersion: scalar(n, "apiVersion"), kind: scalar(n, "kind"),
		name: scalar(meta, "name"), namespace: scalar(meta, "namespace"),
	}
}

// markObject writes down in an object from which line it comes and in which
// project it was, and notes its name. What is no object stays as it is: kustomize
// says so. It tells whether these are all that kustomize will see.
func markObject(n *yaml.Node, at plumbline.Origin, depth int, found *[]objectName) (all bool) {
	if list := value(n, "items"); list != nil && list.Kind == yaml.SequenceNode && strings.HasSuffix(scalar(n, "kind"), "List") {
		all = depth < 3
		for i := 0; i < len(list.Content) && depth < 3; i++ {
			all = markObject(list.Content[i], at, depth+1, found) && all
		}
		return all
	}
	meta := own(n, "metadata")
	if meta == nil {
		return value(n, "metadata") == nil
	}
	o := nameOf(n)
	o.mentions = mentioned(n)
	*found = append(*found, o)
	project := scalar(meta, "namespace")
	if scalar(n, "kind") == "Project" {
		project = scalar(meta, "name")
	}
	notes := own(meta, "annotations")
	if notes == nil {
		if value(meta, "annotations") != nil {
			return true
		}
		notes = &yaml.Node{Kind: yaml.MappingNode}
		meta.Content = append(meta.Content, word("annotations"), notes)
	}
	m := mark{file: at.Path, line: at.Line, project: project, id: scalar(meta, "name")}
	if spec := value(n, "spec"); scalar(n, "kind") == "ServiceVersion" && scalar(n, "apiVersion") == plumbline.APIVersion {
		m.id, m.version = scalar(spec, "id"), scalar(spec, "version")
	}
	if strings.ContainsAny(m.project+m.id+m.version, " \n") {
		m = mark{file: at.Path, line: at.Line} // none of them is a name: said at the document
	}
	text := word(m.String())
	for i := 0; i+1 < len(notes.Content); i += 2 {
		if notes.Content[i].Value == sourceAnnotation {
			notes.Content[i+1] = text
			return true
		}
	}
	notes.Content = append(notes.Content, word(sourceAnnotation), text)
	return true
}

// mark is what the annotation of a document says of it before kustomize.
type mark struct {
	file    string // in the repository
	line    int
	project string // "" where it had none
	id      string // of a service, a secret, a role: what others call it by
	version string // of a service
}

func (m mark) String() string {
	return fmt.Sprintf("%s %d %s %s %s", m.file, m.line, m.project, m.id, m.version)
}

// markOf is the mark of an object that was built; not ok where it has none.
func markOf(r *resource.Resource) (m mark, ok bool) {
	notes := value(value(r.YNode(), "metadata"), "annotations")
	fields := strings.Split(scalar(notes, sourceAnnotation), " ")
	if len(fields) != 5 {
		return m, false
	}
	line, err := strconv.Atoi(fields[1])
	return mark{fields[0], line, fields[2], fields[3], fields[4]}, err == nil
}

// tellSource writes the origin annotation, relative to dir, of an object in the
// place of its mark, and is the place that it gives. What was generated has no
// mark, but an annotation of kustomize's own.
func tellSource(r *resource.Resource, dir string) (o object, err error) {
	m, ok := markOf(r)
	notes := r.GetAnnotations()
	if !ok {
		for line := range strings.Lines(notes[OriginAnnotation]) {
			if key, value, _ := strings.Cut(strings.TrimSpace(line), ": "); key == "path" || key == "configuredIn" {
				o.path = strings.Trim(value, `"'`)
			}
		}
		return o, nil
	}
	o.path, o.line = strings.TrimPrefix(local(dir, m.file), "./"), m.line
	text := fmt.Sprintf("path: %s\nline: %d\n", o.path, o.line)
	if m.project != "" {
		text += "project: " + m.project + "\n"
	}
	if id := scalar(value(r.YNode(), "spec"), "id"); m.version != "" && id != m.id {
		text += "service: " + m.id + "\n"
	}
	delete(notes, sourceAnnotation)
	notes[OriginAnnotation] = text
	return o, r.SetAnnotations(notes)
}

// value is that of a key of a mapping, nil where there is none.
func value(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			if v := n.Content[i+1]; v.Kind == yaml.AliasNode {
				return v.Alias
			}
			return n.Content[i+1]
		}
	}
	return nil
}

// own is a mapping under a key of n that can be changed without changing
// another that shares it; nil where there is none.
func own(n *yaml.Node, key string) *yaml.Node {
	shared := value(n, key)
	if shared == nil || shared.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key && n.Content[i+1].Kind == yaml.AliasNode {
			n.Content[i+1] = &yaml.Node{Kind: yaml.MappingNode, Tag: shared.Tag, Content: slices.Clone(shared.Content)}
			return n.Content[i+1]
		}
	}
	return shared
}

func scalar(n *yaml.Node, key string) string {
	if v := value(n, key); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

func word(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}
