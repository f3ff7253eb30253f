package main

import (
	"fmt"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// account is a ServiceAccount in Plumbline's namespace, and a kubeconfig with
// nothing but its token.
type account struct {
	t          testing.TB
	await      func(what string, look func() (ok bool, saw string)) // the stage's
	client     kubernetes.Interface                                 // the administrator's
	namespace  string
	name       string
	kubeconfig string
}

// account makes a ServiceAccount, where it is missing, and takes its token.
func (s *stage) account(name string) *account {
	s.t.Helper()
	client, err := kubernetes.NewForConfig(s.cluster.Config())
	if err != nil {
		s.t.Fatal(err)
	}
	ctx := s.t.Context()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		s.t.Fatal(err)
	}
	accounts := client.CoreV1().ServiceAccounts(s.namespace)
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := accounts.Create(ctx, sa, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		s.t.Fatal(err)
	}
	token, err := accounts.CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := clientcmd.LoadFromFile(s.cluster.Kubeconfig)
	if err != nil {
		s.t.Fatal(err)
	}
	for user := range c.AuthInfos {
		c.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	a := &account{
		t: s.t, await: s.await, client: client, namespace: s.namespace, name: name, kubeconfig: s.path("kubeconfig-" + name),
	}
	s.writeConfig(a.kubeconfig, c)
	return a
}

// grant replaces what the ServiceAccount may do in all namespaces. RBAC has
// taken it in when grant returns.
func (a *account) grant(name string, rules []rbacv1.PolicyRule) {
	a.t.Helper()
	meta := metav1.ObjectMeta{Name: a.namespace + ":" + name}
	ctx, rbac := a.t.Context(), a.client.RbacV1()
	_, err := rbac.ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	if err == nil {
		_, err = rbac.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: meta, Subjects: a.subjects(), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		a.t.Fatal(err)
	}
	a.awaitRight(rules[0], "")
}

// grantIn is grant for one namespace.
func (a *account) grantIn(namespace string, rules []rbacv1.PolicyRule) {
	a.t.Helper()
	meta := metav1.ObjectMeta{Name: a.name}
	ctx, rbac := a.t.Context(), a.client.RbacV1()
	_, err := rbac.Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	if err == nil {
		_, err = rbac.RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: meta, Subjects: a.subjects(), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		a.t.Fatal(err)
	}
	a.awaitRight(rules[0], namespace)
}

func (a *account) makeNamespace(name string) {
	a.t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := a.client.CoreV1().Namespaces().Create(a.t.Context(), ns, metav1.CreateOptions{}); err != nil {
		a.t.Fatal(err)
	}
}

func (a *account) subjects() []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: a.namespace, Name: a.name}}
}

// awaitRight waits until the authorizer, which watches, knows of a rule.
func (a *account) awaitRight(rule rbacv1.PolicyRule, namespace string) {
	a.t.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   "system:serviceaccount:" + a.namespace + ":" + a.name,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + a.namespace, "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: rule.APIGroups[0], Resource: rule.Resources[0], Verb: rule.Verbs[0], Namespace: namespace, Name: first(rule.ResourceNames),
		},
	}}
	a.await(fmt.Sprintf("the authorizer to know of %v", rule), func() (bool, string) {
		answer, err := a.client.AuthorizationV1().SubjectAccessReviews().Create(a.t.Context(), review, metav1.CreateOptions{})
		if err != nil {
			a.t.Fatal(err)
		}
		return answer.Status.Allowed, answer.Status.Reason
	})
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}
