package notes

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/forge/forgetest"
	"github.com/plumbline-dev/plumbline/gitsource/gittest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func now() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

func reporter(t testing.TB, url string, mod ...func(*Options)) *Reporter {
	t.Helper()
	o := Options{URL: url, Dir: filepath.Join(t.TempDir(), "notes"), Now: now}
	for _, f := range mod {
		f(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func commits(repo *gittest.Repo, n int) []string {
	var list []string
	for i := range n {
		list = append(list, repo.CommitFiles("f.yaml", fmt.Sprintln(i)))
	}
	return list
}

func post(t testing.TB, r *Reporter, list ...plumbline.Status) {
	t.Helper()
	for _, s := range list {
		if err := r.Post(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

func status(sha, name string, state plumbline.StatusState) plumbline.Status {
	return plumbline.Status{SHA: sha, Context: name, State: state, Description: "d", Time: now()}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	forgetest.Run(t, func(t *testing.T) forgetest.Target {
		repo := gittest.New(t)
		return forgetest.Target{Commits: commits(repo, 4), Reporter: reporter(t, repo.URL())}
	})
}

func TestGitShowsTheNote(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	sha := commits(repo, 1)[0]
	r := reporter(t, repo.URL())
	pending := status(sha, "plumbline/production", plumbline.StatusPending)
	success := status(sha, "plumbline/production", plumbline.StatusSuccess)
	success.URL = "https://x.example.com/?a=1&b=2"
	post(t, r, pending, success)

	want := `{"sha":"` + sha + `","context":"plumbline/production","state":"pending","description":"d","time":"2026-03-04T05:06:07Z"}
{"sha":"` + sha + `","context":"plumbline/production","state":"success","description":"d","url":"https://x.example.com/?a=1&b=2","time":"2026-03-04T05:06:07Z"}`
	if diff := cmp.Diff(want, repo.Bare("notes", "--ref=plumbline", "show", sha)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("plumbline <plumbline@noreply.invalid>|plumbline", repo.Bare("log", "-1", "--format=%an <%ae>|%cn", Ref)); diff != "" {
		t.Error(diff)
	}
	repo.Bare("fsck", "--strict", "--no-dangling")
}

func TestNotesOfOthersStay(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	list := commits(repo, 5)
	repo.Git("notes", "--ref=plumbline", "add", "-m", "by hand, no JSON", list[0])
	repo.Git("notes", "--ref=plumbline", "add", "-m", "of another commit", list[1])
	repo.Git("push", "-q", "origin", Ref)

	r := reporter(t, repo.URL())
	post(t, r, status(list[0], "plumbline/a", plumbline.StatusSuccess), status(list[2], "plumbline/a", plumbline.StatusSuccess))
	if got := repo.Bare("notes", "--ref=plumbline", "show", list[0]); !strings.HasPrefix(got, "by hand, no JSON\n{") {
		t.Errorf("note %q", got)
	}
	if got := repo.Bare("notes", "--ref=plumbline", "show", list[1]); got != "of another commit" {
		t.Errorf("note %q", got)
	}

	// A person adds to our note, with git, while the reporter lives.
	repo.Git("fetch", "-q", "origin", "+"+Ref+":"+Ref)
	repo.Git("notes", "--ref=plumbline", "append", "-m", "seen by Ada", list[2])
	repo.Git("push", "-q", "origin", Ref)
	post(t, r, status(list[2], "plumbline/a", plumbline.StatusFailure))
	got := repo.Bare("notes", "--ref=plumbline", "show", list[2])
	if !strings.Contains(got, "seen by Ada\n{") || strings.Count(got, `"context"`) != 2 {
		t.Errorf("note %q", got)
	}
	have, err := r.List(t.Context(), list[2])
	if err != nil || len(have) != 2 {
		t.Errorf("list %v, %v", have, err)
	}
	repo.Bare("fsck", "--strict", "--no-dangling")
}
