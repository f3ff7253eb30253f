package gittest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// SSHServer serves a Repo over ssh, by git upload-pack and receive-pack.
type SSHServer struct {
	URL            string // of the repository
	KeyFile        string // is let in
	KnownHostsFile string // has the server's key

	// Hold, when set, is called instead of running the program, with the channel
	// open: to stall. Set it before the next connection.
	Hold func(ch ssh.Channel)
}

// ServeSSH starts a server that ends with the test. It has a key of its own, which
// is the one that is known, and those that it is given.
func ServeSSH(t testing.TB, repo *Repo, keys ...ssh.Signer) *SSHServer {
	t.Helper()
	dir := t.TempDir()
	s := &SSHServer{KeyFile: filepath.Join(dir, "key"), KnownHostsFile: filepath.Join(dir, "known_hosts")}
	user, host := NewKey(t, s.KeyFile), NewKey(t, filepath.Join(dir, "host"))
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(user.PublicKey().Marshal()) {
			return nil, fmt.Errorf("unknown key")
		}
		return &ssh.Permissions{}, nil
	}}
	config.AddHostKey(host)
	for _, k := range keys {
		config.AddHostKey(k)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	line := knownhosts.Line([]string{l.Addr().String()}, host.PublicKey()) + "\n"
	if err := os.WriteFile(s.KnownHostsFile, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	s.URL = "ssh://git@" + l.Addr().String() + repo.Dir
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(t, conn, config, &wg) })
		}
	})
	return s
}

// NewKey makes a key and writes it into a file.
func NewKey(t testing.TB, path string) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func (s *SSHServer) serve(t testing.TB, conn net.Conn, config *ssh.ServerConfig, wg *sync.WaitGroup) {
	sc, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		_ = conn.Close()
		return
	}
	defer func() { _ = sc.Close() }()
	wg.Go(func() { ssh.DiscardRequests(requests) })
	for n := range channels {
		ch, reqs, err := n.Accept()
		if err != nil {
			return
		}
		for r := range reqs {
			ok := r.Type == "exec"
			_ = r.Reply(ok, nil)
			if !ok {
				continue
			}
			s.run(t, ch, r.Payload)
			_ = ch.Close()
		}
	}
}

func (s *SSHServer) run(t testing.TB, ch ssh.Channel, payload []byte) {
	var command struct{ Line string }
	if ssh.Unmarshal(payload, &command) != nil {
		return
	}
	name, path, _ := strings.Cut(command.Line, " ")
	name, isGit := strings.CutPrefix(name, "git-")
	if !isGit {
		return
	}
	if s.Hold != nil {
		s.Hold(ch)
		return
	}
	cmd := exec.CommandContext(t.Context(), "git", name, strings.Trim(path, "'"))
	cmd.Env = Env()
	cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
	stdin, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return
	}
	go func() { // ends when the client, or the command below, closes the channel
		buf := make([]byte, 32<<10)
		for {
			n, err := ch.Read(buf)
			if n > 0 {
				_, _ = stdin.Write(buf[:n])
			}
			if err != nil {
				_ = stdin.Close()
				return
			}
		}
	}()
	code := uint32(0)
	if cmd.Wait() != nil {
		code = 1
	}
	_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
}
