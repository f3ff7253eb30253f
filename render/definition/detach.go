package definition

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline"
)

// OwnProject stands, as the name of a project in whitelists, upstreams and
// affinity, for the project of the service itself.
const OwnProject = "."

// Detached is a document as an overlay takes it.
type Detached struct {
	Text []byte
	Root *yaml.Node // what would be read from it, in place of Text; nobody else has it
}

// Bytes is the text of the document.
func (d Detached) Bytes() ([]byte, error) {
	if d.Root == nil {
		return d.Text, nil
	}
	return yaml.Marshal(d.Root)
}

// Detach gives the documents of a file the form in which an overlay takes them:
// that of Convert, and what a service says of its own project it says of
// OwnProject, so that the service can be moved to another.
func Detach(file []byte) ([]byte, []plumbline.Violation) {
	if d, ok := DetachOne(file); ok {
		if out, err := d.Bytes(); err == nil {
			return out, nil
		}
	}
	converted, violations := Convert(file)
	chunks, _ := Split(converted)
	changed := false
	var out bytes.Buffer
	for _, c := range chunks {
		text, ok := detachDocument(c.Text)
		changed = changed || ok
		out.WriteString("---\n")
		out.Write(bytes.TrimPrefix(text, []byte("---\n")))
		if !bytes.HasSuffix(text, []byte("\n")) {
			out.WriteByte('\n')
		}
	}
	if !changed {
		return converted, violations
	}
	return out.Bytes(), violations
}

// DetachOne does so for a file of one document that has its form already, which
// is the rule, and loads it once. For others ok is false.
func DetachOne(file []byte) (d Detached, ok bool) {
	chunks, violations := Split(file)
	if len(chunks) != 1 || len(violations) > 0 {
		return d, false
	}
	var found problems
	root := resolve(load(chunks[0].Text, &found))
	if root == nil || root.Kind != yaml.MappingNode || isBatch(root) || isSpaceCloud(root, scalar(root, "apiVersion")) {
		return d, false
	}
	if !detachObject(root, 0) {
		return Detached{Text: file}, true
	}
	return Detached{Root: root}, true
}

func detachDocument(text []byte) ([]byte, bool) {
	if !bytes.Contains(text, []byte("plumbline.dev/")) {
		return text, false
	}
	var found problems
	root := load(text, &found)
	if root == nil || !detachObject(resolve(root), 0) {
		return text, false // what is wrong with it is said elsewhere
	}
	out, err := yaml.Marshal(root)
	if err != nil {
		return text, false
	}
	return out, true
}

// detachObject does so for a service, and for those in a list.
func detachObject(n *yaml.Node, depth int) (changed bool) {
	group, _, _ := strings.Cut(scalar(n, "apiVersion"), "/")
	switch kind := scalar(n, "kind"); {
	case kind == "ServiceVersion" && group == "plumbline.dev":
		return detach(get(n, "spec"), scalar(get(n, "metadata"), "namespace"))
	case strings.HasSuffix(kind, "List") && depth < 3:
		for _, item := range items(n, "items") {
			changed = detachObject(item, depth+1) || changed
		}
	}
	return changed
}

// detach writes OwnProject for a project's name in a service's spec, and tells
// whether there was any.
func detach(spec *yaml.Node, project string) (changed bool) {
	if project == "" || spec == nil {
		return false
	}
	own := func(n *yaml.Node) {
		if n = resolve(n); n.Kind == yaml.ScalarNode && n.Value == project {
			n.SetString(OwnProject)
			changed = true
		}
	}
	for _, key := range []string{"whitelists", "upstreams"} {
		for _, p := range items(spec, key) {
			if detachHost(p, project) {
				changed = true
			}
			if name := get(p, "projectId"); name != nil {
				own(name)
			}
		}
	}
	for _, a := range items(spec, "affinity") {
		for _, p := range items(a, "projects") {
			own(p)
		}
	}
	return changed
}

// detachHost writes a peer that is given by its host name as project and service.
// One of which the two disagree stays as it is, and is refused.
func detachHost(peer *yaml.Node, project string) bool {
	service, said := get(peer, "service"), scalar(peer, "projectId")
	if peer.Kind != yaml.MappingNode || service == nil || said != "" && said != project && said != OwnProject {
		return false
	}
	id, of, ok := hostName(service.Value)
	if of != project || !ok {
		return false
	}
	service.SetString(id)
	if p := get(peer, "projectId"); p != nil {
		p.SetString(OwnProject)
	} else {
		peer.Content = append(peer.Content, str("projectId"), str(OwnProject))
	}
	return true
}

// items are those of a list, resolved; none where there is no list.
func items(n *yaml.Node, key string) []*yaml.Node {
	list := get(n, key)
	if list == nil {
		return nil
	}
	if list = resolve(list); list.Kind != yaml.SequenceNode {
		return nil
	}
	out := make([]*yaml.Node, 0, len(list.Content))
	for _, c := range list.Content {
		out = append(out, resolve(c))
	}
	return out
}
