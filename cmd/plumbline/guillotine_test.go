package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/plumbline-dev/plumbline/fixtures/servers"
)

// guillotine stands between one process and the API server. It counts writes
// that the server has answered, and kills the process after one of them.
type guillotine struct {
	server *httptest.Server

	mu     sync.Mutex
	victim *exec.Cmd
	fatal  int  // the write after which the victim dies; 0: it lives
	silent bool // it dies before the answer reaches it, else when it asks for more
	writes []string
	dead   bool
}

func newGuillotine(t testing.TB, c *servers.ClusterHandle) *guillotine {
	t.Helper()
	config := c.Config()
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	g := &guillotine{}
	proxy := &httputil.ReverseProxy{
		Transport:      transport,
		FlushInterval:  -1, // watches
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: g.answered,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.refused() {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(g.server.Close)
	return g
}

// start starts cmd, to be killed after its write number fatal.
func (g *guillotine) start(cmd *exec.Cmd, fatal int, silent bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.victim, g.fatal, g.silent, g.writes, g.dead = cmd, fatal, silent, nil, false
	return cmd.Start()
}

// answered counts a write that the server answered.
func (g *guillotine) answered(res *http.Response) error {
	switch res.Request.Method {
	case http.MethodGet, http.MethodHead:
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return errKilled
	}
	g.writes = append(g.writes, res.Request.Method+" "+res.Request.URL.Path)
	if len(g.writes) == g.fatal && g.silent {
		g.kill()
		return errKilled
	}
	return nil
}

var errKilled = errors.New("who asked is dead")

// refused tells whether a request comes too late.
func (g *guillotine) refused() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fatal > 0 && len(g.writes) >= g.fatal && !g.dead {
		g.kill()
	}
	return g.dead
}

func (g *guillotine) kill() {
	g.dead = true
	_ = g.victim.Process.Kill() // it may just have ended
}

// last is the write after which the process was killed, or all that it wrote
// if it lives.
func (g *guillotine) last() (write string, killed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.writes) < g.fatal || g.fatal == 0 {
		return strings.Join(g.writes, "\n"), false
	}
	return g.writes[g.fatal-1], g.dead
}
