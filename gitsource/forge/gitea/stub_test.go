package gitea

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/forge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	someSHA   = "0123456789abcdef0123456789abcdef01234567"
	someToken = "hunter2hunter2hunter2"
)

func now() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// stub is a forge that answers as the test wants; what a real one answers is
// tested with a real one.
func stub(t *testing.T, handler http.HandlerFunc, mod ...func(*Options)) *Reporter {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	o := Options{URL: server.URL, Repository: "platform/config", TokenFile: writeFile(t, someToken+"\n"), Now: now}
	for _, f := range mod {
		f(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func aStatus() plumbline.Status {
	return plumbline.Status{SHA: someSHA, Context: "plumbline/production", State: plumbline.StatusSuccess, Description: "in sync"}
}

func answer(code int, media, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

func message(text string) string {
	b, err := json.Marshal(map[string]string{"message": text, "url": "https://example.com/api/swagger"})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	const api = "application/json;charset=utf-8"
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		kind   plumbline.Kind
		after  time.Duration
		said   string // a part of the error
	}{
		{"revoked", answer(401, api, message("user does not exist")), plumbline.KindDenied, 0, "forge.tokenFile: it is wrong, revoked or expired: user does not exist"},
		{"scope", answer(403, api, message("token does not have at least one of required scope(s)")), plumbline.KindDenied, 0, "may not read the repository (scope read:repository): token does not have"},
		{"no repository", answer(404, api, message("not found")), plumbline.KindDenied, 0, "no repository platform/config, or the token in forge.tokenFile may not read"},
		{"archived", answer(423, api, message("repo is archived")), plumbline.KindDenied, 0, "repo is archived"},
		{"not taken", answer(422, api, message("context is too long")), plumbline.KindInvalid, 0, "context is too long"},
		{"a proxy's 400", answer(400, "text/html", "<html>plain HTTP to an HTTPS port"), plumbline.KindDenied, 0, "check forge.url"},
		{"limit in seconds", answer(429, api, message("slow down"), "Retry-After", "90"), plumbline.KindTransient, 90 * time.Second, "asks to wait: slow down"},
		{"limit until a date", answer(429, api, message("slow down"), "Retry-After", now().Add(2*time.Minute).Format(http.TimeFormat)), plumbline.KindTransient, 2 * time.Minute, "asks to wait"},
		{"limit without a time", answer(429, "text/plain", "slow down"), plumbline.KindTransient, 0, "asks to wait"},
		{"limit of years", answer(429, api, message("x"), "Retry-After", "99999999999"), plumbline.KindTransient, time.Hour, "asks to wait"},
		{"limit in the past", answer(429, api, message("x"), "Retry-After", now().Add(-time.Hour).Format(http.TimeFormat)), plumbline.KindTransient, 0, "asks to wait"},
		{"maintenance", answer(503, "text/html", "<html>back soon", "Retry-After", "30"), plumbline.KindTransient, 30 * time.Second, "asks to wait"},
		{"limit as 403", answer(403, api, message("abuse"), "Retry-After", "5"), plumbline.KindTransient, 5 * time.Second, "abuse"},
		{"500", answer(500, api, message("database is locked")), plumbline.KindTransient, 0, "HTTP 500: Internal Server Error: database is locked"},
		{"a proxy's page", answer(502, "text/html", "<html><h1>Bad Gateway</h1>"), plumbline.KindTransient, 0, "HTTP 502: Bad Gateway"},
		{"a login page", answer(200, "text/html; charset=utf-8", "<html>Please log in"), plumbline.KindTransient, 0, `the answer is "text/html; charset=utf-8" and not of Gitea's API: check that forge.url`},
		{"half an answer", answer(200, api, `[{"id":1`), plumbline.KindTransient, 0, "not of Gitea's API"},
		{"another shape", answer(200, api, `{"id":1}`), plumbline.KindTransient, 0, "not of Gitea's API"},
		{"a redirect", answer(302, "text/html", "", "Location", "https://elsewhere.example.com/login?x=y"), plumbline.KindDenied, 0, "redirects to https://elsewhere.example.com, which is not followed"},
		{"without end", endless, plumbline.KindTransient, 0, "larger than any of Gitea's API"},
		{"an error without end", endlessError, plumbline.KindTransient, 0, "larger than any of Gitea's API"},
		{"the token in a message", answer(403, api, message("token "+someToken+" lacks a scope")), plumbline.KindDenied, 0, "token [redacted] lacks a scope"},
		{"many lines", answer(500, api, message("a\nb\x1b[31m"+strings.Repeat("x", 9000))), plumbline.KindTransient, 0, "a b [31mxxx"},
		{"not what it says", answer(500, api, "<html>"), plumbline.KindTransient, 0, "HTTP 500: Internal Server Error"},
		{"hung up", hangUp, plumbline.KindTransient, 0, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := stub(t, c.answer).Post(t.Context(), aStatus())
			if plumbline.KindOf(err) != c.kind || !strings.Contains(fmt.Sprint(err), c.said) {
				t.Errorf("%s: %v", plumbline.KindOf(err), err)
			}
			if after(err) != c.after {
				t.Errorf("wait %v, want %v", after(err), c.after)
			}
			text := fmt.Sprint(err)
			if strings.Contains(text, someToken) || strings.ContainsAny(text, "\n\x1b") || len(text) > 600 || strings.Contains(text, "<html>") {
				t.Errorf("said %q", text)
			}
			if !strings.HasPrefix(text, "post plumbline/production on 0123456: ") {
				t.Errorf("does not name the action: %q", text)
			}
		})
	}
}

func after(err error) time.Duration {
	for e := (*plumbline.Error)(nil); errors.As(err, &e); err = e.Err {
		if e.After > 0 {
			return e.After
		}
	}
	return 0
}

func endless(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.Copy(w, io.LimitReader(spaces{}, 64<<20)) // until the client has gone
}

func endlessError(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.Copy(w, io.LimitReader(spaces{}, 64<<20))
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// A commit that is not there is told from a repository that is not.
func TestUnknownCommit(t *testing.T) {
	t.Parallel()
	r := stub(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/commits/") {
			answer(404, "application/json", message("object does not exist"))(w, r)
			return
		}
		answer(200, "application/json", `{"full_name":"platform/config"}`)(w, r)
	})
	err := r.Post(t.Context(), aStatus())
	if !errors.Is(err, forge.ErrUnknownSHA) || plumbline.KindOf(err) != plumbline.KindTransient {
		t.Errorf("%s: %v", plumbline.KindOf(err), err)
	}
}

// A right that only writing needs.
func TestMayReadOnly(t *testing.T) {
	t.Parallel()
	r := stub(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			answer(403, "application/json", message("user should have permission to write"))(w, r)
			return
		}
		answer(200, "application/json", `[]`)(w, r)
	})
	err := r.Post(t.Context(), aStatus())
	if plumbline.KindOf(err) != plumbline.KindDenied || !strings.Contains(fmt.Sprint(err), "write:repository, and write access") {
		t.Errorf("%s: %v", plumbline.KindOf(err), err)
	}
}

