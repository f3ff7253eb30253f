package reconciler

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

var settings = plumbline.Ref{Kind: "ConfigMap", Namespace: "shop", Name: "settings"}

// observed is an object as we applied it; theirs is one without our entry.
func observed(ref plumbline.Ref, uid, version string) drift.Observation {
	at := metav1.Unix(10, 0)
	return drift.Observe(ref, &metav1.ObjectMeta{
		UID: types.UID(uid), ResourceVersion: version,
		Labels: map[string]string{plumbline.LabelInstallation: "i", plumbline.LabelEnvironment: "e"},
		ManagedFields: []metav1.ManagedFieldsEntry{{
			Manager: plumbline.FieldManager, Operation: metav1.ManagedFieldsOperationApply, Time: &at,
			FieldsV1: metav1.NewFieldsV1(`{"f:data":{"f:a":{}}}`),
		}},
	})
}

func theirs(ref plumbline.Ref, uid string) drift.Observation {
	o := observed(ref, uid, "1")
	o.Own = nil
	return o
}

func TestPlan(t *testing.T) {
	t.Parallel()
	desired := plumbline.Object{Ref: settings, Checksum: "c", Wave: plumbline.WaveSupport}
	asking := desired
	asking.Control.Adopt = true
	adopting := plumbline.ObjectsOf(&asking)
	owned := state.Entry{Ref: settings, UID: "u", Checksum: "c", Verified: drift.Verify(observed(settings, "u", "1"))}
	stale, uncertain, planned := owned, owned, owned
	stale.Checksum, uncertain.Checksum, planned.UID = "b", "", ""
	terminating := observed(settings, "u", "1")
	terminating.Deleting = true
	for _, c := range []struct {
		name   string
		entry  *state.Entry
		live   drift.Observation
		change func(*planInput)
		want   string
	}{
		{name: "not there", want: "create: new"},
		{name: "not there any more", entry: &owned, want: "create: new"},
		{name: "in sync", entry: &owned, live: observed(settings, "u", "1"), want: "keep"},
		{name: "drifted: the loop's", entry: &owned, live: observed(settings, "u", "2"), want: "keep"},
		{name: "changed in Git", entry: &stale, live: observed(settings, "u", "1"), want: "configure: " + reasonContent},
		{name: "an earlier run was killed", entry: &uncertain, live: observed(settings, "u", "1"), want: "configure: " + reasonUncertain},
		{name: "an earlier create was killed", entry: &planned, live: observed(settings, "u", "1"), want: "configure: " + reasonUncertain},
		{name: "the inventory was lost", live: observed(settings, "u", "1"), change: func(in *planInput) {
			in.Rebuild = true
		}, want: "configure: " + reasonUncertain},
		{name: "a copy of ours where we never were", live: observed(settings, "v", "1"), want: "conflict: " + reasonForeign},
		{name: "terminating", entry: &owned, live: terminating, want: "skip: " + reasonTerminating},
		{name: "someone else's", live: theirs(settings, "v"), want: "conflict: " + reasonForeign},
		{name: "someone else's in our place", entry: &owned, live: theirs(settings, "v"), want: "conflict: " + reasonForeign},
		{name: "a copy of ours in our place", entry: &owned, live: observed(settings, "v", "1"), want: "conflict: " + reasonForeign},
		{name: "ours with the ownership cleared", entry: &owned, live: theirs(settings, "u"), want: "keep"},
		{name: "adopted", live: theirs(settings, "v"), change: func(in *planInput) {
			in.Adopt, in.Desired = true, adopting
		}, want: "configure: " + reasonAdopt},
		{name: "adoption not allowed", live: theirs(settings, "v"), change: func(in *planInput) { in.Desired = adopting }, want: "conflict: " + reasonForeign},
		{name: "not observed", entry: &owned, change: func(in *planInput) {
			in.Synced = func(plumbline.GroupKind) bool { return false }
		}, want: "skip: " + reasonNotSynced},
		{name: "not desired", entry: &owned, live: observed(settings, "u", "1"), change: func(in *planInput) { in.Desired = plumbline.Objects{} }, want: "delete: " + reasonOrphan},
	} {
		in := planInput{
			Environment: "e", Installation: "i", Desired: plumbline.ObjectsOf(&desired), Inventory: state.NewInventory(),
			Observed: func(plumbline.Ref) (drift.Observation, bool) { return c.live, c.live.UID != "" },
			Synced:   func(plumbline.GroupKind) bool { return true },
		}
		if c.entry != nil {
			in.Inventory.Put(*c.entry)
		}
		if c.change != nil {
			c.change(&in)
		}
		p := plan(in)
		got := "keep"
		if len(p.Changes) == 1 {
			got = fmt.Sprintf("%s: %s", p.Changes[0].Op, p.Changes[0].Reason)
		}
		if got != c.want || len(p.Changes)+p.Kept != 1 {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestPlanIsOrderedByWave(t *testing.T) {
	t.Parallel()
	var in planInput
	in.Inventory = state.NewInventory()
	in.Observed = func(plumbline.Ref) (drift.Observation, bool) { return drift.Observation{}, false }
	in.Synced = func(plumbline.GroupKind) bool { return true }
	for _, k := range []plumbline.GroupKind{
		{Group: "networking.istio.io", Kind: "VirtualService"},
		{Group: "serving.knative.dev", Kind: "Service"},
		{Kind: "Secret"},
		{Kind: "Namespace"},
		{Group: "security.istio.io", Kind: "AuthorizationPolicy"},
	} {
		o := &plumbline.Object{Ref: plumbline.Ref{Group: k.Group, Kind: k.Kind, Name: "x"}, Wave: plumbline.WaveOf(k)}
		in.Desired = in.Desired.With(o.Ref, o)
	}
	in.Inventory.Put(state.Entry{Ref: settings, UID: "u"})
	var got []string
	for _, c := range plan(in).Changes {
		got = append(got, c.Ref.Kind)
	}
	want := []string{"Namespace", "Secret", "AuthorizationPolicy", "Service", "VirtualService", "ConfigMap"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// BenchmarkPlan decides about 7,000 objects of 1,000 services, of which nothing
// changed.
func BenchmarkPlan(b *testing.B) {
	const n = 7000
	in := planInput{
		Environment: "e", Installation: "i", Inventory: state.NewInventory(),
		Synced: func(plumbline.GroupKind) bool { return true },
	}
	seen := make(map[plumbline.Ref]drift.Observation, n)
	in.Observed = func(ref plumbline.Ref) (drift.Observation, bool) { o, ok := seen[ref]; return o, ok }
	for i := range n {
		ref := plumbline.Ref{Kind: "ConfigMap", Namespace: fmt.Sprintf("ns%d", i%50), Name: fmt.Sprintf("o%d", i)}
		o := observed(ref, fmt.Sprintf("u%d", i), "1")
		seen[ref] = o
		in.Desired = in.Desired.With(ref, &plumbline.Object{Ref: ref, Checksum: "c", Wave: plumbline.WaveSupport})
		in.Inventory.Put(state.Entry{Ref: ref, UID: o.UID, Checksum: "c", Verified: drift.Verify(o)})
	}
	b.ReportAllocs()
	for b.Loop() {
		if p := plan(in); p.Kept != n {
			b.Fatalf("kept %d of %d", p.Kept, n)
		}
	}
	b.ReportMetric(0, "requests/op")
}
