package gitsource

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

// TestFormsOfRepositories: what a repository on disk may look like, read as a
// source and as the clone that somebody works in.
func TestFormsOfRepositories(t *testing.T) {
	t.Parallel()
	config := func(dir, text string) error {
		f, err := os.OpenFile(filepath.Join(dir, "config"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		_ = f.Close()
		return err
	}
	for _, c := range []struct {
		name  string
		make  func(t *testing.T, repo *gittest.Repo) (dir string)
		words []string // of the refusal; none: it is read
	}{
		{"bare", func(_ *testing.T, repo *gittest.Repo) string { return repo.Dir }, nil},
		{"a work tree", func(_ *testing.T, repo *gittest.Repo) string { return repo.Work }, nil},
		{"its .git", func(_ *testing.T, repo *gittest.Repo) string { return filepath.Join(repo.Work, ".git") }, nil},
		{"a detached HEAD", func(_ *testing.T, repo *gittest.Repo) string {
			repo.Git("checkout", "-q", "--detach")
			return repo.Work
		}, nil},
		{"packed references", func(_ *testing.T, repo *gittest.Repo) string {
			repo.Git("tag", "-a", "-m", "annotated", "v1")
			repo.Git("push", "-q", "origin", "v1")
			repo.Bare("pack-refs", "--all")
			return repo.Dir
		}, nil},
		{"a branch that stands for another", func(_ *testing.T, repo *gittest.Repo) string {
			repo.Bare("branch", "-m", "main", "trunk")
			repo.Bare("symbolic-ref", "refs/heads/also", "refs/heads/trunk")
			repo.Bare("symbolic-ref", "refs/heads/main", "refs/heads/also")
			return repo.Dir
		}, nil},
		{"a linked work tree", func(t *testing.T, repo *gittest.Repo) string {
			t.Helper()
			dir := filepath.Join(t.TempDir(), "linked")
			repo.Git("worktree", "add", "-q", dir)
			return dir
		}, nil},
		{"a sparse linked work tree", func(t *testing.T, repo *gittest.Repo) string {
			t.Helper()
			dir := filepath.Join(t.TempDir(), "linked")
			repo.Git("worktree", "add", "-q", dir)
			repo.Git("-C", dir, "sparse-checkout", "set", "a") // configures each work tree
			return dir
		}, nil},
		{"a submodule", func(t *testing.T, repo *gittest.Repo) string {
			t.Helper()
			outer := gittest.New(t)
			outer.Git("submodule", "--quiet", "add", repo.Dir, "inner")
			return filepath.Join(outer.Work, "inner")
		}, nil},
		{"objects elsewhere", func(t *testing.T, repo *gittest.Repo) string {
			t.Helper()
			dir := filepath.Join(t.TempDir(), "shared")
			repo.Git("clone", "-q", "--shared", repo.Dir, dir)
			return dir
		}, nil},
		{"shallow", func(t *testing.T, repo *gittest.Repo) string {
			t.Helper()
			repo.CommitFiles("env/a.yaml", "a\n", "b.yaml", "b\n")
			dir := filepath.Join(t.TempDir(), "shallow")
			repo.Git("clone", "-q", "--depth=1", repo.URL(), dir)
			return dir
		}, nil},
		{"partial", func(t *testing.T, repo *gittest.Repo) string {
			t.Helper()
			repo.Bare("config", "uploadpack.allowFilter", "true")
			dir := filepath.Join(t.TempDir(), "partial")
			repo.Git("clone", "-q", "--filter=blob:none", repo.URL(), dir) // has what is checked out
			return dir
		}, nil},
		{"an owner's configuration", func(t *testing.T, repo *gittest.Repo) string {
			t.Helper()
			must(t, config(repo.Dir, "[branch \"main\"]\n\tmerge = main\n[remote \"o\"]\n\tfetch = ^refs/heads/wip/*\n[core]\n\tautocrlf\n"))
			return repo.Dir
		}, nil},
		{"a path with everything", func(t *testing.T, repo *gittest.Repo) string {
			t.Helper()
			dir := filepath.Join(t.TempDir(), "a b#c?d%20é\\:")
			repo.Git("clone", "-q", repo.Dir, dir)
			return dir
		}, nil},
		{"SHA-256", func(t *testing.T, repo *gittest.Repo) string {
			t.Helper()
			dir := filepath.Join(t.TempDir(), "other")
			repo.Git("init", "-q", "--object-format=sha256", dir)
			return dir
		}, []string{"sha256", "use a repository with SHA-1"}},
		{"reftable", func(t *testing.T, repo *gittest.Repo) string {
			t.Helper()
			must(t, config(repo.Dir, "[core]\n\trepositoryFormatVersion = 1\n[Extensions]\n\trefStorage = reftable\n"))
			return repo.Dir
		}, []string{"reftable", "--ref-format=files"}},
		{"an extension of tomorrow", func(t *testing.T, repo *gittest.Repo) string {
			t.Helper()
			must(t, config(repo.Dir, "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tholograms = true\n"))
			return repo.Dir
		}, []string{"extension holograms is not supported"}},
		{"a version of tomorrow", func(t *testing.T, repo *gittest.Repo) string {
			t.Helper()
			must(t, config(repo.Dir, "[core]\n\trepositoryformatversion = 2\n"))
			return repo.Dir
		}, []string{"version 2"}},
		{"half a configuration", func(t *testing.T, repo *gittest.Repo) string {
			t.Helper()
			must(t, config(repo.Dir, "[core\n"))
			return repo.Dir
		}, []string{"config"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			repo := gittest.New(t)
			repo.CommitFiles("env/a.yaml", "a\n")
			repo.CommitFiles("b.yaml", "b\n")
			dir := c.make(t, repo)
			m := open(t, dir)
			if len(c.words) > 0 {
				_, err := m.Fetch(t.Context())
				kindIs(t, err, plumbline.KindInvalid, c.words...)
				_, err = Local(dir)
				kindIs(t, err, plumbline.KindUsage, c.words...)
				return
			}
			head := repo.Git("rev-parse", "HEAD")
			if got := fetch(t, m).SHA; got != head {
				t.Errorf("head %s, want %s", got, head)
			}
			if got := read(t, snapshot(t, m, head), "env/a.yaml"); got != "a\n" {
				t.Errorf("content %q", got)
			}
			clone, err := Local(dir)
			must(t, err)
			defer func() { must(t, clone.Close()) }()
			for _, rev := range []string{"main", head, "HEAD~1"} {
				if s, err := clone.Snapshot(t.Context(), rev); c.name == "shallow" && rev == "HEAD~1" {
					kindIs(t, err, plumbline.KindUsage)
				} else if err != nil || read(t, s.FS, "env/a.yaml") != "a\n" {
					t.Errorf("%s: %v, %v", rev, s.Commit, err)
				}
			}
		})
	}
}

// TestLocalPastDebris: a .git that is none is passed over, as git does.
func TestLocalPastDebris(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	repo.CommitFiles("env/prod/a.yaml", "a\n")
	must(t, os.MkdirAll(filepath.Join(repo.Work, "env", ".git", "objects"), 0o755))
	c, err := Local(filepath.Join(repo.Work, "env", "prod"))
	must(t, err)
	defer func() { must(t, c.Close()) }()
	if c.Path() != "env/prod" {
		t.Errorf("path %q", c.Path())
	}
}
