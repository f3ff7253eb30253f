package render_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/archive"
	"github.com/plumbline-dev/plumbline/fixtures/golden"
	"github.com/plumbline-dev/plumbline/render"
)

// TestGolden renders the input of each archive in fixtures/golden and compares
// with the sections that begin with out/. UPDATE=1 rewrites them.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, c := range golden.Cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			archive.Compare(t, c.Path, c.Archive, renderArchive(t, c))
		})
	}
}

// TestEveryCodeHasACase fails for a code that no archive shows.
func TestEveryCodeHasACase(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	for _, c := range golden.Cases(t) {
		for _, f := range c.Archive.Files {
			if f.Name != "out/violations" {
				continue
			}
			for line := range strings.Lines(string(f.Data)) {
				code, _, _ := strings.Cut(line, " ")
				shown[code] = true
			}
		}
	}
	for name, code := range codes(t) {
		if !shown[code] {
			t.Errorf("%s (%s): no archive in fixtures/golden has it", code, name)
		}
	}
}

// codes are the constants of render/definition/codes.go, which must be unique.
func codes(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "definition/codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out, names := map[string]string{}, map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := names[code]; ok {
			t.Errorf("%s and %s are both %s", other, spec.Names[0].Name, code)
		}
		names[code], out[spec.Names[0].Name] = spec.Names[0].Name, code
		return true
	})
	if len(out) < 50 {
		t.Fatalf("found %d codes only", len(out))
	}
	return out
}

// renderArchive is the archive with its out/ sections as they should be.
func renderArchive(t *testing.T, c golden.Case) *txtar.Archive {
	t.Helper()
	archive, res := c.Archive, c.Render(t)
	out := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		if !strings.HasPrefix(f.Name, "out/") {
			out.Files = append(out.Files, f)
		}
	}
	section := func(name, text string) {
		if text != "" {
			out.Files = append(out.Files, txtar.File{Name: "out/" + name, Data: []byte(text)})
		}
	}
	section("violations", violationsText(res))
	section("skipped", skippedText(res.Skipped))
	section("closed", skippedText(res.Closed))
	section("objects", objectsText(t, res, c.Show))
	return out
}

func violationsText(res render.Result) string {
	var b strings.Builder
	for _, v := range res.Violations {
		fmt.Fprintf(&b, "%s %s\n", v.Code, v)
	}
	return b.String()
}

func skippedText(list []render.Skip) string {
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, "%s: %s\n", s.Origin, s.Reason)
	}
	return b.String()
}

// objectsText is the objects as YAML, those of the kinds in show, with what
// the body does not say in a comment. The labels that every object has are left
// out: TestLabels is about them.
func objectsText(t *testing.T, res render.Result, show []string) string {
	t.Helper()
	var b bytes.Buffer
	for _, o := range plumbline.InWaves(res.Objects) {
		if len(show) > 0 && !slices.Contains(show, o.Ref.Kind) {
			continue
		}
		fmt.Fprintf(&b, "# wave %d, from %s", o.Wave, o.Origin)
		if o.System {
			b.WriteString(", system")
		}
		if c := o.Control; c != (plumbline.Control{}) {
			fmt.Fprintf(&b, ", %+v", c)
		}
		b.WriteString("\n")
		var doc yaml.Node
		if err := yaml.Unmarshal(o.Body.Reveal(), &doc); err != nil {
			t.Fatal(err)
		}
		unlabelled(doc.Content[0])
		compact(&doc, 0)
		enc := yaml.NewEncoder(&b)
		enc.SetIndent(2)
		if err := enc.Encode(&doc); err != nil {
			t.Fatal(err)
		}
		b.WriteString("---\n")
	}
	return b.String()
}

// unlabelled drops the labels of every object. They are seen where they do not
// belong, as in a selector.
func unlabelled(object *yaml.Node) {
	labels := valueOf(valueOf(object, "metadata"), "labels")
	for i := 0; i+1 < len(labels.Content); i += 2 {
		switch labels.Content[i].Value {
		case plumbline.LabelManagedBy, plumbline.LabelEnvironment, plumbline.LabelProject, plumbline.LabelService:
			labels.Content = slices.Delete(labels.Content, i, i+2)
			i -= 2
		}
	}
}

// valueOf is what stands behind a key of a mapping; nothing where it has none.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return &yaml.Node{}
}

// compact puts what fits on one line.
func compact(n *yaml.Node, depth int) int {
	width := len(n.Value) + 2
	n.Style = 0
	for _, c := range n.Content {
		width += compact(c, depth+1) + 2
	}
	if n.Kind != yaml.ScalarNode && depth > 1 && 2*depth+width < 120 {
		n.Style = yaml.FlowStyle
	}
	return width
}

// TestShop renders the sample repository.
func TestShop(t *testing.T) {
	t.Parallel()
	r, err := render.New(render.Options{Environment: "production"})
	if err != nil {
		t.Fatal(err)
	}
	res, err := r.Render(t.Context(), os.DirFS("../fixtures/shop"), "environments/production")
	if err != nil {
		t.Fatal(err)
	}
	inClear := regexp.MustCompile(`(?m)^PL5009 environments/production/secrets/.*\n`) // example values
	want := "PL7001 environments/production/services/geocoder.yaml:19:42: warning: geocoder answers on port 80, not 9000: it scales to zero\n"
	if got := violationsText(res); inClear.ReplaceAllString(got, "") != want || len(inClear.FindAllString(got, -1)) != 6 {
		t.Errorf("violations:\n%s", got)
	}
	modes := map[string]plumbline.Mode{}
	for _, s := range res.Services {
		modes[s.Service] = s.Mode
	}
	if diff := cmp.Diff(map[string]plumbline.Mode{
		"web": plumbline.ModeKnative, "catalog": plumbline.ModeKnative, "cart": plumbline.ModeKnative,
		"checkout": plumbline.ModeKnative, "geocoder": plumbline.ModeKnative, "mailer": plumbline.ModeKnativeDirect,
		"ledger": plumbline.ModeDeployment, "reports": plumbline.ModeDeployment,
	}, modes); diff != "" {
		t.Error(diff)
	}
}
