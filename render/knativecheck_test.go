package render

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// A field of a Knative Service leads to the line that it comes from.
func TestFieldsLeadToLines(t *testing.T) {
	t.Parallel()
	line := func(n int) definition.Pos { return definition.Pos{Line: n} }
	text := func(value string, n int) definition.Text { return definition.Text{Value: value, At: line(n)} }
	version := &definition.Version{
		At: line(1), ID: text("web", 2), Version: text("v1", 3),
		Labels:   []definition.Label{{Key: text("team", 4)}, {Key: text("tier", 5)}},
		Scale:    definition.Scale{At: line(6), MinAt: line(7), Triggers: []definition.Trigger{{At: line(8)}}},
		Affinity: []definition.Affinity{{At: line(9)}},
		Tasks: []definition.Task{
			{
				ID: text("main", 10), Ports: []definition.Port{{At: line(11)}},
				Docker:  definition.Docker{Image: text("app", 12), Secret: text("pull", 13)},
				Env:     []definition.EnvVar{{Name: "A", At: line(14)}},
				Secrets: []definition.Text{text("token", 15), text("tls", 16)}, Readiness: &definition.Probe{At: line(17)},
			},
			{ID: text("sidecar", 20), Liveness: &definition.Probe{At: line(21)}},
		},
	}
	service := &servingv1.Service{}
	service.Spec.Template.Spec.Containers = []corev1.Container{
		{
			Env: []corev1.EnvVar{{Name: "A"}, {Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "token"},
			}}}},
			VolumeMounts: []corev1.VolumeMount{{MountPath: "/etc/tls"}},
		},
		{},
		{Name: "added by us"},
	}
	field := versionField{
		placed:  placed[definition.Version]{def: version, src: definition.Source{Path: "web.yaml"}},
		service: service,
		secrets: map[string]*definition.Secret{"tls": {Type: definition.SecretFile, Path: "/etc/tls"}},
	}
	const pod, container = "spec.template.spec.", "spec.template.spec.containers[0]."
	for path, want := range map[string]int{
		"metadata.name":                       3,
		"spec.template.metadata.labels.tier":  5,
		"spec.template.metadata.labels.other": 1,
		"spec.template.metadata.annotations.autoscaling.knative.dev/min-scale": 7,
		"spec.template.metadata.annotations.autoscaling.knative.dev/target":    8,
		"spec.template.metadata.annotations.autoscaling.knative.dev/max-scale": 6,
		pod + "affinity.nodeAffinity":                                          9,
		pod + "imagePullSecrets[0].name":                                       13,
		pod + "nodeSelector":                                                   1,
		pod + "containers[*].ports":                                            1,
		pod + "containers[1].livenessProbe.exec":                               21,
		pod + "containers[1].name":                                             20,
		pod + "containers[2].image":                                            1,
		pod + "containers[9].image":                                            1,
		container + "image":                                                    12,
		container + "ports[0].containerPort":                                   11,
		container + "ports":                                                    11,
		container + "env[0].name":                                              14,
		container + "env[1].valueFrom":                                         15,
		container + "env[7].name":                                              10,
		container + "volumeMounts[0].mountPath":                                16,
		container + "readinessProbe.timeoutSeconds":                            17,
		container + "resources.limits":                                         10,
		"":                                                                     1,
	} {
		if got := field.origin(path); got.Path != "web.yaml" || got.Line != want {
			t.Errorf("%s leads to %s, want line %d", path, got, want)
		}
	}
}
