package drift

import (
	"bytes"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// CoOwner is an entry of managedFields that would keep fields alive which the
// next apply drops.
type CoOwner struct {
	Index int      // in managedFields
	Left  FieldSet // what the entry keeps; "" when nothing is left of it
}

// CoOwners finds, of an object that is about to be applied as body (the JSON of
// the whole object), the entries that own fields of ours besides us which body
// does not have any more. Only what was written by an edit is looked at: other
// appliers and controllers mean to own their fields.
func CoOwners(o Observation, body []byte) ([]CoOwner, error) {
	if o.Own == nil {
		return nil, nil
	}
	var shared []owner
	for _, e := range parseOwners(o.Others) {
		if e.Operation == metav1.ManagedFieldsOperationUpdate && e.Subresource == "" && !controller(e.Manager.Value()) {
			shared = append(shared, e)
		}
	}
	if len(shared) == 0 {
		return nil, nil
	}
	ours, err := parse(o.Own.Fields)
	if err != nil {
		return nil, err
	}
	var desired any
	if err := json.Unmarshal(body, &desired); err != nil {
		return nil, fmt.Errorf("read desired object: it is not JSON")
	}
	var out []CoOwner
	for _, e := range shared {
		dropped := fieldpath.NewSet()
		for p := range e.set.Intersection(ours).All() {
			if !has(desired, p) {
				dropped.Insert(p)
			}
		}
		if dropped.Empty() {
			continue
		}
		c, err := without(e, dropped)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func without(e owner, dropped *fieldpath.Set) (CoOwner, error) {
	c := CoOwner{Index: e.Index, Left: intern("")}
	left := e.set.RecursiveDifference(dropped)
	if left.Empty() {
		return c, nil
	}
	var buf bytes.Buffer
	if err := left.ToJSONStream(&buf); err != nil {
		return c, fmt.Errorf("encode field set: %w", err)
	}
	c.Left = intern(buf.String())
	return c, nil
}

// controller tells of the managers whose writes are nobody's edit: those of
// Kubernetes and Knative.
func controller(manager string) bool {
	switch manager {
	case "kube-controller-manager", "kube-scheduler", "controller", "webhook", "autoscaler", "activator":
		return true
	}
	return false
}

// has tells whether a path leads to something in a decoded object.
func has(v any, p fieldpath.Path) bool {
	for _, step := range p {
		next, ok := child(v, step)
		if !ok {
			return false
		}
		v = next
	}
	return true
}

func child(v any, step fieldpath.PathElement) (any, bool) {
	switch at := v.(type) {
	case map[string]any:
		if step.FieldName == nil {
			return nil, false
		}
		next, ok := at[*step.FieldName]
		return next, ok
	case []any:
		for i, item := range at {
			if leads(step, i, item) {
				return item, true
			}
		}
	}
	return nil, false
}

// leads tells whether a path's step leads to an item of a list.
func leads(step fieldpath.PathElement, i int, item any) bool {
	switch {
	case step.Index != nil:
		return *step.Index == i
	case step.Value != nil:
		return value.Equals(*step.Value, value.NewValueInterface(item))
	case step.Key != nil:
		m, _ := item.(map[string]any)
		for _, k := range *step.Key {
			if have, ok := m[k.Name]; !ok || !value.Equals(k.Value, value.NewValueInterface(have)) {
				return false
			}
		}
		return true
	}
	return false
}
