package reconciler_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// define installs the kind of a file of the archive, which nobody else has, or
// changes its definition. The group is GROUP.
func (p *play) define(file string) {
	p.t.Helper()
	want := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(p.fill(section(p.archive, file))), &want.Object); err != nil {
		p.t.Fatal(err)
	}
	crds := p.w.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	have, err := crds.Get(p.t.Context(), want.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = crds.Create(p.t.Context(), want, metav1.CreateOptions{})
		p.t.Cleanup(func() { p.undefine(crds, want.GetName()) })
	case err == nil:
		have.Object["spec"] = want.Object["spec"]
		_, err = crds.Update(p.t.Context(), have, metav1.UpdateOptions{})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	awaitEstablished(p.t, crds, want.GetName())
}

// undefine deletes a kind at the end of its test.
func (p *play) undefine(crds dynamic.ResourceInterface, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), patience)
	defer cancel()
	if err := crds.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		p.t.Error(err)
	}
}

// untilOwned asks the API server, by dry-runs, until an apply of the payload
// would own exactly the fields of the third argument.
func (p *play) untilOwned(res dynamic.ResourceInterface, s step) {
	p.t.Helper()
	yes := true
	poll(p.t, func(ctx context.Context) bool {
		u, err := res.Patch(ctx, s.args[1], types.ApplyPatchType, p.payload(s),
			metav1.PatchOptions{FieldManager: "probe", Force: &yes, DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			p.t.Fatal(err)
		}
		i := slices.IndexFunc(u.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool { return f.Manager == "probe" })
		return i >= 0 && sameJSON(u.GetManagedFields()[i].FieldsV1.GetRawString(), s.args[2])
	})
}

func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	ja, errA := json.Marshal(x)
	jb, errB := json.Marshal(y)
	return errA == nil && errB == nil && string(ja) == string(jb)
}

// untilGone asks the API server until it does not serve a resource.
func (p *play) untilGone(resource string) {
	p.t.Helper()
	poll(p.t, func(ctx context.Context) bool {
		_, err := p.resource(resource).List(ctx, metav1.ListOptions{Limit: 1})
		return apierrors.IsNotFound(err)
	})
}

// poll asks until the answer is yes: for what no watch tells.
func poll(t testing.TB, yes func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !yes(ctx) {
		select {
		case <-ctx.Done():
			t.Fatal("it did not happen")
		case <-tick.C:
		}
	}
}
