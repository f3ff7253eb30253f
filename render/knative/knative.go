// Package knative makes the Knative objects of a service: a Service for every
// version and the Route that splits calls between them. Rules, which are
// Knative's own code, add every default that Knative's webhook would add, so
// that applying the objects twice changes nothing; and say what it would refuse.
package knative

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/pod"
)

const (
	apiVersion      = "serving.knative.dev/v1"
	labelVisibility = "networking.knative.dev/visibility"
	clusterLocal    = "cluster-local"
	defaultPeriod   = 10  // seconds between two probes, as Kubernetes has it
	defaultCoolDown = 120 // seconds from the last call to zero, as Space Cloud has it
)

// Ports where the pods of Knative serve.
const (
	PortHTTP = 8012 // http
	PortH2C  = 8013 // h2c and grpc
)

// Selector selects the pods that Knative runs for a version, and none that others
// run with its labels: on these, Knative's ports would not answer.
func Selector(v *definition.Version) map[string]string {
	out := pod.Selector(v)
	out["serving.knative.dev/service"] = v.Name()
	return out
}

// IsReservedPort tells whether Knative's queue-proxy listens on the port.
func IsReservedPort(port int) bool {
	switch port {
	case 8008, PortHTTP, PortH2C, 8022, 8112, 9090, 9091:
		return true
	}
	return false
}

// IsReservedEnv tells whether Knative sets the variable; PORT only in the
// container that serves.
func IsReservedEnv(name string, serving bool) bool {
	switch name {
	case "K_SERVICE", "K_CONFIGURATION", "K_REVISION":
		return true
	}
	return serving && name == "PORT"
}

// The time, in seconds, that Knative gives a call by default, and at most.
const (
	defaultTimeout = 300
	MaxTimeout     = 600
)

// Service is the Knative Service of a version, without Knative's defaults.
// Callers wait timeout seconds for an answer: Knative waits as long, and never
// shorter than by its default.
func Service(in pod.Input, timeout int) *servingv1.Service {
	v := in.Version
	labels := pod.Selector(v)
	labels[labelVisibility] = clusterLocal
	meta := pod.Meta(in)
	scaling(v, meta.Annotations)
	spec := pod.Spec(in, containerPort)
	for i := range spec.Containers {
		readiness(spec.Containers[i].ReadinessProbe)
	}
	out := &servingv1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: apiVersion, Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: v.Name(), Namespace: v.Project.Value, Labels: labels},
		Spec: servingv1.ServiceSpec{
			ConfigurationSpec: servingv1.ConfigurationSpec{Template: servingv1.RevisionTemplateSpec{
				ObjectMeta: meta,
				Spec:       servingv1.RevisionSpec{PodSpec: spec},
			}},
		},
	}
	if timeout > defaultTimeout {
		revision := &out.Spec.Template.Spec
		revision.TimeoutSeconds, revision.ResponseStartTimeoutSeconds = pointer(int64(timeout)), pointer(int64(timeout))
	}
	return out
}

// readiness keeps the kubelet's way of asking: Knative takes a probe without a
// period for its own, several times a second, which has no thresholds.
func readiness(p *corev1.Probe) {
	if p != nil && p.PeriodSeconds == 0 {
		p.PeriodSeconds = defaultPeriod
	}
}

func containerPort(p definition.Port) corev1.ContainerPort {
	name := "http1"
	if p.Protocol != definition.ProtocolHTTP {
		name = "h2c"
	}
	return corev1.ContainerPort{Name: name, ContainerPort: int32(p.Port), Protocol: corev1.ProtocolTCP} //nolint:gosec // 1 to 65535
}

// scaling adds the autoscaler's annotations.
func scaling(v *definition.Version, annotations map[string]string) {
	const prefix = "autoscaling.knative.dev/"
	set := func(key, value string) { annotations[prefix+key] = value }
	s := v.Scale
	set("class", "kpa.autoscaling.knative.dev")
	set("min-scale", strconv.Itoa(s.Min))
	set("max-scale", strconv.Itoa(s.Max))
	if len(s.Triggers) > 0 {
		metric := "rps"
		if s.Triggers[0].Type == definition.TriggerActiveRequests {
			metric = "concurrency"
		}
		set("metric", metric)
		set("target", strconv.Itoa(s.Triggers[0].Target))
	}
	switch {
	case s.Min == 0 && s.CoolDown == 0:
		set("scale-to-zero-pod-retention-period", strconv.Itoa(defaultCoolDown)+"s")
	case s.Min == 0:
		set("scale-to-zero-pod-retention-period", strconv.Itoa(s.Delay())+"s")
	case s.CoolDown > 0:
		set("scale-down-delay", strconv.Itoa(s.Delay())+"s")
	}
	if s.Min > 0 && !v.Open() {
		// The activator would stay in the path and hide the caller from the pod.
		set("target-burst-capacity", "0")
	}
}

// Share is what one version gets of the calls.
type Share struct {
	Name    string // of the version's Knative Service
	Percent int
}

// Route is the Route that answers for a service.
func Route(project, id string, shares []Share) *servingv1.Route {
	r := &servingv1.Route{
		TypeMeta: metav1.TypeMeta{APIVersion: apiVersion, Kind: "Route"},
		ObjectMeta: metav1.ObjectMeta{
			Name: id, Namespace: project,
			Labels: map[string]string{pod.LabelApp: id, labelVisibility: clusterLocal},
		},
	}
	for _, s := range shares {
		r.Spec.Traffic = append(r.Spec.Traffic, servingv1.TrafficTarget{
			ConfigurationName: s.Name, LatestRevision: pointer(true), Percent: pointer(int64(s.Percent)),
		})
	}
	return r
}

func pointer[T any](v T) *T { return &v }
