package definition_test

import (
	"strings"
	"testing"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// A service says of its own project what it says of ".", in all places and
// spellings; and says the same to the parser.
func TestDetach(t *testing.T) {
	t.Parallel()
	const text = `apiVersion: v1
kind: List
items:
- apiVersion: plumbline.dev/v1
  kind: ServiceVersion
  metadata: {name: a-v1, namespace: shop}
  spec:
    id: a
    version: v1
    tasks: [{id: a, ports: [{name: a, protocol: http, port: 80}], docker: {image: a}}]
    whitelists: [{projectId: shop, service: b}, {service: c.shop.svc.cluster.local}, {projectId: other, service: d}]
    upstreams: [{service: e.other.svc.cluster.local}]
    affinity: [{type: service, weight: 1, operator: preferred, topologyKey: kubernetes.io/hostname, projects: [shop, other], matchExpressions: [{key: app, operator: In, values: [shop]}]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shop, namespace: shop}
`
	out, violations := definition.Detach([]byte(text))
	if len(violations) > 0 {
		t.Fatal(violations)
	}
	for _, want := range []string{
		"{projectId: ., service: b}", "{service: c, projectId: .}", "{projectId: other, service: d}",
		"{service: e.other.svc.cluster.local}", "projects: [., other]", "values: [shop]", "{name: shop, namespace: shop}",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	before, after := joined(parseAll([]byte(text))), joined(parseAll(out))
	if len(after.Versions) != 1 || len(after.Violations) > 0 {
		t.Fatalf("%d versions, %v", len(after.Versions), after.Violations)
	}
	if len(before.Versions[0].Whitelist) != 3 {
		t.Fatalf("whitelist %v", before.Versions[0].Whitelist)
	}
	for i, p := range before.Versions[0].Whitelist {
		if q := after.Versions[0].Whitelist[i]; q.Project != p.Project || q.Service != p.Service {
			t.Errorf("entry %d is %s/%s, was %s/%s", i, q.Project, q.Service, p.Project, p.Service)
		}
	}
}
