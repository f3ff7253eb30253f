package definition_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/encode"
)

// maxFuzzed is the longest text that is fuzzed, in bytes: what is longer is
// slow, not different.
const maxFuzzed = 1 << 16

// FuzzParse: any file is split and read, what is wrong has a code, a message of
// a bounded length and a place in the file, and there is a bounded number of it.
func FuzzParse(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > maxFuzzed {
			return
		}
		lines := linesOf(text)
		chunks, violations := definition.Split(text)
		placed(t, violations, lines)
		before := 0
		for _, c := range chunks {
			if c.Before < before {
				t.Fatalf("document at line %d after line %d", c.Before, before)
			}
			if before = c.Before + strings.Count(string(c.Text), "\n"); before > lines {
				t.Fatalf("a document ends on line %d of %d", before, lines)
			}
			placed(t, definition.Parse(c.Text).Violations, linesOf(c.Text))
		}
	})
}

// linesOf counts lines as YAML 1.1 does, or more.
func linesOf(text []byte) int {
	n := 1
	for _, end := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
		n += strings.Count(string(text), end)
	}
	return n
}

func placed(t *testing.T, vs []plumbline.Violation, lines int) {
	t.Helper()
	if len(vs) > definition.MaxProblems+1 {
		t.Fatalf("%d problems of one document", len(vs))
	}
	for _, v := range vs {
		if v.Code == "" || v.Message == "" || len(v.Message) > 1100 || v.Origin.Path != "" {
			t.Fatalf("%+v", v)
		}
		for _, at := range append(v.Related, v.Origin) {
			if at.Line > lines || at.Line < 0 || at.Column < 0 || at.Line == 0 && at.Column > 0 {
				t.Fatalf("a place out of %d lines: %+v", lines, v)
			}
		}
	}
}

// FuzzConvert: what is converted means the same, and is converted no further.
func FuzzConvert(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > maxFuzzed {
			return
		}
		once, violations := definition.Convert(text)
		if len(once) == 0 || len(violations) > 0 {
			return
		}
		if twice, _ := definition.Convert(once); string(twice) != string(once) {
			t.Fatalf("converted twice:\n%s\nonce:\n%s", twice, once)
		}
		if diff := cmp.Diff(joined(parseAll(text)), joined(parseAll(once)), sameMeaning()...); diff != "" {
			t.Fatalf("(-before +after)\n%s\n%s", diff, once)
		}
	})
}

// FuzzPlain: a plain object without an error can be written as JSON, and read
// back it is the same.
func FuzzPlain(f *testing.F) {
	for _, fields := range []string{
		"data: {a: b}", "spec: {replicas: 0x10, ratio: 1e3, big: 18446744073709551615, mode: 0644, when: 2026-01-01, no: ~}",
		"spec: &a {x: [1, .5, -0], y: !!str 1}\nmore: *a\n<<: *a", "spec: {'': {'': ['', 1_0]}}", "status: {a: b}\nspec: {caBundle: ''}", "spec: {a: 1e400, b: .inf, c: yes}",
		"spec:\n  text: |\n    a\n  # c\n  folded: >-\n    b\n    c\n", "spec: {e: \"\\u0000\\x85\\e\", f: '\u2028'}", "spec: {<<: [{a: 1}, {a: 2, b: 3}]}",
	} {
		f.Add(fields)
	}
	f.Fuzz(func(t *testing.T, fields string) {
		if len(fields) > maxFuzzed {
			return
		}
		const head = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: p}\n"
		d := definition.Parse([]byte(head + fields))
		if len(plumbline.Errors(d.Violations)) > 0 || len(d.Plain) != 1 {
			return
		}
		text, err := json.Marshal(d.Plain[0].Fields)
		if err != nil {
			t.Fatal(err)
		}
		again := definition.Parse(encode.ForYAML(text))
		if len(again.Violations) > 0 || len(again.Plain) != 1 {
			t.Fatalf("%s\nis not read: %v", text, again.Violations)
		}
		if diff := cmp.Diff(d.Plain[0].Fields, again.Plain[0].Fields); diff != "" {
			t.Fatalf("%s\nis read otherwise (-before +after)\n%s", text, diff)
		}
	})
}

// hunter2 is a secret value. It cannot be a key, which may be shown.
const hunter2 = "hunter2!"

