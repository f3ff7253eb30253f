package main

import (
	"context"
	"strings"

	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
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
	return []preflight.Finding{preflight.Well(subject, "keys of "+strings.Join(keys.Names(), ", "))}
}
