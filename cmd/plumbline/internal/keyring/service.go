package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plumbline-dev/plumbline/render/sops"
)

// Ask implements sops.Keys. Whoever did not answer for a recipient is not waited
// for again until the next Load.
func (k *Keyring) Ask(r sops.Recipient) ([]byte, error) {
	if k.opts.Service == nil || k.ctx == nil {
		return nil, sops.ErrNoKey
	}
	if (r.Kind == sops.KindVault || r.Kind == sops.KindAzure) && !k.mayVisit(r.Name) {
		return nil, fmt.Errorf("%w: it may ask the vaults in decryption.vaults only", sops.ErrRefused)
	}
	if err := k.away[r.String()]; err != nil {
		return nil, err
	}
	key, err := k.opts.Service.Decrypt(k.ctx, r)
	switch {
	case errors.Is(err, sops.ErrRefused):
		k.refused = append(k.refused, r)
	case err != nil && !errors.Is(err, sops.ErrNoKey):
		if !errors.Is(err, sops.ErrAway) { // the end of ctx
			err = fmt.Errorf("%w: %w", sops.ErrAway, err)
		}
		k.away[r.String()] = err
	}
	return key, err
}

func (k *Keyring) mayVisit(url string) bool {
	return slices.ContainsFunc(k.opts.Vaults, func(v string) bool { return strings.TrimRight(v, "/") == strings.TrimRight(url, "/") })
}

// Changed tells whether something would be opened now that was not since the last
// Load: there are other keys, or the key service opens what it refused. It
// changes nothing.
func (k *Keyring) Changed(ctx context.Context) bool {
	if now, err := k.read(ctx); err != nil || !slices.Equal(now.sorted(), k.sorted()) {
		return err == nil
	}
	for _, r := range k.refused {
		_, err := k.opts.Service.Decrypt(ctx, r)
		if err == nil {
			return true
		}
		if !errors.Is(err, sops.ErrRefused) { // nobody there: not one wait for each
			return false
		}
	}
	return false
}

// Probe tells whether the key service answers; nil where there is none.
func (k *Keyring) Probe(ctx context.Context) error {
	if k.opts.Service == nil {
		return nil
	}
	return k.opts.Service.Probe(ctx)
}

// Close ends the connection to the key service; the next question opens another.
func (k *Keyring) Close() {
	if k.opts.Service != nil {
		k.opts.Service.Close()
	}
}
