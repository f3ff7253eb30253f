package render_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/knative"
)

// fleet is a repository of n services, one document a file, each with a secret
// of its own, in four projects.
func fleet(n int) fstest.MapFS { return fleetIn(4, n) }

// fleetIn is one in so many projects.
func fleetIn(projects, n int) fstest.MapFS {
	files := fstest.MapFS{}
	add := func(path, text string) { files[path] = &fstest.MapFile{Data: []byte(text)} }
	for i := range n {
		project := fmt.Sprintf("project-%d", i%projects)
		add(fmt.Sprintf("env/%s/service-%05d.yaml", project, i), fleetService(project, i, "1.0.0"))
		add(fmt.Sprintf("env/%s/secret-%05d.yaml", project, i), fleetSecret(project, i))
	}
	for i := range min(n, projects) {
		add(fmt.Sprintf("env/project-%d/project.yaml", i),
			fmt.Sprintf("apiVersion: plumbline.dev/v1\nkind: Project\nmetadata:\n  name: project-%d\n", i))
	}
	return files
}

func fleetService(project string, i int, tag string) string {
	scale := 1
	if i%10 == 0 {
		scale = 0
	}
	return fmt.Sprintf(`apiVersion: plumbline.dev/v1
kind: ServiceVersion
metadata:
  name: service-%[2]d-v1
  namespace: %[1]s
spec:
  id: service-%[2]d
  version: v1
  labels:
    team: platform
  autoScale:
    minReplicas: %[4]d
    maxReplicas: 10
    triggers:
    - name: Request per second
      type: requests-per-second
      metadata: {target: "50"}
  tasks:
  - id: main
    ports:
    - {name: http, protocol: http, port: 8080}
    resources: {cpu: 250, memory: 512}
    docker:
      image: registry.example/team/service-%[2]d:%[3]s
      imagePullPolicy: pull-if-not-exists
    env:
      LOG_LEVEL: info
      REGION: eu
    secrets: [secret-%[2]d]
  whitelists:
  - {projectId: %[1]s, service: '*'}
  upstreams:
  - {projectId: %[1]s, service: '*'}
`, project, i, tag, scale)
}

func fleetSecret(project string, i int) string {
	return fmt.Sprintf(`apiVersion: plumbline.dev/v1
kind: ServiceSecret
metadata:
  name: secret-%[2]d
  namespace: %[1]s
spec:
  type: env
  data:
    TOKEN: example-only-%[2]d
`, project, i)
}

// BenchmarkRender renders everything from the text of the files.
func BenchmarkRender(b *testing.B) {
	for _, n := range []int{500, 5000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			files := fleet(n)
			b.ReportAllocs()
			for b.Loop() {
				res := mustRender(b, newRenderer(b), files)
				if res.Objects.Len() == 0 {
					b.Fatal(res.Violations)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "services/s")
		})
	}
}

// BenchmarkChangeOne renders again after one service changed, with a file
// system that knows hashes, as a Git tree does.
func BenchmarkChangeOne(b *testing.B) {
	for _, n := range []int{500, 5000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			files := fleet(n)
			r := newRenderer(b)
			hashed := newHashedFS(files)
			mustRender(b, r, hashed)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				b.StopTimer()
				hashed.set("env/project-3/service-00007.yaml", fleetService("project-3", 7, fmt.Sprintf("1.0.%d", i)))
				b.StartTimer()
				res := mustRender(b, r, hashed)
				if res.Stats.Parsed != 1 || res.Stats.Rendered != 1 || res.Stats.Reused != n-1 {
					b.Fatalf("%+v", res.Stats)
				}
			}
		})
	}
}

// BenchmarkChangeCalls renders again after one service changed whom it calls,
// which concerns the checks between services.
func BenchmarkChangeCalls(b *testing.B) {
	for _, n := range []int{500, 5000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			r := newRenderer(b)
			hashed := newHashedFS(fleet(n))
			mustRender(b, r, hashed)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				b.StopTimer()
				to := fmt.Sprintf("upstreams:\n  - {projectId: project-3, service: service-%d}", 3+4*(i%100))
				hashed.set("env/project-3/service-00007.yaml", strings.Replace(fleetService("project-3", 7, "1.0.0"), "upstreams:", to, 1))
				b.StartTimer()
				if res := mustRender(b, r, hashed); res.Stats.Rendered != 1 {
					b.Fatalf("%+v", res.Stats)
				}
			}
		})
	}
}

// BenchmarkUnchanged renders again what did not change.
func BenchmarkUnchanged(b *testing.B) {
	for _, n := range []int{500, 5000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			r := newRenderer(b)
			hashed := newHashedFS(fleet(n))
			mustRender(b, r, hashed)
			b.ReportAllocs()
			for b.Loop() {
				mustRender(b, r, hashed)
			}
		})
	}
}

func newRenderer(tb testing.TB) *render.Renderer {
	tb.Helper()
	r, err := render.New(render.Options{Environment: "production", HashKey: []byte("key")})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func mustRender(tb testing.TB, r *render.Renderer, fsys fs.FS) render.Result {
	tb.Helper()
	res, err := r.Render(tb.Context(), fsys, "env")
	if err != nil {
		tb.Fatal(err)
	}
	return res
}

// BenchmarkKnativeRules asks Knative's own code about the objects of a service:
// what a changed service costs beside its rendering. The budget is 0.5 ms.
func BenchmarkKnativeRules(b *testing.B) {
	res := mustRender(b, newRenderer(b), fleet(1))
	rules, err := knative.NewRules(nil)
	if err != nil {
		b.Fatal(err)
	}
	var objects []knative.Object
	for _, o := range res.Objects.All() {
		if o.Ref.Group != knative.Group {
			continue
		}
		typed, err := knative.Decode(o.Ref.Kind, o.Body.Reveal())
		if err != nil {
			b.Fatal(err)
		}
		objects = append(objects, typed)
	}
	if len(objects) != 2 {
		b.Fatalf("%d objects of Knative, want a Service and a Route", len(objects))
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, o := range objects {
			rules.Complete(b.Context(), o)
			if problems := rules.Check(b.Context(), o); len(problems) > 0 {
				b.Fatal(problems)
			}
		}
	}
}
