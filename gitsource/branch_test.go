package gitsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

// transports runs a test over file://, https and ssh.
func transports(t *testing.T, test func(t *testing.T, repo *gittest.Repo, open func(...func(*Options)) *Mirror)) {
	t.Helper()
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		repo := gittest.New(t)
		test(t, repo, func(mod ...func(*Options)) *Mirror { return open(t, repo.URL(), mod...) })
	})
	t.Run("https", func(t *testing.T) {
		t.Parallel()
		repo := gittest.New(t)
		srv := gittest.Serve(t, repo, gittest.Settings{Token: token})
		test(t, repo, func(mod ...func(*Options)) *Mirror { return openHTTPS(t, srv, mod...) })
	})
	t.Run("ssh", func(t *testing.T) {
		t.Parallel()
		repo := gittest.New(t)
		srv := gittest.ServeSSH(t, repo)
		test(t, repo, func(mod ...func(*Options)) *Mirror { return openSSH(t, srv, mod...) })
	})
}

func logTo(b *bytes.Buffer) func(*Options) {
	return func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(b, nil)) }
}

func TestEmptyRepository(t *testing.T) {
	t.Parallel()
	transports(t, func(t *testing.T, repo *gittest.Repo, open func(...func(*Options)) *Mirror) {
		m := open()
		_, err := m.Fetch(t.Context())
		kindIs(t, err, plumbline.KindInvalid, "push a first commit to main")
		if !errors.Is(err, ErrEmptyRepository) {
			t.Errorf("not ErrEmptyRepository: %v", err)
		}
		sha := repo.CommitFiles("a.yaml", "a\n")
		if got := fetch(t, m).SHA; got != sha {
			t.Errorf("head %s, want %s", got, sha)
		}
	})
}

func TestVanishedBranch(t *testing.T) {
	t.Parallel()
	transports(t, func(t *testing.T, repo *gittest.Repo, open func(...func(*Options)) *Mirror) {
		sha := repo.CommitFiles("a.yaml", "a\n")
		m := open()
		fetch(t, m)
		repo.Bare("branch", "-m", "main", "trunk")
		_, err := m.Fetch(t.Context())
		kindIs(t, err, plumbline.KindInvalid, "main: branch does not exist", "trunk")
		if !errors.Is(err, ErrBranchGone) {
			t.Errorf("not ErrBranchGone: %v", err)
		}
		read(t, snapshot(t, m, sha), "a.yaml") // the last good revision stays
		repo.Bare("branch", "-m", "trunk", "main")
		fetch(t, m)
	})
}

func TestForcePush(t *testing.T) {
	t.Parallel()
	transports(t, func(t *testing.T, repo *gittest.Repo, open func(...func(*Options)) *Mirror) {
		base := repo.CommitFiles("a.yaml", "1\n")
		old := repo.CommitFiles("a.yaml", "2\n")
		var log bytes.Buffer
		m := open(logTo(&log))
		fetch(t, m)
		repo.Git("reset", "-q", "--hard", base)
		rewritten := repo.CommitFiles("a.yaml", "3\n")
		repo.Bare("reflog", "expire", "--expire=now", "--all")
		repo.Bare("gc", "-q", "--prune=now") // the server does not know the old head any more
		if got := fetch(t, m).SHA; got != rewritten {
			t.Fatalf("head %s, want %s", got, rewritten)
		}
		if got := packSizes(t, repo, m); !slices.Equal(got, []int{3, 6}) {
			t.Errorf("objects in the packs: %v", got)
		}
		if !strings.Contains(log.String(), "force-pushed") || !strings.Contains(log.String(), old) {
			t.Errorf("log %q", &log)
		}
		if got := read(t, snapshot(t, m, rewritten), "a.yaml") + read(t, snapshot(t, m, old), "a.yaml"); got != "3\n2\n" {
			t.Errorf("contents %q", got)
		}
		got, err := m.Commits(t.Context(), old, rewritten)
		if err != nil || len(got) != 1 || got[0].SHA != rewritten {
			t.Errorf("commits %v, %v", got, err)
		}

		// Back to an older commit is one, too; forward again is not.
		log.Reset()
		repo.Git("reset", "-q", "--hard", base)
		repo.Push()
		if got := fetch(t, m).SHA; got != base || !strings.Contains(log.String(), "force-pushed") {
			t.Errorf("head %s, log %q", got, &log)
		}
		log.Reset()
		repo.CommitFiles("a.yaml", "4\n")
		fetch(t, m)
		if log.Len() > 0 {
			t.Errorf("log %q", &log)
		}
	})
}

