package main

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/keyring"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/keyservice"
	"github.com/plumbline-dev/plumbline/render"
)

// opening is how documents that SOPS encrypted are opened.
type opening struct {
	keys render.Keys // nil: there are none
	// shown is set where nothing is applied: what no key opens stays closed.
	shown bool
}

// clusterKeys are the keys that an environment is kept with; nil where none are
// configured.
func clusterKeys(env config.Environment, core corev1client.CoreV1Interface, namespace string) *keyring.Keyring {
	d := env.Decryption
	o := keyring.Options{AgeFiles: d.AgeKeyFiles, PGPFiles: d.PGPKeyFiles}
	if d.Secret != "" {
		o.Secret = func(ctx context.Context) (map[string][]byte, error) { return readKeys(ctx, core, namespace, d.Secret) }
	}
	if d.KeyService != (keyservice.Address{}) {
		o.Service, o.Vaults = keyservice.New(keyservice.Options{Address: d.KeyService}), d.Vaults
	}
	if !o.Any() {
		return nil
	}
	return keyring.New(o)
}

// fileKeys are the keys for commands that look at files: those that are there.
func fileKeys(env config.Environment) opening {
	o := keyring.Options{AgeFiles: env.Decryption.AgeKeyFiles, PGPFiles: env.Decryption.PGPKeyFiles, Lenient: true}
	if !o.Any() {
		return opening{shown: true}
	}
	return opening{keys: keyring.New(o), shown: true}
}

// readKeys reads the Secret with decryption keys. The API server's words are
// dropped: they might quote it.
func readKeys(ctx context.Context, core corev1client.CoreV1Interface, namespace, name string) (map[string][]byte, error) {
	s, err := core.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		return s.Data, nil
	}
	kind := plumbline.KindTransient
	reason := errors.New("no answer from the API server")
	switch {
	case apierrors.IsNotFound(err):
		kind, reason = plumbline.KindDenied, errors.New("it is not there")
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		kind, reason = plumbline.KindDenied, errors.New("it may not be read")
	case apierrors.ReasonForError(err) != metav1.StatusReasonUnknown:
		reason = errors.New(string(apierrors.ReasonForError(err)))
	}
	return nil, plumbline.Errorf(kind, "read decryption keys", "Secret %s/%s: %w", namespace, name, reason)
}

// noteClosed says which documents stayed closed.
func (a *app) noteClosed(closed []render.Skip) {
	for _, c := range closed {
		a.note("%s: encrypted, and not checked: %s", c.Origin, c.Reason)
	}
}
