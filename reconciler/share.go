package reconciler

import (
	"encoding/json"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// marks are the labels that say whose an object is.
func marks() []string {
	return []string{
		plumbline.LabelManagedBy, plumbline.LabelInstallation, plumbline.LabelEnvironment,
		plumbline.LabelProject, plumbline.LabelService,
	}
}

// reclaim is the reason to configure a live object that counts as ours. What we
// own nothing of but marks, and of which nothing is written down, was there before
// us.
func reclaim(o *plumbline.Object, listed bool, seen drift.Observation) string {
	if !listed && sharable(o) && !drift.OwnsBeyond(seen, marks()...) {
		return ReasonShared
	}
	return reasonUncertain
}

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
	for _, key := range marks() {
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
