package wire

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/plumbline-dev/plumbline"
)

const (
	defaultSSHUser = "git"
	sshPort        = "22"
)

// sshConn is a conversation with a program on the other side, over ssh.
type sshConn struct {
	client *ssh.Client
	stop   func() bool // forgets the context
	stdin  io.WriteCloser
	stdout io.Reader
	stderr *said
	advert advert
}

func (r *Remote) openSSH(ctx context.Context, s Service) (*Session, error) {
	config, err := r.sshConfig()
	if err != nil {
		return nil, err
	}
	address := r.ep.address(sshPort)
	raw, err := (&net.Dialer{Timeout: 20 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	// Whatever blocks from here on ends when the connection is closed.
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	conn, channels, requests, err := ssh.NewClientConn(raw, address, config)
	if err != nil {
		stop()
		_ = raw.Close()
		return nil, r.handshakeError(err)
	}
	c := &sshConn{client: ssh.NewClient(conn, channels, requests), stop: stop, stderr: &said{}}
	if err := c.start(string(s) + " " + shellQuote(r.ep.path)); err != nil {
		c.close()
		return nil, err
	}
	if c.advert, err = readAdvert(c.stdout); err != nil {
		c.close()
		if text := c.stderr.String(); text != "" {
			err = plumbline.Errorf(plumbline.KindDenied, "remote", "%s", oneLine(text))
		}
		return nil, err
	}
	return &Session{Refs: c.advert.refs, conn: c}, nil
}

func (r *Remote) sshConfig() (*ssh.ClientConfig, error) {
	if r.auth.SSHKeyFile == "" || r.auth.KnownHostsFile == "" {
		return nil, plumbline.Errorf(plumbline.KindUsage, "ssh", "set auth.sshKeyFile and auth.knownHostsFile")
	}
	key, err := os.ReadFile(r.auth.SSHKeyFile)
	if err != nil {
		return nil, fileError("auth.sshKeyFile", r.auth.SSHKeyFile, err)
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		return nil, fileError("auth.sshKeyFile", r.auth.SSHKeyFile, fmt.Errorf("%w: a private key without passphrase is needed", err))
	}
	known, err := os.ReadFile(r.auth.KnownHostsFile)
	if err != nil {
		return nil, fileError("auth.knownHostsFile", r.auth.KnownHostsFile, err)
	}
	check, err := knownhosts.New(r.auth.KnownHostsFile)
	if err != nil {
		return nil, fileError("auth.knownHostsFile", r.auth.KnownHostsFile, err)
	}
	return &ssh.ClientConfig{
		User:              cmp.Or(r.ep.user, r.auth.Username, defaultSSHUser),
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback:   check,
		HostKeyAlgorithms: knownAlgorithms(check, r.ep.address(sshPort), strings.Split(string(known), "\n")),
	}, nil
}

// knownAlgorithms are those of the keys that are known of a host, so that the
// server shows one of these and not another that it has as well. They are what
// the callback says it wants instead of a key that is none. Where a line of the
// file has an authority, it is any certificate.
func knownAlgorithms(check ssh.HostKeyCallback, address string, lines []string) []string {
	var e *knownhosts.KeyError
	if !errors.As(check(address, &net.TCPAddr{}, noKey{}), &e) {
		return nil
	}
	certificates, keys := hostKeyAlgorithms()
	if len(e.Want) == 0 {
		return keys // whichever it is, it is refused for being unknown
	}
	var list []string
	for _, k := range e.Want {
		if k.Line <= len(lines) && strings.HasPrefix(strings.TrimSpace(lines[k.Line-1]), "@cert-authority") {
			list = append(list, certificates...)
			continue
		}
		if k.Key.Type() == ssh.KeyAlgoRSA {
			list = append(list, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		}
		list = append(list, k.Key.Type())
	}
	return list
}

// hostKeyAlgorithms are those for certificates and those for keys.
func hostKeyAlgorithms() (certificates, keys []string) {
	for _, a := range ssh.SupportedAlgorithms().HostKeys {
		if strings.Contains(a, "-cert-v01@") {
			certificates = append(certificates, a)
		} else {
			keys = append(keys, a)
		}
	}
	return certificates, keys
}

// noKey is a public key that equals no other.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

// handshakeError tells apart who refused whom.
func (r *Remote) handshakeError(err error) error {
	var (
		key     *knownhosts.KeyError
		revoked *knownhosts.RevokedError
		kinds   *ssh.AlgorithmNegotiationError
	)
	switch {
	case errors.As(err, &revoked):
		return plumbline.Errorf(plumbline.KindDenied, "ssh", "%s shows a key that %s says is revoked", r.ep.host, r.auth.KnownHostsFile)
	case errors.As(err, &kinds) && kinds.What == "host key":
		return plumbline.Errorf(plumbline.KindDenied, "ssh", "%s has no key of a kind that %s has for it: if the host has new keys, add one after comparing it with what the host publishes", r.ep.host, r.auth.KnownHostsFile)
	case errors.As(err, &key) && len(key.Want) == 0:
		return plumbline.Errorf(plumbline.KindDenied, "ssh", "the key of %s is not in %s: add it after comparing it with what the host publishes", r.ep.host, r.auth.KnownHostsFile)
	case errors.As(err, &key):
		return plumbline.Errorf(plumbline.KindDenied, "ssh", "the key of %s is not the one in %s: somebody may be in between; if the host has a new key, replace it there", r.ep.host, r.auth.KnownHostsFile)
	case strings.Contains(err.Error(), "unable to authenticate"):
		return plumbline.Errorf(plumbline.KindDenied, "ssh", "%s refuses the key in auth.sshKeyFile: allow it to read the repository", r.ep.host)
	}
	return err
}

func (c *sshConn) start(command string) error {
	session, err := c.client.NewSession()
	if err != nil {
		return err
	}
	session.Stderr = c.stderr
	if c.stdin, err = session.StdinPipe(); err != nil {
		return err
	}
	if c.stdout, err = session.StdoutPipe(); err != nil {
		return err
	}
	return session.Start(command)
}

func (c *sshConn) fetch(_ context.Context, req FetchRequest, w io.Writer) error {
	body, err := encodeFetch(req, c.advert.caps)
	if err != nil {
		return err
	}
	if _, err := c.stdin.Write(body); err != nil {
		return err
	}
	return readPack(c.stdout, c.advert.caps, w)
}

func (c *sshConn) push(ctx context.Context, u Update) error {
	head, err := encodePush(u, c.advert.caps)
	if err != nil {
		return err
	}
	if _, err := c.stdin.Write(head); err != nil {
		return err
	}
	if err := writePushPack(ctx, u, c.stdin); err != nil {
		return err
	}
	if err := c.stdin.Close(); err != nil {
		return err
	}
	return readReport(c.stdout, u, c.advert.caps)
}

// close ends the connection and waits until everything on it has ended.
func (c *sshConn) close() {
	c.stop()
	_ = c.client.Close()
	_ = c.client.Wait()
}

// shellQuote is s as one word of the shell that runs the command.
func shellQuote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

// said keeps the beginning of what the other side prints; safe for use while
// it prints.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b.Len() < 1024 {
		s.b.Write(p)
	}
	return len(p), nil
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
