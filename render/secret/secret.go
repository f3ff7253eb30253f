// Package secret makes Kubernetes Secrets of secrets' definitions, and the
// hashes by which a change of a value is seen without showing it. Values are
// revealed here, into the object's data, and nowhere else in rendering.
package secret

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// Unkeyed stands for every hash of secret values while there is no key: a
// plain hash of a short value could be guessed.
const Unkeyed = "unkeyed"

// Object is the Secret of a definition: always data, never immutable.
func Object(s *definition.Secret) *corev1.Secret {
	out := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: s.ID.Value, Namespace: s.Project.Value},
		Type:       corev1.SecretTypeOpaque,
		Data:       make(map[string][]byte, len(s.Data)),
	}
	if s.Type == definition.SecretDocker {
		out.Type = corev1.SecretTypeDockerConfigJson
		out.Data[corev1.DockerConfigJsonKey] = dockerConfig(s)
		return out
	}
	for _, d := range s.Data {
		out.Data[d.Key] = []byte(d.Value.Reveal())
	}
	return out
}

func dockerConfig(s *definition.Secret) []byte {
	if s.Sealing.Closed {
		// To be seen as what it is, and as another where any value is.
		var values []string
		for _, d := range s.Data {
			values = append(values, d.Value.Reveal())
		}
		return []byte(strings.Join(values, "\n"))
	}
	values := map[string]string{}
	for _, d := range s.Data {
		values[d.Key] = d.Value.Reveal()
	}
	auth := base64.StdEncoding.EncodeToString([]byte(values["username"] + ":" + values["password"]))
	type entry struct {
		Auth string `json:"auth"`
	}
	b, err := json.Marshal(struct {
		Auths map[string]entry `json:"auths"`
	}{map[string]entry{values["url"]: {auth}}})
	if err != nil {
		return nil
	}
	return b
}

// Hash is a keyed hash over secrets: id, type, path, keys and values. It does
// not depend on their order. It is "" for none.
func Hash(key []byte, secrets []*definition.Secret) string {
	switch {
	case len(secrets) == 0:
		return ""
	case key == nil:
		return Unkeyed
	}
	sorted := slices.SortedFunc(slices.Values(secrets), func(a, b *definition.Secret) int { return cmp.Compare(a.ID.Value, b.ID.Value) })
	h := hmac.New(sha256.New, key)
	for _, s := range sorted {
		part(h, s.ID.Value)
		part(h, string(s.Type))
		part(h, s.Path)
		count(h, len(s.Data))
		for _, d := range s.Data {
			part(h, d.Key)
			part(h, d.Value.Reveal())
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// Checksum is the keyed hash of a Secret's encoded body.
func Checksum(key, body []byte) string {
	if key == nil {
		return Unkeyed
	}
	h := hmac.New(sha256.New, key)
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// part adds a text with its length, so that no two lists of texts are alike.
func part(h hash.Hash, s string) {
	count(h, len(s))
	h.Write([]byte(s))
}

func count(h hash.Hash, n int) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}
