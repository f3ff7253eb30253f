// Package gittest makes repositories with the real git, and serves them, for
// tests. The product never imports it: it runs programs.
package gittest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Repo is a bare repository and a work tree that pushes to it.
type Repo struct {
	Dir  string // the bare repository
	Work string // the work tree

	t testing.TB
}

// New makes an empty repository whose HEAD names main.
func New(t testing.TB) *Repo {
	t.Helper()
	dir := t.TempDir()
	r := &Repo{Dir: filepath.Join(dir, "bare.git"), Work: filepath.Join(dir, "work"), t: t}
	r.run(dir, nil, "init", "-q", "--bare", "-b", "main", r.Dir)
	r.run(dir, nil, "init", "-q", "-b", "main", r.Work)
	r.Git("remote", "add", "origin", r.Dir)
	return r
}

// URL is the bare repository's file:// URL.
func (r *Repo) URL() string { return "file://" + r.Dir }

// Git runs git in the work tree and returns what it prints, trimmed.
func (r *Repo) Git(args ...string) string {
	r.t.Helper()
	return r.run(r.Work, nil, args...)
}

// Bare runs git in the bare repository.
func (r *Repo) Bare(args ...string) string {
	r.t.Helper()
	return r.run(r.Dir, nil, args...)
}

// BareInput is Bare with a standard input.
func (r *Repo) BareInput(stdin []byte, args ...string) string {
	r.t.Helper()
	return r.run(r.Dir, stdin, args...)
}

// Write writes a file of the work tree.
func (r *Repo) Write(path, content string) {
	r.t.Helper()
	full := filepath.Join(r.Work, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// Link makes a symbolic link in the work tree.
func (r *Repo) Link(path, target string) {
	r.t.Helper()
	full := filepath.Join(r.Work, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Symlink(target, full); err != nil {
		r.t.Fatal(err)
	}
}

// Commit commits everything in the work tree and returns the commit's SHA.
func (r *Repo) Commit(message string) string {
	r.t.Helper()
	r.Git("add", "-A")
	r.Git("commit", "-q", "--allow-empty", "-m", message)
	return r.Git("rev-parse", "HEAD")
}

// Push pushes the checked out branch, forced.
func (r *Repo) Push() {
	r.t.Helper()
	r.Git("push", "-q", "-f", "origin", "HEAD")
}

// CommitFiles writes files (path, content, path, content, …), commits and
// pushes them, and returns the commit's SHA.
func (r *Repo) CommitFiles(pathsAndContents ...string) string {
	r.t.Helper()
	for i := 0; i < len(pathsAndContents); i += 2 {
		r.Write(pathsAndContents[i], pathsAndContents[i+1])
	}
	sha := r.Commit("change " + strings.Join(pathsAndContents[:min(1, len(pathsAndContents))], ""))
	r.Push()
	return sha
}

// Env is an environment in which git knows no configuration but the
// repository's, and asks nobody anything.
func Env() []string {
	return append(os.Environ(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com",
		"GIT_CONFIG_COUNT=2",
		"GIT_CONFIG_KEY_0=protocol.file.allow", "GIT_CONFIG_VALUE_0=always",
		"GIT_CONFIG_KEY_1=gc.auto", "GIT_CONFIG_VALUE_1=0",
		"LC_ALL=C",
	)
}

func (r *Repo) run(dir string, stdin []byte, args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = Env()
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}
