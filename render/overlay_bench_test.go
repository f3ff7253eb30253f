package render_test

import (
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
// x-plain is the ratio. The aim is 5; it is not reached as long as all projects
// are one build.
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
