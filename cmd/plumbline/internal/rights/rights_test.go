package rights

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
)

func line(r Right) string {
	return fmt.Sprintf("%s/%s %s %s %s", r.Group, r.Resource, strings.Join(r.Verbs, ","), r.Namespace, strings.Join(r.Names, ","))
}

func TestOf(t *testing.T) {
	t.Parallel()
	secret := Named(plumbline.GroupKind{Kind: "Secret"})
	role := Named(plumbline.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "Role"})
	binding := Named(plumbline.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"})
	cases := []struct {
		name  string
		needs Needs
		want  []string
	}{
		{"writes", Needs{Namespace: "own", Environments: []string{"b", "a"}, Kinds: []Kind{secret, Named(plumbline.GroupKind{Group: "apps", Kind: "Deployment"}), secret}}, []string{
			"/secrets get,list,watch,create,patch,delete  ",
			"apps/deployments get,list,watch,create,patch,delete  ",
			"/namespaces get  kube-system,own",
			"/events create  ",
			"/configmaps list,create,update,delete own ",
			"/configmaps watch own plumbline-orders-a,plumbline-orders-b",
			"/secrets get own plumbline-hash-key",
			"/secrets create own ",
			"coordination.k8s.io/leases get,update own plumbline-a,plumbline-b",
			"coordination.k8s.io/leases create own ",
		}},
		{"hands out rights", Needs{Namespace: "own", Environments: []string{"a"}, Kinds: []Kind{role, binding}}, []string{
			"rbac.authorization.k8s.io/roles get,list,watch,create,patch,delete  ",
			"rbac.authorization.k8s.io/roles bind,escalate  ",
			"rbac.authorization.k8s.io/rolebindings get,list,watch,create,patch,delete  ",
			"/namespaces get  kube-system,own",
			"/events create  ",
			"/configmaps list,create,update,delete own ",
			"/configmaps watch own plumbline-orders-a",
			"/secrets get own plumbline-hash-key",
			"/secrets create own ",
			"coordination.k8s.io/leases get,update own plumbline-a",
			"coordination.k8s.io/leases create own ",
		}},
		{"a kind with a definition", Needs{Namespace: "own", Kinds: []Kind{Named(plumbline.GroupKind{Group: "serving.knative.dev", Kind: "Route"})}, Observe: true}, []string{
			"serving.knative.dev/routes get,list,watch  ",
			"/namespaces get  kube-system,own",
			"apiextensions.k8s.io/customresourcedefinitions list,watch  ",
			"/configmaps list own ",
			"/secrets get own plumbline-hash-key",
		}},
		{"Namespaces are read as objects already", Needs{Namespace: "own", Environments: []string{"a"}, Kinds: []Kind{Named(plumbline.GroupKind{Kind: "Namespace"})}, Observe: true}, []string{
			"/namespaces get,list,watch  ",
			"/configmaps list own ",
			"/secrets get own plumbline-hash-key",
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, r := range Of(c.needs) {
				got = append(got, line(r))
				if r.Why == "" {
					t.Errorf("%s: no reason", line(r))
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNamed(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"Deployment": "deployments", "NetworkPolicy": "networkpolicies", "Ingress": "ingresses", "Endpoints": "endpoints",
		"Gateway": "gateways", "DestinationRule": "destinationrules", "ServiceEntry": "serviceentries", "PeerAuthentication": "peerauthentications",
	} {
		if got := Named(plumbline.GroupKind{Kind: kind}).Resource; got != want {
			t.Errorf("%s is served as %s, not %s", kind, want, got)
		}
	}
}

var typeMeta = regexp.MustCompile(`TypeMeta:\s+metav1\.TypeMeta\{[^}]*Kind: "(\w+)"`)

// What the packages below render make is what Rendered lists.
func TestRendered(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../../render/*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	made := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range typeMeta.FindAllStringSubmatch(string(text), -1) {
			made[m[1]] = !strings.HasSuffix(f, "_test.go") || made[m[1]]
		}
	}
	listed := map[string]bool{}
	for _, k := range Rendered(true) {
		listed[k.Kind] = true
	}
	if diff := cmp.Diff(made, listed); diff != "" {
		t.Errorf("made, listed:\n%s", diff)
	}
	if !slices.IsSortedFunc(Rendered(true), plumbline.GroupKind.Compare) {
		t.Error("not sorted")
	}
}
