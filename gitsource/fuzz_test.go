package gitsource

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline/gitsource/odb"
)

// memory is a tree of objects without a repository.
type memory map[plumbing.Hash]odb.Object

func (m memory) put(t plumbing.ObjectType, data string) plumbing.Hash {
	o := odb.Object{Type: t, Data: []byte(data)}
	m[o.Hash()] = o
	return o.Hash()
}

func (m memory) tree(entries ...odb.Entry) plumbing.Hash {
	slices.SortFunc(entries, odb.CompareEntries)
	return m.put(plumbing.TreeObject, string(odb.EncodeTree(entries)))
}

func (m memory) Read(_ plumbing.ObjectType, h plumbing.Hash, limit int64) (odb.Object, error) {
	o, ok := m[h]
	if !ok {
		return odb.Object{}, plumbing.ErrObjectNotFound
	}
	if n := int64(len(o.Data)); n > limit {
		return odb.Object{}, &odb.TooLargeError{Size: n, Limit: limit}
	}
	return o, nil
}

func (m memory) Size(h plumbing.Hash) (int64, error) {
	o, err := m.Read(plumbing.AnyObject, h, 1<<40)
	return int64(len(o.Data)), err
}

func (m memory) Tree(h plumbing.Hash) ([]odb.Entry, error) {
	o, err := m.Read(plumbing.TreeObject, h, 1<<40)
	if err != nil {
		return nil, err
	}
	return odb.ParseTree(o.Data)
}

// FuzzResolve walks to any path over a link to any target: no panic, no path
// that is not in the tree, no answer without an end.
func FuzzResolve(f *testing.F) {
	for _, seed := range [][2]string{
		{"dir/link", "../file"},
		{"dir/link/x", ".."},
		{"dir/link", "/etc/passwd"},
		{"dir/link", "../../../etc/passwd"},
		{"dir/link", "link"},
		{"dir/link/link", "."},
		{"dir/link", ""},
		{"dir/link", "a//b/./c/../.."},
		{".", "x"},
		{"..", "x"},
		{"dir/../file", "x"},
		{"dir/link", "\x00"},
		{"dir/link", strings.Repeat("../dir/", 50)},
		{"dir/link", strings.Repeat("x", 5000)},
		{"dir/link/.", "/proc/self/fd"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, target string) {
		m := memory{}
		file := odb.Entry{Name: "file", Mode: odb.ModeRegular, Hash: m.put(plumbing.BlobObject, "content")}
		link := odb.Entry{Name: "link", Mode: odb.ModeSymlink, Hash: m.put(plumbing.BlobObject, target)}
		dir := odb.Entry{Name: "dir", Mode: odb.ModeTree, Hash: m.tree(link, file)}
		fsys := &FS{t: newTree(m, odb.Commit{Tree: m.tree(dir, file)}, 100), base: "."}

		b, err := fsys.ReadFile(name)
		var p *fs.PathError
		switch {
		case err != nil && (!errors.As(err, &p) || p.Path != name):
			t.Fatalf("not a path error: %v", err)
		case err == nil && string(b) != "content":
			t.Fatalf("content %q", b)
		case err == nil && !fs.ValidPath(name):
			t.Fatalf("an invalid path is read: %q", name)
		}
		if n, err := fsys.t.resolve("dir/link", true); err == nil {
			clean := path.Join("dir", target)
			if strings.HasPrefix(target, "/") || strings.HasPrefix(clean, "..") && !strings.Contains(target, "link") {
				t.Fatalf("%q leads to %q", target, n.full)
			}
			if n.full != "." && n.full != "dir" && n.full != "file" && n.full != "dir/file" {
				t.Fatalf("%q leads to %q", target, n.full)
			}
		}
	})
}

// FuzzTree shows any bytes as a directory: what is shown can be a path, once.
func FuzzTree(f *testing.F) {
	hash := strings.Repeat("h", 20)
	for _, seed := range []string{
		"", "100644 a\x00" + hash, "40000 d\x00" + hash + "120000 l\x00" + hash, "160000 sub\x00" + hash,
		"100644 ..\x00" + hash, "100644 .git\x00" + hash, "100644 a/b\x00" + hash, "100644 \xff\x00" + hash,
		"100644 a\x00" + hash + "100644 a\x00" + hash, "9 a\x00" + hash, "100644 a", "100644 \x00" + hash, "0 x\x00" + hash,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		entries, err := odb.ParseTree(content)
		if err != nil {
			return
		}
		m := memory{}
		h := m.put(plumbing.TreeObject, string(content))
		fsys := &FS{t: newTree(m, odb.Commit{Tree: h}, 100), base: "."}
		list, err := fsys.ReadDir(".")
		if err != nil {
			t.Fatal(err)
		}
		if len(list) > len(entries) {
			t.Fatalf("%d of %d entries", len(list), len(entries))
		}
		for i, e := range list {
			if !fs.ValidPath(e.Name()) || strings.Contains(e.Name(), "/") || i > 0 && list[i-1].Name() >= e.Name() {
				t.Fatalf("shown as %q", e.Name())
			}
		}
		fsys.Excluded()
	})
}

func TestLinkParts(t *testing.T) {
	t.Parallel()
	for target, want := range map[string][]string{
		"a": {"a"}, "./a//b/": {"a", "b"}, "../a/../b": {"..", "a", "..", "b"}, ".": nil, "a/.": {"a"}, `a\b`: {`a\b`},
	} {
		got, err := linkParts(target)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", target, diff)
		}
	}
	for _, target := range []string{"", "/", "/a", "a\x00b", "\xff"} {
		if _, err := linkParts(target); !errors.Is(err, ErrOutsideTree) {
			t.Errorf("%q: %v", target, err)
		}
	}
}
