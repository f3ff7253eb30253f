package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

// canaryKeys are private keys that must not be seen either, in files beside
// which lies what sops needs of them.
type canaryKeys struct {
	t         *testing.T
	dir       string
	ageFile   string
	pgpFile   string
	recipient string
	finger    string
}

func newCanaryKeys(t *testing.T, c *canaries) *canaryKeys {
	t.Helper()
	k := &canaryKeys{t: t, dir: t.TempDir()}
	k.ageFile, k.pgpFile = filepath.Join(k.dir, "age.agekey"), filepath.Join(k.dir, "pgp.asc")
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	entity, err := openpgp.NewEntity("test only", "", "test@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	var public, private bytes.Buffer
	w, err := armor.Encode(&private, openpgp.PrivateKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(entity.SerializePrivateWithoutSigning(w, nil), w.Close(), entity.Serialize(&public)); err != nil {
		t.Fatal(err)
	}
	k.recipient, k.finger = id.Recipient().String(), fmt.Sprintf("%X", entity.PrimaryKey.Fingerprint)
	for name, text := range map[string][]byte{k.ageFile: []byte(id.String() + "\n"), k.pgpFile: private.Bytes(), filepath.Join(k.dir, "pubring.gpg"): public.Bytes()} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.words["age key"] = []string{id.String()[16:46], strings.ToLower(id.String()[20:50])}
	// The public part is the same in both: what is private lies at the end.
	raw := pemBody(t, private.Bytes())
	secret := base64.StdEncoding.EncodeToString(raw[len(raw)-60 : len(raw)-30])
	c.words["PGP key"] = []string{secret[4:36]}
	return k
}

func pemBody(t *testing.T, text []byte) []byte {
	t.Helper()
	block, err := armor.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(block.Body); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// encrypt encrypts files of secretsOf with the real sops: some for age and some
// for PGP, some as a whole.
func (k *canaryKeys) encrypt(files map[string]string) map[string]string {
	k.t.Helper()
	dir := k.t.TempDir()
	writeFiles(k.t, dir, files)
	const values = "^(data|stringData)$"
	out := map[string]string{}
	for name, text := range files {
		args := []string{"encrypt", "--in-place"}
		switch name {
		case "session.yaml":
			args = append(args, "--age", k.recipient, "--encrypted-regex", values)
		case "registry.json":
			args = append(args, "--pgp", k.finger, "--encrypted-regex", values)
		case "tls.yaml":
			args = append(args, "--pgp", k.finger)
		case "plain.yaml":
			args = append(args, "--age", k.recipient)
		default:
			out[name] = text
			continue
		}
		cmd := exec.CommandContext(k.t.Context(), sopsBinary(k.t), append(args, name)...)
		cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "PATH=" + dir, "GNUPGHOME=" + k.dir}
		if said, err := cmd.CombinedOutput(); err != nil {
			k.t.Fatalf("sops %v: %v\n%s", args, err, said)
		}
		encrypted, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			k.t.Fatal(err)
		}
		out[name] = string(encrypted)
	}
	return out
}

// config is a configuration with the keys, for one environment of the name e.
func (k *canaryKeys) config(decryption string) string {
	k.t.Helper()
	file := filepath.Join(k.t.TempDir(), "plumbline.yaml")
	text := "apiVersion: plumbline.dev/v1\nkind: Config\nsource: {url: file:///nowhere, branch: main}\nenvironments:\n" +
		"- {name: e, path: ., requireEncryptedSecrets: true, decryption: " + decryption + "}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
	return file
}

func (k *canaryKeys) both() string {
	return fmt.Sprintf("{ageKeyFiles: [%q], pgpKeyFiles: [%q]}", k.ageFile, k.pgpFile)
}

// Encrypted secrets, with their keys, without, with keys that are none, and
// damaged: neither a value nor a key is seen.
func TestCanariesEncrypted(t *testing.T) {
	t.Parallel()
	c := newCanaries()
	k := newCanaryKeys(t, c)
	dir := t.TempDir()
	writeFiles(t, dir, k.encrypt(secretsOf(c, "shop")))
	broken := filepath.Join(t.TempDir(), "broken.agekey")
	text, err := os.ReadFile(k.ageFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, text[:len(text)-6], 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(code int, decryption string) {
		t.Helper()
		for _, args := range [][]string{{"validate", "."}, {"validate", ".", "-o", "json"}, {"render", "."}, {"render", ".", "-v", "-o", "json"}} {
			c.quiet(t, dir, code, append(args, "--config", k.config(decryption), "--log-level=debug")...)
		}
	}
	ask(0, k.both())
	ask(0, "{}")
	ask(0, fmt.Sprintf("{ageKeyFiles: [%q]}", k.ageFile))
	ask(0, `{ageKeyFiles: [/nowhere/key]}`)
	ask(4, fmt.Sprintf("{ageKeyFiles: [%q]}", broken))
	ask(4, fmt.Sprintf("{ageKeyFiles: [%q]}", k.pgpFile))
	ask(4, fmt.Sprintf("{pgpKeyFiles: [%q]}", k.ageFile))
	ask(4, fmt.Sprintf("{pgpKeyFiles: [%q]}", filepath.Join(dir, "session.yaml")))

	shown := plumblineIn(t, dir, "render", ".", "--show-secrets", "--config", k.config(k.both()))
	if missing := c.missing(shown.stdout); strings.Join(missing, ", ") != "PGP key, age key, last applied" {
		t.Errorf("with --show-secrets it shows all but %v", missing)
	}
	c.none(t, "standard error", shown.err)
	closed := c.quiet(t, dir, 0, "render", ".", "--show-secrets")
	if n := bytes.Count(closed.stdout, []byte("'[encrypted]'")); n < 3 {
		t.Errorf("without keys, %d values are said to be encrypted:\n%s%s", n, closed.stdout, closed.err)
	}
}

// Documents that are encrypted, and then wrong.
func TestCanariesInBrokenEncrypted(t *testing.T) {
	t.Parallel()
	c := newCanaries()
	k := newCanaryKeys(t, c)
	whole := k.encrypt(map[string]string{
		// What a reader says of a value, it must not say of one that was encrypted.
		"tls.yaml":   "apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: a, namespace: shop}\nspec: {type: " + c.word("type") + ", data: {A: [" + c.word("list") + "], B: {" + "C: " + c.word("mapping") + "}}}\n",
		"plain.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: b, namespace: shop, annotations: {plumbline.dev/wave: " + c.word("wave") + "}}\ndata: {A: " + c.word("no base64") + "!, B: [" + c.word("list") + "]}\n",
	})
	service := k.encrypt(map[string]string{
		"tls.yaml": "apiVersion: plumbline.dev/v1\nkind: ServiceVersion\nmetadata: {name: web-v1, namespace: shop}\nspec:\n  id: web\n  version: v1\n  tasks:\n  - {id: web, docker: {image: a}, env: {TOKEN: " + c.word("env") + "}}\n",
	})
	good := k.encrypt(secretsOf(c, "shop"))
	change := func(name, old, now string) map[string]string {
		t.Helper()
		text := strings.Replace(good[name], old, now, 1)
		if text == good[name] {
			t.Fatalf("%s does not hold %q", name, old)
		}
		return map[string]string{name: text}
	}
	for name, files := range map[string]map[string]string{
		"wrong values":        whole,
		"in a service":        service,
		"changed":             change("session.yaml", "type: env", "type: file"),
		"a value in clear":    change("session.yaml", "SESSION_KEY: ENC", "SESSION_KEY: "+c.word("clear")+" ENC"),
		"a broken value":      change("session.yaml", "GCM,data:", "GCM,data:AAAA"),
		"a broken data key":   change("session.yaml", " YWdl", " AAAA"),
		"a broken PGP key":    change("registry.json", "wcBMA", "AAAAA"),
		"no recipients":       change("plain.yaml", "    age:", "    nobody:"),
		"a later sops":        change("tls.yaml", "version: 3", "version: 4"),
		"syntax":              change("session.yaml", "sops:\n", "sops: {\n"),
		"no block":            {"session.yaml": strings.Split(good["session.yaml"], "\nsops:")[0] + "\n"},
		"cut":                 {"session.yaml": good["session.yaml"][:len(good["session.yaml"])/2]},
		"twice":               {"again.yaml": good["session.yaml"]},
		"in a broken overlay": {"kustomization.yaml": "resources: [session.yaml, tls.yaml, plain.yaml, registry.json, cart.yaml, project.yaml]\npatches:\n- target: {kind: ServiceSecret}\n  patch: |-\n    - {op: replace, path: /spec/data/none/deep, value: x}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFiles(t, dir, good)
			writeFiles(t, dir, files)
			config := k.config(k.both())
			o := c.quiet(t, dir, 3, "validate", ".", "--config", config, "--log-level=debug")
			t.Logf("%s", o.stdout)
			c.quiet(t, dir, 3, "validate", ".", "--config", config, "-o", "json")
			c.quiet(t, dir, 3, "render", ".", "--config", config)
			none := plumblineIn(t, dir, "validate", ".")
			c.none(t, "without keys", none.all())
		})
	}
}

// On the cluster, in notes, in the cache and in all that is said, before and
// after a key is missing.
func TestCanariesEncryptedOnTheCluster(t *testing.T) {
	t.Parallel()
	s := newCanarySite(t)
	k := newCanaryKeys(t, s.c)
	config := s.config()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	with := func(decryption string) string {
		file := filepath.Join(t.TempDir(), "plumbline.yaml")
		changed := strings.Replace(string(text), "path: .,", "path: ., requireEncryptedSecrets: true, decryption: "+decryption+",", 1)
		if changed == string(text) {
			t.Fatal("the configuration has no path")
		}
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	keys := with(k.both())
	s.commit(k.encrypt(secretsOf(s.c, s.project)))
	s.c.quiet(t, s.repo, 0, "run", "--once", "--config", keys)
	// The first commit of the site was never applied, and of this one only what
	// is applied is there.
	if missing := s.c.missing(s.search()); !strings.HasPrefix(strings.Join(missing, ", "), "PGP key, age key") {
		t.Errorf("the Secrets on the cluster do not have %v, so the search proves nothing", missing)
	}
	for _, args := range [][]string{{"diff", "."}, {"apply", ".", "--dry-run"}, {"status"}, {"drift"}, {"check"}} {
		o := plumblineIn(t, s.repo, append(args, "--config", keys)...)
		s.c.none(t, strings.Join(args, " "), o.all())
		if o.code != 0 {
			t.Errorf("%v: exit code %d\n%s", args, o.code, o.err)
		}
	}
	s.commit(k.encrypt(secretsOf(s.c, s.project)))
	s.c.quiet(t, s.repo, 1, "diff", ".", "--config", keys)
	s.c.quiet(t, s.repo, 3, "run", "--once", "--config", with("{}"))
	s.c.quiet(t, s.repo, 4, "run", "--once", "--config", with(fmt.Sprintf("{ageKeyFiles: [%q]}", k.pgpFile)))
	s.c.quiet(t, s.repo, 0, "run", "--once", "--config", keys)
	s.search()
}
