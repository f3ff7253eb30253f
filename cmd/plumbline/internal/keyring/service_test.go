package keyring_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/keyring"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/keyservice"
	"github.com/plumbline-dev/plumbline/render/sops"
)

// service is the real `sops keyservice`, with keys that Plumbline does not have.
type service struct {
	*realSops
	clouds *clouds
	age    string // a recipient whose key only the service has

	address keyservice.Address
	stop    func()
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{realSops: newRealSops(t), clouds: newClouds(t)}
	id := must[*age.X25519Identity](t)(age.GenerateX25519Identity())
	s.age = id.Recipient().String()
	var ring bytes.Buffer
	err := s.entity.SerializePrivate(&ring, nil)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.home, "secring.gpg"), ring.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.env = s.clouds.environ()
	dir := must[string](t)(os.MkdirTemp("", "keys")) //nolint:usetesting // the name of a socket is short, and that of t.TempDir may not be
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	s.address = must[keyservice.Address](t)(keyservice.ParseAddress("unix://" + socket))
	cmd := exec.CommandContext(t.Context(), s.binary, "keyservice", "--network", "unix", "--address", socket, "--verbose")
	cmd.Env = append(s.environ(), "SOPS_AGE_KEY="+id.String())
	errs, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	listening := make(chan bool)
	go func() {
		defer close(ended)
		lines, said := bufio.NewScanner(errs), false
		for lines.Scan() {
			if !said && strings.Contains(lines.Text(), "Listening on") {
				said = true
				listening <- true
			}
		}
		if !said {
			listening <- false
		}
		_ = cmd.Wait() // killed
	}()
	s.stop = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	if !<-listening {
		t.Fatal("sops keyservice ended")
	}
	t.Cleanup(s.stop)
	return s
}

// ring has the service, and no key but those of o.
func (s *service) ring(t *testing.T, o keyring.Options) *keyring.Keyring {
	t.Helper()
	o.Service = keyservice.New(keyservice.Options{Address: s.address})
	ring := keyring.New(o)
	t.Cleanup(ring.Close)
	must[string](t)(ring.Load(t.Context()))
	return ring
}

const arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// What the real sops encrypts is opened through the real sops keyservice.
func TestRealKeyService(t *testing.T) {
	t.Parallel()
	s := newService(t)
	vault := s.clouds.URL + "/v1/transit/keys/plumbline"
	local := must[*age.X25519Identity](t)(age.GenerateX25519Identity())
	own := local.Recipient().String()
	for name, c := range map[string]struct {
		config string
		args   []string
		asks   int64 // the clouds
	}{
		"age":             {args: []string{"--age", s.age}},
		"PGP":             {args: []string{"--pgp", s.pgp}},
		"Vault":           {args: []string{"--hc-vault-transit", vault}, asks: 1},
		"AWS":             {args: []string{"--kms", arn, "--encryption-context", "Environment:production,Team:a"}, asks: 1},
		"own key first":   {args: []string{"--hc-vault-transit", vault, "--kms", arn, "--age", own}},
		"another is last": {args: []string{"--age", s.other, "--hc-vault-transit", vault}, asks: 1},
		"key groups":      {config: "creation_rules:\n- shamir_threshold: 2\n  key_groups:\n  - age: [" + own + "]\n  - hc_vault: [" + vault + "]\n  - kms: [{arn: \"" + arn + "\"}]\n", asks: 1},
	} {
		t.Run(name, func(t *testing.T) {
			ring := s.ring(t, keyring.Options{AgeFiles: []string{write(t, "age", local.String())}, Vaults: []string{s.clouds.URL}})
			docs := documents(t, s.encrypt(t, c.config, "a.yaml", document, c.args...))
			before := s.clouds.asked.Load()
			if _, problems := sops.Open(docs, ring); len(problems) > 0 {
				t.Fatalf("%+v", problems)
			}
			if diff := cmp.Diff(values(t, documents(t, document)), values(t, docs)); diff != "" {
				t.Errorf("-plain +opened\n%s", diff)
			}
			if n := s.clouds.asked.Load() - before; n != c.asks {
				t.Errorf("%d requests to the clouds, want %d", n, c.asks)
			}
			if name == "AWS" {
				if diff := cmp.Diff(map[string]string{"Environment": "production", "Team": "a"}, s.clouds.context.Load()); diff != "" {
					t.Errorf("encryption context: %s", diff)
				}
			}
		})
	}
}

// A service that does not open it is no outage, one that is away is, and what it
// refused is tried again.
func TestRealKeyServiceRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t)
	vault := s.clouds.URL + "/v1/transit/keys/plumbline"
	sealed := s.encrypt(t, "", "a.yaml", "data: {a: hunter2}\n", "--hc-vault-transit", vault)
	open := func(k *keyring.Keyring) sops.Problem {
		t.Helper()
		_, problems := sops.Open(documents(t, sealed), k)
		if len(problems) == 0 {
			return sops.Problem{}
		}
		return problems[0]
	}
	expect := func(p sops.Problem, away bool, want string) {
		t.Helper()
		if !p.NoKey || (p.Away != nil) != away || !strings.Contains(p.Message, "no key for recipient Vault "+vault) || !strings.Contains(p.Message, want) {
			t.Errorf("%+v, want %q and away %t", p, want, away)
		}
	}
	without := keyring.New(keyring.Options{})
	must[string](t)(without.Load(t.Context()))
	expect(open(without), false, "a key service (decryption.keyService) opens keys of clouds")
	expect(open(s.ring(t, keyring.Options{Vaults: []string{"https://vault.example.com"}})), false, "the vaults in decryption.vaults only")
	if n := s.clouds.asked.Load(); n != 0 {
		t.Errorf("%d requests to a vault that is not named", n)
	}

	k := s.ring(t, keyring.Options{Vaults: []string{s.clouds.URL + "/"}})
	first := must[string](t)(k.Load(t.Context()))
	s.clouds.denies.Store(true)
	expect(open(k), false, "the key service does not open it: see its log")
	if k.Changed(t.Context()) {
		t.Error("changed, and the vault still denies")
	}
	s.clouds.denies.Store(false)
	if !k.Changed(t.Context()) {
		t.Error("not changed, and the vault opens it now")
	}
	if again := must[string](t)(k.Load(t.Context())); again == first {
		t.Error("after a refusal the name is the same: what is closed would not be opened")
	}
	if p := open(k); p.Message != "" {
		t.Error(p.Message)
	}
	if err := k.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	s.stop()
	expect(open(k), true, "does not answer: unix://")
	if k.Probe(t.Context()) == nil {
		t.Error("a service that is stopped answers")
	}
}
