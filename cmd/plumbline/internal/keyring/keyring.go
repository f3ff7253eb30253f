// Package keyring holds the private keys that the data keys of SOPS are opened
// with: of age and of PGP, from files and from a Secret. For other keys it asks a
// key service.
//
// In go the names of files and a way to read the Secret, out come data keys.
// Keys are read anew by Load and kept in memory only. The package runs no
// program (no gpg, no age plugin), asks for no passphrase, and no message of it
// holds a part of a key.
package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"filippo.io/age"
	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/keyservice"
	"github.com/plumbline-dev/plumbline/render/sops"
)

// What a key of the Secret ends with.
const (
	SuffixAge = ".agekey"
	SuffixPGP = ".asc"
)

// Options say where the keys are.
type Options struct {
	AgeFiles []string
	PGPFiles []string
	// Secret reads the data of the Secret that holds keys; nil: there is none.
	Secret func(context.Context) (map[string][]byte, error)
	// Lenient does without a file that is not there, for whoever has the
	// configuration and not the keys.
	Lenient bool
	// Service opens what no key here does; nil: there is none.
	Service *keyservice.Client
	// Vaults are the URLs of vaults (HashiCorp's, Azure's) that the service may
	// be sent to. A file names its vault, and the service would show any its
	// token.
	Vaults []string
}

// Any tells whether there are keys to be had.
func (o Options) Any() bool {
	return len(o.AgeFiles)+len(o.PGPFiles) > 0 || o.Secret != nil || o.Service != nil
}

// Keyring implements render.Keys. It is not safe for concurrent use.
type Keyring struct {
	opts Options
	set
	ctx     context.Context  //nolint:containedctx // that of the Load which began the rendering
	away    map[string]error // by recipient: the service did not answer since Load
	refused []sops.Recipient // by the service, since Load
	tries   int              // Loads that came after a refusal
}

// set is what was read last.
type set struct {
	age   []age.Identity
	pgp   openpgp.EntityList
	names []string // of the keys: public
}

// New makes a Keyring; it reads nothing yet.
func New(o Options) *Keyring { return &Keyring{opts: o} }

const opLoad = "read decryption keys"

// Load implements render.Keys. The name is made of the keys' public names, and
// is another one after the key service refused something. An error is of
// KindDenied, or that of reading the Secret.
func (k *Keyring) Load(ctx context.Context) (string, error) {
	s, err := k.read(ctx)
	if err != nil {
		return "", err
	}
	if len(k.refused) > 0 {
		k.tries++
	}
	k.set, k.ctx, k.away, k.refused = s, ctx, map[string]error{}, nil
	return strings.Join(append(k.Names(), strconv.Itoa(k.tries)), "\n"), nil
}

func (k *Keyring) read(ctx context.Context) (set, error) {
	var s set
	for _, file := range k.opts.AgeFiles {
		if err := k.file(file, s.addAge); err != nil {
			return set{}, err
		}
	}
	for _, file := range k.opts.PGPFiles {
		if err := k.file(file, s.addPGP); err != nil {
			return set{}, err
		}
	}
	if k.opts.Secret != nil {
		data, err := k.opts.Secret(ctx)
		if err == nil {
			err = s.addSecret(data)
		}
		if err != nil {
			return set{}, err
		}
	}
	return s, nil
}

// Names are the public names of the keys that Load read, sorted.
func (k *Keyring) Names() []string { return k.sorted() }

func (s *set) sorted() []string { return slices.Compact(slices.Sorted(slices.Values(s.names))) }

func (k *Keyring) file(file string, add func([]byte) error) error {
	text, err := os.ReadFile(file)
	if k.opts.Lenient && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil { // names the file
		return plumbline.Errorf(plumbline.KindDenied, opLoad, "%w", err)
	}
	if err := add(text); err != nil {
		return plumbline.Errorf(plumbline.KindDenied, opLoad, "%s: %w", file, err)
	}
	return nil
}

func (s *set) addSecret(data map[string][]byte) error {
	found := false
	for _, key := range slices.Sorted(maps.Keys(data)) {
		var err error
		switch path.Ext(key) {
		case SuffixAge:
			err = s.addAge(data[key])
		case SuffixPGP:
			err = s.addPGP(data[key])
		default:
			continue
		}
		found = true
		if err != nil {
			return plumbline.Errorf(plumbline.KindDenied, opLoad, "data.%s of the Secret: %w", key, err)
		}
	}
	if !found {
		return plumbline.Errorf(plumbline.KindDenied, opLoad, "the Secret has no key that ends with %s or %s", SuffixAge, SuffixPGP)
	}
	return nil
}

// DataKey implements sops.Keys.
func (k *Keyring) DataKey(r sops.Recipient) ([]byte, error) {
	switch r.Kind {
	case sops.KindAge:
		return k.openAge(r.Wrapped)
	case sops.KindPGP:
		return k.openPGP(r.Wrapped)
	}
	return nil, sops.ErrNoKey
}

// maxDataKey bounds what is taken for a data key or a share of it, in bytes.
const maxDataKey = 1 << 10

var errDamaged = fmt.Errorf("it is damaged; take the file from Git's history, or encrypt it again")
