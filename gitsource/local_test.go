package gitsource

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

func TestLocal(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	first := repo.CommitFiles("env/prod/a.yaml", "1\n")
	repo.Git("tag", "-a", "-m", "annotated", "v1")
	second := repo.CommitFiles("env/prod/a.yaml", "2\n")
	repo.Git("branch", "team/topic", first)
	repo.Write("env/prod/a.yaml", "not committed\n")
	repo.Git("gc", "-q")
	third := repo.Commit("loose")
	repo.Write("env/prod/a.yaml", "nor this\n")

	check := func(t *testing.T, dir, path string) {
		t.Helper()
		c, err := Local(dir)
		must(t, err)
		defer func() { must(t, c.Close()) }()
		if c.Path() != path {
			t.Errorf("path %q, want %q", c.Path(), path)
		}
		for rev, want := range map[string]string{
			"HEAD": third, "HEAD~1": second, "HEAD~2": first, "HEAD^": second, "main": third, "refs/heads/main": third,
			"team/topic": first, "v1": first, first: first, second[:8]: second, "v1^{commit}": first,
		} {
			s, err := c.Snapshot(t.Context(), rev)
			if err != nil || s.Commit.SHA != want {
				t.Errorf("%s: %s, %v; want %s", rev, s.Commit.SHA, err, want)
				continue
			}
			content := map[string]string{first: "1\n", second: "2\n", third: "not committed\n"}[want]
			if got := read(t, s.FS, "env/prod/a.yaml"); got != content {
				t.Errorf("%s: content %q", rev, got)
			}
		}
		for _, rev := range []string{"", "--help", "nothing", "HEAD~99", "0000000", "main..v1", ":/x", "HEAD:env", "@{"} {
			if _, err := c.Snapshot(t.Context(), rev); plumbline.KindOf(err) != plumbline.KindUsage {
				t.Errorf("%q: %v", rev, err)
			}
		}
	}
	check(t, filepath.Join(repo.Work, "env", "prod"), "env/prod")
	check(t, repo.Work, ".")

	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(filepath.Join(repo.Work, "env"), link))
	check(t, link, "env")

	bare := gittest.New(t)
	sha := bare.CommitFiles("a.yaml", "a\n")
	c, err := Local(bare.Dir)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	if s, err := c.Snapshot(t.Context(), "main"); err != nil || s.Commit.SHA != sha || c.Path() != "." {
		t.Errorf("bare: %v, %v, %q", s.Commit, err, c.Path())
	}

	_, err = Local(t.TempDir())
	kindIs(t, err, plumbline.KindUsage, "in no Git repository")
	_, err = Local(filepath.Join(t.TempDir(), "nothing"))
	kindIs(t, err, plumbline.KindUsage)
}

func TestLocalWorktree(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	sha := repo.CommitFiles("env/a.yaml", "a\n")
	tree := filepath.Join(t.TempDir(), "tree")
	repo.Git("worktree", "add", "-q", "-b", "side", tree, sha)
	c, err := Local(filepath.Join(tree, "env"))
	must(t, err)
	defer func() { must(t, c.Close()) }()
	for _, rev := range []string{"HEAD", "side", "main"} {
		if s, err := c.Snapshot(t.Context(), rev); err != nil || s.Commit.SHA != sha || c.Path() != "env" {
			t.Errorf("%s: %v, %v, %q", rev, s.Commit, err, c.Path())
		}
	}
}
