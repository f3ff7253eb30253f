package policies

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plumbline-dev/plumbline"
)

// AllowOptions are what the operator opens to the repository of one
// environment. The zero value opens nothing: namespaced kinds in the
// environment's own projects.
type AllowOptions struct {
	ClusterKinds []plumbline.GroupKind // cluster-scoped kinds that Git may hold
	ClusterRoles bool                  // ClusterRole and ClusterRoleBinding
	Namespaces   []string              // beyond the environment's projects
	Adopt        bool                  // plumbline.AnnotationAdopt is obeyed
	OwnNamespace string                // Plumbline's own; empty: "plumbline-system"
}

// The codes of what the repository may not do.
const (
	CodeClusterKind      = "PL0001"
	CodeForeignNamespace = "PL0002"
	CodeSystemNamespace  = "PL0003"
	CodeClusterRole      = "PL0004"
	CodeAdopt            = "PL0005"
)

// Allowed is what came of checking the objects of one commit against what the
// operator opened. It is immutable.
type Allowed struct {
	options  AllowOptions
	projects []string
	objects  plumbline.Objects
	breaches plumbline.RefMap[*breach]
	looked   int // at how many objects
}

// breach is what is wrong with one object.
type breach struct{ violations []plumbline.Violation }

// Allow checks every object. projects are the namespaces of the environment's
// own projects. What Plumbline renders by itself (plumbline.Object.System) is
// exempt, except the Namespace of a project that has the name of a system
// namespace.
func Allow(objects plumbline.Objects, projects []string, o AllowOptions) Allowed {
	if o.OwnNamespace == "" {
		o.OwnNamespace = "plumbline-system"
	}
	return Allowed{options: o}.again(objects, projects)
}

// Next is what comes of checking the objects of another commit: only what
// differs is looked at.
func (a Allowed) Next(objects plumbline.Objects, projects []string) Allowed {
	if !slices.Equal(a.projects, projects) {
		return Allowed{options: a.options}.again(objects, projects)
	}
	return a.again(objects, projects)
}

func (a Allowed) again(objects plumbline.Objects, projects []string) Allowed {
	next := Allowed{options: a.options, projects: projects, objects: objects, breaches: a.breaches}
	for ref := range a.objects.Diff(objects) {
		next.looked++
		next.breaches = next.breaches.Without(ref)
		if obj, ok := objects.Get(ref); ok {
			if vs := next.check(obj); len(vs) > 0 {
				next.breaches = next.breaches.With(ref, &breach{vs})
			}
		}
	}
	return next
}

// Violations are sorted.
func (a Allowed) Violations() []plumbline.Violation {
	var vs []plumbline.Violation
	for _, b := range a.breaches.All() {
		vs = append(vs, b.violations...)
	}
	return plumbline.SortViolations(vs)
}

func (a Allowed) check(obj *plumbline.Object) (vs []plumbline.Violation) {
	if code, message := allowObject(obj, a.projects, a.options); code != "" {
		vs = append(vs, plumbline.Violation{Code: code, Severity: plumbline.SeverityError, Origin: obj.Origin, Message: message})
	}
	if obj.Control.Adopt && !obj.System && !a.options.Adopt {
		vs = append(vs, plumbline.Violation{
			Code: CodeAdopt, Severity: plumbline.SeverityError, Origin: obj.Origin,
			Message: fmt.Sprintf("%s asks for adoption (%s), which this environment does not allow; the operator sets allow.adopt: true", obj.Ref, plumbline.AnnotationAdopt),
		})
	}
	return vs
}

func allowObject(obj *plumbline.Object, projects []string, o AllowOptions) (code, message string) {
	r := obj.Ref
	if obj.System {
		if isNamespace(r) && systemNamespace(r.Name, o.OwnNamespace) && !slices.Contains(o.Namespaces, r.Name) {
			return CodeSystemNamespace, fmt.Sprintf("project %q has the name of a system namespace; choose another", r.Name)
		}
		return "", ""
	}
	if r.Namespace == "" || clusterScoped(r.GroupKind()) {
		return allowClusterKind(r, o)
	}
	switch {
	case slices.Contains(o.Namespaces, r.Namespace):
		return "", ""
	case systemNamespace(r.Namespace, o.OwnNamespace):
		return CodeSystemNamespace, fmt.Sprintf("%s is in the system namespace %q; the operator lists it in allow.namespaces if that is meant", r, r.Namespace)
	case slices.Contains(projects, r.Namespace):
		return "", ""
	}
	return CodeForeignNamespace, fmt.Sprintf("%s is in namespace %q, which is no project of this environment; define the project, or the operator lists it in allow.namespaces", r, r.Namespace)
}

func allowClusterKind(r plumbline.Ref, o AllowOptions) (code, message string) {
	switch {
	case slices.Contains(o.ClusterKinds, r.GroupKind()):
		return "", ""
	case isClusterRole(r.GroupKind()) && o.ClusterRoles:
		return "", ""
	case isClusterRole(r.GroupKind()):
		return CodeClusterRole, fmt.Sprintf("%s gives rights in the whole cluster, which this environment does not allow; the operator sets allow.clusterRoles: true", r)
	}
	return CodeClusterKind, fmt.Sprintf("%s has no namespace; objects without one are not allowed here unless the operator lists %q in allow.clusterKinds", r, r.GroupKind())
}

func isNamespace(r plumbline.Ref) bool { return r.Group == "" && r.Kind == "Namespace" }

func isClusterRole(k plumbline.GroupKind) bool {
	return k.Group == "rbac.authorization.k8s.io" && (k.Kind == "ClusterRole" || k.Kind == "ClusterRoleBinding")
}

// clusterScoped tells the well-known cluster-scoped kinds, so that a namespace
// written into one does not get it past the rules.
func clusterScoped(k plumbline.GroupKind) bool {
	switch k.Group {
	case "":
		return k.Kind == "Namespace" || k.Kind == "Node" || k.Kind == "PersistentVolume"
	case "apiextensions.k8s.io", "admissionregistration.k8s.io", "apiregistration.k8s.io",
		"scheduling.k8s.io", "flowcontrol.apiserver.k8s.io", "node.k8s.io":
		return true
	case "storage.k8s.io":
		return k.Kind != "CSIStorageCapacity"
	case "certificates.k8s.io":
		return k.Kind == "CertificateSigningRequest" || k.Kind == "ClusterTrustBundle"
	case "networking.k8s.io":
		return k.Kind == "IngressClass" || k.Kind == "IPAddress" || k.Kind == "ServiceCIDR"
	}
	return isClusterRole(k)
}

// systemNamespace tells the namespaces that hold the cluster itself.
func systemNamespace(name, own string) bool {
	switch name {
	case "istio-system", "knative-serving", own:
		return true
	}
	return strings.HasPrefix(name, "kube-")
}
