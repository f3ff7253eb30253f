package gitsource

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

// mustPush pushes what is committed and returns a file system of it.
func pushed(t *testing.T, repo *gittest.Repo, mod ...func(*Options)) *FS {
	t.Helper()
	repo.Commit("test")
	repo.Push()
	m := open(t, repo.URL(), mod...)
	return snapshot(t, m, fetch(t, m).SHA)
}

func TestSymbolicLinks(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	repo.Write("real/a.yaml", "a\n")
	repo.Write("real/deep/b.yaml", "b\n")
	for link, target := range map[string]string{
		"file.yaml":      "real/a.yaml",
		"env/up.yaml":    "../real/a.yaml",
		"env/dir":        "../real/deep",
		"env/chain.yaml": "dir/../../file.yaml", // through the link's target, as in Unix: real/../file.yaml
		"here":           ".",
		"env/odd.yaml":   ".//./../real//a.yaml",
		"out":            "..",
		"env/out.yaml":   "../../outside.yaml",
		"etc":            "/etc/passwd",
		"proc":           "/proc/self/environ",
		"loop1":          "loop2",
		"loop2":          "loop1",
		"self":           "self/self",
		"dangling":       "nowhere.yaml",
		"through":        "real/a.yaml/x",
	} {
		repo.Link(link, target)
	}
	f := pushed(t, repo)

	for name, want := range map[string]string{
		"file.yaml": "a\n", "env/up.yaml": "a\n", "env/dir/b.yaml": "b\n", "env/odd.yaml": "a\n",
		"here/here/here/file.yaml": "a\n", "env/chain.yaml": "a\n",
	} {
		if b, err := f.ReadFile(name); string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for name, want := range map[string]error{
		"out": ErrOutsideTree, "out/x": ErrOutsideTree, "env/out.yaml": ErrOutsideTree, "etc": ErrOutsideTree, "proc": ErrOutsideTree,
		"loop1": ErrLinkLoop, "self": ErrLinkLoop, "dangling": fs.ErrNotExist, "through": fs.ErrNotExist,
	} {
		_, err := f.ReadFile(name)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		var p *fs.PathError
		if !errors.As(err, &p) || p.Path != name {
			t.Errorf("%s is not named by %v", name, err)
		}
		if errors.Is(want, ErrOutsideTree) && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: not fs.ErrPermission: %v", name, err)
		}
		if !errors.Is(want, fs.ErrNotExist) {
			kindIs(t, err, plumbline.KindInvalid)
		}
		if _, err := f.Stat(name); !errors.Is(err, want) {
			t.Errorf("stat %s: %v", name, err)
		}
	}

	// A link is shown as one, with the hash of the file that it leads to.
	hashes := map[string]string{}
	list, err := f.ReadDir(".")
	must(t, err)
	for _, e := range list {
		hashes[e.Name()] = e.(plumbline.ContentHasher).ContentHash()
		if want := fs.ModeSymlink; e.Name() == "file.yaml" && e.Type() != want {
			t.Errorf("type %v", e.Type())
		}
	}
	info, err := f.Stat("real/a.yaml")
	must(t, err)
	if want := info.(plumbline.ContentHasher).ContentHash(); want == "" || hashes["file.yaml"] != want || hashes["etc"] != "" || hashes["here"] != "" {
		t.Errorf("hashes %v, want %s", hashes, want)
	}
	if target, err := f.ReadLink("env/up.yaml"); target != "../real/a.yaml" {
		t.Errorf("target %q, %v", target, err)
	}

	// A sub-tree is a root, and links may still leave it for the repository.
	sub, err := fs.Sub(f, "env")
	must(t, err)
	if got := read(t, sub, "up.yaml"); got != "a\n" {
		t.Errorf("content %q", got)
	}
	if _, err := fs.ReadFile(sub, "../file.yaml"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("left the sub-tree: %v", err)
	}
	if _, err := fs.Sub(f, "file.yaml"); err == nil {
		t.Error("a file is a sub-tree")
	}
}

