// Package deployment makes the core Kubernetes objects of a service: the
// Deployment of a version with what scales and protects it, and the Services
// by which pods are reached, those of Knative included. Objects say only what
// the definition says.
package deployment

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/pod"
)

// Deployment of a version. Without an autoscaler it has as many replicas as
// the definition's minimum.
func Deployment(in pod.Input) *appsv1.Deployment {
	v := in.Version
	out := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: meta(v, v.Name()),
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: pod.Selector(v)},
			Template: corev1.PodTemplateSpec{ObjectMeta: pod.Meta(in), Spec: pod.Spec(in, containerPort)},
		},
	}
	if !autoscaled(v) {
		out.Spec.Replicas = pointer(int32(v.Scale.Min)) //nolint:gosec // at most MaxInt32
	}
	return out
}

func containerPort(p definition.Port) corev1.ContainerPort {
	return corev1.ContainerPort{Name: p.Name, ContainerPort: int32(p.Port), Protocol: corev1.ProtocolTCP} //nolint:gosec // 1 to 65535
}

// autoscaled tells whether something else than the definition decides how many
// replicas there are.
func autoscaled(v *definition.Version) bool { return len(v.Scale.Triggers) > 0 && !v.Scale.Fixed() }

// Autoscaler of a version that is scaled by CPU or memory; nil for others.
func Autoscaler(v *definition.Version) *autoscalingv2.HorizontalPodAutoscaler {
	if !autoscaled(v) {
		return nil
	}
	out := &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta:   metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"},
		ObjectMeta: meta(v, v.Name()),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: v.Name()},
			MinReplicas:    pointer(int32(v.Scale.Min)), //nolint:gosec // at most MaxInt32
			MaxReplicas:    int32(v.Scale.Max),          //nolint:gosec // at most MaxInt32
		},
	}
	for _, t := range v.Scale.Triggers {
		out.Spec.Metrics = append(out.Spec.Metrics, metric(t))
	}
	if v.Scale.CoolDown > 0 {
		out.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{
			ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: pointer(int32(v.Scale.Delay()))}, //nolint:gosec // at most an hour
		}
	}
	return out
}

func metric(t definition.Trigger) autoscalingv2.MetricSpec {
	target := autoscalingv2.MetricTarget{Type: autoscalingv2.MetricTargetType(t.Measure)}
	if n, err := strconv.ParseInt(t.Value, 10, 32); t.Measure == "Utilization" && err == nil {
		target.AverageUtilization = pointer(int32(n))
	} else if q, err := resource.ParseQuantity(t.Value); err == nil {
		target.AverageValue = &q
	}
	return autoscalingv2.MetricSpec{
		Type:     autoscalingv2.ResourceMetricSourceType,
		Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceName(t.Type), Target: target},
	}
}

// DisruptionBudget keeps all replicas of a version but one up; nil where there
// may be one only.
func DisruptionBudget(v *definition.Version) *policyv1.PodDisruptionBudget {
	if v.Scale.Min < 2 {
		return nil
	}
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: meta(v, v.Name()),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: pointer(intstr.FromInt32(1)),
			Selector:       &metav1.LabelSelector{MatchLabels: pod.Selector(v)},
		},
	}
}

// Internal is the name of the Service that reaches one version only.
func Internal(v *definition.Version) string { return v.Name() + "-internal" }

// Endpoint is a port of a Service.
type Endpoint struct {
	Name     string
	Protocol definition.Protocol
	Port     int // that is called
	Target   int // of the pod
}

// Service reaches the pods that selector selects.
func Service(namespace, name string, labels, selector map[string]string, endpoints []Endpoint) *corev1.Service {
	out := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels},
		Spec:       corev1.ServiceSpec{Selector: selector},
	}
	for _, e := range endpoints {
		out.Spec.Ports = append(out.Spec.Ports, corev1.ServicePort{
			Name:        e.Name,
			Protocol:    corev1.ProtocolTCP,
			AppProtocol: pointer(appProtocol(e.Protocol)),
			Port:        int32(e.Port), //nolint:gosec // 1 to 65535
			TargetPort:  intstr.FromInt(e.Target),
		})
	}
	return out
}

// appProtocol is how Istio is told the protocol of a port, whatever its name.
func appProtocol(p definition.Protocol) string {
	if p == definition.ProtocolH2C {
		return "http2"
	}
	return string(p)
}

// ServiceAccount is the identity of a service in whitelists.
func ServiceAccount(namespace, id string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: metav1.ObjectMeta{Name: id, Namespace: namespace},
	}
}

// Namespace of a project, with the label by which the mesh's proxy is injected.
func Namespace(name, label, value string) *corev1.Namespace {
	return &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{label: value}},
	}
}

func meta(v *definition.Version, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: v.Project.Value, Labels: pod.Selector(v)}
}

func pointer[T any](v T) *T { return &v }
