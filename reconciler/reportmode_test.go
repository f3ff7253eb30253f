package reconciler_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

var widgetObjects = schema.GroupVersionResource{Group: widgetGroup, Version: "v1", Resource: "widgets"}

func widget(name string) string {
	return "apiVersion: reconciler.test/v1\nkind: Widget\nmetadata: {name: " + name + ", namespace: NS}\n" +
		"spec: {parts: [{name: rim, color: blue}, {name: hub, color: red}]}\n"
}

// driftStatus waits for a status of the drift context of the head.
func (w *world) driftStatus(ok func(plumbline.Status) bool) string {
	w.t.Helper()
	s := w.posted.await(w.t, func(s plumbline.Status) bool {
		return s.SHA == w.repo.head() && s.Context == "plumbline/"+w.env+"/drift" && ok(s)
	})
	text := string(s.State) + ": " + strings.ReplaceAll(s.Description, w.ns+"/", "")
	return regexp.MustCompile(`\d\d:\d\dZ`).ReplaceAllString(text, "HH:MMZ")
}

// TestReportMode tells drift on the drift context and writes nothing, however
// it is found: by the field that was lost, by a dry-run, by a delete.
func TestReportMode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	installWidgets(t, w.cluster)
	w.tune = func(o *reconciler.Options) { o.Drift = reconciler.DriftReport }
	w.commit(map[string]string{
		"settings.yaml": settingsIs("blue"), "extra.yaml": extraFile, "token.yaml": tokenFile,
		"defaulted.yaml": widget("defaulted"), "reordered.yaml": widget("reordered"),
	})
	w.sent()
	p := w.start()
	mark := w.cluster.Mark(t)

	edited := w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "kubectl-edit")
	p.events.await(t, driftOf("settings"))
	got := w.driftStatus(func(plumbline.Status) bool { return true })
	if want := "failure: 1 field drifted: ConfigMap settings data.color by kubectl-edit HH:MMZ (drift.action is report)"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}

	w.patch(widgetObjects, "defaulted", `{"spec":{"mode":"fancy"}}`, "kubectl-edit")
	w.patch(secrets, "token", `{"data":{"theirs":"eA=="}}`, "kubectl-edit")
	w.patch(widgetObjects, "reordered", `{"spec":{"parts":[{"name":"hub","color":"red"},{"name":"rim","color":"blue"}]}}`, "kubectl-edit")
	p.events.await(t, driftOf("reordered"))
	w.delete(configMaps, "extra")
	p.events.await(t, driftOf("extra"))
	got = w.driftStatus(func(s plumbline.Status) bool { return strings.HasPrefix(s.Description, "3 fields") })
	if want := "failure: 3 fields drifted: ConfigMap extra deleted (drift.action is report) (+2)"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	want := []string{
		"GET configmaps " + w.ns + "/extra",
		"PATCH reconciler.test/widgets " + w.ns + "/defaulted (dry run)", "PATCH reconciler.test/widgets " + w.ns + "/reordered (dry run)",
		"PATCH secrets " + w.ns + "/token (dry run)",
	}
	// Of what did not drift nothing is told.
	poll(t, func(context.Context) bool { return len(w.objects(mark)) >= len(want) })
	p.stop()

	for _, e := range p.events.all() {
		if e.Kind == reconciler.EventOutcome || e.Kind == reconciler.EventHealed {
			t.Errorf("event %s", describe(e))
		}
		if e.Kind == reconciler.EventDrift && (e.Verdict.Ref.Name == "defaulted" || e.Verdict.Ref.Name == "token") {
			t.Errorf("event %s", describe(e))
		}
	}
	if got := w.objects(mark); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	if now := w.get(configMaps, "settings"); now.GetResourceVersion() != edited.GetResourceVersion() {
		t.Error("settings was written")
	}

	// A commit that changes the object ends it.
	w.commit(map[string]string{
		"settings.yaml": settingsIs("green"), "extra.yaml": configMap("extra", "1"), "token.yaml": tokenFile,
		"defaulted.yaml": widget("defaulted"), "reordered.yaml": widget("reordered"),
	})
	p = w.start()
	w.synced(w.repo.head())
	got = w.driftStatus(func(plumbline.Status) bool { return true })
	p.stop()
	if want := "failure: 1 field drifted: Widget reordered changed by unknown (drift.action is report)"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
}

// TestDriftStatus follows the drift status of a commit: nothing is said until
// something drifted, then who was healed.
func TestDriftStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	w.sent()
	p := w.start()
	p.events.awaitRuns(t, w.repo.head(), 1)
	context := "plumbline/" + w.env + "/drift"
	if got := w.posted.of(w.repo.head(), context); len(got) != 0 {
		t.Errorf("statuses %q before any drift", got)
	}
	w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "kubectl-edit")
	got := w.driftStatus(func(plumbline.Status) bool { return true })
	if want := "success: No drift · healed 1 at HH:MMZ: ConfigMap settings color by kubectl-edit"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	p.stop()
	if err := p.r.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	p = w.start() // it remembers
	p.events.awaitRuns(t, w.repo.head(), 1)
	w.repo.awaitFetches(t, 2)
	p.stop()
	if got := w.posted.of(w.repo.head(), context); len(got) != 1 {
		t.Errorf("statuses %q, want one", got)
	}
}
