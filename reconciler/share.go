package reconciler

import (
	"encoding/json"

	"github.com/plumbline-dev/plumbline"
)

// labelsOnly is the body that marks an object which was there before us: its
// identity and our labels, nothing else of it.
func labelsOnly(o *plumbline.Object) plumbline.Body {
	var full struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(o.Body.Reveal(), &full); err != nil {
		return o.Body // RequestBody says what is wrong with it
	}
	labels := map[string]string{}
	for _, key := range []string{plumbline.LabelManagedBy, plumbline.LabelEnvironment, plumbline.LabelProject, plumbline.LabelService} {
		if v, ok := full.Metadata.Labels[key]; ok {
			labels[key] = v
		}
	}
	md := map[string]any{"name": o.Ref.Name, "labels": labels}
	if o.Ref.Namespace != "" {
		md["namespace"] = o.Ref.Namespace
	}
	b, err := json.Marshal(map[string]any{"apiVersion": full.APIVersion, "kind": full.Kind, "metadata": md})
	if err != nil {
		return o.Body
	}
	return plumbline.NewBody(b)
}
