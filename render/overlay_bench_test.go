package render_test

import (
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/overlay"
)

// overlaid is a fleet behind an overlay on each of its projects.
func overlaid(n int) fstest.MapFS {
	return behind(fleet(n), `namespace: %s-staging
images: [{name: registry.example/team/service-3, newTag: "2"}]
patches:
- target: {kind: ServiceVersion, name: service-3-v1}
  patch: |
    - {op: replace, path: /spec/autoScale/maxReplicas, value: 3}
`)
}

// behind puts the projects of a plain directory behind an overlay each. What the
// overlays say may name the project.
func behind(plain fstest.MapFS, says string) fstest.MapFS {
	files := fstest.MapFS{}
	add := func(name, text string) { files[name] = &fstest.MapFile{Data: []byte(text)} }
	lists := map[string]*strings.Builder{}
	for name, f := range plain {
		files[strings.Replace(name, "env/", "base/", 1)] = f
		dir := path.Base(path.Dir(name))
		if lists[dir] == nil {
			lists[dir] = &strings.Builder{}
		}
		lists[dir].WriteString("- " + path.Base(name) + "\n")
	}
	var projects strings.Builder
	for dir, list := range lists {
		add("base/"+dir+"/kustomization.yaml", "resources:\n"+list.String())
		add("env/"+dir+"/kustomization.yaml", "resources: [../../base/"+dir+"]\n"+strings.ReplaceAll(says, "%s", dir))
		projects.WriteString("- " + dir + "\n")
	}
	add("env/kustomization.yaml", "resources:\n"+projects.String())
	return files
}

// overlaidFleets are overlays of 1,000 services, and the plain directory of the
// same.
func overlaidFleets() map[string]struct{ behind, plain fstest.MapFS } {
	four, twenty := fleet(1000), fleetIn(20, 1000)
	return map[string]struct{ behind, plain fstest.MapFS }{
		"namespace":  {overlaid(1000), four},
		"namePrefix": {behind(four, "namePrefix: qa-\n"), four},
		"replacements": {behind(twenty, `configMapGenerator:
- {name: settings, namespace: %s, literals: [region=eu-1]}
replacements:
- source: {kind: ConfigMap, name: settings, fieldPath: data.region}
  targets:
  - select: {kind: ServiceVersion}
    fieldPaths: ["spec.tasks.[id=main].env.REGION"]
`), twenty},
	}
}

// BenchmarkOverlay renders fleets behind overlays, and as plain directories:
// x-plain is the ratio, which is not to be above 5. B/service and allocs/service
// are those of the overlay.
func BenchmarkOverlay(b *testing.B) {
	for name, of := range overlaidFleets() {
		b.Run(name, func(b *testing.B) {
			var behind, beside time.Duration
			var from, to runtime.MemStats
			var bytes, allocs uint64
			for b.Loop() {
				runtime.ReadMemStats(&from)
				start := b.Elapsed()
				mustRenderOverlay(b, newOverlayRenderer(b), of.behind)
				between := b.Elapsed()
				runtime.ReadMemStats(&to)
				again := b.Elapsed()
				mustRender(b, newRenderer(b), of.plain)
				behind += between - start
				beside += b.Elapsed() - again
				bytes += to.TotalAlloc - from.TotalAlloc
				allocs += to.Mallocs - from.Mallocs
			}
			services := float64(b.N) * 1000
			b.ReportMetric(float64(behind)/float64(beside), "x-plain")
			b.ReportMetric(float64(bytes)/services, "B/service")
			b.ReportMetric(float64(allocs)/services, "allocs/service")
		})
	}
}

// BenchmarkOverlayChangeOne renders again after one service changed behind
// overlays.
func BenchmarkOverlayChangeOne(b *testing.B) {
	r, hashed := newOverlayRenderer(b), newHashedFS(overlaid(1000))
	mustRenderOverlay(b, r, hashed)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		b.StopTimer()
		hashed.set("base/project-3/service-00007.yaml", fleetService("project-3", 7, fmt.Sprintf("1.0.%d", i)))
		b.StartTimer()
		mustRenderOverlay(b, r, hashed)
	}
}

// TestOverlayChangesOne: of what lies behind overlays only what changed is read,
// parsed and rendered again, and another document's length does not count.
func TestOverlayChangesOne(t *testing.T) {
	t.Parallel()
	r, hashed := newOverlayRenderer(t), newHashedFS(overlaid(200))
	mustRenderOverlay(t, r, hashed)
	hashed.reads = nil
	hashed.set("base/project-3/service-00007.yaml", strings.Replace(fleetService("project-3", 7, "1.0.1"), "REGION: eu", "REGION: eu\n      MORE: x", 1))
	res := mustRenderOverlay(t, r, hashed)
	if s := res.Stats; s.Parsed != 1 || s.Rendered != 1 || s.Reused != 199 {
		t.Errorf("%+v", s)
	}
	for _, name := range hashed.reads {
		if !strings.HasSuffix(name, "kustomization.yaml") && name != "base/project-3/service-00007.yaml" {
			t.Errorf("%s was read again", name)
		}
	}
}

func newOverlayRenderer(tb testing.TB) *render.Renderer {
	tb.Helper()
	r, err := render.New(render.Options{
		Environment: "production", HashKey: []byte("key"),
		Overlay: (&overlay.Builder{}).Build,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func mustRenderOverlay(tb testing.TB, r *render.Renderer, fsys fs.FS) render.Result {
	tb.Helper()
	res := mustRender(tb, r, fsys)
	if res.Objects.Len() == 0 {
		tb.Fatal(res.Violations)
	}
	return res
}
