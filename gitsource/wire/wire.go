package wire

import (
	"context"
	"io"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
)

// Auth says how to authenticate. Files are read again for every session, so
// that a rotated token counts at once.
type Auth struct {
	Username       string // of https; default "x-access-token"
	TokenFile      string // https: the password
	SSHKeyFile     string // ssh: a private key without passphrase
	KnownHostsFile string // ssh: required
	CAFile         string // https: PEM, instead of the system's authorities
}

// Options of New. Only URL is required.
type Options struct {
	URL  string // https://, ssh://, user@host:path, file:// or a path
	Auth Auth
	// MaxPackBytes bounds what one fetch may transfer; 0 is 2 GiB.
	MaxPackBytes int64
}

const (
	defaultMaxPack = 2 << 30
	maxAdvert      = 128 << 20 // a million references
	maxReply       = 1 << 20   // of a push
	agent          = "plumbline"
)

// Remote is a repository elsewhere.
type Remote struct {
	ep   endpoint
	auth Auth
	max  int64
}

// New checks the URL. It does no I/O.
func New(o Options) (*Remote, error) {
	ep, err := parse(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Auth.TokenFile != "" && ep.scheme == schemeHTTP && !ep.loopback() {
		return nil, plumbline.Errorf(plumbline.KindUsage, opParse, "%s would send the token in the clear: use https", ep)
	}
	if o.MaxPackBytes <= 0 {
		o.MaxPackBytes = defaultMaxPack
	}
	return &Remote{ep: ep, auth: o.Auth, max: o.MaxPackBytes}, nil
}

// URL is the address without credentials.
func (r *Remote) URL() string { return r.ep.String() }

// MaxPackBytes is the limit of one fetch.
func (r *Remote) MaxPackBytes() int64 { return r.max }

// Service is what a session is for.
type Service string

// The services.
const (
	UploadPack  Service = "git-upload-pack"  // to fetch
	ReceivePack Service = "git-receive-pack" // to push
)

// Refs are the references that a repository advertises, full names to hashes.
type Refs map[string]plumbing.Hash

// Branches are the names of the branches, sorted.
func (r Refs) Branches() []string {
	var names []string
	for ref := range r {
		if b, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
			names = append(names, b)
		}
	}
	sort.Strings(names)
	return names
}

// FetchRequest asks for everything that is reached from Want.
type FetchRequest struct {
	Want plumbing.Hash
	// Haves are commits that the caller has with all that they reach; what they
	// reach is not sent.
	Haves []plumbing.Hash
	// Has is asked instead of Haves where the repository is read directly.
	Has func(plumbing.Hash) bool
}

// Update asks for Ref to go from Old (zero: it does not exist) to New. Objects
// are those that New reaches and the repository does not have.
type Update struct {
	Ref      string
	Old, New plumbing.Hash
	Objects  []odb.Object
}

// Session is a conversation with one repository for one service: the
// references, and then at most one Fetch or Push.
type Session struct {
	Refs Refs
	conn conn
}

// conn is what the transports implement. Their errors are as Session's.
type conn interface {
	fetch(ctx context.Context, req FetchRequest, w io.Writer) error
	push(ctx context.Context, u Update) error
	close()
}

// Open connects and reads the references. The context bounds the connection,
// not only this call. An empty repository has no references.
func (r *Remote) Open(ctx context.Context, s Service) (*Session, error) {
	var session *Session
	var err error
	switch r.ep.scheme {
	case schemeFile:
		session, err = openLocal(r.ep)
	case schemeSSH:
		session, err = r.openSSH(ctx, s)
	default:
		session, err = r.openHTTP(ctx, s)
	}
	if err != nil {
		return nil, r.classify(ctx, opFor(s), err)
	}
	session.conn = classified{session.conn, r}
	return session, nil
}

func opFor(s Service) string {
	if s == ReceivePack {
		return opPush
	}
	return opFetch
}

// Fetch writes the pack to w.
func (s *Session) Fetch(ctx context.Context, req FetchRequest, w io.Writer) error {
	return s.conn.fetch(ctx, req, w)
}

// Push updates one reference. A *RejectedError means that the repository
// answered and refused: it may have moved meanwhile.
func (s *Session) Push(ctx context.Context, u Update) error { return s.conn.push(ctx, u) }

// Close ends the conversation.
func (s *Session) Close() { s.conn.close() }

// classified turns a transport's errors into ours.
type classified struct {
	conn
	r *Remote
}

func (c classified) fetch(ctx context.Context, req FetchRequest, w io.Writer) error {
	return c.r.classify(ctx, opFetch, c.conn.fetch(ctx, req, w))
}

func (c classified) push(ctx context.Context, u Update) error {
	return c.r.classify(ctx, opPush, c.conn.push(ctx, u))
}
