package cluster

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/plumbline-dev/plumbline"
)

// Identity is what an apply adds to the rendered body.
type Identity struct {
	Installation    string // label of this installation
	UID             string // the object must still be this one; any, when empty
	ResourceVersion string // and unchanged since; any, when empty
}

// ReleaseBody is the body of an apply that owns nothing: what the object has
// from us alone goes, what others have of it stays.
func ReleaseBody(ref plumbline.Ref, version, uid string) []byte {
	md := map[string]string{"name": ref.Name, "uid": uid}
	if ref.Namespace != "" {
		md["namespace"] = ref.Namespace
	}
	if ref.Group != "" {
		version = ref.Group + "/" + version
	}
	return mustJSON(map[string]any{"apiVersion": version, "kind": ref.Kind, "metadata": md})
}

// Disown is what of one entry of managedFields stays.
type Disown struct {
	Index int
	Left  string // field set as JSON; empty: the entry goes
}

// TakeOverBody is the JSON patch that makes an entry of managedFields an Apply
// entry of ours with these fields, and takes out the entries in gone, if the
// object still is of that resourceVersion.
func TakeOverBody(resourceVersion string, own int, fields string, gone []int) []byte {
	path := fmt.Sprintf("/metadata/managedFields/%d", own)
	patch := []patchOp{
		{Op: "test", Path: "/metadata/resourceVersion", Value: resourceVersion},
		{Op: "replace", Path: path + "/manager", Value: plumbline.FieldManager},
		{Op: "replace", Path: path + "/operation", Value: "Apply"},
		{Op: "replace", Path: path + "/fieldsV1", Value: json.RawMessage(fields)},
	}
	for _, i := range slices.Backward(slices.Sorted(slices.Values(gone))) { // what goes moves only those that are done
		patch = append(patch, patchOp{Op: "remove", Path: fmt.Sprintf("/metadata/managedFields/%d", i)})
	}
	return mustJSON(patch)
}

// patchOp is an operation of a JSON patch.
type patchOp struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// DisownBody is the JSON patch that takes fields out of entries of
// managedFields, if the object still is of that resourceVersion.
func DisownBody(resourceVersion string, entries []Disown) []byte {
	patch := []patchOp{{Op: "test", Path: "/metadata/resourceVersion", Value: resourceVersion}}
	entries = slices.SortedFunc(slices.Values(entries), func(a, b Disown) int { return b.Index - a.Index }) // what goes moves only those that are done
	for _, e := range entries {
		path := fmt.Sprintf("/metadata/managedFields/%d", e.Index)
		if e.Left == "" {
			patch = append(patch, patchOp{Op: "remove", Path: path})
			continue
		}
		patch = append(patch, patchOp{Op: "replace", Path: path + "/fieldsV1", Value: json.RawMessage(e.Left)})
	}
	return mustJSON(patch)
}