func TestUnrelatedHistory(t *testing.T) {
	t.Parallel()
	transports(t, func(t *testing.T, repo *gittest.Repo, open func(...func(*Options)) *Mirror) {
		repo.CommitFiles("a.yaml", "1\n")
		m := open()
		fetch(t, m)
		repo.Git("checkout", "-q", "--orphan", "fresh")
		sha := repo.Commit("another beginning")
		repo.Git("push", "-q", "-f", "origin", "HEAD:main")
		if got := fetch(t, m).SHA; got != sha {
			t.Errorf("head %s, want %s", got, sha)
		}
	})
}

func TestBranchAndTagOfOneName(t *testing.T) {
	t.Parallel()
	transports(t, func(t *testing.T, repo *gittest.Repo, open func(...func(*Options)) *Mirror) {
		repo.CommitFiles("a.yaml", "tagged\n")
		repo.Git("tag", "main")
		repo.Git("push", "-q", "origin", "refs/tags/main")
		head := repo.Commit("the branch")
		repo.Git("push", "-q", "origin", "HEAD:refs/heads/main")
		for _, name := range []string{"", "main", "refs/heads/main"} {
			m := open(func(o *Options) { o.Branch = name })
			if got := fetch(t, m).SHA; got != head {
				t.Errorf("%q: head %s, want %s", name, got, head)
			}
		}
		repo.Bare("update-ref", "-d", "refs/heads/main")
		_, err := open().Fetch(t.Context())
		if !errors.Is(err, ErrBranchGone) {
			t.Errorf("the tag is taken for the branch: %v", err)
		}
	})
}

func TestOnlyTheBranchIsFetched(t *testing.T) {
	t.Parallel()
	transports(t, func(t *testing.T, repo *gittest.Repo, open func(...func(*Options)) *Mirror) {
		repo.CommitFiles("a.yaml", "a\n")
		repo.Git("checkout", "-q", "-b", "team/topic")
		topic := repo.CommitFiles("b.yaml", "b\n")
		m := open()
		fetch(t, m)
		if _, err := m.Snapshot(t.Context(), topic); !errors.Is(err, ErrUnknownCommit) {
			t.Errorf("the other branch is there: %v", err)
		}
		m = open(func(o *Options) { o.Branch = "team/topic" })
		if got := fetch(t, m).SHA; got != topic {
			t.Errorf("head %s, want %s", got, topic)
		}
	})
}

