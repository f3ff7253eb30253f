package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"go.uber.org/goleak"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/gittest"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, shown, address string }{
		{"https://git.example.com/a/b.git", "https://git.example.com/a/b.git", "git.example.com:443"},
		{"https://ada:secret@git.example.com:8443/a.git", "https://git.example.com:8443/a.git", "git.example.com:8443"},
		{"https://token@git.example.com/a.git", "https://git.example.com/a.git", "git.example.com:443"},
		{"ssh://git@git.example.com/a.git", "ssh://git@git.example.com/a.git", "git.example.com:22"},
		{"ssh://git:secret@git.example.com:2222/a.git", "ssh://git@git.example.com:2222/a.git", "git.example.com:2222"},
		{"git@git.example.com:team/a.git", "ssh://git@git.example.com/team/a.git", "git.example.com:22"},
		{"git@[::1]:a.git", "ssh://git@[::1]/a.git", "[::1]:22"},
		{"file:///srv/a.git", "file:///srv/a.git", ""},
		{"/srv/a b.git", "file:///srv/a%20b.git", ""},
		{"/srv/a#b?c.git", "file:///srv/a%23b%3Fc.git", ""},
		{"file:///srv/a%23b%3Fc.git", "file:///srv/a%23b%3Fc.git", ""},
		{"http://127.0.0.1:3000/a.git", "http://127.0.0.1:3000/a.git", "127.0.0.1:3000"},
	} {
		e, err := parse(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if e.String() != c.shown {
			t.Errorf("%s is shown as %s, want %s", c.in, e, c.shown)
		}
		port := map[scheme]string{schemeHTTPS: "443", schemeSSH: sshPort, schemeHTTP: "80"}[e.scheme]
		if c.address != "" && e.address(port) != c.address {
			t.Errorf("%s is at %s, want %s", c.in, e.address(port), c.address)
		}
		if s := fmt.Sprintf("%v %+v %#v", e, e, e.password); strings.Contains(s, "secret") {
			t.Errorf("a password in %s", s)
		}
	}
	if abs, err := filepath.Abs("x.git"); err != nil {
		t.Fatal(err)
	} else if e, err := parse("./x.git"); err != nil || e.path != abs {
		t.Errorf("%q, %v", e.path, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"https://a:hunter2@b/c", "git@h:p", "file:///x", "ext::sh -c x", "-x", "ssh://-o/x", "https://[::1]:99/x", "http://x@y/z", "://", "a@b:c:d", "https://a:hunter2@b:99999999/%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		e, err := parse(raw)
		if err != nil {
			if plumbline.KindOf(err) != plumbline.KindUsage {
				t.Fatal(err)
			}
			return
		}
		if p := e.password.Reveal(); len(p) > 8 && !strings.Contains(e.host+e.path+e.user, p) && strings.Contains(e.String(), p) {
			t.Fatalf("a password in %q", e)
		}
		if strings.HasPrefix(e.host, "-") || strings.HasPrefix(e.user, "-") {
			t.Fatalf("an option in %q", raw)
		}
	})
}

// FuzzAnswers decodes any bytes as what servers answer: an error or not, and an
// end.
func FuzzAnswers(f *testing.F) {
	hash := strings.Repeat("a1", 20)
	for _, s := range []string{
		"", "0000", "0008NAK\n", "0008NAK\n0009\x01PACK0000", "0031ACK " + hash + "\n0031ACK " + hash + "\n0008\x01abc0000",
		"001e# service=git-upload-pack\n0000003d" + hash + " refs/heads/main\x00ofs\n0000", "000eunpack ok\n0019ok refs/heads/main\n0000",
		"000dERR nope\n", "0008NAK\n000d\x03out of memory", "<html>", "0004", "fffe", "0008NAK\nPACK", "000aunpack\n", "0011shallow " + hash,
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, answer []byte, band bool) {
		caps := capability.NewList()
		if band {
			if err := caps.Set(capability.Sideband64k); err != nil {
				t.Fatal(err)
			}
		}
		for _, err := range []error{
			func() error { _, err := readAdvert(bytes.NewReader(answer)); return err }(),
			readPack(bytes.NewReader(answer), caps, io.Discard),
			readReport(bytes.NewReader(answer), Update{Ref: "refs/heads/main"}, caps),
		} {
			if err == nil {
				continue
			}
			r := &Remote{}
			if text := r.classify(t.Context(), opFetch, err).Error(); strings.ContainsAny(text, "\n\r\x1b\x00") {
				t.Fatalf("more than a line: %q", text)
			}
		}
	})
}

