package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline/fixtures/servers"
)

// A process that is killed after any of its writes leaves nothing that the next
// one does not set right: what lives and is ours, what the commit means and
// what is written down are the same, whether the next process finds the same
// commit or one that deletes a service of it.
//
// Every write counts: of Plumbline's Namespace, the hash key, the inventory's
// ConfigMaps and objects, in a run that creates, one that changes and one that
// deletes. The process dies, in turn, before and after it gets the answer.
func TestKilledAfterEachWrite(t *testing.T) {
	t.Parallel()
	for _, next := range []string{sameCommit, "a service less"} {
		for name, run := range map[string]func(*killing){"create": creating, "change": changing, "delete": deleting} {
			t.Run(name+" then "+next, func(t *testing.T) {
				t.Parallel()
				k := &killing{t: t, next: next}
				run(k)
				t.Logf("killed after %d writes, %d of them of inventories", k.kills, k.saves)
				// A run saves before its first write and after its last; Events, which
				// are written beside it, may come between.
				if k.kills < 10 || k.saves < 2 {
					t.Errorf("killed after %d writes, %d of them of inventories: too few to mean something", k.kills, k.saves)
				}
			})
		}
	}
}

// killing kills processes on one stage after another.
type killing struct {
	*stage
	*guillotine
	t     *testing.T
	next  string // what the next process finds
	round int
	kills int // after any write
	saves int // after one of an inventory
}

const sameCommit = "the same commit"

// creating kills the first run of an environment: each on a new stage.
func creating(k *killing) {
	for n := 1; ; n++ {
		k.newStage()
		k.define("cart", "catalog", "mailer")
		if !k.killAfter(n) {
			return
		}
		k.recover("cart", "catalog")
	}
}

// changing kills a run that changes every service and the secret.
func changing(k *killing) {
	k.newStage()
	for n := 1; ; n++ {
		if n == 1 || k.next != sameCommit { // the mailer is there, and all is well
			k.define("cart", "catalog", "mailer")
			k.once()
		}
		k.define("cart", "catalog", "mailer")
		if !k.killAfter(n) {
			break
		}
		k.recover("cart", "catalog")
	}
	k.quiet()
}

// deleting kills a run that deletes a service.
func deleting(k *killing) {
	k.newStage()
	for n := 1; ; n++ {
		k.define("cart", "catalog", "mailer")
		k.once()
		k.define("cart", "catalog")
		if !k.killAfter(n) {
			break
		}
		k.recover("cart")
	}
	k.quiet()
}

