package pod

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// env is the plain variables and, one by one, those of secrets, sorted by
// name: a key that is missing in the Secret is seen at the start of the pod.
func env(t *definition.Task, secrets map[string]*definition.Secret) []corev1.EnvVar {
	out := make([]corev1.EnvVar, 0, len(t.Env))
	for _, e := range t.Env {
		out = append(out, corev1.EnvVar{Name: e.Name, Value: e.Value})
	}
	for _, id := range t.Secrets {
		s := secrets[id.Value]
		if s == nil || s.Type != definition.SecretEnv {
			continue
		}
		for _, d := range s.Data {
			ref := &corev1.SecretKeySelector{Key: d.Key, LocalObjectReference: corev1.LocalObjectReference{Name: id.Value}}
			out = append(out, corev1.EnvVar{Name: d.Key, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: ref}})
		}
	}
	slices.SortStableFunc(out, func(a, b corev1.EnvVar) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// pullSecrets are the distinct pull secrets of all tasks.
func pullSecrets(v *definition.Version) []corev1.LocalObjectReference {
	var names []string
	for i := range v.Tasks {
		if s := v.Tasks[i].Docker.Secret.Value; s != "" {
			names = append(names, s)
		}
	}
	slices.Sort(names)
	var out []corev1.LocalObjectReference
	for _, n := range slices.Compact(names) {
		out = append(out, corev1.LocalObjectReference{Name: n})
	}
	return out
}

// mounting gathers the volumes of a pod while its containers ask for them.
type mounting struct {
	secrets map[string]*definition.Secret
	volumes map[string]corev1.Volume // by name
}

// of is the mounts of one container: one for every path, and a path that
// several secrets share is one projected volume.
func (m *mounting) of(t *definition.Task) []corev1.VolumeMount {
	paths := map[string][]string{}
	for _, id := range t.Secrets {
		if s := m.secrets[id.Value]; s != nil && s.Type == definition.SecretFile {
			paths[s.Path] = append(paths[s.Path], id.Value)
		}
	}
	var out []corev1.VolumeMount
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		slices.Sort(paths[p])
		out = append(out, corev1.VolumeMount{Name: m.volume(paths[p]), MountPath: p, ReadOnly: true})
	}
	return out
}

func (m *mounting) volume(ids []string) string {
	name := volumeName(ids)
	if _, ok := m.volumes[name]; ok {
		return name
	}
	v := corev1.Volume{Name: name}
	if len(ids) == 1 {
		v.Secret = &corev1.SecretVolumeSource{SecretName: ids[0]}
	} else {
		v.Projected = &corev1.ProjectedVolumeSource{}
		for _, id := range ids {
			ref := &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: id}}
			v.Projected.Sources = append(v.Projected.Sources, corev1.VolumeProjection{Secret: ref})
		}
	}
	m.volumes[name] = v
	return name
}

func (m *mounting) sorted() []corev1.Volume {
	out := make([]corev1.Volume, 0, len(m.volumes))
	for _, name := range slices.Sorted(maps.Keys(m.volumes)) {
		out = append(out, m.volumes[name])
	}
	return out
}

// volumeName is the secret's id where that can name a volume too.
func volumeName(ids []string) string {
	if len(ids) == 1 && definition.IsLabel(ids[0]) && !isTakenVolume(ids[0]) {
		return ids[0]
	}
	sum := sha256.Sum256([]byte(strings.Join(ids, "\n")))
	return "secrets-" + hex.EncodeToString(sum[:5])
}

// isTakenVolume tells of the names that Knative and Istio give their volumes.
func isTakenVolume(name string) bool {
	switch name {
	case "knative-var-log", "knative-token-volume", "server-certs", "pod-info", "istiod-ca-cert", "credential-socket":
		return true
	}
	return strings.HasPrefix(name, "istio-") || strings.HasPrefix(name, "workload-")
}
