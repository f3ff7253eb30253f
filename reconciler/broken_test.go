package reconciler_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// TestBrokenCommit pushes a commit with errors: it writes nothing, and the last
// good revision is kept and healed, by the process that saw it and by the next.
func TestBrokenCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	deployed := w.commit(map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile})
	w.sent()
	settings, token := w.get(configMaps, "settings"), w.get(secrets, "token")
	p := w.start()
	mark := w.cluster.Mark(t)
	sha := w.commit(map[string]string{
		"settings.yaml": settingsIs("green"), "extra.yaml": extraFile,
		"token.yaml": strings.Replace(tokenFile, "NS}", "NS, annotations: {plumbline.dev/prune: disabled}}", 1),
		"broken":     "unknown field \"imgae\"\nno such secret",
	})
	want := []string{`failure: broken:1: unknown field "imgae" (+1)`}
	p.events.awaitRuns(t, sha, 1)
	if got := w.objects(mark); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
	if now := w.get(configMaps, "settings").GetResourceVersion(); now != settings.GetResourceVersion() {
		t.Errorf("settings moved from %s to %s", settings.GetResourceVersion(), now)
	}

	w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "kubectl-edit")
	p.events.await(t, healedAs("settings"))
	p.stop()
	if err := p.r.Save(t.Context()); err != nil {
		t.Error(err)
	}
	if e, ok := w.inventory().Get(plumbline.Ref{Kind: "Secret", Namespace: w.ns, Name: "token"}); !ok || e.Keep {
		t.Errorf("the token is listed: %t, and kept as the broken commit says: %t", ok, e.Keep)
	}

	w.patch(configMaps, "settings", `{"data":{"color":"black"}}`, "kubectl-edit")
	p = w.start()
	p.events.await(t, healedAs("settings"))
	p.events.awaitRuns(t, sha, 1)
	w.repo.awaitFetches(t, 3)
	w.told(sha)
	p.stop()
	if slices.ContainsFunc(p.events.all(), func(e reconciler.Event) bool {
		return e.Kind == reconciler.EventRun && e.Result.Commit.SHA == deployed
	}) {
		t.Error("the deployed commit was applied as a whole, and is tried again")
	}
	if got := w.get(configMaps, "settings").Object["data"]; !cmp.Equal(got, settings.Object["data"]) {
		t.Errorf("settings %v", got)
	}
	if now := w.get(secrets, "token").GetResourceVersion(); now != token.GetResourceVersion() {
		t.Errorf("token moved from %s to %s", token.GetResourceVersion(), now)
	}
	if got := w.posted.of(sha, "plumbline/"+w.env); !slices.Equal(got, want) {
		t.Errorf("statuses %q, want %q", got, want)
	}
	patch := "PATCH configmaps " + w.ns + "/settings"
	if got := w.objects(mark); !slices.Equal(got, []string{patch, patch}) {
		t.Errorf("sent %q, want two heals", got)
	}
}

// TestUnknownDeployedCommit starts a process where the deployed commit cannot be
// rendered any more, and the head neither: that an object was edited, and that
// another was deleted, is told, and nothing is written or forgotten.
func TestUnknownDeployedCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue"), "token.yaml": tokenFile})
	w.sent()
	sha := w.repo.head()
	w.commit(map[string]string{"settings.yaml": settingsIs("green"), "broken": "no such secret"})
	w.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "kubectl-edit")
	w.delete(secrets, "token")
	w.tune = func(o *reconciler.Options) { o.Source = forgetful{o.Source, sha} }
	mark := w.cluster.Mark(t)
	p := w.start()
	s := w.posted.await(t, func(s plumbline.Status) bool {
		return s.SHA == sha && s.Context == "plumbline/"+w.env+"/drift" && strings.HasSuffix(s.Description, " (+1)")
	})
	if s.State != plumbline.StatusFailure || !strings.HasPrefix(s.Description, "2 fields drifted: ConfigMap "+w.ns+"/settings data.color by kubectl-edit") {
		t.Errorf("status %s: %s", s.State, s.Description)
	}
	p.stop()
	if got := w.objects(mark); slices.ContainsFunc(got, func(s string) bool { return !strings.HasPrefix(s, "GET ") }) {
		t.Errorf("sent %q", got)
	}
	if got, want := w.listed(), []string{"ConfigMap settings", "Secret token"}; !slices.Equal(got, want) {
		t.Errorf("inventory %q, want %q", got, want)
	}
}

// forgetful is a source that does not have a commit any more.
type forgetful struct {
	reconciler.Source
	sha string
}

func (f forgetful) Snapshot(ctx context.Context, sha string) (plumbline.Snapshot, error) {
	if sha == f.sha {
		return plumbline.Snapshot{}, plumbline.Errorf(plumbline.KindInvalid, "read commit", "unknown commit")
	}
	return f.Source.Snapshot(ctx, sha)
}

// TestEmptyCommit pushes a commit without an object: it is denied, and nothing
// is pruned.
func TestEmptyCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"settings.yaml": settingsIs("blue")})
	w.sent()
	p := w.start()
	mark := w.cluster.Mark(t)
	sha := w.commit(map[string]string{"README.yaml": "# nothing\n"})
	p.events.awaitRuns(t, sha, 3)
	w.told(sha)
	p.stop()
	if got := w.objects(mark); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
	if got, want := w.posted.of(sha, "plumbline/"+w.env), []string{"failure: render: no definitions found: nothing is applied and nothing is pruned"}; !slices.Equal(got, want) {
		t.Errorf("statuses %q, want %q", got, want)
	}
	if got, want := w.listed(), []string{"ConfigMap settings"}; !slices.Equal(got, want) {
		t.Errorf("inventory %q, want %q", got, want)
	}
}