// FuzzSecret: whatever is wrong with a secret, no message shows a value of it.
// In shapes, § stands for the value.
func FuzzSecret(f *testing.F) {
	for _, shape := range []string{
		"§", "'§'", "*§", "&§ x", "!§ x", "!!binary §", "[§]", "{§: §}", "{§}", "\"§", "|\n   §", "§: §", "§:§", "%§", "@§", "- §", "? §",
		"ENC[AES256_GCM,data:§,iv:AA==,tag:AA==,type:str]", "x\n  §: y", "x\n  '§': y\n  '§': z", "x\n §", "x\nrootPath: §", "x\n  b: *§", "&a [*a, §]", "x\n  <<: {§: §}", "x\n  <<: §",
		"x\nsops: {mac: §, version: §}", "x\n\t§", "x\n  c: {d: §}", "x\n... §", "1e999§", "{{§}}",
	} {
		f.Add(shape)
	}
	f.Fuzz(func(t *testing.T, shape string) {
		if len(shape) > maxFuzzed {
			return
		}
		value := strings.ReplaceAll(shape, "§", hunter2)
		for _, head := range []string{
			"apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: p}\nstringData:\n  a: ",
			"apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: p}\ndata:\n  a: ",
			"apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: s, namespace: p}\nspec:\n type: env\n data:\n  a: ",
			"api: /v1/runner/{project}/secrets/{id}\ntype: secrets\nmeta: {project: p, id: s}\nspec:\n type: file\n data:\n  a: ",
		} {
			for _, v := range definition.Parse([]byte(head + value)).Violations {
				if strings.Contains(v.String(), hunter2) {
					t.Fatalf("%q in\n%s%s", v, head, value)
				}
			}
		}
	})
}

// seeds are beginnings of all kinds of documents, the files that are converted,
// and the definitions among the bad inputs. More lie in testdata/fuzz.
func seeds(f *testing.F) []string {
	f.Helper()
	var out []string
	files, err := filepath.Glob("testdata/convert/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no files: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, string(text))
	}
	const service = "apiVersion: plumbline.dev/v1\nkind: ServiceVersion\nmetadata: {name: a-v1, namespace: p}\nspec: "
	return append(out,
		service+"{id: a, version: v1, tasks: [{id: a, docker: {image: app}, ports: [{protocol: http, port: 80}]}]}\n",
		"api: /v1/runner/{project}/services/{id}/{version}\ntype: service\nmeta: {project: p, id: a, version: v1}\nspec: {labels: &x {a: b}, tasks: [{<<: *x, id: a}]}\n---\n",
		"api: /v1/runner/p/secrets/s\nmeta: {}\nspec: {type: docker, data: {username: u, password: p, url: r}}\n",
		"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: p}, stringData: {a: b}}]\n",
		"a: &a [*a, *a]\n", "? [a]\n: b\n", "--- !!binary |\n  aGVsbG8=\n", "{\"a\": 1e400, \"b\": [null, .nan]}", "\t", "%YAML 1.2\n---\nx: y\n...\n",
		"<<: [{a: b}, {c: d}]\n<<: x\n", "kind: &k [*k]", "&a a: *a",
		"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d]\n",
		"a: "+strings.Repeat("[", 150), strings.Repeat("- ", 200)+"x", strings.Repeat(" a:\n", 30),
		"\xef\xbb\xbfa: b\r\n---\r\n\r\n---\r\n", "\xff\xfe", "a:\n\tb: c", "a: b\na: c\n", "---\n---\n...\n---\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: p, labels: [x], annotations: {plumbline.dev/wave: x, b: 1}}\ndata: {a: yes, b: 0644, c: .nan, d: 99999999999999999999, e: 1e400, f: !x y}\n",
		service+"{id: A, version: 1.10, tasks: [{id: a, ports: [{protocol: grcp, port: 0100}, {port: 15001}], env: {A: [b], PORT: x}, secrets: [{}], docker: {imge: b}, probes: {readiness: {}}}], volumes: [], scale: {minReplicas: -1}, whitelists: [{projectId: '*'}], affinity: [{}]}\n",
		"apiVersion: plumbline.dev/v1\nkind: ServiceRoutes\nmetadata: {name: a, namespace: kube-system}\nspec: {routes: [{source: {port: 80, protocol: x}, matchers: [{url: {type: regex, value: '(a+)+$'}}], targets: [{type: external, host: 'http://x'}, {version: v1, weight: -1}]}]}\n",
		"apiVersion: plumbline.dev/v1\nkind: ServiceRole\nmetadata: {name: r, namespace: p}\nspec: {service: a, type: Cluster, rules: [{verbs: get}]}\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: p}\ndata: {a: 'not base64', b: 1, '': x}\nsops: {mac: x}\n",
	)
}
