package main

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/gitsource"
	"github.com/plumbline-dev/plumbline/render"
)

// benchDefinitions are n services of one project, one document a file, each
// with a secret of its own, a whitelist and two upstreams: about 7 objects.
func benchDefinitions(project string, n int) map[string]string {
	files := map[string]string{"project.yaml": "apiVersion: plumbline.dev/v1\nkind: Project\nmetadata: {name: " + project + "}\n"}
	for i := range n {
		dir := fmt.Sprintf("team-%02d/", i/100)
		files[fmt.Sprintf("%sservice-%04d.yaml", dir, i)] = benchService(project, i, n, 1)
		files[fmt.Sprintf("%ssecret-%04d.yaml", dir, i)] = fmt.Sprintf(`apiVersion: plumbline.dev/v1
kind: ServiceSecret
metadata: {name: s%04d, namespace: %s}
spec: {type: env, data: {TOKEN: example-only-%d}}
`, i, project, i)
	}
	return files
}

func benchService(project string, i, n, tag int) string {
	return fmt.Sprintf(`apiVersion: plumbline.dev/v1
kind: ServiceVersion
metadata: {name: s%04[2]d-v1, namespace: %[1]s}
spec:
  id: s%04[2]d
  version: v1
  labels: {team: "%[5]d"}
  scale: {minReplicas: 1, maxReplicas: 10, concurrency: 50}
  tasks:
  - id: web
    docker: {image: "registry.example.com/shop/s%04[2]d:%[6]d", secret: ""}
    resources: {cpu: 250, memory: 512}
    ports: [{name: http, protocol: http, port: 8080}]
    env: {LOG_LEVEL: info, REGION: eu, NEXT: "http://s%04[3]d.%[1]s.svc.cluster.local"}
    secrets: [s%04[2]d]
  whitelists: [{projectId: %[1]s, service: s%04[4]d}]
  upstreams: [{projectId: %[1]s, service: s%04[3]d}]
`, project, i, (i+1)%n, (i+n-1)%n, i%10, tag)
}

// benchRepository is a bare repository and a clone to push from.
type benchRepository struct {
	tb      testing.TB
	origin  string
	clone   string
	changes int
}

func newBenchRepository(tb testing.TB, files map[string]string) *benchRepository {
	tb.Helper()
	dir := tb.TempDir()
	r := &benchRepository{tb: tb, origin: filepath.Join(dir, "origin.git"), clone: filepath.Join(dir, "clone")}
	r.git("", "init", "--quiet", "--bare", "--initial-branch=main", r.origin)
	r.git("", "clone", "--quiet", r.origin, r.clone)
	r.push(files)
	return r
}

