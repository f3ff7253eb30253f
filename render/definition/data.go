package definition

import (
	"bytes"
	"encoding/json"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/sops"
)

// Data is a definition as data, for rules that look at it: a document of
// plumbline.dev/v1, whatever it was written in. It holds no value of a secret.
type Data struct {
	Ref  plumbline.Ref
	JSON []byte
	At   Pos
}

// DataOf are the definitions of a document that Parse finds nothing wrong with.
func DataOf(text []byte) []Data {
	var p problems
	root := load(text, &p)
	if root == nil {
		return nil
	}
	return dataOf(resolve(root), 0)
}

func dataOf(root *yaml.Node, depth int) []Data {
	if root.Kind != yaml.MappingNode || depth > 3 {
		return nil
	}
	apiVersion := scalar(root, "apiVersion")
	var inner *yaml.Node
	switch {
	case isBatch(root):
		inner = get(root, "specs")
	case apiVersion != plumbline.APIVersion && !isSpaceCloud(root, apiVersion):
		inner = get(root, "items")
	}
	if inner != nil {
		var out []Data
		for _, item := range inner.Content {
			out = append(out, dataOf(resolve(item), depth+1)...)
		}
		return out
	}
	d, r := &Document{}, &reader{}
	if sops.Is(root) {
		if root = unsealed(root); hides(root) {
			return nil
		}
		r.sealing = sealing{encrypted: true, closed: "its values are not data"}
	}
	d.read(r, root, 1)
	if hasErrors(r.found) {
		return nil
	}
	n := d.kubernetesForm(get(root, "spec"))
	if n == nil {
		return nil
	}
	kind, project, name := scalar(n, "kind"), scalar(get(n, "metadata"), "namespace"), scalar(get(n, "metadata"), "name")
	if apiVersion == plumbline.APIVersion {
		n = root
	}
	fields, _ := (&reader{private: kind == "ServiceSecret"}).value(n, kind).(map[string]any)
	if meta, ok := fields["metadata"].(map[string]any); ok {
		if own, ok := meta["annotations"].(map[string]any); ok {
			delete(own, annotationOrigin)
			delete(own, annotationMark)
		}
	}
	switch spec, _ := fields["spec"].(map[string]any); {
	case kind == "ServiceSecret":
		redact(fields)
	case kind == "ServiceVersion" && spec != nil:
		// As written: a version 1.10 is no number.
		spec["id"], spec["version"] = d.Versions[0].ID.Value, d.Versions[0].Version.Value
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(fields); err != nil {
		return nil
	}
	return []Data{{
		Ref:  plumbline.Ref{Group: "plumbline.dev", Kind: kind, Namespace: project, Name: name},
		JSON: b.Bytes(), At: posOf(root),
	}}
}

// unsealed is an encrypted document without what SOPS added to it.
func unsealed(root *yaml.Node) *yaml.Node {
	out := *root
	out.Content = nil
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != sops.Key {
			out.Content = append(out.Content, root.Content[i], root.Content[i+1])
		}
	}
	return &out
}

// redact keeps of a secret what is not one: its name and labels, its type and
// path, and its keys.
func redact(fields map[string]any) {
	spec, _ := fields["spec"].(map[string]any)
	data, _ := spec["data"].(map[string]any)
	hidden := make(map[string]any, len(data))
	for key := range data {
		if isDataKey(key) { // what is no key may be a value without its blank
			hidden[key] = plumbline.SecretValue{}
		}
	}
	kept := map[string]any{"data": hidden}
	for _, key := range []string{"type", "rootPath"} {
		if v, ok := spec[key]; ok {
			kept[key] = v
		}
	}
	fields["spec"] = kept
	for key := range fields {
		if key != "apiVersion" && key != "kind" && key != "metadata" && key != "spec" {
			delete(fields, key)
		}
	}
	if meta, ok := fields["metadata"].(map[string]any); ok {
		delete(meta, "annotations")
	}
}