func TestSubmodules(t *testing.T) {
	t.Parallel()
	marker := filepath.Join(t.TempDir(), "ran")
	repo := gittest.New(t)
	repo.Write("a.yaml", "a\n")
	repo.Write(".gitmodules", "[submodule \"x\"]\n\tpath = vendor/x\n\turl = ext::sh -c \"touch "+marker+"\"\n"+
		"[submodule \"y\"]\n\tpath = y\n\turl = --upload-pack=touch\n[submodule \"z\"]\n\tpath = z\n\turl = file:///etc\n")
	sha := repo.Commit("first")
	for _, path := range []string{"vendor/x", "y", "z"} {
		repo.Git("update-index", "--add", "--cacheinfo", "160000,"+sha+","+path)
	}
	repo.Git("commit", "-q", "-m", "submodules")
	repo.Push()
	m := open(t, repo.URL())
	f := snapshot(t, m, fetch(t, m).SHA)

	var names []string
	must(t, fs.WalkDir(f, ".", func(p string, _ fs.DirEntry, err error) error {
		names = append(names, p)
		return err
	}))
	if diff := cmp.Diff([]string{".", ".gitmodules", "a.yaml", "vendor"}, names); diff != "" {
		t.Error(diff)
	}
	_, err := f.ReadFile("vendor/x/b.yaml")
	if !errors.Is(err, ErrNotFetched) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file of a submodule: %v", err)
	}
	const why = "submodule: submodules are not fetched"
	if diff := cmp.Diff(map[string]string{"vendor/x": why, "y": why, "z": why}, f.Excluded()); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a submodule's URL was run")
	}
}

