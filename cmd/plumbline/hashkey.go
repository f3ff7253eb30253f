package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/rights"
)

// The Secret that holds the key of all hashes over secret values.
const (
	hashKeySecret = rights.HashKeySecret
	hashKeyData   = "key"
	hashKeyBytes  = 32

	// stateSelector finds inventories: where one is, the key must be too.
	stateSelector = "plumbline.dev/state"
)

// hashKey reads the key from the cluster, and makes it in a namespace that has
// no inventory yet. A new key beside an old inventory would make every Secret
// look changed and roll every service that uses one.
type hashKey struct {
	client    corev1client.CoreV1Interface
	namespace string
	readOnly  bool
}

// read returns the key. Without one, which is only so in mode observe, hashes
// read "unkeyed".
func (k *hashKey) read(ctx context.Context) ([]byte, error) {
	s, err := k.client.Secrets(k.namespace).Get(ctx, hashKeySecret, metav1.GetOptions{})
	if err == nil {
		return checkKey(s.Data[hashKeyData])
	}
	if !apierrors.IsNotFound(err) {
		return nil, keyError(err)
	}
	if k.readOnly {
		return nil, nil // observe writes nothing: hashes read "unkeyed"
	}
	kept, err := k.client.ConfigMaps(k.namespace).List(ctx, metav1.ListOptions{LabelSelector: stateSelector, Limit: 1})
	if err != nil {
		return nil, keyError(err)
	}
	if len(kept.Items) > 0 {
		return nil, plumbline.Errorf(plumbline.KindDenied, "read hash key",
			"Secret %s/%s is gone, but ConfigMap %s says that objects are owned; restore the Secret from a backup (a new key would roll every service that uses a secret)",
			k.namespace, hashKeySecret, kept.Items[0].Name)
	}
	return k.create(ctx)
}

func (k *hashKey) create(ctx context.Context) ([]byte, error) {
	key := make([]byte, hashKeyBytes)
	if _, err := rand.Read(key); err != nil {
		return nil, plumbline.Errorf(plumbline.KindInternal, "make hash key", "no randomness")
	}
	_, err := k.client.Secrets(k.namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: hashKeySecret, Labels: map[string]string{plumbline.LabelManagedBy: plumbline.ManagedBy}},
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{hashKeyData: key},
	}, metav1.CreateOptions{FieldManager: plumbline.FieldManager})
	switch {
	case apierrors.IsAlreadyExists(err): // another environment's loop was first
		s, err := k.client.Secrets(k.namespace).Get(ctx, hashKeySecret, metav1.GetOptions{})
		if err != nil {
			return nil, keyError(err)
		}
		return checkKey(s.Data[hashKeyData])
	case err != nil:
		return nil, keyError(err)
	}
	return key, nil
}

func checkKey(key []byte) ([]byte, error) {
	if len(key) != hashKeyBytes {
		return nil, plumbline.Errorf(plumbline.KindDenied, "read hash key", "Secret %s holds %d bytes at data.%s, not %d", hashKeySecret, len(key), hashKeyData, hashKeyBytes)
	}
	return key, nil
}

// keyError keeps the reason of a failed request and drops the API server's
// words, which might quote the Secret.
func keyError(err error) error {
	kind := plumbline.KindTransient
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		kind = plumbline.KindDenied
	}
	if reason := apierrors.ReasonForError(err); reason != metav1.StatusReasonUnknown {
		err = fmt.Errorf("Secret %s: %s", hashKeySecret, reason) //nolint:staticcheck // Secret is the kind's name
	} else {
		err = errors.New("no answer from the API server")
	}
	return &plumbline.Error{Op: "read hash key", Kind: kind, Err: err}
}
