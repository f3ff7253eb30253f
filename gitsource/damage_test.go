package gitsource

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/plumbline-dev/plumbline/gitsource/gittest"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
)

// TestDamagedMirror: whatever a kill or a disk leaves, the next start or the
// next fetch has a good mirror again.
func TestDamagedMirror(t *testing.T) {
	t.Parallel()
	packs := func(t *testing.T, dir, ext string) string {
		t.Helper()
		list, err := filepath.Glob(filepath.Join(dir, "repo.git/objects/pack/*"+ext))
		if err != nil || len(list) == 0 {
			t.Fatal("no packs", err)
		}
		return list[0]
	}
	flip := func(t *testing.T, path string) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 0xff
		if err := errors.Join(os.Remove(path), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
	}{
		{"half a fetch", func(t *testing.T, dir string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, "repo.git/objects/pack/tmp_123"), []byte("PACK"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"pack without index", func(t *testing.T, dir string) { t.Helper(); must(t, os.Remove(packs(t, dir, ".idx"))) }},
		{"index without pack", func(t *testing.T, dir string) { t.Helper(); must(t, os.Remove(packs(t, dir, ".pack"))) }},
		{"pack cut off", func(t *testing.T, dir string) { t.Helper(); must(t, os.Truncate(packs(t, dir, ".pack"), 50)) }},
		{"pack empty", func(t *testing.T, dir string) { t.Helper(); must(t, os.Truncate(packs(t, dir, ".pack"), 0)) }},
		{"pack changed", func(t *testing.T, dir string) { t.Helper(); flip(t, packs(t, dir, ".pack")) }},
		{"index changed", func(t *testing.T, dir string) { t.Helper(); flip(t, packs(t, dir, ".idx")) }},
		{"reference empty", func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Truncate(filepath.Join(dir, "repo.git/refs/heads/main"), 0))
		}},
		{"no HEAD", func(t *testing.T, dir string) { t.Helper(); must(t, os.Remove(filepath.Join(dir, "repo.git/HEAD"))) }},
		{"no repository", func(t *testing.T, dir string) { t.Helper(); must(t, os.RemoveAll(filepath.Join(dir, "repo.git"))) }},
		{"no stamp", func(t *testing.T, dir string) { t.Helper(); must(t, os.Remove(filepath.Join(dir, "mirror.json"))) }},
		{"stamp cut off", func(t *testing.T, dir string) { t.Helper(); must(t, os.Truncate(filepath.Join(dir, "mirror.json"), 3)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			repo := gittest.New(t)
			sha := repo.CommitFiles("a.yaml", randomText(5000), "b.yaml", "b\n")
			m := open(t, repo.URL())
			fetch(t, m)
			dir := m.o.Dir
			must(t, m.Close())
			c.damage(t, dir)

			again := open(t, repo.URL(), func(o *Options) { o.Dir = dir })
			if got := fetch(t, again).SHA; got != sha {
				t.Errorf("head %s, want %s", got, sha)
			}
			if got := read(t, snapshot(t, again, sha), "a.yaml"); got != randomText(5000) {
				t.Errorf("%d bytes", len(got))
			}
		})
	}
}

// TestDamageUnderAReader: a pack that is lost while the process runs.
func TestDamageUnderAReader(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	sha := repo.CommitFiles("a.yaml", randomText(50_000))
	m := open(t, repo.URL())
	fetch(t, m)
	list, err := filepath.Glob(filepath.Join(m.o.Dir, "repo.git/objects/pack/*.pack"))
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	f := snapshot(t, m, sha)
	m.store.Release()
	must(t, os.Chmod(list[0], 0o600))
	must(t, os.Truncate(list[0], 300))
	if _, err := f.ReadFile("a.yaml"); err == nil {
		t.Fatal("read from a pack that was cut off")
	}
	fetch(t, m)
	if got := read(t, f, "a.yaml"); got != randomText(50_000) {
		t.Errorf("%d bytes", len(got))
	}
}

