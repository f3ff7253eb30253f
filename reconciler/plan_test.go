package reconciler

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
	"github.com/plumbline-dev/plumbline/reconciler/observe"
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

func unlabeled(o drift.Observation) drift.Observation {
	o.Installation, o.Environment = "", ""
	return o
}

func TestPlan(t *testing.T) {
	t.Parallel()
	desired := plumbline.Object{Ref: settings, Checksum: "c", Wave: plumbline.WaveSupport}
	asking := desired
	asking.Control.Adopt = true
	adopting := plumbline.ObjectsOf(&asking)
	owned := state.Entry{Ref: settings, UID: "u", Checksum: "c", Verified: drift.Verify(observed(settings, "u", "1"))}
	stale, uncertain, unmade := owned, owned, owned
	stale.Checksum, uncertain.Checksum, unmade.UID = "b", "", ""
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
		{name: "an earlier create was killed", entry: &unmade, live: observed(settings, "u", "1"), want: "configure: " + reasonUncertain},
		{name: "an earlier create was killed, and our labels were taken off", entry: &unmade, live: unlabeled(observed(settings, "u", "1")), want: "configure: " + reasonUncertain},
		{name: "an earlier create was killed, and the ownership cleared", entry: &unmade, live: theirs(settings, "u"), want: "conflict: " + reasonForeign},
		{name: "without our labels where we never were", live: unlabeled(observed(settings, "v", "1")), want: "conflict: " + reasonForeign},
		{name: "the inventory was lost", live: observed(settings, "u", "1"), change: func(in *planInput) {
			in.Rebuild = true
		}, want: "configure: " + reasonUncertain},
		{name: "a copy of ours where we never were", live: observed(settings, "v", "1"), want: "conflict: " + reasonForeign},
		{name: "another environment's", live: observed(settings, "v", "1"), change: func(in *planInput) {
			in.Environment = "other"
		}, want: "conflict: environment e applies it; nothing is sent"},
		{name: "another installation's", live: observed(settings, "v", "1"), change: func(in *planInput) {
			in.Environment, in.Installation = "other", "j"
		}, want: "conflict: " + reasonForeign},
		{name: "terminating", entry: &owned, live: terminating, want: "skip: " + reasonTerminating},
		{name: "someone else's", live: theirs(settings, "v"), want: "conflict: " + reasonForeign},
		{name: "someone else's in our place", entry: &owned, live: theirs(settings, "v"), want: "conflict: " + reasonForeign},
		{name: "a copy of ours in our place", entry: &owned, live: observed(settings, "v", "1"), want: "conflict: " + reasonForeign},
		{name: "ours with the ownership cleared", entry: &owned, live: theirs(settings, "u"), want: "keep"},
		{name: "adopted", live: theirs(settings, "v"), change: func(in *planInput) {
			in.Adopt, in.Desired = true, adopting
		}, want: "configure: " + ReasonAdopt},
		{name: "adoption not allowed", live: theirs(settings, "v"), change: func(in *planInput) { in.Desired = adopting }, want: "conflict: " + reasonForeign},
		{name: "not observed", entry: &owned, change: func(in *planInput) { in.Observed = observe.View{} }, want: "skip: " + reasonNotSynced},
		{name: "not desired", entry: &owned, live: observed(settings, "u", "1"), change: func(in *planInput) { in.Desired = plumbline.Objects{} }, want: "delete: " + reasonOrphan},
	} {
		in := planInput{Environment: "e", Installation: "i", Desired: plumbline.ObjectsOf(&desired), Observed: view(c.live)}
		if c.entry != nil {
			in.Inventory = in.Inventory.With(settings, c.entry)
		}
		if c.change != nil {
			c.change(&in)
		}
		p := planAnew(in)
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
	in := planInput{Observed: view(drift.Observation{})}
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
	in.Inventory = in.Inventory.With(settings, &state.Entry{Ref: settings, UID: "u"})
	var got []string
	for _, c := range planAnew(in).Changes {
		got = append(got, c.Ref.Kind)
	}
	want := []string{"Namespace", "Secret", "AuthorizationPolicy", "Service", "VirtualService", "ConfigMap"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// planAnew is a plan from scratch.
func planAnew(in planInput) plumbline.Plan {
	p, _ := planned{}.next(in)
	return p.plan()
}

// view shows one object, or none, of kinds that are all synced.
func view(live drift.Observation) observe.View {
	kinds := []plumbline.GroupKind{
		{Group: "networking.istio.io", Kind: "VirtualService"},
		{Group: "serving.knative.dev", Kind: "Service"},
		{Group: "security.istio.io", Kind: "AuthorizationPolicy"},
		{Kind: "Secret"},
		{Kind: "Namespace"},
		{Kind: "ConfigMap"},
	}
	if live.UID == "" {
		return observe.ViewOf(kinds)
	}
	return observe.ViewOf(kinds, live)
}

// TestPlanNext: whatever happens to desired objects, inventory and cluster, a
// plan that is brought up to date says what a new one says, and decides only
// about what something happened to.
func TestPlanNext(t *testing.T) {
	t.Parallel()
	kinds := []plumbline.GroupKind{{Kind: "ConfigMap"}, {Kind: "Secret"}}
	rapid.Check(t, func(t *rapid.T) {
		var kept planned
		in := planInput{Environment: "e", Installation: "i", Observed: observe.ViewOf(kinds)}
		live := map[plumbline.Ref]drift.Observation{}
		for step := range rapid.IntRange(1, 10).Draw(t, "steps") {
			touched := map[plumbline.Ref]bool{}
			seen := kinds[rapid.IntRange(0, 5).Draw(t, "unsynced")/5:]
			for range rapid.IntRange(0, 8).Draw(t, "edits") {
				ref := plumbline.Ref{Kind: rapid.SampledFrom(kinds).Draw(t, "kind").Kind, Namespace: "shop", Name: fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "name"))}
				touched[ref] = true
				content, uid := rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "content"), rapid.SampledFrom([]string{"u", "v", ""}).Draw(t, "uid")
				switch rapid.IntRange(0, 5).Draw(t, "edit") {
				case 0:
					in.Desired = in.Desired.With(ref, &plumbline.Object{Ref: ref, Checksum: content, Origin: plumbline.Origin{Path: "x", Line: 1}, Wave: plumbline.WaveSupport})
				case 1:
					in.Desired = in.Desired.Without(ref)
				case 2:
					e := &state.Entry{Ref: ref, UID: uid, Checksum: content}
					if o, ok := live[ref]; ok {
						e.Verified = drift.Verify(o)
					}
					in.Inventory = in.Inventory.With(ref, e)
				case 3:
					in.Inventory = in.Inventory.Without(ref)
				case 4:
					live[ref] = observed(ref, "u"+uid, rapid.SampledFrom([]string{"1", "2"}).Draw(t, "version"))
				default:
					delete(live, ref)
				}
			}
			before := in.Observed
			in.Observed = observe.ViewOf(seen, slices.Collect(maps.Values(live))...)
			var decided []plumbline.Ref
			kept, decided = kept.next(in)
			if diff := cmp.Diff(planAnew(in), kept.plan()); diff != "" {
				t.Fatalf("step %d (-new +kept)\n%s", step, diff)
			}
			if !before.SyncedLike(in.Observed) {
				continue
			}
			for _, ref := range decided {
				if _, seen := live[ref]; !touched[ref] && !seen { // ViewOf makes every observation a new one
					t.Fatalf("step %d: %s was decided, and nothing happened to it", step, ref)
				}
			}
		}
	})
}

