package sops

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"strings"
)

const (
	valuePrefix = "ENC[AES256_GCM,data:"
	tagBytes    = 16
	keyBytes    = 32
)

// IsValue tells whether a value is one that SOPS encrypted.
func IsValue(value string) bool {
	return strings.HasPrefix(value, valuePrefix) && strings.HasSuffix(value, "]")
}

var errValue = errors.New("not a value of SOPS")

// cipherText opens values with a data key.
type cipherText struct{ block cipher.Block }

func newCipher(key []byte) (cipherText, error) {
	if len(key) != keyBytes {
		return cipherText{}, errValue
	}
	block, err := aes.NewCipher(key)
	return cipherText{block}, err
}

// open decrypts ENC[AES256_GCM,data:…,iv:…,tag:…,type:…], and tells the type.
// The place of a value is authenticated with it.
func (c cipherText) open(value, place string) (raw []byte, typ string, err error) {
	if !IsValue(value) {
		return nil, "", errValue
	}
	parts := strings.Split(strings.TrimSuffix(value, "]"), ",")
	if len(parts) != 5 {
		return nil, "", errValue
	}
	fields := [3][]byte{}
	for i, prefix := range []string{"data:", "iv:", "tag:"} {
		text, ok := strings.CutPrefix(parts[i+1], prefix)
		if fields[i], err = base64.StdEncoding.DecodeString(text); !ok || err != nil {
			return nil, "", errValue
		}
	}
	data, iv, tag := fields[0], fields[1], fields[2]
	typ, ok := strings.CutPrefix(parts[4], "type:")
	if !ok || len(tag) != tagBytes || len(iv) == 0 {
		return nil, "", errValue
	}
	gcm, err := cipher.NewGCMWithNonceSize(c.block, len(iv))
	if err != nil {
		return nil, "", errValue
	}
	raw, err = gcm.Open(nil, iv, append(data, tag...), []byte(place))
	if err != nil {
		return nil, "", errValue
	}
	return raw, typ, nil
}
