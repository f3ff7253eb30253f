package gittest

import (
	"crypto/subtle"
	"encoding/pem"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Server serves a Repo over https through git http-backend. Its fields may be
// changed between requests with Set.
type Server struct {
	URL    string // of the repository
	CAFile string // its certificate

	Backend http.Handler // git itself, without any check

	mu    sync.Mutex
	s     Settings
	asked []string // "METHOD path?query"
}

// Settings of a Server.
type Settings struct {
	Token    string                                                   // required as the password when set
	MayPush  bool                                                     // else receive-pack is 403
	Override func(w http.ResponseWriter, r *http.Request) (done bool) // answers instead of git
}

// Serve starts a server that ends with the test.
func Serve(t testing.TB, repo *Repo, s Settings) *Server {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	repo.Bare("config", "http.receivepack", "true")
	srv := &Server{s: s}
	srv.Backend = &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Dir:  repo.Dir,
		Root: "/",
		Env: append(Env(),
			"GIT_PROJECT_ROOT="+filepath.Dir(repo.Dir), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=ada"),
	}
	ts := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		srv.mu.Lock()
		now := srv.s
		srv.asked = append(srv.asked, r.Method+" "+r.URL.RequestURI())
		srv.mu.Unlock()
		if now.Override != nil && now.Override(w, r) {
			return
		}
		if !authorised(w, r, now) {
			return
		}
		srv.Backend.ServeHTTP(w, r)
	}))
	t.Cleanup(ts.Close)
	srv.URL = ts.URL + "/" + filepath.Base(repo.Dir)
	srv.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ts.Certificate().Raw})
	if err := os.WriteFile(srv.CAFile, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	return srv
}

func authorised(w http.ResponseWriter, r *http.Request, s Settings) bool {
	if s.Token != "" {
		_, password, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(password), []byte(s.Token)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return false
		}
	}
	if strings.Contains(r.URL.RequestURI(), "git-receive-pack") && !s.MayPush {
		http.Error(w, "read only", http.StatusForbidden)
		return false
	}
	return true
}

// Set changes the settings.
func (s *Server) Set(change func(*Settings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.s)
}

// Requests are those since the last call.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	return out
}
