package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/resource"
)

// sourceAnnotation carries "<line> <namespace>" of a document through
// kustomize.
const sourceAnnotation = "config.plumbline.dev/source"

// mark writes down in every object of a stream from which line it comes, and
// in which project it was. What is no object stays as it is: kustomize says so.
func (l *loader) mark(text []byte, line int) []byte {
	var out bytes.Buffer
	d, e := yaml.NewDecoder(bytes.NewReader(text)), yaml.NewEncoder(&out)
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || len(doc.Content) == 0 {
			return text
		}
		markObject(doc.Content[0], line, 0)
		if e.Encode(&doc) != nil {
			return text
		}
	}
	if out.Len() == 0 {
		return text
	}
	return out.Bytes()
}

func markObject(n *yaml.Node, line, depth int) {
	if list := value(n, "items"); list != nil && list.Kind == yaml.SequenceNode && strings.HasSuffix(scalar(n, "kind"), "List") {
		if depth < 3 {
			for _, item := range list.Content {
				markObject(item, line, depth+1)
			}
		}
		return
	}
	meta := own(n, "metadata")
	if meta == nil {
		return
	}
	project := scalar(meta, "namespace")
	if scalar(n, "kind") == "Project" {
		project = scalar(meta, "name")
	}
	notes := own(meta, "annotations")
	if notes == nil {
		if value(meta, "annotations") != nil {
			return
		}
		notes = &yaml.Node{Kind: yaml.MappingNode}
		meta.Content = append(meta.Content, word("annotations"), notes)
	}
	text := word(fmt.Sprintf("%d %s", line, project))
	for i := 0; i+1 < len(notes.Content); i += 2 {
		if notes.Content[i].Value == sourceAnnotation {
			notes.Content[i+1] = text
			return
		}
	}
	notes.Content = append(notes.Content, word(sourceAnnotation), text)
}

// tellSource moves the mark of an object into its origin annotation.
func tellSource(r *resource.Resource) error {
	notes := r.GetAnnotations()
	mark, ok := notes[sourceAnnotation]
	if !ok {
		return nil
	}
	delete(notes, sourceAnnotation)
	line, project, _ := strings.Cut(mark, " ")
	origin := strings.TrimSuffix(notes[OriginAnnotation], "\n") + "\nline: " + line + "\n"
	if project != "" {
		origin += "project: " + project + "\n"
	}
	notes[OriginAnnotation] = origin
	return r.SetAnnotations(notes)
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
