package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// probe is a probe as the definition has it; nil for nil.
func probe(p *definition.Probe) *corev1.Probe {
	if p == nil {
		return nil
	}
	out := &corev1.Probe{
		InitialDelaySeconds: int32(p.InitialDelay),     //nolint:gosec // these are at most MaxInt32
		PeriodSeconds:       int32(p.Period),           //nolint:gosec // as above
		TimeoutSeconds:      int32(p.Timeout),          //nolint:gosec // as above
		SuccessThreshold:    int32(p.SuccessThreshold), //nolint:gosec // as above
		FailureThreshold:    int32(p.FailureThreshold), //nolint:gosec // as above
	}
	switch p.Kind {
	case definition.ProbeHTTP:
		out.HTTPGet = &corev1.HTTPGetAction{Path: p.Path, Port: intstr.FromInt(p.Port)}
	case definition.ProbeTCP:
		out.TCPSocket = &corev1.TCPSocketAction{Port: intstr.FromInt(p.Port)}
	case definition.ProbeGRPC:
		out.GRPC = &corev1.GRPCAction{Port: int32(p.Port), Service: &p.Service} //nolint:gosec // 1 to 65535
	case definition.ProbeExec:
		out.Exec = &corev1.ExecAction{Command: p.Command}
	}
	return out
}
