package policies

import (
	"strings"
	"testing"

	"github.com/plumbline-dev/plumbline"
)

func TestAllow(t *testing.T) {
	t.Parallel()
	at := plumbline.Origin{Path: "shop/extra.yaml", Line: 7}
	object := func(group, kind, namespace, name string) plumbline.Object {
		return plumbline.Object{Ref: plumbline.Ref{Group: group, Kind: kind, Namespace: namespace, Name: name}, Origin: at}
	}
	system := func(o plumbline.Object) plumbline.Object { o.System = true; return o }
	adopt := func(o plumbline.Object) plumbline.Object { o.Control.Adopt = true; return o }
	const rbac = "rbac.authorization.k8s.io"
	crd := object("apiextensions.k8s.io", "CustomResourceDefinition", "", "x.example.com")
	tests := map[string]struct {
		object  plumbline.Object
		options AllowOptions
		code    string // empty: allowed
		says    string
	}{
		"in a project":                          {object("", "ConfigMap", "shop", "c"), AllowOptions{}, "", ""},
		"in a foreign namespace":                {object("", "ConfigMap", "bank", "c"), AllowOptions{}, CodeForeignNamespace, `namespace "bank"`},
		"in a listed namespace":                 {object("", "ConfigMap", "bank", "c"), AllowOptions{Namespaces: []string{"bank"}}, "", ""},
		"in a system namespace":                 {object("", "ConfigMap", "kube-public", "c"), AllowOptions{}, CodeSystemNamespace, "kube-public"},
		"in a system namespace that is listed":  {object("", "ConfigMap", "istio-system", "c"), AllowOptions{Namespaces: []string{"istio-system"}}, "", ""},
		"in a project of a system name":         {object("", "ConfigMap", "kube-system", "c"), AllowOptions{}, CodeSystemNamespace, "kube-system"},
		"in our own namespace":                  {object("", "ConfigMap", "plumbline-system", "c"), AllowOptions{}, CodeSystemNamespace, "plumbline-system"},
		"in our own namespace of another name":  {object("", "Secret", "gitops", "c"), AllowOptions{OwnNamespace: "gitops"}, CodeSystemNamespace, "gitops"},
		"a cluster role":                        {object(rbac, "ClusterRole", "", "r"), AllowOptions{}, CodeClusterRole, "allow.clusterRoles"},
		"a cluster role, allowed":               {object(rbac, "ClusterRoleBinding", "", "r"), AllowOptions{ClusterRoles: true}, "", ""},
		"a cluster role with a namespace":       {object(rbac, "ClusterRole", "shop", "r"), AllowOptions{}, CodeClusterRole, "whole cluster"},
		"a role":                                {object(rbac, "Role", "shop", "r"), AllowOptions{}, "", ""},
		"a crd":                                 {crd, AllowOptions{}, CodeClusterKind, `"apiextensions.k8s.io/CustomResourceDefinition"`},
		"a crd, listed":                         {crd, AllowOptions{ClusterKinds: []plumbline.GroupKind{{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}}}, "", ""},
		"cluster roles do not open crds":        {crd, AllowOptions{ClusterRoles: true}, CodeClusterKind, "clusterKinds"},
		"a webhook":                             {object("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "", "w"), AllowOptions{}, CodeClusterKind, "clusterKinds"},
		"a webhook with a namespace":            {object("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "shop", "w"), AllowOptions{}, CodeClusterKind, "clusterKinds"},
		"a Namespace":                           {object("", "Namespace", "", "shop"), AllowOptions{}, CodeClusterKind, `"Namespace"`},
		"a Namespace that we render":            {system(object("", "Namespace", "", "shop")), AllowOptions{}, "", ""},
		"a Namespace that we render: kube-*":    {system(object("", "Namespace", "", "kube-system")), AllowOptions{}, CodeSystemNamespace, "choose another"},
		"a guard":                               {system(object("security.istio.io", "AuthorizationPolicy", "knative-serving", "g")), AllowOptions{}, "", ""},
		"adoption":                              {adopt(object("", "ConfigMap", "shop", "c")), AllowOptions{}, CodeAdopt, "allow.adopt"},
		"adoption, allowed":                     {adopt(object("", "ConfigMap", "shop", "c")), AllowOptions{Adopt: true}, "", ""},
		"an unknown kind without a namespace":   {object("example.com", "Thing", "", "t"), AllowOptions{}, CodeClusterKind, "example.com/Thing"},
		"a project of another environment only": {object("", "ConfigMap", "shop-staging", "c"), AllowOptions{}, CodeForeignNamespace, "no project of this environment"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Allow(plumbline.ObjectsOf(&tt.object), []string{"shop", "kube-system"}, tt.options).Violations()
			switch {
			case tt.code == "" && len(got) == 0:
			case len(got) != 1 || got[0].Code != tt.code || got[0].Origin != at || got[0].Severity != plumbline.SeverityError || !strings.Contains(got[0].Message, tt.says):
				t.Errorf("got %v, want %s that says %q", got, tt.code, tt.says)
			}
		})
	}
}
