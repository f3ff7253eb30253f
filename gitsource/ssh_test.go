package gitsource

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

func openSSH(t testing.TB, srv *gittest.SSHServer, mod ...func(*Options)) *Mirror {
	t.Helper()
	auth := func(o *Options) { o.Auth = Auth{SSHKeyFile: srv.KeyFile, KnownHostsFile: srv.KnownHostsFile} }
	return open(t, srv.URL, append([]func(*Options){auth}, mod...)...)
}

func TestSSHRefusals(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	repo.CommitFiles("a.yaml", "a\n")
	srv, other := gittest.ServeSSH(t, repo), gittest.ServeSSH(t, gittest.New(t))
	address := func(s *gittest.SSHServer) string {
		host, _, _ := strings.Cut(strings.TrimPrefix(s.URL, "ssh://git@"), "/")
		return host
	}
	// The other server's key under this one's name.
	b, err := os.ReadFile(other.KnownHostsFile)
	must(t, err)
	_, port, _ := strings.Cut(address(srv), ":")
	_, otherPort, _ := strings.Cut(address(other), ":")
	changed := writeToken(t, strings.ReplaceAll(string(b), otherPort, port))

	for _, c := range []struct {
		name  string
		mod   func(*Options)
		kind  plumbline.Kind
		words []string
	}{
		{"unknown host", func(o *Options) { o.Auth.KnownHostsFile = other.KnownHostsFile }, plumbline.KindDenied, []string{"is not in " + other.KnownHostsFile}},
		{"changed host key", func(o *Options) { o.Auth.KnownHostsFile = changed }, plumbline.KindDenied, []string{"somebody may be in between"}},
		{"key not let in", func(o *Options) { o.Auth.SSHKeyFile = other.KeyFile }, plumbline.KindDenied, []string{"refuses the key"}},
		{"no key", func(o *Options) { o.Auth.SSHKeyFile = "" }, plumbline.KindUsage, []string{"auth.sshKeyFile"}},
		{"no known hosts", func(o *Options) { o.Auth.KnownHostsFile = "" }, plumbline.KindUsage, []string{"auth.knownHostsFile"}},
		{"key file gone", func(o *Options) { o.Auth.SSHKeyFile = "/nowhere/key" }, plumbline.KindDenied, []string{"/nowhere/key"}},
		{"not a key", func(o *Options) { o.Auth.SSHKeyFile = writeToken(t, "x") }, plumbline.KindDenied, []string{"auth.sshKeyFile"}},
		{"no repository", func(o *Options) { o.URL += "-nothing" }, plumbline.KindDenied, []string{"does not appear to be a git repository"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := openSSH(t, srv, c.mod).Fetch(t.Context())
			kindIs(t, err, c.kind, c.words...)
		})
	}
	fetch(t, openSSH(t, srv))
}

func TestSSHStall(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	repo.CommitFiles("a.yaml", "a\n")
	for name, say := range map[string]string{
		"before the references": "",
		"in the references":     "00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := gittest.ServeSSH(t, repo)
			var reached atomic.Bool
			left := make(chan error, 1)
			srv.Hold = func(ch ssh.Channel) {
				reached.Store(true)
				_, _ = ch.Write([]byte(say))
				_, err := ch.Read(make([]byte, 1)) // until the client goes
				left <- err
			}
			err := stalled(t, openSSH(t, srv), &reached)
			kindIs(t, err, plumbline.KindTransient, "in time")
			if err := <-left; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the connection did not end: %v", err)
			}
		})
	}
}