// TestNoReferences: what is no reference to git is none here, and the others are
// read.
func TestNoReferences(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	head := repo.CommitFiles("a.yaml", "a\n")
	for _, name := range []string{"heads/main.lock", "heads/other.lock", "heads/deep/.tmp-1", "heads/emptied", "notes/plumbline.lock"} {
		path := filepath.Join(repo.Dir, "refs", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := New(Options{URL: repo.Dir})
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Open(t.Context(), UploadPack)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := map[string]plumbing.Hash{"HEAD": plumbing.NewHash(head), "refs/heads/main": plumbing.NewHash(head)}
	if !maps.Equal(s.Refs, want) {
		t.Errorf("references %v, want %v", s.Refs, want)
	}
}

// TestPushLocal: a push to a directory is what git would have made of it, and
// git's lock is honoured.
func TestPushLocal(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	repo.CommitFiles("a.yaml", "a\n")
	const ref = "refs/heads/pushed/deep"
	tree := odb.Object{Type: plumbing.TreeObject}
	commit := func(parent string) odb.Object {
		return odb.Object{Type: plumbing.CommitObject, Data: []byte("tree " + tree.Hash().String() + "\n" + parent + "author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nm\n")}
	}
	push := func(ctx context.Context, old plumbing.Hash, c odb.Object) error {
		r, err := New(Options{URL: repo.Dir})
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Open(ctx, ReceivePack)
		if err != nil {
			return err
		}
		defer s.Close()
		return s.Push(ctx, Update{Ref: ref, Old: old, New: c.Hash(), Objects: []odb.Object{tree, c}})
	}
	first := commit("")
	if err := push(t.Context(), plumbing.ZeroHash, first); err != nil {
		t.Fatal(err)
	}
	second := commit("parent " + first.Hash().String() + "\n")
	var rejected *RejectedError
	if err := push(t.Context(), plumbing.ZeroHash, second); !errors.As(err, &rejected) || !strings.Contains(err.Error(), first.Hash().String()) {
		t.Errorf("a push on an old state: %v", err)
	}
	repo.Bare("pack-refs", "--all")
	if err := push(t.Context(), first.Hash(), second); err != nil {
		t.Fatal(err)
	}
	if got := repo.Bare("rev-parse", ref); got != second.Hash().String() {
		t.Errorf("at %s, want %s", got, second.Hash())
	}
	repo.Bare("fsck", "--strict", "--no-dangling")

	// Whoever made a lock may be at it, or dead.
	lock := filepath.Join(repo.Dir, filepath.FromSlash(ref)+".lock")
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	third := commit("parent " + second.Hash().String() + "\n")
	if err := push(t.Context(), second.Hash(), third); plumbline.KindOf(err) != plumbline.KindTransient || !strings.Contains(err.Error(), "holds "+lock) {
		t.Errorf("while another process holds the lock: %v", err)
	}
	if err := os.Chtimes(lock, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := push(t.Context(), second.Hash(), third); err != nil {
		t.Errorf("after the death of who held the lock: %v", err)
	}
	if got := repo.Bare("rev-parse", ref); got != third.Hash().String() {
		t.Errorf("at %s, want %s", got, third.Hash())
	}
	if files, err := os.ReadDir(filepath.Dir(lock)); err != nil || len(files) != 1 {
		t.Errorf("left beside the reference: %v, %v", files, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := push(ctx, third.Hash(), first); !plumbline.Canceled(err) {
		t.Errorf("after cancel: %v", err)
	}
}
