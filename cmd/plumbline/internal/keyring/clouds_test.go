package keyring_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// clouds is a stub of two services on one port of the loopback interface: the
// transit engine of Vault, and AWS KMS. It encrypts nothing: what it is given it
// gives back with a prefix, and takes back with it. It stands for their
// protocols, as far as sops speaks them, and not for their security.
type clouds struct {
	*httptest.Server
	denies  atomic.Bool // every request to decrypt
	asked   atomic.Int64
	context atomic.Value // map[string]string: of the last request to decrypt of AWS
}

const (
	vaultToken  = "s.test-only"
	vaultPrefix = "vault:v1:"
	awsPrefix   = "QVdT" // base64 of three bytes
)

func newClouds(t *testing.T) *clouds {
	t.Helper()
	c := &clouds{}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/transit/encrypt/plumbline", c.vault("plaintext", "ciphertext", func(v string) string { return vaultPrefix + v }))
	mux.HandleFunc("/v1/transit/decrypt/plumbline", c.vault("ciphertext", "plaintext", func(v string) string { return strings.TrimPrefix(v, vaultPrefix) }))
	mux.HandleFunc("/", c.aws)
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	return c
}

func (c *clouds) vault(in, out string, change func(string) string) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		var body map[string]string
		err := json.NewDecoder(q.Body).Decode(&body)
		if in == "ciphertext" {
			c.asked.Add(1)
		}
		if err != nil || q.Header.Get("X-Vault-Token") != vaultToken || in == "ciphertext" && c.denies.Load() {
			http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]string{out: change(body[in])}})
	}
}

func (c *clouds) aws(w http.ResponseWriter, q *http.Request) {
	var body struct {
		KeyID             string `json:"KeyId"`
		Plaintext         string
		CiphertextBlob    string
		EncryptionContext map[string]string
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_, action, _ := strings.Cut(q.Header.Get("X-Amz-Target"), ".")
	err := json.NewDecoder(q.Body).Decode(&body)
	switch {
	case err != nil || !strings.Contains(q.Header.Get("Authorization"), "Credential=AKIATEST/"):
		http.Error(w, `{"__type":"AccessDeniedException"}`, http.StatusBadRequest)
	case action == "Encrypt":
		_ = json.NewEncoder(w).Encode(map[string]string{"CiphertextBlob": awsPrefix + body.Plaintext, "KeyId": body.KeyID})
	case action == "Decrypt":
		c.asked.Add(1)
		c.context.Store(body.EncryptionContext)
		_ = json.NewEncoder(w).Encode(map[string]string{"Plaintext": strings.TrimPrefix(body.CiphertextBlob, awsPrefix), "KeyId": body.KeyID})
	default:
		http.Error(w, `{"__type":"UnknownOperationException"}`, http.StatusBadRequest)
	}
}

// environ are the credentials of both, which only sops has.
func (c *clouds) environ() []string {
	return []string{
		"VAULT_TOKEN=" + vaultToken,
		"AWS_ENDPOINT_URL=" + c.URL, "AWS_ACCESS_KEY_ID=AKIATEST", "AWS_SECRET_ACCESS_KEY=test-only",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=eu-central-1",
	}
}
