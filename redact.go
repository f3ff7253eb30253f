package plumbline

import (
	"encoding/json"
	"errors"
)

// Redacted is the object's body as rules may see it: that of a Secret without
// its values, and without the annotation in which kubectl keeps a copy of them.
func (o *Object) Redacted() ([]byte, error) {
	if o.Ref.Group != "" || o.Ref.Kind != "Secret" {
		return o.Body.Reveal(), nil
	}
	var secret map[string]any
	if err := json.Unmarshal(o.Body.Reveal(), &secret); err != nil {
		return nil, errors.New("the body is no JSON object")
	}
	for _, field := range []string{"data", "stringData"} {
		values, ok := secret[field].(map[string]any)
		if !ok {
			delete(secret, field)
			continue
		}
		for key := range values {
			values[key] = SecretValue{}
		}
	}
	if metadata, ok := secret["metadata"].(map[string]any); ok {
		if annotations, ok := metadata["annotations"].(map[string]any); ok {
			delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
		}
	}
	return json.Marshal(secret)
}
