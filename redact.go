package plumbline

import (
	"encoding/json"
	"errors"
)

// Redacted is the object's body as rules may see it: that of a Secret without
// its values.
func (o *Object) Redacted() ([]byte, error) {
	if o.Ref.Group != "" || o.Ref.Kind != "Secret" {
		return o.Body.Reveal(), nil
	}
	return RedactSecret(o.Body.Reveal(), func(any) any { return SecretValue{} })
}

// RedactSecret is the JSON of a Secret with what shown makes of each of its
// values, as it stands in data or stringData, and without the annotation in
// which kubectl keeps a copy of them.
func RedactSecret(body []byte, shown func(value any) any) ([]byte, error) {
	var secret map[string]any
	if err := json.Unmarshal(body, &secret); err != nil {
		return nil, errors.New("the body is no JSON object")
	}
	for _, field := range []string{"data", "stringData"} {
		values, ok := secret[field].(map[string]any)
		if !ok {
			delete(secret, field)
			continue
		}
		for key, value := range values {
			values[key] = shown(value)
		}
	}
	if metadata, ok := secret["metadata"].(map[string]any); ok {
		if annotations, ok := metadata["annotations"].(map[string]any); ok {
			delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
		}
	}
	return json.Marshal(secret)
}
