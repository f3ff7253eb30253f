// Package rbac makes the Kubernetes roles of services: a role's definition
// becomes a Role or ClusterRole, and the binding that gives it to the service's
// ServiceAccount.
package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline/render/definition"
)

const group = "rbac.authorization.k8s.io"

// ClusterName is the name of the ClusterRole of a role. It carries the project:
// the ids of roles are unique in a project only. No project's name has a colon.
func ClusterName(project, id string) string { return project + ":" + id }

// Role gives rights in the service's project.
func Role(r *definition.Role) (*rbacv1.Role, *rbacv1.RoleBinding) {
	meta := metav1.ObjectMeta{Name: r.ID.Value, Namespace: r.Project.Value}
	role := &rbacv1.Role{TypeMeta: typeMeta("Role"), ObjectMeta: meta, Rules: rules(r)}
	binding := &rbacv1.RoleBinding{
		TypeMeta: typeMeta("RoleBinding"), ObjectMeta: meta,
		Subjects: subjects(r), RoleRef: rbacv1.RoleRef{APIGroup: group, Kind: role.Kind, Name: meta.Name},
	}
	return role, binding
}

// ClusterRole gives rights in the whole cluster.
func ClusterRole(r *definition.Role) (*rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding) {
	meta := metav1.ObjectMeta{Name: ClusterName(r.Project.Value, r.ID.Value)}
	role := &rbacv1.ClusterRole{TypeMeta: typeMeta("ClusterRole"), ObjectMeta: meta, Rules: rules(r)}
	binding := &rbacv1.ClusterRoleBinding{
		TypeMeta: typeMeta("ClusterRoleBinding"), ObjectMeta: meta,
		Subjects: subjects(r), RoleRef: rbacv1.RoleRef{APIGroup: group, Kind: role.Kind, Name: meta.Name},
	}
	return role, binding
}

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: group + "/v1", Kind: kind}
}

func rules(r *definition.Role) []rbacv1.PolicyRule {
	out := make([]rbacv1.PolicyRule, 0, len(r.Rules))
	for _, rule := range r.Rules {
		out = append(out, rbacv1.PolicyRule{APIGroups: rule.APIGroups, Resources: rule.Resources, Verbs: rule.Verbs})
	}
	return out
}

func subjects(r *definition.Role) []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: r.Service.Value, Namespace: r.Project.Value}}
}
