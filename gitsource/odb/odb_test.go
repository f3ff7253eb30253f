package odb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newStore(t testing.TB) *Store {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo.git")
	if err := Create(dir, "refs/heads/main"); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func packOf(t testing.TB, objects ...Object) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WritePack(t.Context(), &b, len(objects), func(i int) (Object, error) { return objects[i], nil }); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func receive(t testing.TB, s *Store, pack []byte) error {
	t.Helper()
	return s.Receive(t.Context(), 1<<30, func(w io.Writer) error {
		_, err := w.Write(pack)
		return err
	})
}

func blob(s string) Object { return Object{Type: plumbing.BlobObject, Data: []byte(s)} }

func TestReceiveAndRead(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	objects := []Object{blob(""), blob("x"), blob(strings.Repeat("long ", 100_000)), {plumbing.TreeObject, nil}}
	if err := receive(t, s, packOf(t, objects...)); err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		got, err := s.Read(o.Type, o.Hash(), 1<<20)
		if err != nil || string(got.Data) != string(o.Data) || got.Type != o.Type {
			t.Errorf("%s: %d bytes, %v", o.Hash(), len(got.Data), err)
		}
		if n, err := s.Size(o.Hash()); err != nil || n != int64(len(o.Data)) || !s.Has(o.Hash()) {
			t.Errorf("%s: size %d, %v", o.Hash(), n, err)
		}
	}
	var large *TooLargeError
	if _, err := s.Read(plumbing.BlobObject, objects[2].Hash(), 1000); !errors.As(err, &large) || large.Size != 500_000 {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := s.Read(plumbing.CommitObject, objects[1].Hash(), 1000); !IsMissing(err) {
		t.Errorf("a blob is a commit: %v", err)
	}
	if _, err := s.Read(plumbing.BlobObject, blob("other").Hash(), 1000); !IsMissing(err) || s.Has(blob("other").Hash()) {
		t.Errorf("missing: %v", err)
	}
	if err := receive(t, s, packOf(t)); err != nil {
		t.Errorf("an empty pack: %v", err)
	}
	if err := receive(t, s, packOf(t, objects...)); err != nil {
		t.Errorf("the same pack again: %v", err)
	}
	err := s.Receive(t.Context(), 20, func(w io.Writer) error {
		_, err := w.Write(packOf(t, objects...))
		return err
	})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = s.Receive(ctx, 1<<30, func(w io.Writer) error {
		_, err := w.Write(packOf(t, blob("never")))
		return err
	})
	if !errors.Is(err, context.Canceled) || s.Has(blob("never").Hash()) {
		t.Errorf("canceled: %v", err)
	}
}

// TestDeltas: a pack of the real git, with chains of deltas, by offset and by
// name.
func TestDeltas(t *testing.T) {
	t.Parallel()
	for _, offset := range []string{"true", "false"} {
		t.Run("offsets "+offset, func(t *testing.T) {
			t.Parallel()
			repo := gittest.New(t)
			want := map[string]string{}
			for i := range 30 {
				content := strings.Repeat("the same line again\n", 300) + fmt.Sprintln(i) + strings.Repeat("and another\n", i)
				repo.CommitFiles("a.yaml", content)
				want[repo.Git("rev-parse", "HEAD:a.yaml")] = content
			}
			repo.Bare("config", "repack.useDeltaBaseOffset", offset)
			repo.Bare("repack", "-q", "-a", "-d", "-f", "--depth=40", "--window=40")
			packs, err := filepath.Glob(filepath.Join(repo.Dir, "objects/pack/*.pack"))
			if err != nil || len(packs) != 1 {
				t.Fatal(packs, err)
			}
			pack, err := os.ReadFile(packs[0])
			if err != nil {
				t.Fatal(err)
			}
			s := newStore(t)
			if err := receive(t, s, pack); err != nil {
				t.Fatal(err)
			}
			for name, content := range want {
				if o, err := s.Read(plumbing.BlobObject, plumbing.NewHash(name), 1<<20); err != nil || string(o.Data) != content {
					t.Errorf("%s: %d bytes, %v", name, len(o.Data), err)
				}
			}
			theirs, err := os.ReadFile(strings.TrimSuffix(packs[0], ".pack") + ".idx")
			if err != nil {
				t.Fatal(err)
			}
			ours, err := os.ReadFile(filepath.Join(s.packDir(), strings.TrimSuffix(filepath.Base(packs[0]), ".pack")+".idx"))
			if err != nil || !bytes.Equal(theirs, ours) {
				t.Errorf("the index is not git's: %v", err)
			}
		})
	}
}

func TestCompact(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for i := range 20 {
		if err := receive(t, s, packOf(t, blob(fmt.Sprint(i)), blob(fmt.Sprint(i+1)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Compact(t.Context(), 20); err != nil {
		t.Fatal(err)
	}
	if packs, _ := s.packs(); len(packs) != 20 {
		t.Errorf("%d packs: merged within the limit", len(packs))
	}
	if err := s.Compact(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	if packs, _ := s.packs(); len(packs) != 1 || len(packs[0].objects) != 21 {
		t.Errorf("packs: %v", packs)
	}
	for i := range 21 {
		if !s.Has(blob(fmt.Sprint(i)).Hash()) {
			t.Errorf("%d is lost", i)
		}
	}
}

// TestCompactKeepsAnEqualPack: merging may come out as one of the packs that
// went in.
func TestCompactKeepsAnEqualPack(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	list := []Object{blob("a"), blob("b"), blob("c")}
	slices.SortFunc(list, func(a, b Object) int { return strings.Compare(a.Hash().String(), b.Hash().String()) })
	for _, pack := range [][]byte{packOf(t, list[:2]...), packOf(t, list...)} {
		if err := receive(t, s, pack); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Compact(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	packs, err := s.packs()
	if err != nil || len(packs) != 1 {
		t.Errorf("packs %v, %v", packs, err)
	}
	for _, o := range list {
		if !s.Has(o.Hash()) {
			t.Errorf("%q is lost", o.Data)
		}
	}
}

// TestCompactAroundLargeObjects: a pack that cannot be merged does not keep the
// others from it.
func TestCompactAroundLargeObjects(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	large := Object{plumbing.BlobObject, make([]byte, maxRepackObject+1)}
	err := receive(t, s, packOf(t, large))
	const limit = 4
	for i := range 3 * limit {
		err = errors.Join(err, receive(t, s, packOf(t, blob(fmt.Sprint(i)))), s.Compact(t.Context(), limit))
	}
	if err != nil {
		t.Fatal(err)
	}
	packs, err := s.packs()
	if err != nil || len(packs) > limit+1 {
		t.Errorf("%d packs, %v", len(packs), err)
	}
	for i := range 3 * limit {
		if !s.Has(blob(fmt.Sprint(i)).Hash()) {
			t.Errorf("object %d is lost", i)
		}
	}
	if n, err := s.Size(large.Hash()); n != maxRepackObject+1 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestGeometricSplit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 1000), 1, 30).Draw(t, "sizes")
		packs := make([]packIndex, len(sizes))
		for i, n := range sizes {
			packs[i].objects = make([]plumbing.Hash, n)
		}
		sortPacks(packs)
		split := geometricSplit(packs)
		total := 0
		for _, p := range packs[:split] {
			total += len(p.objects)
		}
		for _, p := range packs[split:] {
			if total > 0 && len(p.objects) < 2*total {
				t.Fatalf("a pack of %d after one of %d", len(p.objects), total)
			}
			total = len(p.objects)
		}
	})
}

func TestParseTree(t *testing.T) {
	t.Parallel()
	h := plumbing.NewHash(strings.Repeat("ab", 20))
	want := []Entry{{"a", ModeRegular, h}, {"b", ModeTree, h}, {"b.c", ModeExecutable, h}, {"s", ModeSubmodule, h}, {"z", ModeSymlink, h}}
	got, err := ParseTree(EncodeTree(want))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for mode, want := range map[string]Mode{
		"100664": ModeRegular, "100600": ModeRegular, "100640": ModeRegular, "0100644": ModeRegular, "100777": ModeExecutable,
		"40755": ModeTree, "040000": ModeTree, "120777": ModeSymlink, "160755": ModeSubmodule, "20644": 0o20644, "644": 0o644,
	} {
		if got, err := ParseTree([]byte(mode + " a\x00" + string(h[:]))); err != nil || len(got) != 1 || got[0].Mode != want {
			t.Errorf("%s: %v, %v; want %o", mode, got, err, want)
		}
	}
	for _, bad := range []string{"x", "100644", "100644 a", "100644 a\x00short", "8 a\x00" + string(h[:]), " a\x00" + string(h[:]), "77777777 a\x00" + string(h[:]), "100644 \x00" + string(h[:])} {
		if _, err := ParseTree([]byte(bad)); err == nil {
			t.Errorf("%q is a tree", bad)
		}
	}
}

// FuzzIndexPack indexes any bytes: an error, or an index of what is in them.
func FuzzIndexPack(f *testing.F) {
	good := packOf(f, blob("one"), blob("two"), Object{plumbing.TreeObject, nil})
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff"))
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x6f\x01abcdefghijklmnopqrstuvwxyz"))
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x7fabcdefghijklmnopqrstuvwxyz"))
	f.Fuzz(func(t *testing.T, pack []byte) {
		idx, err := indexPack(t.Context(), bytes.NewReader(pack), int64(len(pack)))
		if err != nil {
			return
		}
		entries, err := idx.Entries()
		if err != nil {
			t.Fatal(err)
		}
		for e, err := entries.Next(); err == nil; e, err = entries.Next() {
			if e.Offset >= uint64(len(pack)) {
				t.Fatalf("object %s at %d of %d bytes", e.Hash, e.Offset, len(pack))
			}
		}
	})
}

// TestRepackedMeanwhile: the owner of a repository packs it anew while it is read.
func TestRepackedMeanwhile(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	var commits []plumbing.Hash
	for i := range 3 { // a pack each
		commits = append(commits, plumbing.NewHash(repo.CommitFiles("a.yaml", fmt.Sprintln(i))))
		repo.Bare("repack", "-dq")
	}
	at, err := Locate(repo.Dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Wrap(at.Files())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, h := range commits {
		c, err := s.Commit(h)
		if err == nil {
			_, err = s.Tree(c.Tree)
		}
		if err != nil {
			t.Errorf("commit %d: %v", i, err)
		}
		if i == 0 {
			repo.Bare("gc", "-q", "--prune=now")
		}
	}
}

// TestNoFileDescriptorLeft: a process at its limit has a good store still.
func TestNoFileDescriptorLeft(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	o := Object{Type: plumbing.BlobObject, Data: []byte("a\n")}
	err := s.Receive(t.Context(), 1<<20, func(w io.Writer) error {
		return WritePack(t.Context(), w, 1, func(int) (Object, error) { return o, nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	good := s.fs
	for _, failing := range []error{syscall.EMFILE, syscall.EIO} {
		s.Release()
		s.fs = exhausted{good, failing}
		_, err = s.Read(plumbing.BlobObject, o.Hash(), 1<<20)
		if damage := errors.Is(err, ErrCorrupt); err == nil || damage != errors.Is(failing, syscall.EIO) {
			t.Errorf("%v: %v", failing, err)
		}
	}
	s.Release()
	s.fs = good
	if _, err := s.Read(plumbing.BlobObject, o.Hash(), 1<<20); err != nil {
		t.Error(err)
	}
}

// exhausted opens no file.
type exhausted struct {
	billy.Filesystem
	err error
}

func (e exhausted) Open(name string) (billy.File, error) {
	return nil, &os.PathError{Op: "open", Path: name, Err: e.err}
}