func (k *killing) newStage() {
	k.t.Helper()
	c := servers.Cluster(k.t)
	k.stage = newStage(k.t, k.t.TempDir(), c)
	k.guillotine = newGuillotine(k.t, c)
	k.writeKubeconfig(k.kubeconfig(), k.server.URL)
	config := strings.NewReplacer("$REPOSITORY", "file://"+k.origin(), "plumbline-system", k.namespace, "notes", "none").Replace(defaultConfig)
	if err := os.WriteFile(k.path("plumbline.yaml"), []byte(config), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// define commits the services, all different from the last time.
func (k *killing) define(services ...string) {
	k.t.Helper()
	k.round++
	dir := filepath.Join(k.repo(), "environments", "production")
	if err := os.RemoveAll(dir); err != nil {
		k.t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		k.t.Fatal(err)
	}
	files := map[string]string{"project": killedProject}
	for _, s := range services {
		files[s] = killedService
		if s == "mailer" {
			files[s] = killedWorker
		}
	}
	for name, text := range files {
		text = strings.NewReplacer("NAME", name, "ROUND", fmt.Sprint(k.round), "WEEK", fmt.Sprint(k.round%2)).Replace(text)
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o600); err != nil {
			k.t.Fatal(err)
		}
	}
	k.commit(fmt.Sprintf("Round %d\n\nPlumbline-Allow-Delete: all", k.round))
}

const killedProject = `apiVersion: plumbline.dev/v1
kind: Project
metadata:
  name: shop
---
apiVersion: plumbline.dev/v1
kind: ServiceSecret
metadata: {name: token, namespace: shop}
spec: {type: env, data: {TOKEN: "ROUND"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: banner, namespace: shop}
data: {text: "ROUND"}
`

// killedService is a Knative service that asks for all kinds of objects.
const killedService = `apiVersion: plumbline.dev/v1
kind: ServiceVersion
metadata: {name: NAME-v1, namespace: shop}
spec:
  id: NAME
  version: v1
  autoScale: {minReplicas: 1, maxReplicas: 2, triggers: [{name: Requests, type: requests-per-second, metadata: {target: "10"}}]}
  tasks:
  - id: NAME
    ports: [{name: http, protocol: http, port: 8080}]
    docker: {image: "registry.example.com/NAME:ROUND"}
    secrets: [token]
  whitelists: [{projectId: shop, service: "callerWEEK"}]
  upstreams: [{projectId: shop, service: "calledWEEK"}]
`

// killedWorker is a Deployment with what belongs to one.
const killedWorker = `apiVersion: plumbline.dev/v1
kind: ServiceVersion
metadata: {name: NAME-v1, namespace: shop}
spec:
  id: NAME
  version: v1
  autoScale: {minReplicas: 2, maxReplicas: 3, triggers: [{name: cpu, type: cpu, metadata: {type: Utilization, value: "70"}}]}
  tasks:
  - id: NAME
    ports: [{name: tcp-mail, protocol: tcp, port: 2525}]
    resources: {cpu: 100, memory: 64}
    docker: {image: "registry.example.com/NAME:ROUND"}
    secrets: [token]
  whitelists: [{projectId: shop, service: cart}]
  upstreams: []
`

// killAfter runs the head and kills the process after its n-th write; not ok
// when it came to its end with fewer.
func (k *killing) killAfter(n int) (ok bool) {
	k.t.Helper()
	var errs bytes.Buffer
	cmd := k.command(k.t.Context(), "run", "--once", "--config", "plumbline.yaml")
	cmd.Stderr = &errs
	if err := k.start(cmd, n, (n%2 == 0) == (k.next == sameCommit)); err != nil {
		k.t.Fatal(err)
	}
	err := cmd.Wait()
	write, killed := k.last()
	if !killed {
		if err != nil {
			k.t.Fatalf("the process was not killed, and ended badly: %v\n%s", err, errs.String())
		}
		k.wantEqual("the run that was not killed")
		return false
	}
	k.kills++
	if strings.Contains(write, "/plumbline-inventory-") || strings.HasSuffix(write, "/configmaps") {
		k.saves++
	}
	k.t.Logf("killed after write %d: %s", n, k.ours(write))
	if err := os.RemoveAll(k.temp()); err != nil { // what the dead leave behind
		k.t.Fatal(err)
	}
	return os.MkdirAll(k.temp(), 0o700) == nil
}

// start is the guillotine's, not the stage's.
func (k *killing) start(cmd *exec.Cmd, fatal int, silent bool) error {
	return k.guillotine.start(cmd, fatal, silent)
}

// recover runs a new process: on the same commit, or on one of services only.
func (k *killing) recover(services ...string) {
	k.t.Helper()
	if k.next != sameCommit {
		k.define(services...)
	}
	write, _ := k.last()
	k.once()
	k.wantEqual("killed after " + k.ours(write))
}

// once runs the head to its end.
func (k *killing) once() {
	k.t.Helper()
	cmd := k.command(k.t.Context(), "run", "--once", "--config", "plumbline.yaml")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := k.start(cmd, 0, false); err != nil {
		k.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		k.t.Fatalf("run: %v\n%s", err, k.ours(errs.String()))
	}
}

// quiet wants another run to have nothing to do.
func (k *killing) quiet() {
	k.t.Helper()
	k.mark = k.cluster.Mark(k.t)
	k.once()
	if got := k.requests(servers.ClassObject); len(got) > 0 {
		k.t.Errorf("one more run sent %q", got)
	}
}

// wantEqual compares what lives, what the head means and what is written down.
func (k *killing) wantEqual(when string) {
	k.t.Helper()
	var live, kept, uids, keptUIDs []string
	objects, entries := k.live(), k.inventory()
	for ref, o := range objects {
		name := k.ours(ref.String())
		live, uids = append(live, name), append(uids, name+" "+string(o.GetUID()))
	}
	for ref, e := range entries {
		name := k.ours(ref.String())
		kept, keptUIDs = append(kept, name), append(keptUIDs, name+" "+e.UID)
	}
	for _, l := range [][]string{live, kept, uids, keptUIDs} {
		slices.Sort(l)
	}
	want := k.rendered("environments/production")
	if diff := cmp.Diff(want, live); diff != "" {
		k.t.Errorf("%s: live objects (-rendered +live):\n%s", when, diff)
	}
	if diff := cmp.Diff(want, kept); diff != "" {
		k.t.Errorf("%s: inventory (-rendered +inventory):\n%s", when, diff)
	}
	if diff := cmp.Diff(uids, keptUIDs); diff != "" {
		k.t.Errorf("%s: uids (-live +inventory):\n%s", when, diff)
	}
}
