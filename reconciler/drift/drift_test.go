package drift_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

var ref = plumbline.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}

// fields is a field set in the words of managedFields: "spec.a", "spec.b".
func fields(paths ...string) *metav1.FieldsV1 {
	return metav1.NewFieldsV1(set(paths))
}

func set(paths []string) string {
	below := map[string][]string{}
	var names []string
	for _, p := range paths {
		head, rest, more := strings.Cut(p, ".")
		if _, ok := below[head]; !ok {
			below[head] = nil
			names = append(names, head)
		}
		if more {
			below[head] = append(below[head], rest)
		}
	}
	slices.Sort(names)
	var parts []string
	for _, n := range names {
		parts = append(parts, `"f:`+n+`":`+set(below[n]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func entry(manager string, op metav1.ManagedFieldsOperationType, second int64, f *metav1.FieldsV1) metav1.ManagedFieldsEntry {
	at := metav1.Unix(second, 0)
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: op, Time: &at, FieldsType: "FieldsV1", FieldsV1: f}
}

// live is a Deployment as we applied it at second 10.
func live() *metav1.ObjectMeta {
	return &metav1.ObjectMeta{
		Namespace: "shop", Name: "web", UID: "u1", Generation: 1, ResourceVersion: "100",
		Labels: map[string]string{plumbline.LabelInstallation: "i", plumbline.LabelEnvironment: "e"},
		ManagedFields: []metav1.ManagedFieldsEntry{
			entry(plumbline.FieldManager, metav1.ManagedFieldsOperationApply, 10, fields("spec.a", "spec.b.c", "spec.b.d")),
		},
	}
}

func status(second int64) metav1.ManagedFieldsEntry {
	e := entry("controller", metav1.ManagedFieldsOperationUpdate, second, fields("status.ready"))
	e.Subresource = "status"
	return e
}

func TestDecide(t *testing.T) {
	t.Parallel()
	edit := func(paths ...string) metav1.ManagedFieldsEntry {
		return entry("kubectl-edit", metav1.ManagedFieldsOperationUpdate, 20, fields(paths...))
	}
	for _, c := range []struct {
		name   string
		kind   int64 // generation of the kind; 0: it has none
		change func(m *metav1.ObjectMeta)
		want   string
	}{
		{"nothing moved", 1, func(*metav1.ObjectMeta) {}, "Deployment shop/web in sync"},
		{"a foreign label", 1, func(m *metav1.ObjectMeta) {
			m.ResourceVersion = "101"
			m.ManagedFields = append(m.ManagedFields, edit("metadata.labels.x"))
		}, "Deployment shop/web in sync"},
		{"a field taken", 1, func(m *metav1.ObjectMeta) {
			m.ManagedFields[0].FieldsV1 = fields("spec.b.c", "spec.b.d")
			m.ManagedFields = append(m.ManagedFields, edit("spec.a"))
		}, "Deployment shop/web drifted at .spec.a by kubectl-edit"},
		{"a subtree removed", 1, func(m *metav1.ObjectMeta) {
			m.Generation = 2
			m.ManagedFields[0].FieldsV1 = fields("spec.a")
		}, "Deployment shop/web drifted at .spec.b.c (+1) by unknown"},
		{"a label removed", 1, func(m *metav1.ObjectMeta) {
			delete(m.Labels, plumbline.LabelEnvironment)
			m.ManagedFields[0].FieldsV1 = fields("spec.a")
		}, "Deployment shop/web drifted at .spec.b.c (+1) by unknown"},
		{"ownership lost, and nothing changed", 1, func(m *metav1.ObjectMeta) {
			m.ManagedFields[0].FieldsV1 = fields("spec.a")
			m.ManagedFields = append(m.ManagedFields, status(20))
		}, "Deployment shop/web suspect: " + drift.ReasonOwnershipMoved},
		{"a map became atomic", 1, func(m *metav1.ObjectMeta) {
			m.Generation = 2
			m.ManagedFields[0].FieldsV1 = fields("spec.a", "spec.b")
		}, "Deployment shop/web suspect: " + drift.ReasonSetGrew},
		{"a map became atomic, and another field was taken", 1, func(m *metav1.ObjectMeta) {
			m.Generation = 2
			m.ManagedFields[0].FieldsV1 = fields("spec.b")
			m.ManagedFields = append(m.ManagedFields, edit("spec.a"))
		}, "Deployment shop/web drifted at .spec.a by kubectl-edit"},
		{"a subtree taken as a whole", 1, func(m *metav1.ObjectMeta) {
			m.ManagedFields[0].FieldsV1 = fields("spec.a")
			m.ManagedFields = append(m.ManagedFields, edit("spec.b"))
		}, "Deployment shop/web drifted at .spec.b.c (+1) by kubectl-edit"},
		{"a field that another turned into many", 1, func(m *metav1.ObjectMeta) {
			m.ManagedFields[0].FieldsV1 = fields("spec.b.c", "spec.b.d")
			m.ManagedFields = append(m.ManagedFields, edit("spec.a.x", "spec.a.y", "spec.z"))
		}, "Deployment shop/web drifted at .spec.a by kubectl-edit"},
		{"taken by our name in an update", 1, func(m *metav1.ObjectMeta) {
			m.ManagedFields[0].FieldsV1 = fields("spec.b.c", "spec.b.d")
			m.ManagedFields = append(m.ManagedFields, entry(plumbline.FieldManager, metav1.ManagedFieldsOperationUpdate, 20, fields("spec.a")))
		}, "Deployment shop/web drifted at .spec.a by plumbline"},
		{"our set grew", 1, func(m *metav1.ObjectMeta) {
			m.ManagedFields[0].FieldsV1 = fields("spec.a", "spec.b.c", "spec.b.d", "spec.e")
		}, "Deployment shop/web suspect: " + drift.ReasonSetGrew},
		{
			"our entry is gone", 1, func(m *metav1.ObjectMeta) { m.ManagedFields = nil },
			"Deployment shop/web suspect: " + drift.ReasonOwnershipGone,
		},
		{
			"our entry has another time", 1, func(m *metav1.ObjectMeta) { m.ManagedFields[0].Time = nil },
			"Deployment shop/web suspect: " + drift.ReasonAppliedAsUs,
		},
		{
			"the generation moved", 1, func(m *metav1.ObjectMeta) { m.Generation = 2 },
			"Deployment shop/web suspect: " + drift.ReasonGeneration,
		},
		{
			"no generation, another resourceVersion", 0, func(m *metav1.ObjectMeta) { m.ResourceVersion = "101" },
			"Deployment shop/web suspect: " + drift.ReasonMoved,
		},
		{"no generation, a status write", 0, func(m *metav1.ObjectMeta) {
			m.ResourceVersion = "101"
			m.ManagedFields = append(m.ManagedFields, status(20))
		}, "Deployment shop/web in sync"},
		{"no generation, a status write and another", 0, func(m *metav1.ObjectMeta) {
			m.ResourceVersion = "101"
			m.ManagedFields = append(m.ManagedFields, status(20), edit("metadata.labels.x"))
		}, "Deployment shop/web suspect: " + drift.ReasonMoved},
		{"terminating", 1, func(m *metav1.ObjectMeta) {
			now := metav1.Unix(30, 0)
			m.DeletionTimestamp = &now
			m.ManagedFields[0].FieldsV1 = fields("spec.a")
		}, "Deployment shop/web terminating"},
		{"replaced", 1, func(m *metav1.ObjectMeta) { m.UID = "u2" }, "Deployment shop/web missing: " + drift.ReasonReplaced},
	} {
		m := live()
		m.Generation = c.kind
		rec := drift.Verify(drift.Observe(ref, m))
		c.change(m)
		if got := drift.Decide(rec, drift.Observe(ref, m)).String(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := drift.Decide(drift.Record{}, drift.Observe(ref, live())); got.Reason != drift.ReasonUnverified {
		t.Errorf("without a record: %s", got)
	}
}

func TestSuspicion(t *testing.T) {
	t.Parallel()
	rec := drift.Verify(drift.Observe(ref, live()))
	m := live()
	m.ManagedFields = append(m.ManagedFields,
		entry("older", metav1.ManagedFieldsOperationUpdate, 15, fields("spec.x")),
		entry("newer", metav1.ManagedFieldsOperationUpdate, 20, fields("spec.y")), status(30))
	if got := drift.Suspicion(rec, drift.Observe(ref, m)).Manager; got != "newer" {
		t.Errorf("manager %q, want newer", got)
	}
	m = live()
	at := metav1.Unix(40, 0)
	m.ManagedFields[0].Time = &at
	want := plumbline.Field{Manager: plumbline.FieldManager, Operation: "Apply", Time: time.Unix(40, 0).UTC()}
	if diff := cmp.Diff(want, drift.Suspicion(rec, drift.Observe(ref, m))); diff != "" {
		t.Error(diff)
	}
	if got := drift.Suspicion(rec, drift.Observe(ref, live())); got != (plumbline.Field{}) {
		t.Errorf("nobody was at it: %v", got)
	}
}

func TestOurs(t *testing.T) {
	t.Parallel()
	o := drift.Observe(ref, live())
	copied := live()
	copied.ManagedFields = nil
	updated := live()
	updated.ManagedFields[0].Operation = metav1.ManagedFieldsOperationUpdate
	for _, c := range []struct {
		name string
		got  bool
		want bool
	}{
		{"our entry and labels", o.Ours("i", "e"), true},
		{"another installation", o.Ours("j", "e"), false},
		{"another environment", o.Ours("i", "f"), false},
		{"copied labels", drift.Observe(ref, copied).Ours("i", "e"), false},
		{"an update under our name", drift.Observe(ref, updated).Ours("i", "e"), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v", c.name, c.got)
		}
	}
}

func TestCoOwners(t *testing.T) {
	t.Parallel()
	m := live()
	m.ManagedFields = append(m.ManagedFields,
		entry("kubectl-edit", metav1.ManagedFieldsOperationUpdate, 20, fields("spec.a", "spec.theirs")),
		entry("argocd", metav1.ManagedFieldsOperationApply, 20, fields("spec.a")),
		entry("kube-controller-manager", metav1.ManagedFieldsOperationUpdate, 20, fields("spec.a")),
		entry("before-first-apply", metav1.ManagedFieldsOperationUpdate, 0, fields("spec.b.c")),
		status(20))
	for _, c := range []struct {
		body string
		want []string
	}{
		{`{"spec":{"a":1,"b":{"c":1,"d":1}}}`, nil},
		{`{"spec":{"b":{"c":1,"d":1}}}`, []string{`1 {"f:spec":{"f:theirs":{}}}`}},
		{`{"spec":{"a":null,"b":{"d":1}}}`, []string{"4 "}},
		{`{}`, []string{`1 {"f:spec":{"f:theirs":{}}}`, "4 "}},
	} {
		owners, err := drift.CoOwners(drift.Observe(ref, m), []byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range owners {
			got = append(got, strings.TrimSuffix(strings.Join([]string{string(rune('0' + o.Index)), o.Left.Value()}, " "), "\n"))
		}
		slices.Sort(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.body, diff)
		}
	}
}

// TestCoOwnersOfListItems finds dropped items of keyed and of plain lists.
func TestCoOwnersOfListItems(t *testing.T) {
	t.Parallel()
	const owned = `{"f:spec":{"f:ports":{"k:{\"port\":80}":{".":{},"f:port":{}},"k:{\"port\":81}":{".":{},"f:port":{}}},"f:hosts":{"v:\"a\"":{},"v:\"b\"":{}}}}`
	m := live()
	m.ManagedFields[0].FieldsV1 = metav1.NewFieldsV1(owned)
	m.ManagedFields = append(m.ManagedFields, entry("kubectl-edit", metav1.ManagedFieldsOperationUpdate, 20, metav1.NewFieldsV1(owned)))
	owners, err := drift.CoOwners(drift.Observe(ref, m), []byte(`{"spec":{"ports":[{"port":81}],"hosts":["b"]}}`))
	if err != nil || len(owners) != 1 {
		t.Fatal(owners, err)
	}
	want := `{"f:spec":{"f:hosts":{"v:\"b\"":{}},"f:ports":{"k:{\"port\":81}":{".":{},"f:port":{}}}}}`
	if got := owners[0].Left.Value(); got != want {
		t.Errorf("left %s, want %s", got, want)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	taken := plumbline.Verdict{State: plumbline.StateDrifted, Fields: []plumbline.Field{{Path: ".spec.a", Manager: "kubectl-edit"}}}

	var h drift.History
	now := start
	var waits []time.Duration
	for range 11 {
		h = drift.History{Attempts: h.Attempts, Last: h.Last}.Drifted(taken, now)
		next := h.NextHeal()
		if next.IsZero() {
			next = now
		}
		waits = append(waits, next.Sub(now))
		now = next
		h = h.Healed(now)
	}
	want := []time.Duration{0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300}
	for i := range want {
		want[i] *= time.Second
	}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	if got := h.Drifted(taken, now.Add(11*time.Minute)).NextHeal(); !got.IsZero() {
		t.Errorf("after a calm the next heal is at %s, want at once", got)
	}

	for _, c := range []struct {
		name   string
		every  time.Duration
		fights int // at which drift it becomes a fight; 0: never
	}{
		{"every two minutes", 2 * time.Minute, 5},
		{"every three hours", 3 * time.Hour, 6},
		{"every five hours", 5 * time.Hour, 0},
	} {
		var h drift.History
		at := 0
		for n := 1; n <= 10 && at == 0; n++ {
			h = h.Drifted(taken, start.Add(time.Duration(n)*c.every)).Healed(start)
			if h.Fight != nil {
				at = n
			}
		}
		if at != c.fights {
			t.Errorf("%s: a fight at drift %d, want %d", c.name, at, c.fights)
		}
	}
	h = drift.History{}
	for n := range 10 { // others take other fields
		v := plumbline.Verdict{State: plumbline.StateDrifted, Fields: []plumbline.Field{{Path: ".spec.a", Manager: string(rune('a' + n))}}}
		h = h.Drifted(v, start)
	}
	if h.Fight != nil {
		t.Errorf("a fight with %v", h.Fight)
	}
}
