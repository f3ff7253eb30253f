package gitsource

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

// open makes a mirror that is closed with the test. mod may change the options.
func open(t testing.TB, url string, mod ...func(*Options)) *Mirror {
	t.Helper()
	o := Options{URL: url, Dir: filepath.Join(t.TempDir(), "mirror")}
	for _, f := range mod {
		f(&o)
	}
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func fetch(t testing.TB, m *Mirror) plumbline.Commit {
	t.Helper()
	c, err := m.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func snapshot(t testing.TB, m *Mirror, sha string) *FS {
	t.Helper()
	s, err := m.Snapshot(t.Context(), sha)
	if err != nil {
		t.Fatal(err)
	}
	return s.FS.(*FS)
}

func read(t testing.TB, f fs.FS, name string) string {
	t.Helper()
	b, err := fs.ReadFile(f, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// kindIs checks an error's kind and that its text holds every word, in one line.
func kindIs(t testing.TB, err error, k plumbline.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if got := plumbline.KindOf(err); got != k {
		t.Errorf("kind %v, want %v: %v", got, k, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than a line: %q", err)
	}
}

func TestFetchFile(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	first := repo.CommitFiles("a/x.yaml", "x: 1\n", "b.yaml", "b: 1\n")
	m := open(t, repo.URL())

	c := fetch(t, m)
	if c.SHA != first || c.Author != "Ada <ada@example.com>" || c.Time.IsZero() || c.Message != "change a/x.yaml\n" {
		t.Errorf("commit %+v", c)
	}
	before := snapshot(t, m, first)

	second := repo.CommitFiles("a/x.yaml", "x: 2\n", "a/new.yaml", "n: 1\n")
	if got := fetch(t, m).SHA; got != second {
		t.Fatalf("head %s, want %s", got, second)
	}
	if got := fetch(t, m).SHA; got != second {
		t.Fatalf("head %s, want %s", got, second)
	}
	after := snapshot(t, m, second)
	if got := read(t, before, "a/x.yaml") + read(t, after, "a/x.yaml"); got != "x: 1\nx: 2\n" {
		t.Errorf("contents %q", got)
	}
	if err := fstest.TestFS(after, "a/x.yaml", "a/new.yaml", "b.yaml"); err != nil {
		t.Error(err)
	}
}

func TestMirrorIsReused(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	sha := repo.CommitFiles("a.yaml", "a\n")
	dir := filepath.Join(t.TempDir(), "mirror")
	in := func(o *Options) { o.Dir = dir }
	m := open(t, repo.URL(), in)
	fetch(t, m)

	second, err := New(Options{URL: repo.URL(), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	_, err = second.Fetch(t.Context())
	kindIs(t, err, plumbline.KindTransient, dir, "another plumbline")
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}

	// The remote is gone: what was fetched is still read.
	offline := open(t, repo.URL(), in)
	if got := read(t, snapshot(t, offline, sha), "a.yaml"); got != "a\n" {
		t.Errorf("content %q", got)
	}
	if err := offline.Close(); err != nil {
		t.Fatal(err)
	}

	var log bytes.Buffer
	other := gittest.New(t)
	otherSHA := other.CommitFiles("b.yaml", "b\n")
	third := open(t, other.URL(), in, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	if got := fetch(t, third).SHA; got != otherSHA {
		t.Errorf("head %s, want %s", got, otherSHA)
	}
	if _, err := third.Snapshot(t.Context(), sha); !errors.Is(err, ErrUnknownCommit) {
		t.Errorf("the other repository's commit is there: %v", err)
	}
	if !strings.Contains(log.String(), "made anew") {
		t.Errorf("log %q", &log)
	}
}
