package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/plumbline-dev/plumbline/fixtures/servers"
)

const installConfig = `apiVersion: plumbline.dev/v1
kind: Config
source: {url: "file://$REPOSITORY"}
environments: [{name: production, path: environments/production}]
namespace: plumbline-system
`

const installService = `apiVersion: plumbline.dev/v1
kind: Project
metadata:
  name: shop
---
apiVersion: plumbline.dev/v1
kind: ServiceVersion
metadata: {name: cart-v1, namespace: shop}
spec:
  id: cart
  version: v1
  tasks: [{id: cart, ports: [{name: http, protocol: http, port: 8080}], docker: {image: ghcr.io/example/cart:1.4.0}}]
`

// installed is a stage on which what `install` prints was applied, and the
// ServiceAccount of the pod.
type installed struct {
	*stage
	account *account
	rules   []rbacv1.PolicyRule
}

// install prints the manifests, applies them without some of the rules, and
// takes the ServiceAccount's token.
func (s *stage) install(without func(rbacv1.PolicyRule) bool) *installed {
	s.t.Helper()
	s.writeFile("plumbline.yaml", strings.ReplaceAll(s.theirs(installConfig), "$REPOSITORY", s.origin()))
	s.writeFile("repo/environments/production/cart.yaml", installService)
	s.commit("A service")
	code, out, errs := s.plumbline("install", "--config", "plumbline.yaml", s.clone())
	if code != 0 || errs != "" {
		s.t.Fatalf("exit %d\n%s", code, errs)
	}
	in := &installed{stage: s}
	for doc := range strings.SplitSeq(s.theirs(out), "---\n") {
		in.apply(doc, without)
	}
	in.account = s.account("plumbline")
	for _, r := range in.rules {
		if !without(r) {
			in.account.awaitRight(r, s.namespace)
		}
	}
	return in
}

var installedKinds = map[string]schema.GroupVersionResource{
	"Namespace":          {Version: "v1", Resource: "namespaces"},
	"ServiceAccount":     {Version: "v1", Resource: "serviceaccounts"},
	"ConfigMap":          {Version: "v1", Resource: "configmaps"},
	"Deployment":         {Group: "apps", Version: "v1", Resource: "deployments"},
	"ClusterRole":        {Group: rbacv1.GroupName, Version: "v1", Resource: "clusterroles"},
	"ClusterRoleBinding": {Group: rbacv1.GroupName, Version: "v1", Resource: "clusterrolebindings"},
	"Role":               {Group: rbacv1.GroupName, Version: "v1", Resource: "roles"},
	"RoleBinding":        {Group: rbacv1.GroupName, Version: "v1", Resource: "rolebindings"},
}

func (in *installed) apply(doc string, without func(rbacv1.PolicyRule) bool) {
	in.t.Helper()
	var role struct {
		Kind  string
		Rules []rbacv1.PolicyRule
	}
	var o unstructured.Unstructured
	if err := yaml.UnmarshalStrict([]byte(doc), &o.Object); err != nil {
		in.t.Fatalf("%v\n%s", err, doc)
	}
	if err := yaml.Unmarshal([]byte(doc), &role); err != nil {
		in.t.Fatal(err)
	}
	in.rules = append(in.rules, role.Rules...)
	if len(role.Rules) > 0 {
		var kept []any
		all, _, _ := unstructured.NestedSlice(o.Object, "rules")
		for i, r := range role.Rules {
			if !without(r) {
				kept = append(kept, all[i])
			}
		}
		o.Object["rules"] = kept
	}
	gvr, known := installedKinds[o.GetKind()]
	if !known {
		in.t.Fatalf("prints a %s", o.GetKind())
	}
	client := in.dynamic.Resource(gvr).Namespace(o.GetNamespace())
	opts := metav1.ApplyOptions{FieldManager: "installer"}
	if _, err := client.Apply(in.t.Context(), o.GetName(), &o, opts); err != nil {
		in.t.Fatalf("apply %s %s: %v", o.GetKind(), o.GetName(), err)
	}
}

// reconcile runs it once, as the pod would.
func (in *installed) reconcile() (code int, said string) {
	in.t.Helper()
	code, out, errs := in.plumbline("run", "--once", "--leader-elect", "--timeout", "1m", "--config", "plumbline.yaml", "--kubeconfig", in.account.kubeconfig)
	return code, out + errs
}

// obey runs it as the pod would, asks it to sync within a time, and stops it.
func (in *installed) obey(within string) (code int, said string) {
	in.t.Helper()
	in.start("--leader-elect", "--config", "plumbline.yaml", "--kubeconfig", in.account.kubeconfig)
	in.await("the daemon's first run", func() (bool, string) {
		said := in.log()
		return strings.Contains(said, "in sync"), said
	})
	code, out, errs := in.plumbline("sync", "--timeout", within, "--config", "plumbline.yaml")
	return code, out + errs + in.stop()
}

func everyRule(rbacv1.PolicyRule) bool { return false }

