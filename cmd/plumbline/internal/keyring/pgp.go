package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"

	"github.com/plumbline-dev/plumbline/render/sops"
)

// addPGP takes the private keys of a file, in ASCII armour or not. Messages of
// the library are left out: they may quote.
func (s *set) addPGP(text []byte) error {
	read := openpgp.ReadKeyRing
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN")) {
		read = openpgp.ReadArmoredKeyRing
	}
	list, err := read(bytes.NewReader(text))
	if err != nil || len(list) == 0 {
		return errors.New("no PGP key that can be read: export it with gpg --armor --export-secret-keys")
	}
	for _, e := range list {
		name := fmt.Sprintf("%X", e.PrimaryKey.Fingerprint)
		usable := false
		for _, k := range (openpgp.EntityList{e}).DecryptionKeys() {
			switch {
			case k.PrivateKey.Dummy():
			case k.PrivateKey.Encrypted:
				return fmt.Errorf("key %s has a passphrase, and nobody is there to ask: export it without", name)
			default:
				usable = true
			}
		}
		if !usable {
			return fmt.Errorf("key %s has no private part that decrypts: export it with gpg --armor --export-secret-keys", name)
		}
		s.pgp = append(s.pgp, e)
		s.names = append(s.names, name)
	}
	return nil
}

func (s *set) openPGP(wrapped string) ([]byte, error) {
	if len(s.pgp) == 0 {
		return nil, sops.ErrNoKey
	}
	block, err := armor.Decode(strings.NewReader(wrapped))
	if err != nil {
		return nil, errDamaged
	}
	m, err := openpgp.ReadMessage(block.Body, s.pgp, nil, nil)
	switch {
	case errors.Is(err, pgperrors.ErrKeyIncorrect):
		return nil, sops.ErrNoKey
	case err != nil:
		return nil, errDamaged
	}
	// Only at its end it is known to be whole.
	key, err := io.ReadAll(io.LimitReader(m.UnverifiedBody, maxDataKey))
	if err != nil {
		return nil, errDamaged
	}
	return key, nil
}
