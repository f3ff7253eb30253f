package sops_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline/render/sops"
)

// The real sops is what this package is held against: see TestRealSops in
// cmd/plumbline/internal/keyring. Here is what needs no key.

// fixed is a keyring that takes every data key as it stands.
type fixed struct{}

func (fixed) Ask(sops.Recipient) ([]byte, error) { return nil, sops.ErrNoKey }

func (fixed) DataKey(r sops.Recipient) ([]byte, error) {
	if r.Kind != sops.KindAge {
		return nil, sops.ErrNoKey
	}
	return []byte(r.Wrapped), nil
}

func parse(text []byte) []*yaml.Node {
	var out []*yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var n yaml.Node
		if err := d.Decode(&n); err != nil {
			if !errors.Is(err, io.EOF) {
				return nil
			}
			return out
		}
		if len(n.Content) == 1 && n.Content[0].Kind == yaml.MappingNode && sops.Is(n.Content[0]) {
			out = append(out, n.Content[0])
		}
	}
}

// Whatever stands in a block of SOPS, opening ends, and either says what is
// wrong or leaves nothing encrypted where the rules say that it was.
func FuzzOpen(f *testing.F) {
	const block = "sops:\n  age: [{recipient: age1x, enc: 0123456789abcdef0123456789abcdef}]\n  lastmodified: '2026-01-01T00:00:00Z'\n  version: 3.9.0\n"
	for _, seed := range []string{
		"a: b\n" + block + "  mac: x\n",
		"a: ENC[AES256_GCM,data:AA==,iv:AA==,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]\n" + block + "  mac: ENC[AES256_GCM,data:,iv:,tag:,type:]\n",
		"a: [1, 0x1, 1e400, .nan, !!binary aGVsbG8=, !x y, 2026-01-01, null]\n" + block + "  mac: x\n  encrypted_regex: '('\n",
		"a: &a [*a]\n" + block + "  mac: x\n",
		"? [a]\n: b\n" + block + "  mac: x\n  encrypted_suffix: b\n",
		"a: b\nsops: {mac: x, version: '3', lastmodified: 2026-01-01T00:00:00Z, shamir_threshold: 2, key_groups: [{age: [{enc: ab}]}, {age: [{enc: ac}]}, {pgp: [{fp: A}]}]}\n",
		"sops: {mac: x}\n---\nsops: {mac: x}\n---\nsops: {mac: y}\n",
		"sops: [mac]\n---\nsops: {mac: {a: b}, age: x, pgp: [x]}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		docs := parse(text)
		lines := 1 // as YAML 1.1 counts them, or more
		for _, end := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
			lines += bytes.Count(text, []byte(end))
		}
		opened, problems := sops.Open(docs, fixed{})
		told := map[int]bool{}
		for _, p := range problems {
			if p.Message == "" || len(p.Docs) == 0 || p.Line < 1 || p.Line > lines || p.Column < 1 {
				t.Errorf("%+v says nothing, or of no place in %d lines", p, lines)
			}
			for _, d := range p.Docs {
				told[d] = true
			}
		}
		for i, d := range docs {
			if n := opened.In(d); !told[i] && (sops.Is(d) || n != nil && sops.IsValue(n.Value)) {
				t.Errorf("document %d keeps its block or a value, and no problem is told", i)
			}
		}
	})
}

// dataKey is what fixed makes of the recipient in sealed documents.
const dataKey = "0123456789abcdef0123456789abcdef"

// seal encrypts a text as sops does.
func seal(t *testing.T, text, place string) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(dataKey))
	if err != nil {
		t.Fatal(err)
	}
	iv := sha256.Sum256([]byte(place + text))
	gcm, err := cipher.NewGCMWithNonceSize(block, len(iv))
	if err != nil {
		t.Fatal(err)
	}
	out := gcm.Seal(nil, iv[:], []byte(text), []byte(place))
	data, tag := out[:len(text)], out[len(text):]
	b64 := base64.StdEncoding.EncodeToString
	return "ENC[AES256_GCM,data:" + b64(data) + ",iv:" + b64(iv[:]) + ",tag:" + b64(tag) + ",type:str]"
}

// sealed is a document of one value, encrypted, and its code.
func sealed(t *testing.T, key, value string) *yaml.Node {
	t.Helper()
	const when = "2026-01-01T00:00:00Z"
	var block yaml.Node
	if err := yaml.Unmarshal([]byte("{age: [{recipient: age1x, enc: "+dataKey+"}], version: 3.9.0, lastmodified: '"+when+"'}"), &block); err != nil {
		t.Fatal(err)
	}
	text := func(s string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Line: 1, Column: 1}
	}
	mac := fmt.Sprintf("%X", sha512.Sum512([]byte(value)))
	meta := block.Content[0]
	meta.Content = append(meta.Content, text("mac"), text(seal(t, mac, when)))
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{
		text(key), text(seal(t, value, key+":")), text(sops.Key), meta,
	}}
}

// What was sealed opens to what it was. Where one letter of it is another, it
// does not open, or to the same; and no message shows the value.
func FuzzSealed(f *testing.F) {
	f.Add("a", "", 0, "x")
	f.Add("a.b", "\x00\xff", 30, "A")
	f.Add("K", "ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]", -1, "t")
	f.Add("", "true", 100, "]")
	f.Fuzz(func(t *testing.T, key, rest string, at int, other string) {
		if key == sops.Key || strings.HasSuffix(key, "_unencrypted") {
			return
		}
		const secret = "hunter2!"
		doc := sealed(t, key, secret+rest)
		opened, problems := sops.Open([]*yaml.Node{doc}, fixed{})
		if n := doc.Content[1]; len(problems) > 0 || n.Value != secret+rest || n.Tag != "!!str" || !opened[n] || len(doc.Content) != 2 {
			t.Fatalf("%q opens to %q, %v", secret+rest, n.Value, problems)
		}
		doc = sealed(t, key, secret+rest)
		n := doc.Content[1]
		i := int(uint(at) % uint(len(n.Value)))
		n.Value = n.Value[:i] + other + n.Value[i+1:]
		_, problems = sops.Open([]*yaml.Node{doc}, fixed{})
		if len(problems) == 0 && n.Value != secret+rest {
			t.Fatalf("changed, it opens to %q", n.Value)
		}
		for _, p := range problems {
			if strings.Contains(p.Message, secret) && !strings.Contains(key, secret) {
				t.Fatalf("the value is shown: %s", p.Message)
			}
		}
	})
}