// BenchmarkPlan decides about 7,000 objects of 1,000 services: the first time,
// and when one of them changed.
func BenchmarkPlan(b *testing.B) {
	const n = 7000
	in := planInput{Environment: "e", Installation: "i"}
	var live []drift.Observation
	for i := range n {
		ref := plumbline.Ref{Kind: "ConfigMap", Namespace: fmt.Sprintf("ns%d", i%50), Name: fmt.Sprintf("o%d", i)}
		o := observed(ref, fmt.Sprintf("u%d", i), "1")
		live = append(live, o)
		in.Desired = in.Desired.With(ref, &plumbline.Object{Ref: ref, Checksum: "c", Wave: plumbline.WaveSupport})
		in.Inventory = in.Inventory.With(ref, &state.Entry{Ref: ref, UID: o.UID, Checksum: "c", Verified: drift.Verify(o)})
	}
	in.Observed = observe.ViewOf([]plumbline.GroupKind{{Kind: "ConfigMap"}}, live...)
	first, _ := planned{}.next(in)
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if p := planAnew(in); p.Kept != n {
				b.Fatalf("kept %d of %d", p.Kept, n)
			}
		}
	})
	b.Run("one changed", func(b *testing.B) {
		ref := live[n/2].Ref
		changed := in
		changed.Desired = in.Desired.With(ref, &plumbline.Object{Ref: ref, Checksum: "d", Wave: plumbline.WaveSupport})
		b.ReportAllocs()
		for b.Loop() {
			p, _ := first.next(changed)
			if p := p.plan(); p.Kept != n-1 {
				b.Fatalf("kept %d of %d", p.Kept, n)
			}
		}
	})
}
