package gitsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

const token = "s3cr3t-T0ken"

// writeToken makes a token file.
func writeToken(t testing.TB, value string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// openHTTPS makes a mirror of a server that wants the token.
func openHTTPS(t testing.TB, srv *gittest.Server, mod ...func(*Options)) *Mirror {
	t.Helper()
	auth := func(o *Options) { o.Auth = Auth{TokenFile: writeToken(t, token), CAFile: srv.CAFile} }
	return open(t, srv.URL, append([]func(*Options){auth}, mod...)...)
}

func TestFetchHTTPS(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	first := repo.CommitFiles("a.yaml", "a: 1\n", "dir/b.yaml", "b: 1\n")
	repo.Bare("gc", "-q") // packed, with deltas
	srv := gittest.Serve(t, repo, gittest.Settings{Token: token})
	m := openHTTPS(t, srv)
	if got := fetch(t, m).SHA; got != first {
		t.Fatalf("head %s, want %s", got, first)
	}
	if got := read(t, snapshot(t, m, first), "dir/b.yaml"); got != "b: 1\n" {
		t.Errorf("content %q", got)
	}
	list := "GET /bare.git/info/refs?service=git-upload-pack"
	if diff := cmp.Diff([]string{list, "POST /bare.git/git-upload-pack"}, srv.Requests()); diff != "" {
		t.Error(diff)
	}

	fetch(t, m)
	if diff := cmp.Diff([]string{list}, srv.Requests()); diff != "" {
		t.Errorf("an unchanged head: %s", diff)
	}
	second := repo.CommitFiles("a.yaml", "a: 2\n")
	if got := fetch(t, m).SHA; got != second {
		t.Fatalf("head %s, want %s", got, second)
	}
	if got := read(t, snapshot(t, m, second), "a.yaml"); got != "a: 2\n" {
		t.Errorf("content %q", got)
	}
}

func TestTokenIsReadAgain(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	repo.CommitFiles("a.yaml", "a\n")
	srv := gittest.Serve(t, repo, gittest.Settings{Token: token})
	file := writeToken(t, token)
	m := open(t, srv.URL, func(o *Options) { o.Auth = Auth{TokenFile: file, CAFile: srv.CAFile} })
	fetch(t, m)

	srv.Set(func(s *gittest.Settings) { s.Token = "rotated" })
	_, err := m.Fetch(t.Context())
	kindIs(t, err, plumbline.KindDenied, "401", "auth.tokenFile", srv.URL)
	if err := os.WriteFile(file, []byte("rotated"), 0o600); err != nil {
		t.Fatal(err)
	}
	fetch(t, m)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	_, err = m.Fetch(t.Context())
	kindIs(t, err, plumbline.KindDenied, "auth.tokenFile", file, "no such file")
}

// TestRefusals: each answer of a server has a kind and says what to do.
func TestRefusals(t *testing.T) {
	t.Parallel()
	answer := func(code int, contentType, body string, header ...string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", contentType)
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	const advert = "application/x-git-upload-pack-advertisement"
	for _, c := range []struct {
		name     string
		override func(http.ResponseWriter, *http.Request) bool
		kind     plumbline.Kind
		words    []string
	}{
		{"forbidden", answer(403, "text/plain", "no"), plumbline.KindDenied, []string{"403", "grant that right"}},
		{"not found", answer(404, "text/plain", "no"), plumbline.KindDenied, []string{"404", "check the URL"}},
		{"limit", answer(429, "text/plain", "slow", "Retry-After", "77"), plumbline.KindTransient, []string{"429"}},
		{"limit until", answer(429, "text/plain", "slow", "Date", "Tue, 03 Mar 2026 10:00:00 GMT", "Retry-After", "Tue, 03 Mar 2026 10:01:17 GMT"), plumbline.KindTransient, []string{"429"}},
		{"limit of a forge", answer(403, "text/plain", "secondary rate limit", "Retry-After", "77"), plumbline.KindTransient, []string{"403"}},
		{"slow client", answer(408, "text/plain", ""), plumbline.KindTransient, []string{"408"}},
		{"broken", answer(502, "text/html", "<h1>Bad gateway</h1>"), plumbline.KindTransient, []string{"502"}},
		{"teapot", answer(418, "text/html", ""), plumbline.KindDenied, []string{"418"}},
		{"HTML", answer(200, "text/html; charset=utf-8", "<html>log in</html>"), plumbline.KindTransient, []string{"text/html", "clone URL"}},
		{"no type", answer(200, "", "x"), plumbline.KindTransient, []string{"clone URL"}},
		{"garbage", answer(200, advert, "<html>not pkt-lines</html>"), plumbline.KindTransient, []string{"not Git's protocol"}},
		{"cut off", answer(200, advert, "001e# service=git-upload-pack\n00000100abc"), plumbline.KindTransient, []string{"ended early"}},
		{"nothing", answer(200, advert, ""), plumbline.KindTransient, []string{"ended early"}},
		{"refused inside", answer(200, advert, "0027ERR access denied or not exported\n\x00\x00"), plumbline.KindDenied, []string{"access denied"}},
		{"another host", answer(302, "", "", "Location", "https://other.example.com/info/refs?service=git-upload-pack"), plumbline.KindDenied, []string{"https://other.example.com", "not followed"}},
		{"link-local", answer(302, "", "", "Location", "http://169.254.169.254/latest/meta-data"), plumbline.KindDenied, []string{"169.254.169.254", "not followed"}},
		{"SHA-256", answer(200, advert, pkt("# service=git-upload-pack\n")+"0000"+pkt(strings.Repeat("ab", 20)+" refs/heads/main\x00object-format=sha256\n")+"0000"), plumbline.KindInvalid, []string{"sha256"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			repo := gittest.New(t)
			sha := repo.CommitFiles("a.yaml", "a\n")
			srv := gittest.Serve(t, repo, gittest.Settings{Token: token})
			m := openHTTPS(t, srv)
			fetch(t, m)
			srv.Set(func(s *gittest.Settings) { s.Override = c.override })
			_, err := m.Fetch(t.Context())
			kindIs(t, err, c.kind, append(c.words, "fetch "+srv.URL)...)
			if strings.Contains(err.Error(), token) {
				t.Errorf("the token is in %q", err)
			}
			if got := read(t, snapshot(t, m, sha), "a.yaml"); got != "a\n" {
				t.Errorf("the last revision is lost: %q", got)
			}
			if e := (*plumbline.Error)(nil); strings.HasPrefix(c.name, "limit") && (!errors.As(err, &e) || e.After != 77*time.Second) {
				t.Errorf("after %v", e.After)
			}
		})
	}
}

// TestSHA256: a repository with other hashes is told from what is none.
func TestSHA256(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	repo.CommitFiles("a.yaml", "a\n")
	srv := gittest.Serve(t, repo, gittest.Settings{Token: token})
	dir := filepath.Join(filepath.Dir(repo.Dir), "other.git")
	repo.Git("init", "-q", "--bare", "--object-format=sha256", dir)
	there := func(o *Options) { o.URL = strings.Replace(o.URL, "bare.git", "other.git", 1) }
	tree := repo.Git("--git-dir="+dir, "hash-object", "-w", "-t", "tree", "/dev/null")
	repo.Git("--git-dir="+dir, "update-ref", "refs/heads/main", repo.Git("--git-dir="+dir, "commit-tree", "-m", "x", tree))
	_, err := openHTTPS(t, srv, there).Fetch(t.Context())
	kindIs(t, err, plumbline.KindInvalid, "sha256", "use a repository with SHA-1")
}

func pkt(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

func TestRedirectOnOneHost(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	sha := repo.CommitFiles("a.yaml", "a\n")
	srv := gittest.Serve(t, repo, gittest.Settings{Token: token, Override: func(w http.ResponseWriter, r *http.Request) bool {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/old"); ok {
			http.Redirect(w, r, rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			return true
		}
		return false
	}})
	base, _ := strings.CutSuffix(srv.URL, "/bare.git")
	m := openHTTPS(t, srv, func(o *Options) { o.URL = base + "/old/bare.git" })
	if got := fetch(t, m).SHA; got != sha {
		t.Errorf("head %s, want %s", got, sha)
	}
}

func TestUnknownAuthority(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	srv := gittest.Serve(t, repo, gittest.Settings{})
	m := open(t, srv.URL)
	_, err := m.Fetch(t.Context())
	kindIs(t, err, plumbline.KindDenied, "auth.caFile")

	m = openHTTPS(t, srv, func(o *Options) { o.Auth.CAFile = writeToken(t, "no PEM") })
	_, err = m.Fetch(t.Context())
	kindIs(t, err, plumbline.KindDenied, "auth.caFile", "no certificate")
}

func TestCredentialsAreAskedFor(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	repo.CommitFiles("a.yaml", "a\n")
	srv := gittest.Serve(t, repo, gittest.Settings{Token: token})
	m := openHTTPS(t, srv, func(o *Options) { o.Auth.TokenFile = "" })
	_, err := m.Fetch(t.Context())
	kindIs(t, err, plumbline.KindDenied, "set auth.tokenFile")

	var log bytes.Buffer
	with := strings.Replace(srv.URL, "https://", "https://ada:"+token+"@", 1)
	m = openHTTPS(t, srv, func(o *Options) {
		o.URL, o.Auth.TokenFile = with, ""
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	fetch(t, m)
	srv.Set(func(s *gittest.Settings) { s.Token = "another" })
	_, err = m.Fetch(t.Context())
	kindIs(t, err, plumbline.KindDenied, srv.URL)
	if strings.Contains(err.Error()+log.String(), token) {
		t.Errorf("the password is in %q or %q", err, &log)
	}
}

// TestStall: a server that stops in the middle of a pack is left at the
// deadline, its connection is closed, and nothing stays behind.
func TestStall(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	first := repo.CommitFiles("a.yaml", strings.Repeat("line\n", 1000))
	srv := gittest.Serve(t, repo, gittest.Settings{Token: token})
	m := openHTTPS(t, srv)
	fetch(t, m)
	second := repo.CommitFiles("a.yaml", randomText(100_000))

	var reached atomic.Bool
	left := make(chan struct{})
	srv.Set(func(s *gittest.Settings) {
		s.Override = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				return false
			}
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			_, _ = w.Write([]byte("0008NAK\n" + pkt("\x01PACK\x00\x00\x00\x02\x00\x00\x00\x09")))
			_ = http.NewResponseController(w).Flush()
			reached.Store(true)
			<-r.Context().Done()
			close(left)
			return true
		}
	})
	err := stalled(t, m, &reached)
	kindIs(t, err, plumbline.KindTransient, "in time")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("not a deadline: %v", err)
	}
	<-left // the server saw the connection go
	if tmp, _ := filepath.Glob(filepath.Join(m.o.Dir, "repo.git/objects/pack/tmp_*")); len(tmp) > 0 {
		t.Errorf("left behind: %v", tmp)
	}
	if got := read(t, snapshot(t, m, first), "a.yaml"); len(got) != 5000 {
		t.Errorf("%d bytes", len(got))
	}
	srv.Set(func(s *gittest.Settings) { s.Override = nil })
	if got := fetch(t, m).SHA; got != second {
		t.Errorf("head %s, want %s", got, second)
	}
}

// stalled fetches from a server that stops answering, with a deadline that is
// long enough for getting there.
func stalled(t *testing.T, m *Mirror, reached *atomic.Bool) error {
	t.Helper()
	before := m.o.Timeout
	defer func() { m.o.Timeout = before }()
	for m.o.Timeout = time.Second; ; m.o.Timeout *= 2 {
		if _, err := m.Fetch(t.Context()); err == nil || reached.Load() || m.o.Timeout > time.Minute {
			return err
		}
	}
}

// randomText is text that does not compress to nothing.
func randomText(n int) string {
	var b strings.Builder
	for x := uint32(1); b.Len() < n; x = x*1664525 + 1013904223 {
		fmt.Fprintf(&b, "%08x\n", x)
	}
	return b.String()
}

func TestCanceledFetch(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 1)
	ts := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	defer ts.Close()
	m := open(t, ts.URL+"/x.git")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := m.Fetch(ctx)
	if !plumbline.Canceled(err) {
		t.Errorf("not canceled: %v", err)
	}
}

// TestBrokenPacks: what arrives is checked before anything may name it.
func TestBrokenPacks(t *testing.T) {
	t.Parallel()
	const ack = "0008NAK\n"
	for _, c := range []struct {
		name string
		body func(good []byte) []byte
	}{
		{"no answer", func([]byte) []byte { return nil }},
		{"no pack", func([]byte) []byte { return []byte(ack + "0000") }},
		{"HTML", func([]byte) []byte { return []byte("<html>") }},
		{"server error", func([]byte) []byte { return []byte(ack + pkt("\x03out of memory\n")) }},
		{"error line", func([]byte) []byte { return []byte(pkt("ERR upload-pack: not our ref\n")) }},
		{"half a pack", func(good []byte) []byte { return good[:len(good)/2] }},
		{"a byte changed", func(good []byte) []byte { good[len(good)/2] ^= 1; return good }},
		{"a million objects", func([]byte) []byte {
			return []byte(ack + pkt("\x01PACK\x00\x00\x00\x02\x00\x0f\x00\x00abcdefgh") + "0000")
		}},
		{"not a pack", func([]byte) []byte { return []byte(ack + pkt("\x01hello") + "0000") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			repo := gittest.New(t)
			first := repo.CommitFiles("a.yaml", "a\n")
			srv := gittest.Serve(t, repo, gittest.Settings{Token: token})
			m := openHTTPS(t, srv)
			fetch(t, m)
			second := repo.CommitFiles("a.yaml", randomText(20_000))
			srv.Set(func(s *gittest.Settings) { s.Override = replaceBody(srv, c.body) })
			_, err := m.Fetch(t.Context())
			kindIs(t, err, plumbline.KindTransient, "fetch "+srv.URL)
			read(t, snapshot(t, m, first), "a.yaml")
			if tmp, _ := filepath.Glob(filepath.Join(m.o.Dir, "repo.git/objects/pack/tmp_*")); len(tmp) > 0 {
				t.Errorf("left behind: %v", tmp)
			}
			srv.Set(func(s *gittest.Settings) { s.Override = nil })
			if got := fetch(t, m).SHA; got != second {
				t.Errorf("head %s, want %s", got, second)
			}
		})
	}
}

// replaceBody answers requests for a pack with what git answers, changed.
func replaceBody(srv *gittest.Server, change func([]byte) []byte) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			return false
		}
		rec := httptest.NewRecorder()
		srv.Backend.ServeHTTP(rec, r)
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		_, _ = w.Write(change(rec.Body.Bytes()))
		return true
	}
}