// Every page is read, and a status that moved to the next page while we read
// is one status.
func TestPages(t *testing.T) {
	t.Parallel()
	pages := map[string]string{
		"1": `[{"id":9,"status":"success","context":"a"},{"id":8,"status":"pending","context":"a"}]`,
		"2": `[{"id":8,"status":"pending","context":"a"},{"id":3,"status":"failure","context":"b"}]`,
	}
	r := stub(t, func(w http.ResponseWriter, r *http.Request) {
		page := r.URL.Query().Get("page")
		if page == "1" {
			w.Header().Set("Link", `<http://x/?page=2>; rel="next",<http://x/?page=2>; rel="last"`)
		}
		if got := r.Header.Get("Authorization"); got != "token "+someToken {
			t.Errorf("authorization %q", got)
		}
		answer(200, "application/json", pages[page])(w, r)
	})
	list, err := r.List(t.Context(), someSHA)
	if err != nil || len(list) != 3 || list[0].Context != "b" || list[2].State != plumbline.StatusSuccess {
		t.Errorf("%v, %v", list, err)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		name, said string
		mod        func(*Options)
	}{
		{"no token", "read forge.tokenFile: " + missing + ": no such file", func(o *Options) { o.TokenFile = missing }},
		{"empty token", "forge.tokenFile", func(o *Options) { o.TokenFile = writeFile(t, " \n") }},
		{"two words", "a token alone", func(o *Options) { o.TokenFile = writeFile(t, "token "+someToken) }},
		{"no authority", "read forge.caFile: " + missing, func(o *Options) { o.CAFile = missing }},
		{"not PEM", "no certificate in PEM form", func(o *Options) { o.CAFile = writeFile(t, "x") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := stub(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") }, c.mod)
			_, _, err := r.Last(t.Context(), aStatus().Key())
			if plumbline.KindOf(err) != plumbline.KindDenied || !strings.Contains(fmt.Sprint(err), c.said) || strings.Contains(fmt.Sprint(err), someToken) {
				t.Errorf("%s: %v", plumbline.KindOf(err), err)
			}
		})
	}
}

func TestStall(t *testing.T) {
	t.Parallel()
	r := stub(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(o *Options) { o.Timeout = 100 * time.Millisecond })
	err := r.Post(t.Context(), aStatus())
	if plumbline.KindOf(err) != plumbline.KindTransient || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("%v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	r := stub(t, nil, func(o *Options) { o.URL = "http://127.0.0.1:1" })
	err := r.Post(t.Context(), aStatus())
	if plumbline.KindOf(err) != plumbline.KindTransient || !strings.Contains(err.Error(), "http://127.0.0.1:1: ") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, mod := range map[string]func(*Options){
		"forge.url":          func(o *Options) { o.URL = "git.example.com" },
		"forge.url: ":        func(o *Options) { o.URL = "ssh://git.example.com" },
		"holds credentials":  func(o *Options) { o.URL = "https://a:" + someToken + "@git.example.com" },
		"forge.repository":   func(o *Options) { o.Repository = "config" },
		"forge.repository: ": func(o *Options) { o.Repository = "a/b/c" },
		"forge.tokenFile":    func(o *Options) { o.TokenFile = "" },
		"clock":              func(o *Options) { o.Now = nil },
	} {
		o := Options{URL: "https://git.example.com/", Repository: "platform/config", TokenFile: "t", Now: now}
		if _, err := New(o); err != nil {
			t.Fatal(err)
		}
		mod(&o)
		_, err := New(o)
		if plumbline.KindOf(err) != plumbline.KindUsage || !strings.Contains(fmt.Sprint(err), strings.TrimSpace(name)) || strings.Contains(fmt.Sprint(err), someToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCappedBody(t *testing.T) {
	t.Parallel()
	b := &cappedBody{ReadCloser: io.NopCloser(iotest.OneByteReader(strings.NewReader("abcdef"))), left: 4}
	got, err := io.ReadAll(b)
	if string(got) != "abcd" || !errors.Is(err, errTooLarge) {
		t.Errorf("%q, %v", got, err)
	}
}
