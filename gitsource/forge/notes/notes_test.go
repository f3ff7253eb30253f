package notes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/forge"
	"github.com/plumbline-dev/plumbline/gitsource/forge/forgetest"
	"github.com/plumbline-dev/plumbline/gitsource/gittest"
	"github.com/plumbline-dev/plumbline/gitsource/wire"
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

const token = "s3cr3t-T0ken"

// overHTTPS changes the options to those for a server that wants the token.
func overHTTPS(t testing.TB, srv *gittest.Server) func(*Options) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.Auth = wire.Auth{TokenFile: file, CAFile: srv.CAFile} }
}

func TestConformanceHTTPS(t *testing.T) {
	t.Parallel()
	forgetest.Run(t, func(t *testing.T) forgetest.Target {
		repo := gittest.New(t)
		srv := gittest.Serve(t, repo, gittest.Settings{Token: token, MayPush: true})
		return forgetest.Target{Commits: commits(repo, 4), Reporter: reporter(t, srv.URL, overHTTPS(t, srv))}
	})
}

func TestConformanceSSH(t *testing.T) {
	t.Parallel()
	forgetest.Run(t, func(t *testing.T) forgetest.Target {
		repo := gittest.New(t)
		srv := gittest.ServeSSH(t, repo)
		return forgetest.Target{Commits: commits(repo, 4), Reporter: reporter(t, srv.URL, func(o *Options) {
			o.Auth = wire.Auth{SSHKeyFile: srv.KeyFile, KnownHostsFile: srv.KnownHostsFile}
		})}
	})
}

func TestNoRightToPush(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	sha := commits(repo, 1)[0]
	srv := gittest.Serve(t, repo, gittest.Settings{Token: token})
	r := reporter(t, srv.URL, overHTTPS(t, srv))
	denied(t, r.Post(t.Context(), status(sha, "plumbline/a", plumbline.StatusSuccess)), "403", "write to the repository")

	// The server lets the push in, and the repository refuses the reference.
	srv.Set(func(s *gittest.Settings) { s.MayPush = true })
	hook := filepath.Join(repo.Dir, "hooks", "update")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\necho protected: $1 >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	denied(t, r.Post(t.Context(), status(sha, "plumbline/a", plumbline.StatusSuccess)), "hook declined", "protected: "+Ref, "allow plumbline's credentials")

	// Reading goes on.
	if list, err := r.List(t.Context(), sha); err != nil || len(list) != 0 {
		t.Errorf("list %v, %v", list, err)
	}
	if err := os.Remove(hook); err != nil {
		t.Fatal(err)
	}
	post(t, r, status(sha, "plumbline/a", plumbline.StatusSuccess))
}

func denied(t *testing.T, err error, words ...string) {
	t.Helper()
	if plumbline.KindOf(err) != plumbline.KindDenied {
		t.Errorf("not denied: %v", err)
	}
	for _, w := range append(words, Ref) {
		if !strings.Contains(fmt.Sprint(err), w) {
			t.Errorf("%v does not say %q", err, w)
		}
	}
	if strings.Contains(fmt.Sprint(err), "\n") || strings.Contains(fmt.Sprint(err), token) {
		t.Errorf("%q", err)
	}
}

// TestRaces: several reporters, each with a mirror of its own, write at once to
// one commit and to others. Nothing is lost.
func TestRaces(t *testing.T) {
	t.Parallel()
	const reporters, each = 3, 3
	for _, transport := range []string{"file", "https"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			repo := gittest.New(t)
			list := commits(repo, reporters+1)
			url, mod := repo.URL(), func(*Options) {}
			if transport == "https" {
				srv := gittest.Serve(t, repo, gittest.Settings{Token: token, MayPush: true})
				url, mod = srv.URL, overHTTPS(t, srv)
			}
			var wg sync.WaitGroup
			for n := range reporters {
				r := reporter(t, url, mod)
				wg.Go(func() {
					for i := range each {
						shared := status(list[reporters], fmt.Sprintf("plumbline/%d-%d", n, i), plumbline.StatusSuccess)
						own := status(list[n], "plumbline/own", plumbline.StatusPending)
						own.Description = fmt.Sprint(i)
						for _, s := range []plumbline.Status{shared, own} {
							for r.Post(t.Context(), s) != nil { // as the outbox would
								if t.Context().Err() != nil {
									return
								}
							}
						}
					}
				})
			}
			wg.Wait()
			r := reporter(t, url, mod)
			for n := range reporters {
				if got, err := r.List(t.Context(), list[n]); err != nil || len(got) != each {
					t.Errorf("%d statuses, %v", len(got), err)
				}
			}
			if got, err := r.List(t.Context(), list[reporters]); err != nil || len(got) != reporters*each {
				t.Errorf("%d statuses of the shared commit, %v", len(got), err)
			}
			repo.Bare("fsck", "--strict", "--no-dangling")
		})
	}
}

