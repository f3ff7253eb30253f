// Package orphan says what has to be taken off an object so that it belongs to
// nobody: the labels that claim it and our entry of field ownership. Nothing
// else of the object changes, whoever watches it.
//
// In go metadata, out comes a JSON patch. The package does no I/O.
package orphan

import (
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
)

type op struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// claims are the labels that say whose an object is. Project and service are
// words about it that may stay; selectors may use them.
func claims() []string {
	return []string{plumbline.LabelManagedBy, plumbline.LabelInstallation, plumbline.LabelEnvironment}
}

// Patch is the JSON patch that frees an object, as it now is; nil where there
// is nothing to take off. It is refused if the object has changed meanwhile.
func Patch(m *metav1.ObjectMeta) ([]byte, error) {
	var off []op
	for _, label := range claims() {
		if value, there := m.Labels[label]; there && (label != plumbline.LabelManagedBy || value == plumbline.ManagedBy) {
			off = append(off, op{Op: "remove", Path: "/metadata/labels/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(label)})
		}
	}
	for i := len(m.ManagedFields) - 1; i >= 0; i-- { // from the end, so that places stay
		f := m.ManagedFields[i]
		if f.Manager != plumbline.FieldManager || f.Subresource != "" {
			continue
		}
		if len(m.ManagedFields) == 1 { // an empty list would be ignored
			off = append(off, op{Op: "replace", Path: "/metadata/managedFields", Value: []struct{}{{}}})
			break
		}
		off = append(off, op{Op: "remove", Path: fmt.Sprintf("/metadata/managedFields/%d", i)})
	}
	if len(off) == 0 {
		return nil, nil
	}
	return json.Marshal(append([]op{{Op: "test", Path: "/metadata/resourceVersion", Value: m.ResourceVersion}}, off...))
}
