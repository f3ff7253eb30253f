package cluster

import (
	"bytes"
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

// RequestBody is the body of an apply: the rendered one with id added. Only its
// metadata is decoded; everything else of it is copied.
func RequestBody(body plumbline.Body, id Identity) ([]byte, error) {
	raw := body.Reveal()
	start, end, err := metadataOf(raw)
	if err != nil {
		return nil, err
	}
	var md map[string]json.RawMessage
	if err := json.Unmarshal(raw[start:end], &md); err != nil || md == nil {
		return nil, plumbline.Errorf(plumbline.KindInternal, "encode request", "the rendered body has no metadata")
	}
	labels := map[string]string{}
	if l := md["labels"]; len(l) > 0 {
		if err := json.Unmarshal(l, &labels); err != nil {
			return nil, plumbline.Errorf(plumbline.KindInternal, "encode request", "metadata.labels is not a map of strings")
		}
	}
	labels[plumbline.LabelInstallation] = id.Installation
	md["labels"] = mustJSON(labels)
	if id.UID != "" {
		md["uid"] = mustJSON(id.UID)
	}
	if id.ResourceVersion != "" {
		md["resourceVersion"] = mustJSON(id.ResourceVersion)
	}
	return slices.Concat(raw[:start], mustJSON(md), raw[end:]), nil
}

// metadataOf finds the value of metadata in the JSON object raw. What follows
// it is not looked at: the API server does.
func metadataOf(raw []byte) (start, end int, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return 0, 0, plumbline.Errorf(plumbline.KindInternal, "encode request", "the rendered body is not a JSON object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			break
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			break
		}
		if key == "metadata" {
			end := int(d.InputOffset())
			return end - len(value), end, nil
		}
	}
	return 0, 0, plumbline.Errorf(plumbline.KindInternal, "encode request", "the rendered body has no metadata")
}
