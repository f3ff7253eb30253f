package keyring_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/ssh"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/keyring"
	"github.com/plumbline-dev/plumbline/fixtures/servers/build"
	"github.com/plumbline-dev/plumbline/render/sops"
)

// realSops is the real sops with keys of each kind.
type realSops struct {
	binary string
	home   string   // of gpg's key ring; sops reads it without gpg
	env    []string // of sops, besides its homes
	ring   *keyring.Keyring
	entity *openpgp.Entity // of pgp

	age, other, ssh, pgp string // recipients
}

func newRealSops(t *testing.T) *realSops {
	t.Helper()
	root := must[string](t)(build.FindRoot("."))
	s := &realSops{home: t.TempDir()}
	s.binary = must[string](t)(build.Ensure(t.Context(), build.Options{Root: root, Log: os.Stderr}, "sops"))
	first := must[*age.X25519Identity](t)(age.GenerateX25519Identity())
	second := must[*age.X25519Identity](t)(age.GenerateX25519Identity())
	private, public, _ := sshKey(t)
	s.entity = pgpKey(t)
	var pub bytes.Buffer
	if err := s.entity.Serialize(&pub); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.home, "pubring.gpg"), pub.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	s.age, s.other = first.Recipient().String(), second.Recipient().String()
	s.ssh = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
	s.ring = keyring.New(keyring.Options{
		AgeFiles: []string{write(t, "age", first.String()), write(t, "ssh", private)},
		PGPFiles: []string{write(t, "pgp", exported(t, s.entity, true))},
	})
	must[string](t)(s.ring.Load(t.Context()))
	for _, name := range s.ring.Names() {
		if !strings.HasPrefix(name, "age1") && !strings.HasPrefix(name, "ssh-") {
			s.pgp = name
		}
	}
	return s
}

func (s *realSops) environ() []string {
	return append([]string{"HOME=" + s.home, "GNUPGHOME=" + s.home, "PATH=" + s.home}, s.env...)
}

// encrypt runs sops on text; config is its .sops.yaml, and may be empty.
func (s *realSops) encrypt(t *testing.T, config, name, text string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	args = append([]string{"encrypt"}, args...)
	if config != "" {
		if err := os.WriteFile(filepath.Join(dir, ".sops.yaml"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), s.binary, append(args, name)...)
	cmd.Dir, cmd.Env = dir, s.environ()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("sops %v: %v\n%s", args, err, errs.Bytes())
	}
	return string(out)
}

// documents parses a stream.
func documents(t *testing.T, text string) []*yaml.Node {
	t.Helper()
	var out []*yaml.Node
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n.Content[0])
	}
}

