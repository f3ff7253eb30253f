package render_test

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/overlay"
)

// overlaid is a fleet behind an overlay on each of its projects.
func overlaid(n int) fstest.MapFS {
	files := fstest.MapFS{}
	add := func(name, text string) { files[name] = &fstest.MapFile{Data: []byte(text)} }
	lists := map[string]*strings.Builder{}
	for name, f := range fleet(n) {
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
		add("env/"+dir+"/kustomization.yaml", `resources: [../../base/`+dir+`]
namespace: `+dir+`-staging
images: [{name: registry.example/team/service-3, newTag: "2"}]
patches:
- target: {kind: ServiceVersion, name: service-3-v1}
  patch: |
    - {op: replace, path: /spec/autoScale/maxReplicas, value: 3}
`)
		projects.WriteString("- " + dir + "\n")
	}
	add("env/kustomization.yaml", "resources:\n"+projects.String())
	return files
}

// BenchmarkOverlay renders a fleet behind overlays, and as a plain directory:
// x-plain is the ratio, which is not to be above 5.
func BenchmarkOverlay(b *testing.B) {
	files, plain := overlaid(1000), fleet(1000)
	var behind, beside time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := b.Elapsed()
		mustRenderOverlay(b, newOverlayRenderer(b), files)
		between := b.Elapsed()
		mustRender(b, newRenderer(b), plain)
		behind += between - start
		beside += b.Elapsed() - between
	}
	b.ReportMetric(float64(behind)/float64(beside), "x-plain")
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
