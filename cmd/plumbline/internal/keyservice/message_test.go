package keyservice

import (
	"bytes"
	"encoding/binary"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/plumbline-dev/plumbline/render/sops"
)

// framed is a message with the prefix of gRPC.
func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...) //nolint:gosec // of a test
}

func answer(key []byte) []byte { return framed(appendMessage(nil, 1, key)) }

func TestDecodeResponse(t *testing.T) {
	t.Parallel()
	whole := answer([]byte("a data key"))
	for name, c := range map[string]struct {
		bytes []byte
		want  string // "": refused
	}{
		"whole":         {whole, "a data key"},
		"another field": {framed(append(protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.VarintType), 3), whole[prefixBytes:]...)), "a data key"},
		"nothing":       {nil, ""},
		"no key":        {framed(nil), ""},
		"an empty key":  {answer(nil), ""},
		"cut":           {whole[:len(whole)-1], ""},
		"more":          {append(bytes.Clone(whole), 0), ""},
		"compressed":    {append([]byte{1}, whole[1:]...), ""},
		"a large key":   {answer(make([]byte, maxDataKey+1)), ""},
		"broken":        {framed([]byte{0x0a, 0xff}), ""},
	} {
		got, err := decodeResponse(c.bytes)
		if string(got) != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

// Whatever comes, an answer is refused or gives a key of a size that is taken,
// and that key's own answer gives it again.
func FuzzDecodeResponse(f *testing.F) {
	f.Add(answer([]byte("a data key")))
	f.Add(framed([]byte{0x0a, 0xff}))
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := decodeResponse(b)
		if err != nil {
			if key != nil {
				t.Fatalf("%q and %v", key, err)
			}
			return
		}
		if len(key) == 0 || len(key) > maxDataKey {
			t.Fatalf("a key of %d bytes", len(key))
		}
		if again, err := decodeResponse(answer(key)); err != nil || !bytes.Equal(again, key) {
			t.Fatalf("%q, %v, want %q", again, err, key)
		}
	})
}

// The numbers are those of keyservice.proto of sops 3.13.3; those of AWS, Vault, PGP and
// age are held against the real service too (package keyring).
func TestEncodeKey(t *testing.T) {
	t.Parallel()
	text := func(number protowire.Number, value string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	in := func(number protowire.Number, parts ...[]byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), bytes.Join(parts, nil))
	}
	for _, c := range []struct {
		recipient sops.Recipient
		want      []byte
	}{
		{
			sops.Recipient{Kind: sops.KindAWS, Name: "arn", Role: "role", Profile: "profile", Context: map[string]string{"b": "2", "a": "1"}},
			in(1, text(1, "arn"), text(2, "role"), in(3, text(1, "a"), text(2, "1")), in(3, text(1, "b"), text(2, "2")), text(4, "profile")),
		},
		{sops.Recipient{Kind: sops.KindPGP, Name: "FINGERPRINT"}, in(2, text(1, "FINGERPRINT"))},
		{sops.Recipient{Kind: sops.KindGCP, Name: "projects/p/key"}, in(3, text(1, "projects/p/key"))},
		{sops.Recipient{Kind: sops.KindAzure, Name: "https://v", KeyName: "k", Version: "1"}, in(4, text(1, "https://v"), text(2, "k"), text(3, "1"))},
		{sops.Recipient{Kind: sops.KindAzure, Name: "https://v", KeyName: "k"}, in(4, text(1, "https://v"), text(2, "k"))},
		{sops.Recipient{Kind: sops.KindVault, Name: "https://v", Engine: "transit", KeyName: "k"}, in(5, text(1, "https://v"), text(2, "transit"), text(3, "k"))},
		{sops.Recipient{Kind: sops.KindAge, Name: "age1x"}, in(6, text(1, "age1x"))},
		{sops.Recipient{Kind: sops.KindHuawei, Name: "region:id"}, in(7, text(1, "region:id"))},
	} {
		if got, ok := encodeKey(c.recipient); !ok || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %x, %t, want %x", c.recipient, got, ok, c.want)
		}
	}
	if _, ok := encodeKey(sops.Recipient{Kind: "another"}); ok {
		t.Error("a kind that the protocol does not have is asked for")
	}
}
