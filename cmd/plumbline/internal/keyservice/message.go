package keyservice

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/plumbline-dev/plumbline/render/sops"
)

// maxDataKey bounds what is taken for a data key or a share of it, in bytes.
const maxDataKey = 1 << 10

// prefixBytes of a message of gRPC: a flag and a length.
const prefixBytes = 5

// maxAnswer bounds an answer: the prefix, a data key and what goes with it.
const maxAnswer = prefixBytes + maxDataKey + 64

// errAnswer is all that is said of an answer: it may hold a data key.
var errAnswer = errors.New("an answer that is none of SOPS's protocol")

// field is one field of a message, of text.
type field struct {
	number protowire.Number
	value  string
}

func appendFields(b []byte, fields ...field) []byte {
	for _, f := range fields {
		if f.value != "" { // as proto3 leaves out zero values
			b = protowire.AppendTag(b, f.number, protowire.BytesType)
			b = protowire.AppendString(b, f.value)
		}
	}
	return b
}

func appendMessage(b []byte, number protowire.Number, message []byte) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, message)
}

// encodeKey is the message Key of keyservice.proto; false: the protocol has no
// such kind.
func encodeKey(r sops.Recipient) ([]byte, bool) {
	var number protowire.Number
	var key []byte
	switch r.Kind {
	case sops.KindAWS:
		number = 1
		key = appendFields(nil, field{1, r.Name}, field{2, r.Role})
		for _, name := range slices.Sorted(maps.Keys(r.Context)) {
			key = appendMessage(key, 3, appendFields(nil, field{1, name}, field{2, r.Context[name]}))
		}
		key = appendFields(key, field{4, r.Profile})
	case sops.KindPGP:
		number, key = 2, appendFields(nil, field{1, r.Name})
	case sops.KindGCP:
		number, key = 3, appendFields(nil, field{1, r.Name})
	case sops.KindAzure:
		number, key = 4, appendFields(nil, field{1, r.Name}, field{2, r.KeyName}, field{3, r.Version})
	case sops.KindVault:
		number, key = 5, appendFields(nil, field{1, r.Name}, field{2, r.Engine}, field{3, r.KeyName})
	case sops.KindAge:
		number, key = 6, appendFields(nil, field{1, r.Name})
	case sops.KindHuawei:
		number, key = 7, appendFields(nil, field{1, r.Name})
	default:
		return nil, false
	}
	return appendMessage(nil, number, key), true
}

// encodeRequest is DecryptRequest with the prefix of gRPC.
func encodeRequest(key []byte, wrapped string) []byte {
	body := appendFields(appendMessage(nil, 1, key), field{2, wrapped})
	out := make([]byte, prefixBytes, prefixBytes+len(body))
	binary.BigEndian.PutUint32(out[1:], uint32(len(body))) //nolint:gosec // a file of the repository, far below 4 GiB
	return append(out, body...)
}

// decodeResponse is the data key of a DecryptResponse with the prefix of gRPC.
func decodeResponse(b []byte) ([]byte, error) {
	if len(b) < prefixBytes || b[0] != 0 || uint64(binary.BigEndian.Uint32(b[1:])) != uint64(len(b)-prefixBytes) {
		return nil, errAnswer
	}
	var key []byte
	for b = b[prefixBytes:]; len(b) > 0; {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, errAnswer
		}
		b = b[n:]
		if number == 1 && typ == protowire.BytesType {
			key, n = protowire.ConsumeBytes(b)
		} else {
			n = protowire.ConsumeFieldValue(number, typ, b)
		}
		if n < 0 {
			return nil, errAnswer
		}
		b = b[n:]
	}
	if len(key) == 0 || len(key) > maxDataKey {
		return nil, errAnswer
	}
	return slices.Clone(key), nil
}
