package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/preflight"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

// checkStage is a stage with a repository behind https that asks for a
// password, and a configuration that names it.
type checkStage struct {
	*stage
	git *gittest.Server
}

const checkPassword = "open sesame"

func newCheckStage(t *testing.T, cluster *servers.ClusterHandle) *checkStage {
	t.Helper()
	s := &checkStage{stage: newStage(t, t.TempDir(), cluster)}
	repo := gittest.New(t)
	repo.CommitFiles("environments/production/cart.yaml", s.theirs(installService))
	s.git = gittest.Serve(t, repo, gittest.Settings{Token: checkPassword, MayPush: true})
	s.write("token", checkPassword)
	s.write("plumbline.yaml", s.theirs(`apiVersion: plumbline.dev/v1
kind: Config
source: {url: "`+s.git.URL+`", auth: {tokenFile: "`+s.path("token")+`", caFile: "`+s.git.CAFile+`"}}
environments: [{name: production, path: environments/production}]
forge: {kind: notes}
namespace: plumbline-system
`))
	return s
}

func (s *checkStage) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// check wants an exit code, and is all that is not ok, with its line.
func (s *checkStage) check(code int, args ...string) (all []preflight.Finding, bad []string) {
	s.t.Helper()
	got, out, errs := s.plumbline(append([]string{"check", "--config", "plumbline.yaml", "-o", "json"}, args...)...)
	if got != code {
		s.t.Errorf("exit %d, want %d\n%s%s", got, code, out, errs)
	}
	if strings.Contains(out+errs, checkPassword) {
		s.t.Errorf("the password is shown:\n%s%s", out, errs)
	}
	var list struct{ Items []preflight.Finding }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		s.t.Fatalf("%v\n%s%s", err, out, errs)
	}
	for _, f := range list.Items {
		if f.State != preflight.OK {
			bad = append(bad, string(f.State)+" "+f.Subject+" "+sentence(f, true))
		}
	}
	return list.Items, bad
}

// wantLines wants exactly these lines, each of which begins as given.
func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got  %s\nwant %s…", got[i], want[i])
		}
	}
}

const noInjector = "warning injection no sidecar injector obeys istio-injection=enabled"

func TestCheckAsAdministrator(t *testing.T) {
	t.Parallel()
	s := newCheckStage(t, servers.Cluster(t))
	mark := s.cluster.Mark(t)
	all, bad := s.check(0)
	wantLines(t, bad, noInjector)
	subjects := map[string]int{}
	for _, f := range all {
		subjects[f.Subject]++
	}
	for _, subject := range []string{"repository", "definitions", "statuses", "cluster", "kind", "feature", "injection", "right"} {
		if subjects[subject] == 0 {
			t.Errorf("nothing is said of %s", subject)
		}
	}
	for _, r := range mark.Requests(t, func(r servers.Request) bool { return r.User == s.user }) {
		if r.Verb != "get" && r.Verb != "list" && r.Resource != "selfsubjectaccessreviews" {
			t.Errorf("check wrote: %s", r)
		}
	}
	if refs := s.git.Requests(); strings.Contains(strings.Join(refs, "\n"), "POST /"+filepath.Base(s.git.URL)+"/git-receive-pack") {
		t.Errorf("check pushed: %q", refs)
	}
	code, out, errs := s.plumbline("check", "--config", "plumbline.yaml", "--color", "never")
	if code != 0 || !strings.Contains(out, "\n  ok       right       may get, list, watch, create, patch, delete serving.knative.dev/services\n") || errs != "Nothing is missing; 1 warning.\n" {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestCheckMissingRights(t *testing.T) {
	t.Parallel()
	s := newCheckStage(t, servers.Cluster(t))
	a := s.account("poor")
	all, _ := s.check(4, "--kubeconfig", a.kubeconfig)
	for _, f := range all {
		if f.Subject == "right" && f.State != preflight.Missing {
			t.Errorf("nobody granted it: %s", f.Detail)
		}
	}
	a.grant("poor", []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch", "create", "patch", "update"}}})
	_, bad := s.check(4, "--kubeconfig", a.kubeconfig)
	if len(bad) < 2 || !strings.HasPrefix(bad[0], noInjector) {
		t.Fatalf("found %q", bad)
	}
	for _, line := range bad[1:] {
		if !strings.HasPrefix(line, "missing right may not delete ") || !strings.HasSuffix(line, "; grant what is missing: `plumbline install` prints all that is needed") {
			t.Errorf("found %s", line)
		}
	}
}

// Whoever may write in the projects' namespaces only may do all that is needed
// there.
func TestCheckRightsInNamespaces(t *testing.T) {
	t.Parallel()
	s := newCheckStage(t, servers.Cluster(t))
	a := s.account("narrow")
	a.grant("narrow", []rbacv1.PolicyRule{
		{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"*"}},
	})
	a.grantIn(s.namespace, []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}})
	_, bad := s.check(4, "--kubeconfig", a.kubeconfig)
	if !strings.Contains(strings.Join(bad, "\n"), "missing right may not create, patch, delete serving.knative.dev/services,") {
		t.Errorf("the project's namespace is not granted: %q", bad)
	}
	a.makeNamespace(s.project)
	a.grantIn(s.project, []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}})
	_, bad = s.check(0, "--kubeconfig", a.kubeconfig)
	wantLines(t, bad, noInjector)
}

func TestCheckGit(t *testing.T) {
	t.Parallel()
	s := newCheckStage(t, servers.Cluster(t))
	s.git.Set(func(g *gittest.Settings) { g.MayPush = false })
	_, bad := s.check(0)
	wantLines(t, bad, "warning statuses push https://", noInjector)

	s.write("token", "close sesame")
	_, bad = s.check(4)
	wantLines(t, bad, "missing repository ", "warning statuses ", noInjector)
	if !strings.HasSuffix(bad[0], "see that source.auth names credentials that may read the repository") {
		t.Errorf("said %s", bad[0])
	}

	s.write("token", checkPassword)
	_, bad = s.check(3, "--branch", "nowhere")
	if !strings.HasPrefix(bad[0], "missing repository ") || !strings.Contains(bad[0], "nowhere") {
		t.Errorf("said %s", bad[0])
	}
	_, bad = s.check(3, "--path", "environments/none")
	if !strings.HasPrefix(bad[0], "missing definitions ") {
		t.Errorf("said %s", bad[0])
	}
}

func TestCheckMissingKind(t *testing.T) {
	t.Parallel()
	own := servers.Own(t)
	s := newCheckStage(t, own.ClusterHandle)
	crds := s.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if err := crds.Delete(t.Context(), "sidecars.networking.istio.io", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.await("the kind to go", func() (bool, string) {
		code, out, errs := s.plumbline("check", "--config", "plumbline.yaml", "-o", "json")
		return code != 0, out + errs
	})
	_, bad := s.check(5)
	wantLines(t, bad, "missing kind networking.istio.io/Sidecar is not served; install Istio", noInjector)

	own.Stop(t)
	_, bad = s.check(5)
	if len(bad) != 1 || !strings.HasPrefix(bad[0], "missing cluster https://") || !strings.HasSuffix(bad[0], "see that the API server runs and can be reached from here") {
		t.Errorf("said %q", bad)
	}
}
