package gitsource

import (
	"log/slog"
	"strings"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/wire"
)

// Auth says how to authenticate; its files are read again at each use.
type Auth = wire.Auth

// Options of New.
type Options struct {
	URL    string // https://, ssh://, user@host:path, file:// or a path
	Branch string // default "main"; "refs/heads/main" is the same
	// Dir is where the mirror lies. It belongs to the mirror alone, and to one
	// process at a time; it is made when missing, kept when it is for the same
	// URL, and made anew when it is damaged.
	Dir  string
	Auth Auth
	// Timeout bounds a whole fetch, connecting and indexing included; 0 is 60 s.
	Timeout time.Duration
	// MaxFileBytes bounds a file that is read from a snapshot; 0 is 32 MiB.
	MaxFileBytes int64
	// MaxPackBytes bounds what one fetch may transfer; 0 is 2 GiB.
	MaxPackBytes int64
	Logger       *slog.Logger // default: discarded
}

const (
	defaultBranch  = "main"
	defaultTimeout = 60 * time.Second
	branchPrefix   = "refs/heads/"
)

// What is read where Options do not say otherwise, in bytes.
const (
	DefaultMaxFileBytes = 32 << 20
	DefaultMaxPackBytes = 2 << 30
)

// Keys of log attributes.
const (
	keyBranch = "branch"
	keyCommit = "commit"
	keyDir    = "dir"
	keyError  = "error"
	keyFrom   = "from"
	keyURL    = "url"
)

func (o Options) withDefaults() (Options, error) {
	o.Branch = strings.TrimPrefix(o.Branch, branchPrefix)
	if o.Branch == "" {
		o.Branch = defaultBranch
	}
	if err := checkBranch(o.Branch); err != nil {
		return o, err
	}
	if o.Dir == "" {
		return o, plumbline.Errorf(plumbline.KindUsage, "open mirror", "no directory for the mirror")
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxFileBytes <= 0 {
		o.MaxFileBytes = DefaultMaxFileBytes
	}
	if o.MaxPackBytes <= 0 {
		o.MaxPackBytes = DefaultMaxPackBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// checkBranch refuses what Git would not take for a branch's name; the rules
// that matter are those that keep it a file below refs/heads.
func checkBranch(name string) error {
	bad := strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) })
	for part := range strings.SplitSeq(name, "/") {
		bad = bad || part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if bad || strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.HasPrefix(name, "-") || strings.HasSuffix(name, ".") {
		return plumbline.Errorf(plumbline.KindUsage, "open mirror", "%q is not a branch's name", name)
	}
	return nil
}