func TestCommits(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	var shas []string
	for i := range 4 {
		shas = append(shas, repo.CommitFiles("a.yaml", fmt.Sprintln(i)))
	}
	repo.Git("checkout", "-q", "-b", "topic", shas[1])
	side := repo.CommitFiles("b.yaml", "b\n")
	repo.Git("checkout", "-q", "main")
	repo.Git("merge", "-q", "--no-ff", "-m", "merge", "topic")
	merge := repo.Git("rev-parse", "HEAD")
	repo.Push()
	m := open(t, repo.URL())
	fetch(t, m)
	for _, c := range []struct {
		name, from, to string
		want           []string
	}{
		{"all between", shas[1], shas[3], []string{shas[3], shas[2]}},
		{"nothing", merge, merge, nil},
		{"the first parents of a merge", shas[0], merge, []string{merge, shas[3], shas[2], shas[1]}},
		{"not on the path", side, merge, []string{merge}},
		{"backwards", shas[3], shas[1], []string{shas[1]}},
		{"no beginning", "", shas[3], []string{shas[3]}},
		{"unknown beginning", strings.Repeat("0", 40), shas[3], []string{shas[3]}},
	} {
		got, err := m.Commits(t.Context(), c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, g := range got {
			names = append(names, g.SHA)
		}
		if diff := cmp.Diff(c.want, names); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	for _, bad := range []string{"", "main", strings.Repeat("1", 40), "--help"} {
		_, err := m.Commits(t.Context(), shas[0], bad)
		kindIs(t, err, plumbline.KindInvalid, "unknown commit")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestManyPushes: a pack a push, and still few packs.
func TestManyPushes(t *testing.T) {
	t.Parallel()
	const pushes = maxPacks + 5
	repo := gittest.New(t)
	var stream strings.Builder
	for i := range pushes {
		fmt.Fprintf(&stream, "commit refs/heads/all\ncommitter Ada <ada@example.com> %d +0000\ndata 0\nM 100644 inline d%d/a.yaml\ndata <<END\n%d\nEND\n", 1_700_000_000+i, i%7, i)
	}
	repo.BareInput([]byte(stream.String()), "fast-import", "--quiet")
	shas := strings.Fields(repo.Bare("rev-list", "--reverse", "refs/heads/all"))
	m := open(t, repo.URL())
	for _, sha := range shas {
		must(t, os.WriteFile(filepath.Join(repo.Dir, "refs/heads/main"), []byte(sha+"\n"), 0o600))
		fetch(t, m)
	}
	list, err := filepath.Glob(filepath.Join(m.o.Dir, "repo.git/objects/pack/*.pack"))
	must(t, err)
	if len(shas) != pushes || len(list) > maxPacks {
		t.Errorf("%d pushes, %d packs", len(shas), len(list))
	}
	for i, sha := range shas {
		if got := read(t, snapshot(t, m, sha), fmt.Sprintf("d%d/a.yaml", i%7)); got != fmt.Sprintln(i) {
			t.Errorf("commit %d: %q", i, got)
		}
	}
}

// TestConcurrentUse fetches and reads at once; for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	sha := repo.CommitFiles("a/a.yaml", "a\n", "b/b.yaml", "b\n", "c.yaml", randomText(40_000))
	m := open(t, repo.URL())
	fetch(t, m)
	f := snapshot(t, m, sha)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 30 {
				if b, err := f.ReadFile("c.yaml"); err != nil || len(b) != 40_000/9*9+9 {
					t.Errorf("%d bytes, %v", len(b), err)
				}
				if _, err := f.ReadDir("a"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for range 10 {
				if _, err := m.Fetch(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 3 {
		repo.CommitFiles("a/a.yaml", fmt.Sprintln(i))
	}
	wg.Wait()
}

func TestOptions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, o := range []Options{
		{Dir: dir},
		{URL: "https://git.example.com/a.git"},
		{URL: "git.example.com/a.git", Dir: dir},
		{URL: "http://ada:pw@git.example.com/a.git", Dir: dir},
		{URL: "http://git.example.com/a.git", Dir: dir, Auth: Auth{TokenFile: "t"}},
		{URL: "git://git.example.com/a.git", Dir: dir},
		{URL: "ext::sh -c touch% /tmp/x", Dir: dir},
		{URL: "--upload-pack=touch /tmp/x", Dir: dir},
		{URL: "ssh://-oProxyCommand=x/a.git", Dir: dir},
		{URL: "file://host/a.git", Dir: dir},
		{URL: "https://git.example.com", Dir: dir},
		{URL: "https://ada:p%zz@git.example.com/a", Dir: dir},
		{URL: "https://git.example.com/a.git\n", Dir: dir},
		{URL: "https://git.example.com/a.git#main", Dir: dir},
		{URL: "file:///srv/a#b.git", Dir: dir},
		{URL: "ssh://git@git.example.com/a?b.git", Dir: dir},
		{URL: "/repo", Dir: dir, Branch: "../../etc"},
		{URL: "/repo", Dir: dir, Branch: "a b"},
		{URL: "/repo", Dir: dir, Branch: "a..b"},
		{URL: "/repo", Dir: dir, Branch: "-x"},
		{URL: "/repo", Dir: dir, Branch: "x.lock"},
		{URL: "/repo", Dir: dir, Branch: ".hidden/x"},
		{URL: "/repo", Dir: dir, Branch: "a//b"},
		{URL: "/repo", Dir: dir, Branch: "x@{1}"},
	} {
		_, err := New(o)
		kindIs(t, err, plumbline.KindUsage)
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("a password in %q", err)
		}
	}
}

func TestMissingRepository(t *testing.T) {
	t.Parallel()
	m := open(t, filepath.Join(t.TempDir(), "nothing"))
	_, err := m.Fetch(t.Context())
	kindIs(t, err, plumbline.KindInvalid, "nothing: there is no such directory")
	m = open(t, t.TempDir())
	_, err = m.Fetch(t.Context())
	kindIs(t, err, plumbline.KindInvalid, "the directory is no Git repository")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m = open(t, file)
	_, err = m.Fetch(t.Context())
	kindIs(t, err, plumbline.KindInvalid, "it is a file")
}

func TestClosed(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	sha := repo.CommitFiles("a.yaml", "a\n")
	m := open(t, repo.URL())
	fetch(t, m)
	f := snapshot(t, m, sha)
	must(t, m.Close())
	if _, err := f.ReadFile("a.yaml"); err == nil {
		t.Error("read after Close")
	}
	if _, err := m.Fetch(t.Context()); err == nil {
		t.Error("fetch after Close")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, repo.URL()).Fetch(ctx); !plumbline.Canceled(err) {
		t.Errorf("fetch after cancel: %v", err)
	}
}

// TestOnlyWhatIsNewIsFetched: a push of one file is its blob, its trees and a
// commit.
func TestOnlyWhatIsNewIsFetched(t *testing.T) {
	t.Parallel()
	transports(t, func(t *testing.T, repo *gittest.Repo, open func(...func(*Options)) *Mirror) {
		for i := range 20 {
			repo.Write(fmt.Sprintf("d%d/a.yaml", i), fmt.Sprintln(i))
		}
		repo.CommitFiles("b.yaml", "b\n")
		m := open()
		fetch(t, m)
		repo.CommitFiles("d3/a.yaml", "new\n")
		fetch(t, m)
		if got := packSizes(t, repo, m); !slices.Equal(got, []int{4, 43}) {
			t.Errorf("objects in the packs: %v", got)
		}
	})
}

// packSizes are the numbers of objects in the mirror's packs, sorted.
func packSizes(t *testing.T, repo *gittest.Repo, m *Mirror) []int {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(m.o.Dir, "repo.git/objects/pack/*.idx"))
	must(t, err)
	var sizes []int
	for _, p := range packs {
		n := 0
		for line := range strings.SplitSeq(repo.Git("verify-pack", "-v", p), "\n") {
			if f := strings.Fields(line); len(f) >= 5 && len(f[0]) == 40 {
				n++
			}
		}
		sizes = append(sizes, n)
	}
	slices.Sort(sizes)
	return sizes
}

// TestMemoryIsGivenBack: between fetches a mirror keeps no pack open.
func TestMemoryIsGivenBack(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	sha := repo.CommitFiles("a.yaml", "a\n")
	m := open(t, repo.URL())
	fetch(t, m)
	f := snapshot(t, m, sha)
	read(t, f, "a.yaml")
	fetch(t, m)
	fds, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return // no list of open files on this system
	}
	must(t, err)
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, m.o.Dir) && !strings.HasSuffix(to, "/lock") {
			t.Errorf("%s is open", to)
		}
	}
	read(t, f, "a.yaml")
}
