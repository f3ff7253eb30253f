package keyring_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/agessh"
	agearmor "filippo.io/age/armor"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"golang.org/x/crypto/ssh"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/keyring"
	"github.com/plumbline-dev/plumbline/render/sops"
)

const dataKey = "0123456789abcdef0123456789abcdef"

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wrapAge encrypts the data key as SOPS does.
func wrapAge(t *testing.T, to age.Recipient) string {
	t.Helper()
	var b bytes.Buffer
	a := agearmor.NewWriter(&b)
	w := must[io.WriteCloser](t)(age.Encrypt(a, to))
	_, err := io.WriteString(w, dataKey)
	if err := errors.Join(err, w.Close(), a.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func wrapPGP(t *testing.T, to *openpgp.Entity) string {
	t.Helper()
	var b bytes.Buffer
	a := must[io.WriteCloser](t)(armor.Encode(&b, "PGP MESSAGE", nil))
	w := must[io.WriteCloser](t)(openpgp.Encrypt(a, []*openpgp.Entity{to}, nil, &openpgp.FileHints{IsBinary: true}, nil))
	_, err := io.WriteString(w, dataKey)
	if err := errors.Join(err, w.Close(), a.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func pgpKey(t *testing.T) *openpgp.Entity {
	t.Helper()
	return must[*openpgp.Entity](t)(openpgp.NewEntity("test only", "", "test@example.com", nil))
}

// exported is a private key as gpg --export-secret-keys writes it.
func exported(t *testing.T, e *openpgp.Entity, armored bool) string {
	t.Helper()
	var b bytes.Buffer
	if !armored {
		if err := e.SerializePrivateWithoutSigning(&b, nil); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	a := must[io.WriteCloser](t)(armor.Encode(&b, openpgp.PrivateKeyType, nil))
	if err := errors.Join(e.SerializePrivateWithoutSigning(a, nil), a.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sshKey(t *testing.T) (private string, public ssh.PublicKey, key crypto.PrivateKey) {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block := must[*pem.Block](t)(ssh.MarshalPrivateKey(k, "test only"))
	signer := must[ssh.Signer](t)(ssh.NewSignerFromKey(k))
	return string(pem.EncodeToMemory(block)), signer.PublicKey(), k
}

// A data key is opened with the key that it was encrypted for, of any kind and
// from any place, and with no other.
func TestOpen(t *testing.T) {
	t.Parallel()
	native := must[*age.X25519Identity](t)(age.GenerateX25519Identity())
	hybrid := must[*age.HybridIdentity](t)(age.GenerateHybridIdentity())
	private, public, _ := sshKey(t)
	pgp := pgpKey(t)
	file := fmt.Sprintf("# created by age-keygen\n# public key: %s\n%s\n\n%s\n", native.Recipient(), native, hybrid)
	fingerprint := fmt.Sprintf("%X", pgp.PrimaryKey.Fingerprint)

	ageKey := sops.Recipient{Kind: sops.KindAge, Name: native.Recipient().String(), Wrapped: wrapAge(t, native.Recipient())}
	hybridKey := sops.Recipient{Kind: sops.KindAge, Wrapped: wrapAge(t, hybrid.Recipient())}
	sshRecipient := must[age.Recipient](t)(agessh.ParseRecipient(string(ssh.MarshalAuthorizedKey(public))))
	sshDataKey := sops.Recipient{Kind: sops.KindAge, Wrapped: wrapAge(t, sshRecipient)}
	pgpDataKey := sops.Recipient{Kind: sops.KindPGP, Name: fingerprint, Wrapped: wrapPGP(t, pgp)}

	for name, c := range map[string]struct {
		opts   keyring.Options
		opens  []sops.Recipient
		others []sops.Recipient
		names  []string
	}{
		"age file":           {keyring.Options{AgeFiles: []string{write(t, "a", file)}}, []sops.Recipient{ageKey, hybridKey}, []sops.Recipient{sshDataKey, pgpDataKey}, []string{native.Recipient().String(), hybrid.Recipient().String()}},
		"SSH key":            {keyring.Options{AgeFiles: []string{write(t, "a", private)}}, []sops.Recipient{sshDataKey}, []sops.Recipient{ageKey, pgpDataKey}, []string{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))}},
		"PGP file":           {keyring.Options{PGPFiles: []string{write(t, "a", exported(t, pgp, true))}}, []sops.Recipient{pgpDataKey}, []sops.Recipient{ageKey}, []string{fingerprint}},
		"PGP without armor":  {keyring.Options{PGPFiles: []string{write(t, "a", exported(t, pgp, false))}}, []sops.Recipient{pgpDataKey}, []sops.Recipient{ageKey}, []string{fingerprint}},
		"another PGP key":    {keyring.Options{PGPFiles: []string{write(t, "a", exported(t, pgpKey(t), true))}}, nil, []sops.Recipient{pgpDataKey}, nil},
		"a key of a cloud":   {keyring.Options{AgeFiles: []string{write(t, "a", file)}}, nil, []sops.Recipient{{Kind: "AWS KMS", Name: "arn:aws:kms:x", Wrapped: "x"}}, nil},
		"a Secret":           {keyring.Options{Secret: secret(map[string]string{"a.agekey": file, "b.asc": exported(t, pgp, true), "other": "is not looked at"})}, []sops.Recipient{ageKey, pgpDataKey}, []sops.Recipient{sshDataKey}, nil},
		"a file that is not": {keyring.Options{AgeFiles: []string{filepath.Join(t.TempDir(), "gone")}, Lenient: true}, nil, []sops.Recipient{ageKey}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := keyring.New(c.opts)
			if _, err := k.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, r := range c.opens {
				if got, err := k.DataKey(r); err != nil || string(got) != dataKey {
					t.Errorf("%s: %q, %v", r, got, err)
				}
				damaged := r
				damaged.Wrapped = strings.Replace(r.Wrapped, "\n", "\nAAAA", 2)
				if _, err := k.DataKey(damaged); err == nil || errors.Is(err, sops.ErrNoKey) {
					t.Errorf("%s, damaged: %v", r, err)
				}
			}
			for _, r := range c.others {
				if _, err := k.DataKey(r); !errors.Is(err, sops.ErrNoKey) {
					t.Errorf("%s: %v, want ErrNoKey", r, err)
				}
			}
			for i, want := range c.names {
				if got := strings.Join(k.Names(), "\n"); !strings.Contains(got, want) {
					t.Errorf("name %d %q is not among %q", i, want, got)
				}
			}
		})
	}
}

func secret(data map[string]string) func(context.Context) (map[string][]byte, error) {
	return func(context.Context) (map[string][]byte, error) {
		out := map[string][]byte{}
		for k, v := range data {
			out[k] = []byte(v)
		}
		return out, nil
	}
}

// The name changes with the keys.
func TestLoadAgain(t *testing.T) {
	t.Parallel()
	first := must[*age.X25519Identity](t)(age.GenerateX25519Identity())
	second := must[*age.X25519Identity](t)(age.GenerateX25519Identity())
	file := write(t, "key", first.String())
	k := keyring.New(keyring.Options{AgeFiles: []string{file}})
	load := must[string](t)
	before := load(k.Load(t.Context()))
	if again := load(k.Load(t.Context())); again != before {
		t.Errorf("%q, and nothing changed since %q", again, before)
	}
	if err := os.WriteFile(file, []byte(second.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if after := load(k.Load(t.Context())); after == before {
		t.Errorf("%q is as before", after)
	}
	if got, err := k.DataKey(sops.Recipient{Kind: sops.KindAge, Wrapped: wrapAge(t, second.Recipient())}); err != nil || string(got) != dataKey {
		t.Errorf("the new key opens %q, %v", got, err)
	}
	if _, err := k.DataKey(sops.Recipient{Kind: sops.KindAge, Wrapped: wrapAge(t, first.Recipient())}); !errors.Is(err, sops.ErrNoKey) {
		t.Errorf("the old key is still there: %v", err)
	}
}

// What is no key is refused, with what to do, and nothing of it is quoted.
func TestRefused(t *testing.T) {
	t.Parallel()
	locked := pgpKey(t)
	if err := locked.EncryptPrivateKeys([]byte("passphrase"), nil); err != nil {
		t.Fatal(err)
	}
	var public bytes.Buffer
	a := must[io.WriteCloser](t)(armor.Encode(&public, openpgp.PublicKeyType, nil))
	if err := errors.Join(pgpKey(t).Serialize(a), a.Close()); err != nil {
		t.Fatal(err)
	}
	_, _, key := sshKey(t)
	sealed := pem.EncodeToMemory(must[*pem.Block](t)(ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("passphrase"))))
	broken := must[*age.X25519Identity](t)(age.GenerateX25519Identity()).String()
	broken = broken[:len(broken)-3] + "QQQ"
	none := func(text string) keyring.Options {
		return keyring.Options{Secret: secret(map[string]string{"key.agekey": text})}
	}
	for name, c := range map[string]struct {
		opts keyring.Options
		want string
	}{
		"no file":             {keyring.Options{AgeFiles: []string{"/nowhere/key"}}, "/nowhere/key: no such file"},
		"empty":               {none("# nothing\n"), "data.key.agekey of the Secret: no age key, which begins with AGE-SECRET-KEY-"},
		"text":                {none("\nhunter2-not-a-key\n"), "line 2: no age key"},
		"broken age key":      {none(broken), "line 1: no age key"},
		"age with passphrase": {none("age-encryption.org/v1\n-> scrypt"), "encrypted with a passphrase"},
		"plugin":              {none("AGE-PLUGIN-YUBIKEY-1QQQ"), "a program of its own"},
		"SSH with passphrase": {none(string(sealed)), "the SSH key has a passphrase"},
		"PEM":                 {none("-----BEGIN hunter2-----\nhunter2\n"), "no SSH key that can be read"},
		"PGP with passphrase": {keyring.Options{PGPFiles: []string{write(t, "k", exported(t, locked, true))}}, "has a passphrase"},
		"public PGP key":      {keyring.Options{PGPFiles: []string{write(t, "k", public.String())}}, "has no private part"},
		"no PGP key":          {keyring.Options{PGPFiles: []string{write(t, "k", "hunter2")}}, "no PGP key that can be read"},
		"Secret without keys": {keyring.Options{Secret: secret(map[string]string{"token": "hunter2"})}, "the Secret has no key that ends with .agekey or .asc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := keyring.New(c.opts).Load(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || plumbline.KindOf(err) != plumbline.KindDenied {
				t.Errorf("%v (%v), want %q", err, plumbline.KindOf(err), c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), broken[20:40])) {
				t.Errorf("%v quotes the file", err)
			}
		})
	}
}