// TestLostPack: what the mirror says it has is not there any more when the branch
// has moved on, so the server leaves it out.
func TestLostPack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		damage func(repo string) error
	}{
		{"no index", func(repo string) error { return removeAll(repo + "/objects/pack/*.idx") }},
		{"no pack", func(repo string) error { return removeAll(repo + "/objects/pack/*.pack") }},
		{"garbage for a reference", func(repo string) error {
			return os.WriteFile(repo+"/refs/heads/main", []byte("garbage\n"), 0o600)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			repo := gittest.New(t)
			first := repo.CommitFiles("a.yaml", "a\n")
			m := open(t, repo.URL())
			fetch(t, m)
			dir := m.o.Dir
			must(t, m.Close())
			must(t, c.damage(filepath.Join(dir, "repo.git")))
			head := repo.CommitFiles("b.yaml", "b\n")

			again := open(t, repo.URL(), func(o *Options) { o.Dir = dir })
			if got := fetch(t, again).SHA; got != head {
				t.Errorf("head %s, want %s", got, head)
			}
			if got := read(t, snapshot(t, again, head), "b.yaml") + read(t, snapshot(t, again, first), "a.yaml"); got != "b\na\n" {
				t.Errorf("contents %q", got)
			}
		})
	}
}

func removeAll(pattern string) error {
	files, err := filepath.Glob(pattern)
	if len(files) == 0 {
		err = errors.Join(err, fmt.Errorf("no %s", pattern))
	}
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

// TestMirrorSweptAway: somebody cleans up below a running process. The next fetch
// brings all of it back, whether the branch has moved on or not.
func TestMirrorSweptAway(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	head := repo.CommitFiles("a.yaml", "a\n")
	m := open(t, repo.URL())
	for _, push := range []bool{false, true} {
		fetch(t, m)
		must(t, os.RemoveAll(m.o.Dir))
		m.store.Release()
		if push {
			head = repo.CommitFiles("a.yaml", "b\n")
		} else if _, err := m.Snapshot(t.Context(), head); err == nil {
			t.Fatal("a snapshot of nothing")
		}
		if got := fetch(t, m).SHA; got != head {
			t.Errorf("head %s, want %s", got, head)
		}
		read(t, snapshot(t, m, head), "a.yaml")
	}
}

// TestPartOfAMirrorLost: the commit is there and a file of it is not. The remote
// would leave it out for ever: only a mirror that is made anew has it.
func TestPartOfAMirrorLost(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	repo.CommitFiles("a.yaml", "a\n")
	m := open(t, repo.URL())
	fetch(t, m)
	var kept []odb.Object // all but the file
	for _, name := range []string{"HEAD", "HEAD^{tree}"} {
		o, err := m.store.Read(plumbing.AnyObject, plumbing.NewHash(repo.Git("rev-parse", name)), 1<<20)
		must(t, err)
		kept = append(kept, o)
	}
	must(t, removeAll(m.o.Dir+"/repo.git/objects/pack/*"))
	m.store.Release()
	must(t, m.store.Receive(t.Context(), 1<<20, func(w io.Writer) error {
		return odb.WritePack(t.Context(), w, len(kept), func(i int) (odb.Object, error) { return kept[i], nil })
	}))
	f := snapshot(t, m, m.last().SHA)
	if _, err := f.ReadFile("a.yaml"); err == nil {
		t.Fatal("a file of nothing")
	}
	fetch(t, m)
	if got := read(t, f, "a.yaml"); got != "a\n" {
		t.Errorf("content %q", got)
	}
}

// TestDamageWhileTheRemoteIsAway: what can still be read is not thrown away before
// there is something to replace it.
func TestDamageWhileTheRemoteIsAway(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	first := repo.CommitFiles("a.yaml", "a\n")
	m := open(t, repo.URL())
	fetch(t, m)
	intact, err := filepath.Glob(m.o.Dir + "/repo.git/objects/pack/*.pack")
	must(t, err)
	second := repo.CommitFiles("a.yaml", randomText(5000))
	fetch(t, m)
	packs, err := filepath.Glob(m.o.Dir + "/repo.git/objects/pack/*.pack")
	must(t, err)
	broken := slices.DeleteFunc(packs, func(p string) bool { return p == intact[0] })[0]
	m.store.Release()
	must(t, errors.Join(os.Chmod(broken, 0o600), os.Truncate(broken, 100)))
	if f, err := m.Snapshot(t.Context(), second); err == nil {
		if _, err := fs.ReadFile(f.FS, "a.yaml"); err == nil {
			t.Fatal("read from a pack that was cut off")
		}
	}

	must(t, os.Rename(repo.Dir, repo.Dir+".away"))
	if _, err := m.Fetch(t.Context()); err == nil {
		t.Fatal("fetched from nothing")
	}
	if got := read(t, snapshot(t, m, first), "a.yaml"); got != "a\n" {
		t.Errorf("content %q", got)
	}
	must(t, os.Rename(repo.Dir+".away", repo.Dir))
	fetch(t, m)
	if got := read(t, snapshot(t, m, second), "a.yaml"); got != randomText(5000) {
		t.Errorf("%d bytes", len(got))
	}
}