// A whole life with nothing but the rights that are printed: create, change,
// heal, prune. And each of those rights is used in it.
func TestInstallIsEnough(t *testing.T) {
	t.Parallel()
	s := newStage(t, t.TempDir(), servers.Cluster(t))
	mark := s.cluster.Mark(t)
	in := s.install(everyRule)
	if code, _, errs := s.plumbline("check", "--config", "plumbline.yaml", "--kubeconfig", in.account.kubeconfig); code != 0 {
		t.Errorf("check: exit %d\n%s", code, errs)
	}
	life := []struct {
		name string
		do   func()
	}{
		{"create", func() {}},
		{"change", func() { in.edit("cart:1.4.0", "cart:1.5.0") }},
		{"heal", func() { in.deleteLive("sidecars") }},
		{"prune", func() { in.edit(in.service(), "") }},
	}
	for _, step := range life {
		step.do()
		if code, said := in.reconcile(); code != 0 {
			t.Fatalf("%s: exit %d\n%s", step.name, code, said)
		}
	}
	if code, said := in.obey("1m"); code != 0 {
		t.Fatalf("sync: exit %d\n%s", code, said)
	}
	if got := in.live(); len(got) > 3 { // of the project
		t.Errorf("left: %v", slices.Collect(maps.Keys(got)))
	}
	in.wantUsed(mark.Requests(t, func(r servers.Request) bool {
		return r.User == "system:serviceaccount:"+in.namespace+":plumbline" && r.Code != 403
	}))
}

// service is the definition of the one service, as it now is.
func (in *installed) service() string {
	in.t.Helper()
	text, err := os.ReadFile(in.path("repo/environments/production/cart.yaml"))
	if err != nil {
		in.t.Fatal(err)
	}
	return string(text)[strings.Index(string(text), "---"):]
}

// wantUsed wants every verb of every rule among the requests.
func (in *installed) wantUsed(requests []servers.Request) {
	in.t.Helper()
	used := map[string]bool{}
	for _, r := range requests {
		used[r.Group+"/"+r.Resource+" "+r.Verb] = true
		if r.Verb == "patch" && r.Code == 201 {
			used[r.Group+"/"+r.Resource+" create"] = true // RBAC asks for both
		}
	}
	// What is not seen in so short a life, and why it is needed.
	rare := map[string]string{
		"/namespaces delete": "a trailer that names the Namespace",
		"/configmaps delete": "an inventory that fits into fewer ConfigMaps than before",

		"security.istio.io/peerauthentications delete": "a project that goes",
	}
	const many = "list" // of more than a few at once, and by watches where the API server does not stream lists
	var unused []string
	for _, rule := range in.rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				key := rule.APIGroups[0] + "/" + resource + " " + verb
				if !used[key] && rare[key] == "" && verb != many {
					unused = append(unused, key)
				}
			}
		}
	}
	if len(unused) > 0 {
		in.t.Errorf("granted and not used:\n%s", strings.Join(unused, "\n"))
	}
}

// Without any one of the rules something is refused.
func TestInstallHasNoRuleToSpare(t *testing.T) {
	t.Parallel()
	cluster := servers.Cluster(t)
	all := newStage(t, t.TempDir(), cluster).install(everyRule).rules
	if len(all) < 8 {
		t.Fatalf("%d rules", len(all))
	}
	for i, rule := range all {
		t.Run(fmt.Sprintf("%d-%s", i, rule.Resources[0]), func(t *testing.T) {
			t.Parallel()
			in := newStage(t, t.TempDir(), cluster).install(func(r rbacv1.PolicyRule) bool {
				return slices.Equal(r.Resources, rule.Resources) && slices.Equal(r.Verbs, rule.Verbs)
			})
			live := in.reconcile
			if slices.Equal(rule.Verbs, []string{"watch"}) { // of orders, which nobody gives to a single run
				live = func() (int, string) { return in.obey("5s") }
			}
			code, said := live()
			if code == 0 && !strings.Contains(said, "forbidden") {
				t.Errorf("nothing missed %v\n%s", rule, said)
			}
		})
	}
}

func (s *stage) writeFile(name, text string) {
	s.t.Helper()
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// edit commits the definitions with other words in them.
func (in *installed) edit(old, text string) {
	in.t.Helper()
	const name = "repo/environments/production/cart.yaml"
	before, err := os.ReadFile(in.path(name))
	if err != nil || !strings.Contains(string(before), old) {
		in.t.Fatalf("%q is not in %s: %v", old, before, err)
	}
	in.writeFile(name, strings.Replace(string(before), old, text, 1))
	in.commit("Another")
}

// deleteLive deletes the objects of a kind that the project has.
func (in *installed) deleteLive(resource string) {
	in.t.Helper()
	for gk, gvr := range renderedKinds() {
		if gvr.Resource != resource {
			continue
		}
		for ref := range in.live() {
			if ref.GroupKind() != gk {
				continue
			}
			if err := in.dynamic.Resource(gvr).Namespace(ref.Namespace).Delete(in.t.Context(), ref.Name, metav1.DeleteOptions{}); err != nil {
				in.t.Fatal(err)
			}
		}
	}
}