func values(t *testing.T, docs []*yaml.Node) []any {
	t.Helper()
	var out []any
	for _, d := range docs {
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

const document = `# a comment
apiVersion: v1
kind: Secret # another
metadata:
  name: everything
  labels: {tier: "1"}
stringData:
  text: hunter2
  # about the next
  lines: |
    first
    second
  empty: ""
  unicode: "ü \U0001F512 \u2028"
  looks_like: "true"
  data_unencrypted: in the open
  secret_enc: not in the open
types:
  int: 42
  negative: -7
  octal: 0o17
  float: 1.5
  small: 1e-7
  yes: true
  no: false
  nothing: null
  day: 2026-01-31
  moment: 2026-01-31T12:30:00.5Z
  deep: {a: {b: [1, two, {c: three}]}}
list:
# in a list
- one # inline
- two
- []
- {}
`

// Whatever the real sops encrypts is opened to what it was.
func TestRealSops(t *testing.T) {
	t.Parallel()
	s := newRealSops(t)
	rule := func(rest string) string { return "creation_rules:\n- {age: " + s.age + ", " + rest + "}\n" }
	for name, c := range map[string]struct {
		config string
		file   string // "secret.yaml", where empty
		text   string // document, where empty
		args   []string
	}{
		"whole file":          {},
		"regex":               {args: []string{"--encrypted-regex", "^(data|stringData)$"}},
		"regex of none":       {args: []string{"--encrypted-regex", "^nothing-is-called-so$"}},
		"unencrypted regex":   {args: []string{"--unencrypted-regex", "^(apiVersion|kind|metadata)$"}},
		"suffix":              {args: []string{"--encrypted-suffix", "_enc"}},
		"unencrypted suffix":  {args: []string{"--unencrypted-suffix", "_unencrypted"}},
		"comment":             {config: rule("encrypted_comment_regex: about the next")},
		"unencrypted comment": {config: rule("unencrypted_comment_regex: about the next")},
		"seal of some":        {config: rule("mac_only_encrypted: true, encrypted_regex: ^stringData$")},
		"seal of all":         {config: rule("mac_only_encrypted: true")},
		"documents":           {text: document + "---\n" + document + "---\na: {b: c}\n"},
		"documents by regex":  {text: document + "---\nkind: other\n---\n" + document, args: []string{"--encrypted-regex", "^stringData$"}},
		"JSON":                {file: "secret.json", text: `{"apiVersion": "v1", "data": {"a": "b", "n": 1, "big": 9007199254740993, "f": 1.5, "e": 1e3, "t": true, "x": null, "u": "ü<&>\u2028", "l": [1, "2", {}]}}`},
		"JSON by regex":       {file: "secret.json", text: `{"n": 12, "big": 9007199254740993, "f": 0.1, "e": 1e21, "t": false, "data": {"a": "b"}, "u": "ü<&>/"}`, args: []string{"--encrypted-regex", "^data$"}},
		"SSH":                 {args: []string{"--age", s.ssh}},
		"PGP":                 {args: []string{"--pgp", s.pgp}},
		"several recipients":  {args: []string{"--age", s.other + "," + s.age}},
		"PGP and another":     {args: []string{"--age", s.other, "--pgp", s.pgp}},
		"key groups":          {config: "creation_rules:\n- shamir_threshold: 2\n  key_groups:\n  - age: [" + s.age + "]\n  - age: [" + s.other + "]\n  - pgp: [" + s.pgp + "]\n"},
		"all key groups":      {config: "creation_rules:\n- key_groups:\n  - age: [" + s.age + "]\n  - age: [\"" + s.ssh + "\"]\n  - pgp: [" + s.pgp + "]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, text, args := c.file, c.text, c.args
			if file == "" {
				file = "secret.yaml"
			}
			if text == "" {
				text = document
			}
			if c.config == "" && !slices.Contains(args, "--age") && !slices.Contains(args, "--pgp") {
				args = append(args, "--age", s.age)
			}
			encrypted := s.encrypt(t, c.config, file, text, args...)
			docs := documents(t, encrypted)
			for _, d := range docs {
				if !sops.Is(d) {
					t.Fatalf("not seen as encrypted:\n%s", encrypted)
				}
			}
			_, problems := sops.Open(docs, s.ring)
			if len(problems) > 0 {
				t.Fatalf("%+v\n%s", problems, encrypted)
			}
			if diff := cmp.Diff(values(t, documents(t, text)), values(t, docs)); diff != "" {
				t.Errorf("-plain +opened\n%s", diff)
			}
		})
	}
}

// What was changed after sops sealed it is not opened, and no message quotes a
// value.
func TestRealSopsSeals(t *testing.T) {
	t.Parallel()
	s := newRealSops(t)
	const plain = "kind: Secret\nmetadata: {name: a}\ndata:\n  first: hunter2\n  second: hunter3\n"
	byRegex := s.encrypt(t, "", "a.yaml", plain, "--age", s.age, "--encrypted-regex", "^data$")
	several := s.encrypt(t, "", "a.yaml", plain+"---\n"+strings.ReplaceAll(plain, "hunter", "keeper"), "--age", s.age, "--encrypted-regex", "^data$")
	foreign := s.encrypt(t, "", "a.yaml", plain, "--age", s.other)
	groups := s.encrypt(t, "creation_rules:\n- key_groups:\n  - age: ["+s.age+"]\n  - age: ["+s.other+"]\n", "a.yaml", plain)
	line := func(text, prefix string) string {
		for l := range strings.Lines(text) {
			if strings.HasPrefix(strings.TrimSpace(l), prefix) {
				return l
			}
		}
		t.Fatalf("no line %q in\n%s", prefix, text)
		return ""
	}
	first, second := line(byRegex, "first:"), line(byRegex, "second:")
	halves := strings.Split(several, "\n---\n")
	for name, c := range map[string]struct{ text, want string }{
		"a plain value":       {strings.Replace(byRegex, "kind: Secret", "kind: ConfigMap", 1), "the mac does not fit"},
		"one value less":      {strings.Replace(byRegex, first, "", 1), "the mac does not fit"},
		"order":               {strings.Replace(byRegex, first+second, second+first, 1), "the mac does not fit"},
		"one document less":   {halves[0], "the mac does not fit"},
		"documents in order":  {halves[1] + "\n---\n" + halves[0], "the mac does not fit"},
		"moved":               {strings.Replace(byRegex, "first:", "third:", 1), "the value of data.third cannot be decrypted"},
		"a value in plain":    {strings.Replace(byRegex, first, "    first: hunter4\n", 1), "the value of data.first is not encrypted"},
		"a number in plain":   {strings.Replace(byRegex, first, "    first: 4\n", 1), "the value of data.first is not encrypted"},
		"a broken value":      {strings.Replace(byRegex, "AES256_GCM,data:", "AES256_GCM,data:AAAA", 1), "the value of data.first cannot be decrypted"},
		"an alias":            {strings.Replace(strings.Replace(byRegex, "    first: ", "    first: &a ", 1), second, "    second: *a\n", 1), "an alias"},
		"the time":            {strings.Replace(byRegex, line(byRegex, "lastmodified:"), "    lastmodified: \"2020-01-01T00:00:00Z\"\n", 1), "the mac of the sops block cannot be decrypted"},
		"no time":             {strings.Replace(byRegex, line(byRegex, "lastmodified:"), "", 1), "no lastmodified time"},
		"no version":          {strings.Replace(byRegex, line(byRegex, "version:"), "", 1), "does not say by which version"},
		"a later version":     {strings.Replace(byRegex, line(byRegex, "version:"), "    version: 4.0.1\n", 1), "encrypted by sops 4,"},
		"no data key":         {strings.Replace(byRegex, "    age:", "    nobody:", 1), "no data key for anyone"},
		"a broken data key":   {strings.Replace(byRegex, " YWdl", " AAAA", 1), "it is damaged"},
		"two rules":           {strings.Replace(byRegex, "    encrypted_regex:", "    encrypted_suffix: x\n    encrypted_regex:", 1), "several rules"},
		"a rule that is none": {strings.Replace(byRegex, "encrypted_regex: ^data$", "encrypted_regex: '(['", 1), "no regular expression"},
		"another recipient":   {foreign, "no key for recipient " + s.other},
		"a group without":     {groups, "keys for 1 of 2 key groups, and 2 are needed: none for " + s.other},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.text == byRegex || c.text == several {
				t.Fatalf("nothing was changed in\n%s", c.text)
			}
			_, problems := sops.Open(documents(t, c.text), s.ring)
			if len(problems) != 1 || !strings.Contains(problems[0].Message, c.want) || problems[0].Line == 0 {
				t.Fatalf("%+v, want %q\n%s", problems, c.want, c.text)
			}
			if strings.Contains(problems[0].Message, "hunter") || strings.Contains(problems[0].Message, "ENC[") {
				t.Errorf("%q quotes a value", problems[0].Message)
			}
			if noKey := strings.Contains(c.want, "none for") || strings.Contains(c.want, "no key for"); problems[0].NoKey != noKey {
				t.Errorf("NoKey is %t", problems[0].NoKey)
			}
		})
	}
}
