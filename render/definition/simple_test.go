package definition

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"
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
		"a" + strings.Repeat(" ", 1100) + ": b\n", "{a" + strings.Repeat(" ", 1100) + ": b}\n", "- a" + strings.Repeat(" ", 1100) + ": b\n",
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

// oddities are texts that readers of YAML disagree about, or that are easily
// taken for something else; each is for simple to leave alone, or to read as the
// parser does.
func oddities() []string {
	long := strings.Repeat("k", 990)
	return []string{
		// What looks like a number, a time, a truth or nothing.
		"a: 012\nb: 0o7\nc: 0x1F\nd: 1_000\ne: .inf\nf: ~\ng: 0b2\nh: 09\ni: +1\nj: -.5\nk: 1e400\n",
		"a: 1.\nb: 1.e3\nc: +.inf\nd: .NaN\ne: -0\nf: 0.\ng: 0x\nh: 0o\ni: 0b\nj: 0_1\nk: _1\nl: 1__0\nm: 1:2\nn: 12:30:45\n",
		"a: 2001-12-14t21:59:43.10-05:00\nb: 2001-1-1\nc: 2001-12-14 21:59:43.10 -5\nd: 2001-01-01\n",
		"a: y\nb: n\nc: Y\nd: on\ne: OFF\nf: True\ng: tRUE\nh: Null\ni: nULL\nj: yes\nk: =\nl: .\n",
		"null: a\ntrue: b\n1: c\n~: d\n=: e\n.: f\n'': g\n",
		// Colons, dashes, commas, signs where they mean something, and where not.
		"[a:]\n", "[a:,b]\n", "{a: b:}\n", "{a: 'b':c}\n", "{'a':b}\n", "{'a': b}\n", "{a : b}\n", "[a: b]\n", "[a, ]\n", "[a b]\n", "[a#b]\n", "[a #b]\n", "[]#\n",
		"a: b: \n", "a: b :c\n", "a: :b\n", "a:b\n", "a::b\n", "a::\n", "-a: b\n", "-: b\n", "a: -\n", "a: - b\n", "a: -- b\n", "a: ?b\n", "a: b?\n", "[a?b]\n", "- ?\n",
		"a: [http://x:80/y]\n", "a: [http://x/?z=1]\n", "a: {b}\n", "a: {b, c: d}\n", "a: 'b'c\n", "a: \"b\"#c\n", "'a' 'b'\n", "'a': 'b': 'c'\n", "a: b'c\"d\n",
		// Indentation.
		"a:\n  - b\n c: d\n", "a:\n   - b\n   - c\nd: e\n", "  a: b\n", " - a\n - b\n", "-\n- a\n -\n", "- - a\n  -\n  - b: c\n    d:\n", "-   - a\n    - b\n",
		"a:\n- - b\n  - c\n-\n  - d\n", "a:\n- b\n c\n", "a:\n b: c\n  d: e\n", "- a: b\n c: d\n", "- a: b\n  c: d\n", "a:\n  b\n", "a:\n  b\n  c\n", "a: b\n c\n", "a\nb\n",
		"a:\n[b]\n", "a:\n {b: c}\n", "a:\n - b\n- c\n", "a: {b: c}\n  d\n",
		// Comments, blanks, ends.
		"a: b   # c: d\n", "a:# b\n", "a: # b\n  c: d\n", "a: #b\n", "# a\n\n  # b\nc: d\n", "a:\n# b\n  c: d\n# e\n  f: g\n", "a:\n  b: c\n # d\n  e: f\n",
		"a:\n  - b\n  # c\n- d\n", "a: 'b'   \n", "a:   \n  b: c\n", "a: b", "a:", "-", "#", " ", "a: b\n\n\n", "a: b\n   ", "a: b\n   # c",
		// Documents, directives, tags, anchors, aliases, merges, long keys.
		"--- a\n", "---\n---\na: b", "a:\n---\n", "a: ---\n", "---a: b\n", "....: b\n", "a: b\n...\n", "%a: b\n", "---\n# a\nb: c\n", "- <<\n", "<<: a\n", "'<<': a\n", "a: <<\n",
		"a: !b c\n", "a: &b c\n", "a: *b\n", "&a b: c\n", "? a\n: b\n", "?a: b\n", "{? a: b}\n", "[a]: b\n", "{a: b}: c\n", "'': a\n", long + "kkkkkkkkkkkk: a\n",
		long + strings.Repeat("k", 50) + ": a\n", "{" + long + strings.Repeat(" ", 50) + ": a}\n", "a: " + strings.Repeat("k", 5000) + "\n", "- " + strings.Repeat("k", 5000) + "\n",
		// Twice; block scalars; what is not ASCII, and no character.
		"a: b\na: c\n", "a: |2\n    b\n", "a: |-\n  b\nc: d\n", "a: >+1\n  b\n", "a: |#\n b\n", "a: b|\n", "ü: a\n", "a: b\u0085c: d\n", "a: b\u2028c\n", "\ufeffa: b\n", "a: b\r\nc: d\r\n",
		"a:\tb\n", "a: b\t\n", "\ta: b\n", "a: b\t# c\n", "a: \x00\n", "a: \x7f\n",
	}
}

// TestSimpleOddities compares with the parser on them.
func TestSimpleOddities(t *testing.T) {
	t.Parallel()
	read := 0
	for _, text := range oddities() {
		likeTheParser(t, []byte(text))
		if simple([]byte(text)) != nil {
			read++
		}
	}
	if read < 50 {
		t.Errorf("%d oddities are simple", read)
	}
}

// TestSimpleFiles compares with the parser on all documents of the repository,
// those in archives included.
func TestSimpleFiles(t *testing.T) {
	t.Parallel()
	documents, read := 0, 0
	compare := func(file []byte) {
		chunks, _ := Split(file)
		for _, c := range chunks {
			likeTheParser(t, c.Text)
			documents++
			if simple(c.Text) != nil {
				read++
			}
		}
	}
	for _, dir := range []string{"../../fixtures", "..", "../../cmd/plumbline/testdata"} {
		err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			switch text, err := os.ReadFile(filepath.Join(dir, name)); filepath.Ext(name) {
			case ".yaml", ".yml", ".json":
				compare(text)
				return err
			case ".txtar":
				for _, f := range txtar.Parse(text).Files {
					compare(f.Data)
				}
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if documents < 1000 || read < documents/3 {
		t.Errorf("%d documents, %d of them simple: too few to tell", documents, read)
	}
}

// FuzzSimple compares with the parser of all YAML: the same nodes at the same
// places, or none.
func FuzzSimple(f *testing.F) {
	good, other := simpleTexts()
	for _, text := range slices.Concat(good, other, oddities()) {
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
	if sameNodes(doc.Content[0], got) {
		return
	}
	comments := cmpopts.IgnoreFields(yaml.Node{}, "HeadComment", "LineComment", "FootComment")
	t.Fatalf("%q (-parser +simple):\n%s", text, cmp.Diff(doc.Content[0], got, comments, cmpopts.EquateEmpty()))
}

// sameNodes tells whether nodes are equal but for comments: of large files much
// sooner than cmp does.
func sameNodes(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Style == b.Style && a.Tag == b.Tag && a.Value == b.Value && a.Anchor == b.Anchor && a.Alias == b.Alias &&
		a.Line == b.Line && a.Column == b.Column && slices.EqualFunc(a.Content, b.Content, sameNodes)
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