// TestManyCommits: git's own layout of many notes is understood, ours is
// understood by git, and a post stays small.
func TestManyCommits(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	head := commits(repo, 1)[0]
	var stream strings.Builder
	fmt.Fprintf(&stream, "commit %s\ncommitter Ada <ada@example.com> 1700000000 +0000\ndata 4\nmany\n", Ref)
	for i := range 2000 {
		sha := fmt.Sprintf("%040x", i*7919+1)
		path := sha
		switch i % 3 { // git reads each of them
		case 1:
			path = sha[:2] + "/" + sha[2:]
		case 2:
			path = sha[:2] + "/" + sha[2:4] + "/" + sha[4:]
		}
		fmt.Fprintf(&stream, "M 100644 inline %s\ndata 5\nn%03d\n\n", path, i%1000)
	}
	repo.BareInput([]byte(stream.String()), "fast-import", "--quiet")

	r := reporter(t, repo.URL())
	for i := range 6 {
		sha := fmt.Sprintf("%040x", i*7919+1)
		post(t, r, status(sha, "plumbline/a", plumbline.StatusSuccess))
		note := repo.Bare("cat-file", "blob", strings.Fields(repo.Bare("notes", "--ref=plumbline", "list", head[:0]+sha))[0])
		if !strings.HasPrefix(note, fmt.Sprintf("n%03d\n{", i)) {
			t.Errorf("note %d: %q", i, note)
		}
	}
	post(t, r, status(head, "plumbline/a", plumbline.StatusSuccess))
	if got := repo.Bare("notes", "--ref=plumbline", "show", head); !strings.Contains(got, `"success"`) {
		t.Errorf("note %q", got)
	}
	if got := repo.Bare("ls-tree", "--name-only", Ref); strings.Contains(got, head) {
		t.Error("a new note lies in the root")
	}
}

// TestRestart: a reporter without its directory, or with a damaged one, goes on
// where the repository is.
func TestRestart(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	sha := commits(repo, 1)[0]
	dir := filepath.Join(t.TempDir(), "notes")
	in := func(o *Options) { o.Dir = dir }
	first := reporter(t, repo.URL(), in)
	post(t, first, status(sha, "plumbline/a", plumbline.StatusPending))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	packs, err := filepath.Glob(filepath.Join(dir, "repo.git/objects/pack/*.pack"))
	if err != nil || len(packs) == 0 {
		t.Fatal(packs, err)
	}
	if err := os.Remove(packs[0]); err != nil {
		t.Fatal(err)
	}
	second := reporter(t, repo.URL(), in)
	post(t, second, status(sha, "plumbline/a", plumbline.StatusPending), status(sha, "plumbline/a", plumbline.StatusSuccess))

	// Someone threw the notes away: they begin again.
	repo.Bare("update-ref", "-d", Ref)
	post(t, second, status(sha, "plumbline/a", plumbline.StatusSuccess))
	if got, err := second.List(t.Context(), sha); err != nil || len(got) != 1 {
		t.Errorf("list %v, %v", got, err)
	}
}

// TestDirectoryNotWritable: a mirror that cannot be made anew now can be later.
func TestDirectoryNotWritable(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	list := commits(repo, 2)
	r := reporter(t, repo.URL())
	post(t, r, status(list[0], "plumbline/a", plumbline.StatusSuccess))
	repo.Bare("update-ref", "-d", Ref) // what is there is to be fetched again

	stamp := filepath.Join(r.o.Dir, "mirror.json")
	for _, err := range []error{
		os.RemoveAll(filepath.Join(r.o.Dir, "repo.git")), os.Remove(stamp), os.MkdirAll(filepath.Join(stamp, "in the way"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	other := reporter(t, repo.URL())
	post(t, other, status(list[0], "plumbline/b", plumbline.StatusSuccess))
	if err := r.Post(t.Context(), status(list[1], "plumbline/a", plumbline.StatusSuccess)); err == nil {
		t.Fatal("posted without a mirror")
	}
	if err := os.RemoveAll(stamp); err != nil {
		t.Fatal(err)
	}
	post(t, r, status(list[1], "plumbline/a", plumbline.StatusSuccess))
}

// TestHugeNote: what takes no more lines is said to be full, and the notes of other
// commits go on.
func TestHugeNote(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	list := commits(repo, 2)
	repo.BareInput(fmt.Appendf(nil, "commit %s\ncommitter Ada <ada@example.com> 1700000000 +0000\ndata 4\nhuge\nM 100644 inline %s\ndata %d\n%s\n",
		Ref, list[0], maxNoteBytes+1, strings.Repeat("x", maxNoteBytes+1)), "fast-import", "--quiet")
	r := reporter(t, repo.URL(), func(o *Options) { o.Timeout = 5 * time.Minute }) // 16 MiB are much under the race detector
	err := r.Post(t.Context(), status(list[0], "plumbline/a", plumbline.StatusSuccess))
	if !errors.Is(err, forge.ErrTooMany) {
		t.Errorf("error %v", err)
	}
	post(t, r, status(list[1], "plumbline/a", plumbline.StatusSuccess))
}

func TestManyPosts(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	list := commits(repo, 2)
	r := reporter(t, repo.URL())
	for i := range maxPacks + 5 {
		s := status(list[i%2], "plumbline/a", plumbline.StatusPending)
		s.Description = fmt.Sprint(i)
		post(t, r, s)
	}
	packs, err := filepath.Glob(filepath.Join(r.o.Dir, "repo.git/objects/pack/*.pack"))
	if err != nil || len(packs) > maxPacks {
		t.Errorf("%d packs, %v", len(packs), err)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{}, {URL: "/x", Now: now}, {URL: "/x", Dir: "/d"}, {URL: "ext::sh", Dir: "/d", Now: now},
	} {
		if _, err := New(o); plumbline.KindOf(err) != plumbline.KindUsage {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func BenchmarkPost(b *testing.B) {
	repo := gittest.New(b)
	list := commits(repo, 10)
	r := reporter(b, repo.URL())
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		s := status(list[n%10], "plumbline/a", plumbline.StatusPending)
		s.Description = fmt.Sprint(n)
		post(b, r, s)
	}
}
