package gitsource

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

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

// TestKnownHosts: hashed lines, several keys of one host, authorities and revoked
// keys, as OpenSSH reads them.
func TestKnownHosts(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	sha := repo.CommitFiles("a.yaml", "a\n")
	authority, host := gittest.NewKey(t, filepath.Join(t.TempDir(), "ca")), gittest.NewKey(t, filepath.Join(t.TempDir(), "key"))
	cert := &ssh.Certificate{Key: host.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.1"}, ValidBefore: ssh.CertTimeInfinity}
	must(t, cert.SignCert(rand.Reader, authority))
	certified, err := ssh.NewCertSigner(cert, host)
	must(t, err)
	srv := gittest.ServeSSH(t, repo, certified)

	b, err := os.ReadFile(srv.KnownHostsFile)
	must(t, err)
	name, key, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	public := func(k ssh.Signer) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.PublicKey()))) }
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	another, err := ssh.NewSignerFromKey(private)
	must(t, err)
	for _, c := range []struct {
		name, known string
		words       []string // of the refusal; none: let in
	}{
		{"hashed", knownhosts.HashHostname(name) + " " + key, nil},
		{"a comment, an empty line, another host", "# ours\n\ngit.example.com " + public(host) + "\n" + name + " " + key + " comment", nil},
		{"an old key and the new one", name + " " + public(host) + "\n" + name + " " + key, nil},
		{"an authority", "@cert-authority " + name + " " + public(authority), nil},
		{"an authority behind a key", name + " " + key + "\n@cert-authority " + name + " " + public(authority), nil},
		{"an authority of another host", "@cert-authority *.example.com " + public(authority), []string{"is not in"}},
		{"revoked", name + " " + key + "\n@revoked * " + key, []string{"is revoked"}},
		{"no key of that kind", name + " " + public(another), []string{"no key of a kind that"}},
		{"not a line", "garbage", []string{"auth.knownHostsFile"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := openSSH(t, srv, func(o *Options) { o.Auth.KnownHostsFile = writeToken(t, c.known+"\n") })
			if len(c.words) > 0 {
				_, err := m.Fetch(t.Context())
				kindIs(t, err, plumbline.KindDenied, c.words...)
			} else if got := fetch(t, m).SHA; got != sha {
				t.Errorf("head %s, want %s", got, sha)
			}
		})
	}
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
