package cluster

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
)

// Identify returns the uid of a Namespace, and with create makes the Namespace
// where it does not exist.
func (c *Client) Identify(ctx context.Context, name string, create bool) (string, error) {
	ref := plumbline.Ref{Kind: "Namespace", Name: name}
	k := Kind{Version: "v1", Name: "Namespace", Resource: "namespaces"}
	m, err := metaOf(ref, c.do(ctx, c.request(c.rest.Get(), ClassState, k, "", name).SetHeader("Accept", acceptMetadata)))
	if err == nil {
		return string(m.UID), nil
	}
	err = Classify("read", ref, err)
	if !create || !errors.Is(err, ErrNotFound) {
		return "", err
	}
	body := mustJSON(map[string]any{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": metav1.ObjectMeta{Name: name, Labels: map[string]string{plumbline.LabelManagedBy: plumbline.ManagedBy}},
	})
	m, err = metaOf(ref, c.do(ctx, c.request(c.rest.Post(), ClassState, k, "", "").
		SetHeader("Accept", acceptMetadata).
		SetHeader("Content-Type", "application/json").
		Param("fieldManager", plumbline.FieldManager).
		Body(body)))
	if err != nil {
		return "", Classify("create", ref, err)
	}
	return string(m.UID), nil
}
