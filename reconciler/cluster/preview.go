package cluster

import (
	"context"
	"encoding/json"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/plumbline-dev/plumbline"
)

// Live reads a live object, and is what an apply of o would send for it, both
// as JSON. It is for people who ask, and refuses Secrets: their bodies are never
// read.
func (c *Client) Live(ctx context.Context, o plumbline.Object) (live, sent []byte, err error) {
	if o.Ref.Group == "" && o.Ref.Kind == "Secret" {
		return nil, nil, &plumbline.Error{Op: "read", Kind: plumbline.KindInternal, Ref: o.Ref, Err: errors.New("the body of a Secret is never read")}
	}
	k, err := c.Kind(ctx, o.Ref.GroupKind(), o.Version)
	if err != nil {
		return nil, nil, err
	}
	live, err = c.do(ctx, c.request(c.rest.Get(), ClassObject, k, o.Ref.Namespace, o.Ref.Name).
		SetHeader("Accept", "application/json")).Raw()
	if err != nil {
		return nil, nil, Classify("read", o.Ref, err)
	}
	var m metav1.PartialObjectMetadata
	if err := json.Unmarshal(live, &m); err != nil {
		return nil, nil, &plumbline.Error{Op: "read", Ref: o.Ref, Err: err}
	}
	sent, err = RequestBody(o.Body, Identity{Installation: m.Labels[plumbline.LabelInstallation]})
	return live, sent, err
}

// Preview reads a live object and what an apply of o would make of it, by a
// dry-run, both as JSON. It is for people who ask for a diff.
func (c *Client) Preview(ctx context.Context, o plumbline.Object) (live, then []byte, err error) {
	live, body, err := c.Live(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	k, err := c.Kind(ctx, o.Ref.GroupKind(), o.Version)
	if err != nil {
		return nil, nil, err
	}
	res := c.do(ctx, c.request(c.rest.Patch(types.ApplyPatchType), ClassObject, k, o.Ref.Namespace, o.Ref.Name).
		Param("fieldManager", plumbline.FieldManager).
		Param("fieldValidation", metav1.FieldValidationIgnore).
		Param("force", "true").
		Param("dryRun", metav1.DryRunAll).
		SetHeader("Accept", "application/json").
		Body(body))
	if err := res.Error(); err != nil { // which says more than that of Raw
		return nil, nil, Classify("dry-run", o.Ref, err)
	}
	if then, err = res.Raw(); err != nil {
		return nil, nil, Classify("dry-run", o.Ref, err)
	}
	return live, then, nil
}
