package sops_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline/render/sops"
)

// The real sops is what this package is held against: see TestRealSops in
// cmd/plumbline/internal/keyring. Here is what needs no key.

// fixed is a keyring that takes every data key as it stands.
type fixed struct{}

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
		opened, problems := sops.Open(docs, fixed{})
		told := map[int]bool{}
		for _, p := range problems {
			if p.Message == "" || len(p.Docs) == 0 {
				t.Errorf("%+v says nothing", p)
			}
			for _, d := range p.Docs {
				told[d] = true
			}
		}
		for i, d := range docs {
			if !told[i] && sops.Is(d) {
				t.Errorf("document %d keeps its block, and no problem is told", i)
			}
		}
		_ = opened
	})
}