// TestOddNames: what is no path is listed and left out, and the rest is read.
func TestOddNames(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	repo.Write("a.yaml", "a\n")
	repo.Write("A.yaml", "A\n")
	repo.Write("größe 🪢.yaml", "ü\n")
	repo.Write("new\nline.yaml", "n\n")
	repo.Write("caf\xe9/x.yaml", "latin 1\n")
	repo.Write("sub/b\xff.yaml", "not UTF-8\n")
	repo.Write("sub/ok.yaml", "ok\n")
	must(t, os.Chmod(filepath.Join(repo.Work, "a.yaml"), 0o755))
	sha := repo.Commit("odd")
	repo.Push()
	m := open(t, repo.URL())
	fetch(t, m)
	f := snapshot(t, m, sha)
	want := []string{"A.yaml", "a.yaml", "größe 🪢.yaml", "new\nline.yaml", "sub/ok.yaml"}
	if err := fstest.TestFS(f, want...); err != nil {
		t.Error(err)
	}
	if got := read(t, f, "a.yaml") + read(t, f, "A.yaml") + read(t, f, "größe 🪢.yaml"); got != "a\nA\nü\n" {
		t.Errorf("contents %q", got)
	}
	if diff := cmp.Diff(map[string]string{"caf\uFFFD": "its name is not UTF-8", "sub/b\uFFFD.yaml": "its name is not UTF-8"}, f.Excluded()); diff != "" {
		t.Error(diff)
	}
	if info, err := f.Stat("a.yaml"); err != nil || info.Mode() != 0o555 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestHostileTree: trees that git would not make.
func TestHostileTree(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	blob := repo.BareInput([]byte("x\n"), "hash-object", "-w", "--stdin")
	entry := func(mode, name string) string { return mode + " " + name + "\x00" + unhex(t, blob) }
	tree := func(content string) string {
		return repo.BareInput([]byte(content), "hash-object", "-w", "-t", "tree", "--literally", "--stdin")
	}
	root := tree(entry("100644", "..") + entry("100644", ".GIT") + entry("100644", "a/b.yaml") + entry("100644", "good.yaml") + entry("100644", "good.yaml") + entry("20644", "odd.yaml") + entry("100640", "old.yaml"))
	sha := repo.Bare("commit-tree", "-m", "hostile", root)
	repo.Bare("update-ref", "refs/heads/main", sha)
	m := open(t, repo.URL())
	fetch(t, m)
	f := snapshot(t, m, sha)
	list, err := f.ReadDir(".")
	if err != nil || len(list) != 2 || list[0].Name() != "good.yaml" || list[1].Name() != "old.yaml" {
		t.Errorf("entries %v, %v", list, err)
	}
	if got := len(f.Excluded()); got != 4 {
		t.Errorf("excluded %q", f.Excluded())
	}
	for _, name := range []string{"..", ".GIT", "a/b.yaml", "odd.yaml", "", "/", "a//b", "./good.yaml", "good.yaml/"} {
		if _, err := f.ReadFile(name); err == nil {
			t.Errorf("%q is read", name)
		}
	}
	// A tree that is no tree.
	sha = repo.Bare("commit-tree", "-m", "broken", tree("100644 x"))
	repo.Bare("update-ref", "refs/heads/main", sha)
	if _, err := m.Fetch(t.Context()); err == nil {
		t.Error("a malformed tree is taken")
	}
}

func unhex(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i+1 < len(s); i += 2 {
		var c byte
		if _, err := fmt.Sscanf(s[i:i+2], "%02x", &c); err != nil {
			t.Fatal(err)
		}
		b.WriteByte(c)
	}
	return b.String()
}

func TestDeepTree(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	blob := repo.BareInput([]byte("x\n"), "hash-object", "-w", "--stdin")
	tree := repo.BareInput([]byte("100644 blob "+blob+"\tx.yaml\n"), "mktree")
	for range 130 {
		tree = repo.BareInput([]byte("040000 tree "+tree+"\td\n"), "mktree")
	}
	sha := repo.Bare("commit-tree", "-m", "deep", tree)
	repo.Bare("update-ref", "refs/heads/main", sha)
	m := open(t, repo.URL())
	fetch(t, m)
	err := fs.WalkDir(snapshot(t, m, sha), ".", func(_ string, _ fs.DirEntry, err error) error { return err })
	kindIs(t, err, plumbline.KindInvalid, "nested more than 100")
}

func TestLargeFiles(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	repo.Write("big.yaml", strings.Repeat("a line of text\n", 2<<20/15+1)) // no work for zlib
	repo.Write("small.yaml", "s\n")
	repo.Write("lfs.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
	f := pushed(t, repo, func(o *Options) { o.MaxFileBytes = 1 << 20 })
	_, err := f.ReadFile("big.yaml")
	kindIs(t, err, plumbline.KindInvalid, "big.yaml", "bytes, the limit is 1048576")
	if _, err := f.Open("big.yaml"); err == nil {
		t.Error("opened")
	}
	if info, err := f.Stat("big.yaml"); err != nil || info.Size() < 2<<20 {
		t.Errorf("stat %v, %v", info, err)
	}
	if got := read(t, f, "small.yaml"); got != "s\n" {
		t.Errorf("content %q", got)
	}
	if got := read(t, f, "lfs.bin"); !strings.HasPrefix(got, "version https://git-lfs") {
		t.Errorf("the pointer is replaced: %q", got)
	}
	f = pushed(t, repo)
	if got := len(read(t, f, "big.yaml")); got < 2<<20 {
		t.Errorf("%d bytes", got)
	}
}

func TestPackLimit(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	repo.CommitFiles("big.yaml", randomText(300_000))
	srv := gittest.Serve(t, repo, gittest.Settings{Token: token})
	m := openHTTPS(t, srv, func(o *Options) { o.MaxPackBytes = 10_000 })
	_, err := m.Fetch(t.Context())
	kindIs(t, err, plumbline.KindInvalid, "limit of 10000 bytes")
}
