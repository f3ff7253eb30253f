package reconciler_test

import (
	"slices"
	"testing"

	"github.com/plumbline-dev/plumbline/reconciler"
)

// A one-shot apply beside a running daemon writes the inventory under it. The
// daemon reads it again and goes on; nothing is lost and nothing sent twice.
func TestInventoryTakenByAnApply(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"all.yaml": settingsIs("blue")})
	p := w.start()
	w.synced(first)

	other := *w
	other.repo = &repository{}
	other.commit(map[string]string{"all.yaml": settingsIs("blue"), "more.yaml": `{apiVersion: v1, kind: ConfigMap, metadata: {name: more, namespace: NS}}`})
	if _, err := other.once(); err != nil {
		t.Fatal(err)
	}

	second := w.commit(map[string]string{"all.yaml": settingsIs("blue"), "other.yaml": `{apiVersion: v1, kind: ConfigMap, metadata: {name: other, namespace: NS}}`})
	w.synced(second)
	p.events.await(t, func(e reconciler.Event) bool { return e.Kind == reconciler.EventRun && e.Result.Commit.SHA == second })
	p.stop()

	mark := w.cluster.Mark(t)
	if _, err := w.once(); err != nil {
		t.Fatal(err)
	}
	if got := slices.Concat(w.objects(mark), w.states(mark)); len(got) > 0 {
		t.Errorf("a process after the daemon sent %v", got)
	}
	if got := w.posted.of(second, "plumbline/"+w.env); len(got) == 0 || got[len(got)-1] != "success: 2 objects applied, in sync" {
		t.Errorf("statuses %q", got)
	}
}

// TestEnvironmentsNamedAlike keeps two environments of which one is named like
// the other and a project of it: neither knows of the other.
func TestEnvironmentsNamedAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	w.sent()
	other := *w
	other.env, other.repo, other.posted = w.env+"-shop", &repository{}, &statuses{}
	other.commit(map[string]string{"new.yaml": configMap("new", "1")})
	other.sent()
	w.converged("the first", map[string]string{"settings": "blue"})
	other.converged("the second", map[string]string{"new": "1"})
}
