package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"

	"github.com/plumbline-dev/plumbline/render/sops"
)

// addAge takes the keys of a file of age, or an SSH key. Messages of age and
// ssh are left out: they may quote.
func (s *set) addAge(text []byte) error {
	if bytes.Contains(text, []byte("-----BEGIN")) {
		return s.addSSH(text)
	}
	n, found := 0, false
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
			continue
		case strings.HasPrefix(line, "age-encryption.org/"):
			return errors.New("the file is encrypted with a passphrase, and nobody is there to ask: store the key itself")
		case strings.HasPrefix(line, "AGE-PLUGIN-"):
			return fmt.Errorf("line %d: a key of an age plugin, which is a program of its own: none is run here", n)
		}
		ids, err := age.ParseIdentities(strings.NewReader(line))
		if err != nil {
			return fmt.Errorf("line %d: no age key, which begins with AGE-SECRET-KEY-", n)
		}
		for _, id := range ids {
			s.age = append(s.age, id)
			s.names = append(s.names, recipientOf(id))
		}
		found = true
	}
	if !found {
		return errors.New("no age key, which begins with AGE-SECRET-KEY-")
	}
	return nil
}

func recipientOf(id age.Identity) string {
	switch id := id.(type) {
	case *age.X25519Identity:
		return id.Recipient().String()
	case *age.HybridIdentity:
		return id.Recipient().String()
	}
	return ""
}

func (s *set) addSSH(text []byte) error {
	signer, err := ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return errors.New("the SSH key has a passphrase, and nobody is there to ask: store it without")
	case err != nil:
		return errors.New("no age key, and no SSH key that can be read")
	}
	id, err := agessh.ParseIdentity(text)
	if err != nil {
		return errors.New("an SSH key of a type that age does not take: ed25519 and RSA are")
	}
	s.age = append(s.age, id)
	s.names = append(s.names, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))))
	return nil
}

func (s *set) openAge(wrapped string) ([]byte, error) {
	if len(s.age) == 0 {
		return nil, sops.ErrNoKey
	}
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(wrapped)), s.age...)
	var other *age.NoIdentityMatchError
	if errors.As(err, &other) {
		return nil, sops.ErrNoKey
	}
	if err != nil {
		return nil, errDamaged
	}
	key, err := io.ReadAll(io.LimitReader(r, maxDataKey))
	if err != nil {
		return nil, errDamaged
	}
	return key, nil
}
