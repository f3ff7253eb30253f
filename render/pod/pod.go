// Package pod makes the pod of one version of a service: what Knative Services
// and Deployments have in common. In goes a version and the secrets that it
// names, out comes a pod template's metadata and spec. It decides nothing about
// how the pod is scaled or reached.
package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// Labels that select pods. They are the same in every mode.
const (
	LabelApp     = "app"     // the service's id
	LabelVersion = "version" // the version, as a part of names
	labelInject  = "sidecar.istio.io/inject"
)

// Annotations on the pod.
const (
	// AnnotationSecrets changes when a secret that the pod uses changes, so that
	// the pod is rolled.
	AnnotationSecrets = "plumbline.dev/secrets"
	annotationProxy   = "proxy.istio.io/config"
)

// Input is a version with what it refers to.
type Input struct {
	Version *definition.Version
	Secrets map[string]*definition.Secret // of the version's project, by id
	// SecretsHash is the value of AnnotationSecrets; "" where no secret is used.
	SecretsHash string
	// MetricsProxy is the image of the container that pushes metrics; "" for
	// none.
	MetricsProxy string
}

// ContainerPorts says how a mode names the ports of a container.
type ContainerPorts func(definition.Port) corev1.ContainerPort

// Selector selects the pods of the version.
func Selector(v *definition.Version) map[string]string {
	return map[string]string{LabelApp: v.ID.Value, LabelVersion: definition.Slug(v.Version.Value)}
}

// Meta is the metadata of the pod template.
func Meta(in Input) metav1.ObjectMeta {
	labels := make(map[string]string, len(in.Version.Labels)+3)
	for _, l := range in.Version.Labels {
		labels[l.Key.Value] = l.Value.Value
	}
	for k, v := range Selector(in.Version) {
		labels[k] = v
	}
	labels[labelInject] = "true"
	annotations := scraped()
	annotations[annotationProxy] = proxyConfig(in.Version.Stats)
	if in.SecretsHash != "" {
		annotations[AnnotationSecrets] = in.SecretsHash
	}
	return metav1.ObjectMeta{Labels: labels, Annotations: annotations}
}

// Spec is the pod. Containers are in the order of the tasks.
func Spec(in Input, ports ContainerPorts) corev1.PodSpec {
	v := in.Version
	mounts := mounting{secrets: in.Secrets, volumes: map[string]corev1.Volume{}}
	spec := corev1.PodSpec{
		Affinity:           affinity(v),
		ServiceAccountName: v.ID.Value,
		EnableServiceLinks: new(bool),
		Containers:         make([]corev1.Container, 0, len(v.Tasks)),
	}
	for i := range v.Tasks {
		t := &v.Tasks[i]
		c := container(t, in.Secrets)
		for _, p := range t.Ports {
			c.Ports = append(c.Ports, ports(p))
		}
		c.VolumeMounts = mounts.of(t)
		spec.Containers = append(spec.Containers, c)
	}
	if c, ok := metricsProxy(in); ok {
		spec.Containers = append(spec.Containers, c)
	}
	spec.Volumes = mounts.sorted()
	spec.ImagePullSecrets = pullSecrets(v)
	return spec
}

func container(t *definition.Task, secrets map[string]*definition.Secret) corev1.Container {
	c := corev1.Container{
		Name:            t.ID.Value,
		Image:           t.Docker.Image.Value,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Env:             env(t, secrets),
		Resources:       resources(t.Resources),
		ReadinessProbe:  probe(t.Readiness),
		LivenessProbe:   probe(t.Liveness),
	}
	if t.Docker.Always {
		c.ImagePullPolicy = corev1.PullAlways
	}
	if cmd := t.Docker.Cmd; len(cmd) > 0 {
		c.Command, c.Args = cmd[:1], cmd[1:]
	}
	return c
}

func resources(r definition.Resources) corev1.ResourceRequirements {
	memory := mebibytes(r.Memory)
	out := corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: millicores(r.CPU), corev1.ResourceMemory: memory},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: memory},
	}
	if r.LimitMemory > 0 {
		out.Limits[corev1.ResourceMemory] = mebibytes(r.LimitMemory)
	}
	if r.LimitCPU > 0 {
		out.Limits[corev1.ResourceCPU] = millicores(r.LimitCPU)
	}
	if r.GPU > 0 {
		out.Limits[corev1.ResourceName(r.GPUType+".com/gpu")] = *resource.NewQuantity(int64(r.GPU), resource.DecimalSI)
	}
	return out
}

func millicores(n int) resource.Quantity {
	return *resource.NewMilliQuantity(int64(n), resource.DecimalSI)
}

func mebibytes(n int) resource.Quantity {
	return *resource.NewQuantity(int64(n)<<20, resource.BinarySI)
}
