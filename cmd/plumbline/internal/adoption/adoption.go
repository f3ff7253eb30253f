// Package adoption says what becomes of objects that were on the cluster before
// Plumbline: those that a run would take over, those that stand in its way, and
// those that Space Cloud made and that stay until someone deletes them.
//
// In go a plan, the desired objects and metadata of live ones; out comes a list.
// The package does no I/O.
package adoption

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// Fate of an object that was there before.
type Fate string

// The fates.
const (
	Adopted  Fate = "adopted"  // a run takes it over in place
	Shared   Fate = "shared"   // a run adds its labels, no more
	Refused  Fate = "refused"  // it is in the way: a run sends nothing, and says so
	Replaced Fate = "replaced" // other objects do its work: delete it when they do
	Left     Fate = "left"     // no definition stands for it
)

// Standing is the fate of one object.
type Standing struct {
	Ref    plumbline.Ref    `json:"ref"`
	Fate   Fate             `json:"fate"`
	Reason string           `json:"reason"`
	Origin plumbline.Origin `json:"origin,omitzero"` // of the definition
}

// Live is an object on the cluster.
type Live struct {
	Ref  plumbline.Ref
	Meta *metav1.ObjectMeta
}

// Kinds are those of which Space Cloud made objects; the last two have no
// namespace.
func Kinds() []plumbline.GroupKind {
	return []plumbline.GroupKind{
		{Kind: "Secret"},
		{Kind: "Service"},
		{Kind: "ServiceAccount"},
		{Group: "apps", Kind: "Deployment"},
		{Group: "keda.sh", Kind: "ScaledObject"},
		{Group: "keda.sh", Kind: "TriggerAuthentication"},
		{Group: "networking.istio.io", Kind: "DestinationRule"},
		{Group: "networking.istio.io", Kind: "Sidecar"},
		{Group: "networking.istio.io", Kind: "VirtualService"},
		{Group: "rbac.authorization.k8s.io", Kind: "Role"},
		{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"},
		{Group: "security.istio.io", Kind: "AuthorizationPolicy"},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
	}
}

// Made tells whether Space Cloud made an object: since 0.20 by a label, before
// by an annotation, and its secrets by a label of their own.
func Made(m *metav1.ObjectMeta) bool {
	return m.Labels[plumbline.LabelManagedBy] == "space-cloud" || m.Labels["app"] == "space-cloud" ||
		strings.HasPrefix(m.Annotations["generatedBy"], "space-cloud-runner-")
}

// List tells the fates, sorted by Ref. Immutable are objects that an apply
// cannot make what they should be, and what the API server said of them.
func List(p plumbline.Plan, desired plumbline.Objects, live []Live, immutable map[plumbline.Ref]string) []Standing {
	var out []Standing
	for _, c := range p.Changes {
		s := Standing{Ref: c.Ref, Origin: c.Origin, Reason: c.Reason}
		switch {
		case immutable[c.Ref] != "":
			s.Fate, s.Reason = Replaced, "it cannot be changed to what is defined: delete it, and a run makes it anew: "+immutable[c.Ref]
		case c.Op == plumbline.OpConflict:
			s.Fate, s.Reason = Refused, "it exists; take it over ("+plumbline.AnnotationAdopt+", allow.adopt), or delete it"
		case c.Op == plumbline.OpConfigure && c.Reason == reconciler.ReasonAdopt:
			s.Fate, s.Reason = Adopted, "it becomes what is defined; fields that are not go"
		case c.Op == plumbline.OpConfigure && c.Reason == reconciler.ReasonShared:
			s.Fate = Shared
		default:
			continue
		}
		out = append(out, s)
	}
	services := servicesOf(desired)
	for _, l := range live {
		if _, wanted := desired.Get(l.Ref); wanted || !Made(l.Meta) {
			continue
		}
		out = append(out, remaining(l, services))
	}
	slices.SortFunc(out, func(a, b Standing) int { return a.Ref.Compare(b.Ref) })
	return out
}

// service of a project.
type service struct{ project, id string }

// servicesOf are the objects of each service.
func servicesOf(desired plumbline.Objects) map[service][]*plumbline.Object {
	out := map[service][]*plumbline.Object{}
	for _, o := range desired.All() {
		if o.Service != "" {
			key := service{o.Project, o.Service}
			out[key] = append(out[key], o)
		}
	}
	return out
}

// remaining is an object of Space Cloud's that no run touches.
func remaining(l Live, services map[service][]*plumbline.Object) Standing {
	id, version := serviceOf(l), l.Meta.Labels["version"]
	objects := services[service{l.Ref.Namespace, id}]
	if l.Ref.Namespace == "" { // which project its service is of, it does not say
		for s, o := range services {
			if s.id == id {
				objects = append(slices.Clone(objects), o...)
			}
		}
		slices.SortFunc(objects, func(a, b *plumbline.Object) int { return a.Ref.Compare(b.Ref) })
	}
	names := []string{id, l.Ref.Name}
	kinds := successors(l.Ref)
	if version != "" {
		names = append(names, definition.Join(id, version))
		if l.Ref.Kind == "Service" {
			kinds = workloads()
		}
	}
	switch {
	case len(objects) == 0:
		return Standing{Ref: l.Ref, Fate: Left, Reason: leftReason(l.Ref, id)}
	case version != "" && !slices.ContainsFunc(objects, func(o *plumbline.Object) bool {
		return o.Ref.Name == definition.Join(id, version) && slices.Contains(workloads(), o.Ref.GroupKind())
	}):
		return Standing{Ref: l.Ref, Fate: Left, Reason: "no definition stands for version " + version + " of service " + id}
	case l.Ref.Kind == "DestinationRule":
		return Standing{Ref: l.Ref, Fate: Replaced, Reason: "by nothing: mutual TLS between sidecars is automatic"}
	}
	for _, kind := range kinds {
		for _, o := range objects {
			if o.Ref.GroupKind() == kind && slices.Contains(names, o.Ref.Name) {
				return Standing{Ref: l.Ref, Fate: Replaced, Origin: o.Origin, Reason: "by " + o.Ref.String() + caution(l.Ref, o.Ref, objects)}
			}
		}
	}
	return Standing{Ref: l.Ref, Fate: Left, Reason: "the definitions of " + id + " need nothing like it"}
}

func leftReason(ref plumbline.Ref, id string) string {
	switch {
	case ref.Kind == "Secret":
		return "no definition stands for it; pods that use it still do"
	case id == "":
		return "no definition stands for it"
	}
	return "no definition stands for service " + id
}

// serviceOf is the service that an object of Space Cloud's belongs to.
func serviceOf(l Live) string {
	for _, key := range []string{"app", "service", "account", "app.kubernetes.io/name"} {
		if v := l.Meta.Labels[key]; v != "" && v != "space-cloud" {
			return v
		}
	}
	return ""
}

// successors are the kinds that do the work of an object, the likeliest first.
func successors(ref plumbline.Ref) []plumbline.GroupKind {
	switch ref.Kind {
	case "Deployment":
		return workloads()
	case "ScaledObject", "TriggerAuthentication":
		return slices.Concat([]plumbline.GroupKind{{Group: "keda.sh", Kind: "ScaledObject"}, {Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}}, workloads())
	case "Service", "VirtualService":
		return []plumbline.GroupKind{{Group: "serving.knative.dev", Kind: "Route"}, {Group: "networking.istio.io", Kind: "VirtualService"}, {Group: "serving.knative.dev", Kind: "Service"}}
	}
	return []plumbline.GroupKind{ref.GroupKind()}
}

// workloads are the kinds that run a version.
func workloads() []plumbline.GroupKind {
	return []plumbline.GroupKind{{Group: "serving.knative.dev", Kind: "Service"}, {Group: "apps", Kind: "Deployment"}}
}

// caution says what an object does while it is there beside its successor.
func caution(ref, by plumbline.Ref, objects []*plumbline.Object) string {
	knative := 0
	for _, o := range objects {
		if o.Ref.Group == "serving.knative.dev" && o.Ref.Kind == "Service" {
			knative++
		}
	}
	switch {
	case ref.Kind == "AuthorizationPolicy":
		return "; until you delete it, it goes on admitting callers: policies add up"
	case by.Group == "serving.knative.dev" && by.Kind == "Route":
		return ", which is not ready before you delete this: both have one host"
	case by.Kind == "HorizontalPodAutoscaler":
		return "; delete it first: two autoscalers would fight"
	case ref.Kind == "Deployment" && knative > 1 && by.Kind == "Service":
		return "; delete it when that is ready: what calls the Service of all versions without a sidecar's routes, as a gateway does, gets to its pods too, and fails"
	case ref.Kind == "Deployment":
		return "; delete it when that is ready"
	}
	return ""
}
