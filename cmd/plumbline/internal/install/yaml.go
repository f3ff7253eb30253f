package install

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// YAML is the manifests as one stream of documents.
func YAML(list []Manifest) ([]byte, error) {
	var out bytes.Buffer
	for i, m := range list {
		if i > 0 {
			out.WriteString("---\n")
		}
		for line := range strings.Lines(m.Comment) {
			out.WriteString("# " + strings.TrimSuffix(line, "\n") + "\n")
		}
		text, err := document(m.Object)
		if err != nil {
			return nil, fmt.Errorf("write manifest: %w", err)
		}
		out.Write(text)
	}
	return out.Bytes(), nil
}

// document leaves out what the API server fills in.
func document(object any) ([]byte, error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	delete(m, "status")
	return yaml.Marshal(prune(m))
}

// prune drops nulls and empty mappings that stand for nothing; an emptyDir is
// empty on purpose.
func prune(m map[string]any) map[string]any {
	for key, value := range m {
		switch v := value.(type) {
		case nil:
			delete(m, key)
		case map[string]any:
			if prune(v); len(v) == 0 && key != "emptyDir" {
				delete(m, key)
			}
		case []any:
			for _, item := range v {
				if child, ok := item.(map[string]any); ok {
					prune(child)
				}
			}
		}
	}
	return m
}
