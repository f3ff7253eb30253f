package install

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// deployment is one replica: a restart is in sync within a second, so a second
// one would only wait. It is replaced, never doubled.
func (o Options) deployment() *appsv1.Deployment {
	one := int32(1)
	volumes, mounts := o.volumes()
	return &appsv1.Deployment{
		TypeMeta: typeMeta("apps/v1", "Deployment"), ObjectMeta: o.meta(Name),
		Spec: appsv1.DeploymentSpec{
			Replicas: &one,
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			Selector: &metav1.LabelSelector{MatchLabels: labels()},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels()},
				Spec: corev1.PodSpec{
					ServiceAccountName: Name,
					SecurityContext:    podSecurity(),
					Containers:         []corev1.Container{o.container(mounts)},
					Volumes:            volumes,
				},
			},
		},
	}
}

func (o Options) container(mounts []corev1.VolumeMount) corev1.Container {
	c := corev1.Container{
		Name: Name, Image: o.Image,
		Args: []string{"run", "--config", ConfigFile},
		Env:  []corev1.EnvVar{{Name: "PLUMBLINE_CACHE", Value: cacheDir}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")},
		},
		SecurityContext: containerSecurity(),
		VolumeMounts:    mounts,
	}
	if !o.Observe {
		c.Args = append(c.Args, "--leader-elect")
	}
	if o.Port != 0 {
		c.Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: o.Port}}
		c.LivenessProbe = probe("/healthz")
		c.ReadinessProbe = probe("/readyz")
	}
	return c
}

func probe(path string) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http")}},
		PeriodSeconds: 10,
	}
}

func podSecurity() *corev1.PodSecurityContext {
	yes, id := true, int64(user)
	return &corev1.PodSecurityContext{
		RunAsNonRoot: &yes, RunAsUser: &id, RunAsGroup: &id, FSGroup: &id,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func containerSecurity() *corev1.SecurityContext {
	yes, no := true, false
	return &corev1.SecurityContext{
		ReadOnlyRootFilesystem: &yes, AllowPrivilegeEscalation: &no,
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// volumes are the cache, and a directory for each in which the configuration,
// or a file that it names, is to be found.
func (o Options) volumes() ([]corev1.Volume, []corev1.VolumeMount) {
	volumes := []corev1.Volume{{Name: "cache", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	mounts := []corev1.VolumeMount{{Name: "cache", MountPath: cacheDir}}
	add := func(name, dir string, sources []corev1.VolumeProjection) {
		mode := int32(0o440)
		volumes = append(volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			Projected: &corev1.ProjectedVolumeSource{Sources: sources, DefaultMode: &mode},
		}})
		mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: dir, ReadOnly: true})
	}
	dirs, names := o.directories()
	files := &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "plumbline-config"}}
	for i, f := range o.Policies {
		if i == 0 {
			files.Items = append(files.Items, corev1.KeyToPath{Key: ConfigName, Path: ConfigName})
		}
		files.Items = append(files.Items, corev1.KeyToPath{Key: policyKey(i), Path: f.Name})
	}
	config := []corev1.VolumeProjection{{ConfigMap: files}}
	if files := names[configDir]; files != nil {
		config = append(config, credentials(files))
	}
	add("config", configDir, config)
	for i, dir := range dirs {
		if dir != configDir {
			add(fmt.Sprintf("credentials-%d", i), dir, []corev1.VolumeProjection{credentials(names[dir])})
		}
	}
	return volumes, mounts
}

// credentials are files of the Secret. They are mounted as a whole directory,
// so that a rotated one reaches the pod.
func credentials(files []string) corev1.VolumeProjection {
	p := &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: Credentials}}
	for _, f := range files {
		p.Items = append(p.Items, corev1.KeyToPath{Key: f, Path: f})
	}
	return corev1.VolumeProjection{Secret: p}
}
