package definition

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"
)

// simpleTexts are documents that simple loads, and those that it leaves alone.
func simpleTexts() (simple, other []string) {
	simple = []string{
		"a: b", "a: b\n", "---\na: b\n", "# c\na: b # c\n\n# c\n", "a:\nb:\n  c: 1\n  d:\n", "- a\n- b\n", "- a: 1\n  b: 2\n- c: 3\n",
		"a:\n- b\n- c: d\n  e: f\ng: h\n", "a:\n  - b\n  -\n  - c\n", "- - a\n  - b\n- c\n", "-\n  a: b\n",
		"a: {b: c, d: [e, 'f', \"g\", -1], h: {}}\n", "a: []\n", "'a': \"b\"\n", "a : b\n", "a: b:c #d\n", "a: http://b/c#d\n",
		"a: -1\nb: 0x10\nc: 1e3\nd: true\ne: ~\nf: null\ng: 2024-01-01\nh: .5\ni: 0b11\nj: yes\nk: ''\n", "a: b c  d\n", "text\n", "a: --flag\n",
		"a: [\"b: c\", 'd, e']\n", "a: {\"b\" : c}\n",
	}
	other = []string{
		"a: |\n  b\n", "a: >-\n  b\n", "a: b\n  c\n", "a: &x b\nc: *x\n", "a: !!str b\n", "<<: {a: b}\n", "? a\n: b\n", "a: 'it''s'\n",
		"a: \"\\n\"\n", "a: \tb\n", "a: ü\n", "a: {b: c,\n  d: e}\n", "a: b: c\n", " a: b\nc: d\n", "a: {b}\n", "a: [b: c]\n", "a: b\n---\nc: d\n",
		"a: 'b\n  c'\n", "a: b\n - c\n", "a: @b\n", "{a: b}: c\n", "a: {b: c,}\n", "a: \"b\" c\n", "a: b\r\n", "%YAML 1.2\n---\na: b\n", "...\n",
	}
	return simple, other
}

// TestSimple loads the simple documents, so that it is not the parser that does,
// and no others.
func TestSimple(t *testing.T) {
	t.Parallel()
	good, other := simpleTexts()
	for _, text := range good {
		if simple([]byte(text)) == nil {
			t.Errorf("%q is left to the parser", text)
		}
		likeTheParser(t, []byte(text))
	}
	for _, text := range other {
		if n := simple([]byte(text)); n != nil {
			t.Errorf("%q is read as %q", text, n.Value)
		}
	}
}

// TestSimpleTokens compares with the parser on texts of a few tokens, in which
// most of what is easily misread comes up.
func TestSimpleTokens(t *testing.T) {
	t.Parallel()
	tokens := []string{
		"a", "b", "a: ", "b: ", "c:\n", "- ", "-", ":", " ", "  ", "\n", "\n", "\n  ", "\n- ", "\n  - ", "{", "}", "[", "]", ", ", ",",
		"'", "\"", "'d'", "\"e\"", "#", " # f", "?", "1", "~", "---", "...", "<<", "&", "*", "!", "|", ">", "%", "@", "=", ".",
	}
	random := rand.New(rand.NewPCG(1, 2))
	read := 0
	for range 30_000 {
		var text []byte
		for range 1 + random.IntN(14) {
			text = append(text, tokens[random.IntN(len(tokens))]...)
		}
		likeTheParser(t, text)
		if simple(text) != nil {
			read++
		}
	}
	if read < 1000 {
		t.Errorf("%d texts are simple: too few to tell", read)
	}
}

// FuzzSimple compares with the parser of all YAML: the same nodes at the same
// places, or none.
func FuzzSimple(f *testing.F) {
	good, other := simpleTexts()
	for _, text := range append(good, other...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { likeTheParser(t, text) })
}

func likeTheParser(t *testing.T, text []byte) {
	t.Helper()
	got := simple(text)
	if got == nil {
		return
	}
	var doc yaml.Node
	if err := unmarshal(text, &doc); err != nil {
		t.Fatalf("%q is read, and the parser says: %v", text, err)
	}
	comments := cmpopts.IgnoreFields(yaml.Node{}, "HeadComment", "LineComment", "FootComment")
	if diff := cmp.Diff(doc.Content[0], got, comments, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%q (-parser +simple):\n%s", text, diff)
	}
}

// BenchmarkSimple loads the definition of a service, and the same with a comment
// that is not ASCII, which is the parser's.
func BenchmarkSimple(b *testing.B) {
	const text = `apiVersion: plumbline.dev/v1
kind: ServiceVersion
metadata: {name: cart-v1, namespace: shop}
spec:
  id: cart
  version: v1
  labels: {team: "1"}
  scale: {minReplicas: 1, maxReplicas: 10, concurrency: 50}
  tasks:
  - id: web
    docker: {image: "registry.example.com/shop/cart:1", secret: ""}
    resources: {cpu: 250, memory: 512}
    ports: [{name: http, protocol: http, port: 8080}]
    env:
      LOG_LEVEL: info
      NEXT: http://catalog.shop.svc.cluster.local
    secrets: [cart]
  whitelists: [{projectId: shop, service: web}]
  upstreams: [{projectId: shop, service: catalog}]
`
	for name, text := range map[string]string{"simple": text, "parser": text + "# ü\n"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := Parse([]byte(text)); len(d.Versions) != 1 || len(d.Violations) > 0 {
					b.Fatal(d.Violations)
				}
			}
		})
	}
}