func (r *benchRepository) git(dir string, args ...string) {
	r.tb.Helper()
	cmd := exec.CommandContext(r.tb.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
		"GIT_AUTHOR_NAME=Bench", "GIT_AUTHOR_EMAIL=bench@example.com", "GIT_COMMITTER_NAME=Bench", "GIT_COMMITTER_EMAIL=bench@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.tb.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func (r *benchRepository) push(files map[string]string) {
	r.tb.Helper()
	for name, text := range files {
		path := filepath.Join(r.clone, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			r.tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			r.tb.Fatal(err)
		}
	}
	if len(files) > 100 {
		r.git(r.clone, "add", "--all")
	} else {
		r.git(r.clone, append([]string{"add", "--"}, slices.Collect(maps.Keys(files))...)...)
	}
	r.git(r.clone, "commit", "--quiet", "--allow-empty", "--message", "change")
	r.git(r.clone, "push", "--quiet", "origin", "HEAD:main")
}

// change pushes another image of service i of n.
func (r *benchRepository) change(project string, i, n int) {
	r.tb.Helper()
	r.changes++
	r.push(map[string]string{fmt.Sprintf("team-%02d/service-%04d.yaml", i/100, i): benchService(project, i, n, 1+r.changes)})
}

// source is a mirror of the repository.
func (r *benchRepository) source() *gitsource.Mirror {
	r.tb.Helper()
	m, err := gitsource.New(gitsource.Options{
		URL: "file://" + r.origin, Branch: "main", Timeout: time.Minute, Dir: filepath.Join(r.tb.TempDir(), "mirror"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(func() { _ = m.Close() })
	return m
}

func fetched(tb testing.TB, m *gitsource.Mirror) plumbline.Snapshot {
	tb.Helper()
	c, err := m.Fetch(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	s, err := m.Snapshot(tb.Context(), c.SHA)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// benchKey stands for the key on a cluster: hashes over secrets are real.
func benchKey() []byte { return []byte(strings.Repeat("k", hashKeyBytes)) }

func newBenchRenderer(tb testing.TB) *renderer {
	tb.Helper()
	e := config.DefaultEnvironment("bench")
	s := settings{Config: config.Default()}
	r := &renderer{settings: s, environment: e}
	if err := r.open(benchKey()); err != nil {
		tb.Fatal(err)
	}
	return r
}

func mustRender(tb testing.TB, r *renderer, s plumbline.Snapshot) {
	tb.Helper()
	out, err := r.Render(tb.Context(), s)
	if err != nil {
		tb.Fatal(err)
	}
	if errs := plumbline.Errors(out.Violations); len(errs) > 0 {
		tb.Fatal(errs[0])
	}
}

func reportStats(b *testing.B, s render.Stats) {
	b.Helper()
	b.ReportMetric(float64(s.Parsed), "parsed/op")
	b.ReportMetric(float64(s.Rendered), "rendered/op")
}

// BenchmarkRender is from a commit of a real repository, fetched, to checked
// objects: the first time, after a change of one service, and after none.
func BenchmarkRender(b *testing.B) {
	for _, n := range []int{500, 5000} {
		b.Run(fmt.Sprintf("%d services", n), func(b *testing.B) {
			repo := newBenchRepository(b, benchDefinitions("shop", n))
			source := repo.source()
			first := fetched(b, source)
			b.Run("first", func(b *testing.B) {
				b.ReportAllocs()
				var r *renderer
				for b.Loop() {
					r = newBenchRenderer(b)
					mustRender(b, r, first)
				}
				reportStats(b, r.last.Stats)
				b.ReportMetric(float64(r.last.Objects.Len()), "objects")
			})
			b.Run("one changed", func(b *testing.B) {
				r := newBenchRenderer(b)
				mustRender(b, r, first)
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					repo.change("shop", 7, n)
					c, err := source.Fetch(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
					s, err := source.Snapshot(b.Context(), c.SHA)
					if err != nil {
						b.Fatal(err)
					}
					mustRender(b, r, s)
				}
				reportStats(b, r.last.Stats)
			})
			b.Run("unchanged", func(b *testing.B) {
				r := newBenchRenderer(b)
				mustRender(b, r, first)
				b.ReportAllocs()
				for b.Loop() {
					s, err := source.Snapshot(b.Context(), first.Commit.SHA)
					if err != nil {
						b.Fatal(err)
					}
					mustRender(b, r, s)
				}
				reportStats(b, r.last.Stats)
			})
		})
	}
}

// benchEnvironment is an environment on the shared API server.
type benchEnvironment struct {
	repo    *benchRepository
	cluster *servers.ClusterHandle
	config  string
	env     string
	project string
}

func newBenchEnvironment(b *testing.B, n int) *benchEnvironment {
	b.Helper()
	suffix := servers.Suffix(b)
	e := &benchEnvironment{
		repo: newBenchRepository(b, benchDefinitions("shop-"+suffix, n)), cluster: servers.Cluster(b), env: "e" + suffix, project: "shop-" + suffix,
		config: filepath.Join(b.TempDir(), "plumbline.yaml"),
	}
	text := fmt.Sprintf(`apiVersion: plumbline.dev/v1
kind: Config
source: {url: %q, branch: main}
environments:
- {name: %s, path: ., cluster: {kubeconfig: %q}}
forge: {kind: notes}
server: {listen: ""}
namespace: plumbline-%s
log: {level: error}
`, "file://"+e.repo.origin, e.env, e.cluster.Kubeconfig, suffix)
	if err := os.WriteFile(e.config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return e
}

// once is `plumbline run --once` in a process of its own: a restart.
func (e *benchEnvironment) once(b *testing.B) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), "plumbline", "run", "--once", "--config", e.config)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("run --once: %v\n%s", err, out)
	}
}

// BenchmarkRequests runs Plumbline as a process on an environment of 100
// services: the first time, again with nothing changed, and with one changed
// service. Nothing else may talk to the server meanwhile.
func BenchmarkRequests(b *testing.B) {
	const n = 100
	measure := func(b *testing.B, prepare func() *benchEnvironment) {
		b.Helper()
		classes, runs := map[servers.Class]int{}, 0
		for b.Loop() {
			b.StopTimer()
			e := prepare()
			mark := e.cluster.Mark(b)
			b.StartTimer()
			e.once(b)
			b.StopTimer()
			runs++
			for _, r := range mark.Requests(b) {
				if strings.HasPrefix(r.UserAgent, "plumbline/") {
					classes[r.Class()]++
				}
			}
			b.StartTimer()
		}
		for _, class := range []servers.Class{servers.ClassObject, servers.ClassWatch, servers.ClassState, servers.ClassLease} {
			b.ReportMetric(float64(classes[class])/float64(runs), string(class)+"-requests/op")
		}
	}
	b.Run("cold", func(b *testing.B) {
		measure(b, func() *benchEnvironment { return newBenchEnvironment(b, n) })
	})
	e := newBenchEnvironment(b, n)
	e.once(b)
	b.Run("unchanged", func(b *testing.B) {
		measure(b, func() *benchEnvironment { return e })
	})
	b.Run("one changed", func(b *testing.B) {
		measure(b, func() *benchEnvironment {
			e.repo.change(e.project, 7, n)
			return e
		})
	})
}
