package main

import (
	"context"
	"strings"

	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/keyservice"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/preflight"
)

// decryption reads the environment's keys, for what is rendered next.
func (c *checkRun) decryption(ctx context.Context, env config.Environment) []preflight.Finding {
	const subject = "decryption"
	c.opening = opening{shown: true}
	var core corev1client.CoreV1Interface
	if env.Decryption.Secret != "" {
		client, err := connect(env.Cluster, nil)
		if err == nil {
			core, err = client.Core()
		}
		if err != nil {
			return []preflight.Finding{preflight.Lacks(subject, message(err), "mend the kubeconfig", plumbline.KindOf(err))}
		}
	}
	keys := clusterKeys(env, core, c.settings.Namespace)
	if keys == nil {
		return nil
	}
	if _, err := keys.Load(ctx); err != nil {
		return []preflight.Finding{preflight.Lacks(subject, message(err), "see that environments[].decryption names keys that are there and can be read", plumbline.KindOf(err))}
	}
	c.opening.keys = keys
	var out []preflight.Finding
	if names := keys.Names(); len(names) > 0 {
		out = append(out, preflight.Well(subject, "keys of "+strings.Join(names, ", ")))
	}
	if env.Decryption.KeyService == (keyservice.Address{}) {
		return out
	}
	defer keys.Close()
	if err := keys.Probe(ctx); err != nil {
		return append(out, preflight.Lacks(subject, err.Error(), "see that `sops keyservice` runs beside Plumbline and listens there (docs/secrets.md)", plumbline.KindTransient))
	}
	return append(out, preflight.Well(subject, "the key service at "+env.Decryption.KeyService.String()+" answers"))
}
