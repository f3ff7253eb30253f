package render_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/golden"
	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/overlay"
)

// TestOverlayExamples renders the examples of docs/overlays.md: its blocks of
// YAML begin with the names of files, and those of text with a directory and name
// objects that must come out of it.
func TestOverlayExamples(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/overlays.md")
	if err != nil {
		t.Fatal(err)
	}
	files, want := fstest.MapFS{}, map[string][]string{}
	for _, block := range regexp.MustCompile("(?s)```(yaml|text)\n# (\\S+)\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		if block[1] == "yaml" {
			files[block[2]] = &fstest.MapFile{Data: []byte(block[3])}
		} else {
			want[block[2]] = strings.Split(strings.TrimSpace(block[3]), "\n")
		}
	}
	if len(files) < 8 || len(want) < 3 {
		t.Fatalf("%d files and %d environments", len(files), len(want))
	}
	for dir, refs := range want {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			r, err := render.New(render.Options{Overlay: overlay.Build, Patch: golden.NewPatch})
			if err != nil {
				t.Fatal(err)
			}
			res, err := r.Render(t.Context(), files, dir)
			if err != nil || len(res.Violations) > 0 {
				t.Fatal(err, res.Violations)
			}
			there := map[string]plumbline.Ref{}
			for ref := range res.Objects.All() {
				there[ref.String()] = ref
			}
			for _, ref := range refs {
				if _, ok := there[ref]; !ok {
					t.Errorf("no %s among %v", ref, there)
				}
			}
			if dir != "environments/production" {
				return
			}
			for ref, part := range map[string]string{
				"apps/Deployment shop/ledger-v1":                   `"priorityClassName":"high"`,
				"serving.knative.dev/Service shop/cart-v1":         `"timeoutSeconds":60`,
				"serving.knative.dev/Service shop/cart-v1#region":  `{"name":"REGION","value":"eu-1"}`,
				"serving.knative.dev/Service shop/cart-v1#atleast": `"autoscaling.knative.dev/min-scale":"3"`,
			} {
				name, _, _ := strings.Cut(ref, "#")
				o, _ := res.Objects.Get(there[name])
				if !strings.Contains(string(o.Body.Reveal()), part) {
					t.Errorf("%s has no %s", name, part)
				}
			}
		})
	}
}
