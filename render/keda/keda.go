// Package keda makes what KEDA scales a Deployment by: a ScaledObject, and a
// TriggerAuthentication for every trigger with secrets. In goes a version, out
// come objects; whether KEDA may be asked for is decided by the caller.
//
// The types have the fields that are rendered, as in
// github.com/kedacore/keda/v2/apis/keda/v1alpha1.
package keda

import (
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/deployment"
	"github.com/plumbline-dev/plumbline/render/istio"
	"github.com/plumbline-dev/plumbline/render/pod"
)

const version = "keda.sh/v1alpha1"

// ScaledObject says how many replicas a workload has.
type ScaledObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              ScaledObjectSpec `json:"spec"`
}

// ScaledObjectSpec is the spec of a ScaledObject. Times are in seconds.
type ScaledObjectSpec struct {
	ScaleTargetRef  ScaleTarget `json:"scaleTargetRef"`
	PollingInterval int32       `json:"pollingInterval,omitempty"`
	CooldownPeriod  int32       `json:"cooldownPeriod,omitempty"`
	MinReplicaCount int32       `json:"minReplicaCount"`
	MaxReplicaCount int32       `json:"maxReplicaCount"`
	Triggers        []Trigger   `json:"triggers"`
}

// ScaleTarget is the workload.
type ScaleTarget struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
}

// Trigger is one reason to scale; the largest result of all counts.
type Trigger struct {
	Type              string             `json:"type"`
	Name              string             `json:"name,omitempty"`
	Metadata          map[string]string  `json:"metadata"`
	MetricType        string             `json:"metricType,omitempty"`
	AuthenticationRef *AuthenticationRef `json:"authenticationRef,omitempty"`
}

// AuthenticationRef names a TriggerAuthentication.
type AuthenticationRef struct {
	Name string `json:"name"`
}

// TriggerAuthentication says where the secret parameters of a trigger are.
type TriggerAuthentication struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              TriggerAuthenticationSpec `json:"spec"`
}

// TriggerAuthenticationSpec is the spec of a TriggerAuthentication.
type TriggerAuthenticationSpec struct {
	SecretTargetRef []SecretTargetRef `json:"secretTargetRef"`
}

// SecretTargetRef is a parameter whose value is the key of a Secret.
type SecretTargetRef struct {
	Parameter string `json:"parameter"`
	Name      string `json:"name"`
	Key       string `json:"key"`
}

// Objects are the ScaledObject of a version and the TriggerAuthentications of
// its triggers, in their order. Requests are counted by Prometheus at the
// address prometheus.
func Objects(v *definition.Version, prometheus string) (*ScaledObject, []*TriggerAuthentication) {
	out := &ScaledObject{
		TypeMeta:   metav1.TypeMeta{APIVersion: version, Kind: "ScaledObject"},
		ObjectMeta: meta(v, v.Name()),
		Spec: ScaledObjectSpec{
			ScaleTargetRef:  ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: v.Name()},
			PollingInterval: int32(v.Scale.Polling), CooldownPeriod: int32(v.Scale.CoolDown), //nolint:gosec // at most MaxInt32
			MinReplicaCount: int32(v.Scale.Min), MaxReplicaCount: int32(v.Scale.Max), //nolint:gosec // at most MaxInt32
		},
	}
	var auths []*TriggerAuthentication
	taken := map[string]bool{}
	for _, t := range v.Scale.Triggers {
		name := unique(triggerName(t), taken)
		trigger := newTrigger(v, t, prometheus)
		trigger.Name = name
		if len(t.Auth) > 0 {
			auth := authentication(v, name, t.Auth)
			auths = append(auths, auth)
			trigger.AuthenticationRef = &AuthenticationRef{Name: auth.Name}
		}
		out.Spec.Triggers = append(out.Spec.Triggers, trigger)
	}
	return out, auths
}

// newTrigger is a trigger in KEDA's words.
func newTrigger(v *definition.Version, t definition.Trigger, prometheus string) Trigger {
	switch t.Type {
	case definition.TriggerCPU, definition.TriggerMemory:
		return Trigger{Type: string(t.Type), MetricType: t.Measure, Metadata: map[string]string{"value": t.Value}}
	case definition.TriggerRequestsPerSecond:
		return measured(t, prometheus, requestsPerSecond(v))
	case definition.TriggerActiveRequests:
		return measured(t, prometheus, activeRequests(v))
	default:
		out := Trigger{Type: string(t.Type), Metadata: make(map[string]string, len(t.Metadata))}
		for _, p := range t.Metadata {
			out.Metadata[p.Key] = p.Value.Value
		}
		return out
	}
}

func measured(t definition.Trigger, prometheus, query string) Trigger {
	return Trigger{Type: "prometheus", Metadata: map[string]string{
		"serverAddress": prometheus, "query": query, "threshold": strconv.Itoa(t.Target),
	}}
}

// requestsPerSecond are the calls as the callers' proxies count them: also
// those that nobody is there to answer, which wake a version from zero.
func requestsPerSecond(v *definition.Version) string {
	return fmt.Sprintf(`sum(rate(istio_requests_total{reporter="source",destination_service=%q}[1m]))`,
		istio.Host(v.Project.Value, deployment.Internal(v)))
}

// activeRequests are the calls in the version's own proxies: Istio has no such
// metric, Envoy's own is labelled by Prometheus as its pod is.
func activeRequests(v *definition.Version) string {
	labels := pod.Selector(v)
	return fmt.Sprintf(`sum(envoy_http_downstream_rq_active{namespace=%q,app=%q,version=%q,http_conn_manager_prefix=~"inbound_.*"})`,
		v.Project.Value, labels[pod.LabelApp], labels[pod.LabelVersion])
}

func authentication(v *definition.Version, trigger string, params []definition.AuthParam) *TriggerAuthentication {
	// No version's name has a dot: no two are equal.
	out := &TriggerAuthentication{
		TypeMeta:   metav1.TypeMeta{APIVersion: version, Kind: "TriggerAuthentication"},
		ObjectMeta: meta(v, v.Name()+"."+trigger),
	}
	for _, p := range params {
		out.Spec.SecretTargetRef = append(out.Spec.SecretTargetRef, SecretTargetRef{Parameter: p.Param, Name: p.Secret.Value, Key: p.Key})
	}
	return out
}

// triggerName is the trigger's name as a part of an object's: names are free
// text, as "Request per second". Without one it is the type.
func triggerName(t definition.Trigger) string {
	text := t.Name.Value
	if text == "" {
		text = string(t.Type)
	}
	var name []byte
	for i := 0; i < len(text) && len(name) < 63; i++ {
		c := text[i]
		switch {
		case 'A' <= c && c <= 'Z':
			name = append(name, c+'a'-'A')
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			name = append(name, c)
		case len(name) > 0 && name[len(name)-1] != '-':
			name = append(name, '-')
		}
	}
	for len(name) > 0 && name[len(name)-1] == '-' {
		name = name[:len(name)-1]
	}
	if len(name) == 0 {
		return "trigger"
	}
	return string(name)
}

// unique adds a number to a name that is taken.
func unique(name string, taken map[string]bool) string {
	out := name
	for n := 2; taken[out]; n++ {
		out = name + "-" + strconv.Itoa(n)
	}
	taken[out] = true
	return out
}

func meta(v *definition.Version, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: v.Project.Value, Labels: pod.Selector(v)}
}
