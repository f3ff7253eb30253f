package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The canary tests put values that occur nowhere else into every kind of
// secret, run every command on them, and search whatever comes out. They hold
// the promise that a secret value leaves the process inside a request body and
// in no other way.

// outputs of a command.
type outputs struct {
	code        int
	stdout, err []byte
}

func (o outputs) all() []byte { return slices.Concat(o.stdout, []byte("\n"), o.err) }

// plumbline runs the command as a process of its own, so that what libraries
// write past our streams is seen too.
func plumblineIn(t *testing.T, dir string, args ...string) outputs {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "plumbline", args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("plumbline %v: %v", args, err)
	}
	return outputs{code: cmd.ProcessState.ExitCode(), stdout: out.Bytes(), err: errs.Bytes()}
}

// none fails the test if a canary is in text.
func (c *canaries) none(t *testing.T, where string, text []byte) {
	t.Helper()
	for _, l := range c.find(text) {
		t.Errorf("%s shows a secret value: %s", where, l)
	}
}

// quiet runs a command, searches its output, and wants an exit code.
func (c *canaries) quiet(t *testing.T, dir string, code int, args ...string) outputs {
	t.Helper()
	o := plumblineIn(t, dir, args...)
	where := "plumbline " + strings.Join(args, " ")
	c.none(t, where, o.all())
	if o.code != code {
		t.Errorf("%s: exit code %d, want %d\n%s", where, o.code, code, o.err)
	}
	return o
}

// quote is v as a double-quoted YAML scalar.
func quote(v string) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func base64Text(v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) }

// secretsOf are definitions of a project with secrets of every kind, and a
// service that uses them.
func secretsOf(c *canaries, project string) map[string]string {
	indent := func(v string) string { return strings.ReplaceAll(v, "\n", "\n      ") }
	return map[string]string{
		"project.yaml": "apiVersion: plumbline.dev/v1\nkind: Project\nmetadata: {name: " + project + "}\n",
		"cart.yaml": fmt.Sprintf(`apiVersion: plumbline.dev/v1
kind: ServiceVersion
metadata: {name: cart-v1, namespace: %s}
spec:
  id: cart
  version: v1
  tasks:
  - id: web
    ports: [{name: http, protocol: http, port: 8080}]
    docker: {image: registry.example.com/cart:1, secret: registry}
    secrets: [session, tls]
`, project),
		"session.yaml": fmt.Sprintf(`apiVersion: plumbline.dev/v1
kind: ServiceSecret
metadata: {name: session, namespace: %s}
spec:
  type: env
  data:
    SESSION_KEY: %s
    DATABASE_URL: %s
`, project, quote(c.value("env")), quote(c.url("URL"))),
		"tls.yaml": fmt.Sprintf(`api: /v1/runner/{project}/secrets/{id}
type: secret
meta: {project: %s, id: tls}
spec:
  type: file
  rootPath: /etc/tls
  data:
    tls.key: |
      %s
`, project, indent(c.lines("file"))),
		"registry.json": fmt.Sprintf(`{"apiVersion": "plumbline.dev/v1", "kind": "ServiceSecret", "metadata": {"name": "registry", "namespace": %q},
  "spec": {"type": "docker", "data": {"url": "registry.example.com", "username": %s, "password": %s}}}
`, project, quote(c.value("docker user")), quote(c.value("docker password"))),
		"plain.yaml": fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata:
  name: plain
  namespace: %[1]s
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: %[2]s
data:
  data: %[3]s
stringData:
  string: %[4]s
  lines: |
      %[5]s
`, project, quote(`{"stringData":{"a":`+quote(c.value("last applied"))+`}}`), base64Text(c.value("data")), quote(c.value("stringData")), indent(c.lines("stringData lines"))),
	}
}

// writeFiles writes files, and removes those whose text is empty.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if text == "" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A rendering shows secrets on request, which proves that the search works, and
// not otherwise.
func TestCanariesInRenderings(t *testing.T) {
	t.Parallel()
	c := newCanaries()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	writeFiles(t, dir, secretsOf(c, "shop"))
	for _, args := range [][]string{
		{"validate"}, {"validate", "-o", "json"}, {"render"}, {"render", "-v", "-o", "json", "--log-level=debug"}, {"render", "--split-dir", out},
	} {
		c.quiet(t, dir, 0, args...)
	}
	for name, text := range allFiles(t, out) {
		c.none(t, name, text)
	}

	// What was in kubectl's annotation is rendered into nothing.
	delete(c.words, "last applied")
	for _, args := range [][]string{{"render", "--show-secrets"}, {"render", "--show-secrets", "-o", "json"}} {
		o := plumblineIn(t, dir, args...)
		if missing := c.missing(o.stdout); len(missing) > 0 {
			t.Errorf("plumbline %v does not show %v", args, missing)
		}
		c.none(t, "standard error", o.err)
	}
}

// allFiles reads every file below dir.
func allFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		out[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// brokenSecrets are documents that are wrong in or beside a secret value. In
// each, VALUE is a canary as it is, SAME the same one each time, QUOTED one in
// quotes, BASE64 one in base64, and HUGE one with a megabyte around it.
func brokenSecrets() map[string]string {
	const env = "apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: broken, namespace: shop}\nspec:\n"
	const plain = "apiVersion: v1\nkind: Secret\nmetadata: {name: broken, namespace: shop}\n"
	return map[string]string{
		"syntax in the next line":        env + "  type: env\n  data:\n    TOKEN: QUOTED\n    OTHER: [\n",
		"syntax in the line before":      env + "  type: env: env\n  data:\n    TOKEN: QUOTED\n",
		"no closing quote":               env + "  type: env\n  data:\n    TOKEN: \"VALUE\n",
		"text after the quote":           env + "  type: env\n  data:\n    TOKEN: 'VALUE' VALUE\n",
		"tab":                            env + "  type: env\n  data:\n\tTOKEN: VALUE\n",
		"colon in a plain value":         env + "  type: env\n  data:\n    TOKEN: VALUE: VALUE\n",
		"alias":                          env + "  type: env\n  data:\n    TOKEN: *VALUE\n",
		"tag":                            env + "  type: !VALUE env\n  data:\n    TOKEN: !VALUE x\n    B: [x]\n",
		"directive":                      "%VALUE\n---\n" + env + "  {type: env, data: {A: [}\n",
		"percent":                        env + "  type: env\n  data:\n    TOKEN: %VALUE\n",
		"reserved sign":                  env + "  type: env\n  data:\n    TOKEN: @VALUE\n",
		"escape that is none":            env + "  type: env\n  data:\n    TOKEN: \"\\q VALUE\"\n",
		"block without indentation":      env + "  type: file\n  rootPath: /etc/x\n  data:\n    tls.key: |\n    VALUE\n    VALUE\n",
		"lines without a block":          env + "  type: file\n  rootPath: /etc/x\n  data:\n    tls.key: VALUE\n    VALUE\n",
		"value in the place of a key":    env + "  type: env\n  data:\n    VALUE/+: x\n",
		"docker without a blank":         env + "  type: docker\n  data: {url: a, username: b, password:VALUE}\n",
		"flow mapping without a blank":   env + "  type: env\n  data: {TOKEN:VALUE}\n",
		"spec without a blank":           env + "  {type: env, PASSWORD:VALUE}\n",
		"data is text":                   env + "  type: env\n  data: VALUE\n",
		"data is a list":                 env + "  type: env\n  data: [VALUE]\n",
		"value is a list":                env + "  type: env\n  data: {TOKEN: [VALUE]}\n",
		"value is a mapping":             env + "  type: env\n  data: {TOKEN: {VALUE: VALUE}}\n",
		"type is the value":              env + "  type: VALUE\n  data: {TOKEN: x}\n",
		"path is the value":              env + "  type: file\n  rootPath: VALUE\n  data: {TOKEN: x}\n",
		"key twice":                      env + "  type: env\n  data:\n    TOKEN: VALUE\n    TOKEN: VALUE\n",
		"bad key":                        env + "  type: env\n  data:\n    'bad key': VALUE\n",
		"bad environment variable":       env + "  type: env\n  data:\n    1.a: VALUE\n",
		"binary":                         env + "  type: env\n  data:\n    TOKEN: !!binary BASE64\n",
		"binary that is none":            env + "  type: env\n  data:\n    TOKEN: !!binary VALUE\n",
		"too big":                        env + "  type: env\n  data:\n    TOKEN: HUGE\n",
		"document too big":               env + "  type: env\n  data:\n    A: HUGE\n    B: HUGE\n    C: HUGE\n",
		"not UTF-8":                      env + "  type: env\n  data:\n    TOKEN: VALUE\xff\n",
		"unknown field":                  env + "  type: env\n  dta:\n    TOKEN: VALUE\n",
		"docker without password":        env + "  type: docker\n  data: {url: a, username: QUOTED}\n",
		"file without path":              env + "  type: file\n  data: {TOKEN: QUOTED}\n",
		"unknown version":                strings.Replace(env, "/v1", "/v2", 1) + "  type: env\n  data: {TOKEN: VALUE}\n",
		"unknown kind":                   strings.Replace(env, "ServiceSecret", "ServiceSecrets", 1) + "  type: env\n  data: {TOKEN: VALUE}\n",
		"there twice":                    env + "  type: env\n  data: {TOKEN: QUOTED}\n---\n" + env + "  type: env\n  data: {TOKEN: QUOTED}\n",
		"bad name":                       strings.Replace(env, "broken", "Bad_Name", 1) + "  type: env\n  data: {TOKEN: QUOTED}\n",
		"encrypted":                      env + "  type: env\n  data: {TOKEN: QUOTED}\nsops: {mac: QUOTED}\n",
		"Space Cloud in bad JSON":        `{"api": "/v1/runner/{project}/secrets/{id}", "type": "secret", "meta": {"project": "shop", "id": "a"}, "spec": {"type": "env", "data": {"A": QUOTED "B": QUOTED}}}`,
		"Space Cloud with a list":        `{"api": "/v1/runner/{project}/secrets/{id}", "type": "secret", "meta": {"project": "shop", "id": "a"}, "spec": {"type": "env", "data": [QUOTED]}}`,
		"plain: not base64":              plain + "data: {TOKEN: 'VALUE!'}\n",
		"plain: base64 over lines":       plain + "data:\n  TOKEN: |\n    BASE64 !\n",
		"plain: data is text":            plain + "data: VALUE\n",
		"plain: data is a list":          plain + "data: [BASE64]\n",
		"plain: value is a mapping":      plain + "stringData: {TOKEN: {VALUE: VALUE}}\n",
		"plain: value is a list":         plain + "data: {TOKEN: [BASE64]}\n",
		"plain: no blank":                plain + "stringData: {TOKEN:VALUE}\n",
		"plain: value as a key":          plain + "stringData:\n  VALUE/+: x\n",
		"plain: value twice as a key":    plain + "stringData:\n  VALUE/+: x\n  VALUE/+: y\n",
		"plain: misspelt":                plain + "stringdata: {TOKEN: VALUE}\n",
		"plain: in metadata":             strings.Replace(plain, "}\n", ", data: {TOKEN: BASE64}}\n", 1),
		"plain: no field":                plain + "TOKEN: VALUE\nVALUE/+: x\n",
		"plain: as the type":             plain + "type: {VALUE: VALUE}\nimmutable: VALUE\n",
		"plain: small letters":           strings.Replace(plain, "Secret", "secret", 1) + "stringData: {TOKEN: VALUE}\n",
		"plain: tag":                     plain + "stringData: {TOKEN: !VALUE x}\n",
		"plain: no namespace":            strings.Replace(plain, ", namespace: shop", "", 1) + "stringData: {TOKEN: VALUE}\n",
		"plain: no name":                 strings.Replace(plain, "name: broken, ", "", 1) + "stringData: {TOKEN: VALUE}\n",
		"plain: key twice without blank": plain + "stringData: {TOKEN:SAME, TOKEN:SAME}\n",
		"key twice without blank":        env + "  type: env\n  data: {TOKEN:SAME, TOKEN:SAME}\n",
		"plain: key twice":               plain + "stringData:\n  TOKEN: VALUE\n  TOKEN: VALUE\n",
		"plain: too big":                 plain + "stringData:\n  TOKEN: HUGE\n",
		"plain: in a list":               "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: a, namespace: shop}, data: {TOKEN: 'VALUE!'}}\n- {apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {TOKEN: VALUE}}\n",
	}
}

// fill puts canaries into a broken document.
func fill(c *canaries, text string) string {
	text = strings.ReplaceAll(text, "SAME", c.word("same"))
	for strings.Contains(text, "VALUE") {
		text = strings.Replace(text, "VALUE", c.word("value"), 1)
	}
	for strings.Contains(text, "QUOTED") {
		text = strings.Replace(text, "QUOTED", quote(c.value("quoted")), 1)
	}
	for strings.Contains(text, "BASE64") {
		text = strings.Replace(text, "BASE64", base64Text(c.value("base64")), 1)
	}
	for strings.Contains(text, "HUGE") {
		text = strings.Replace(text, "HUGE", c.word("huge")+strings.Repeat("x", 1<<20)+c.word("huge"), 1)
	}
	return text
}

func TestCanariesInBrokenDefinitions(t *testing.T) {
	t.Parallel()
	for name, text := range brokenSecrets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCanaries()
			dir := t.TempDir()
			file := "broken.yaml"
			if strings.HasPrefix(text, "{") {
				file = "broken.json"
			}
			files := secretsOf(c, "shop")
			files[file] = fill(c, text)
			writeFiles(t, dir, files)
			o := c.quiet(t, dir, 3, "validate", "--strict")
			c.quiet(t, dir, o.code, "validate", "--strict", "-o", "json", "--log-level=debug")
			render := plumblineIn(t, dir, "render")
			c.none(t, "render", render.all())
		})
	}
}

// failingOverlays are kustomizations, and files beside them, that fail in or
// beside a secret value.
func failingOverlays() map[string]map[string]string {
	const head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [shop]\n"
	one := func(text string) map[string]string { return map[string]string{"kustomization.yaml": head + text} }
	return map[string]map[string]string{
		"patch without a target":       one("patches:\n- target: {kind: ServiceSecret, name: nobody}\n  patch: |-\n    - {op: add, path: /spec/data/A, value: QUOTED}\n- path: gone.yaml\n"),
		"patch of nothing":             one("patches:\n- patch: |-\n    apiVersion: plumbline.dev/v1\n    kind: ServiceSecret\n    metadata: {name: nobody, namespace: shop}\n    spec: {data: {A: QUOTED}}\n"),
		"patch that is not YAML":       one("patches:\n- patch: |-\n    apiVersion: v1\n    kind: Secret\n    metadata: {name: plain, namespace: shop}\n    stringData: {A: VALUE: VALUE}\n"),
		"secret made a ConfigMap":      one("patches:\n- target: {kind: Secret}\n  patch: |-\n    - {op: replace, path: /kind, value: ConfigMap}\n"),
		"secret of another group":      one("patches:\n- target: {name: plain}\n  patch: |-\n    - {op: replace, path: /apiVersion, value: example.com/v1}\n"),
		"patch that is text":           one("patches:\n- patch: VALUE\n  target: {kind: Secret}\n"),
		"patch without a kind":         one("patches:\n- patch: |-\n    stringData: {A: VALUE}\n"),
		"JSON patch without op":        one("patches:\n- target: {kind: Secret}\n  patch: |-\n    - {path: /stringData/A, value: QUOTED}\n"),
		"JSON patch of nothing":        one("patches:\n- target: {kind: Secret}\n  patch: |-\n    - {op: replace, path: /stringData/none/deep, value: QUOTED}\n"),
		"JSON patch that tests":        one("patches:\n- target: {kind: Secret}\n  patch: |-\n    - {op: test, path: /stringData/string, value: QUOTED}\n"),
		"JSON patch cut off":           one("patches:\n- target: {kind: Secret}\n  patch: '[{\"op\": \"add\", \"path\": \"/stringData/A\", \"value\": \"VALUE\"'\n"),
		"JSON patch with bad path":     one("patches:\n- target: {kind: Secret}\n  patch: |-\n    - {op: add, path: stringData.A, value: VALUE}\n"),
		"literal without =":            one("secretGenerator:\n- {name: a, namespace: shop, literals: [VALUE]}\n"),
		"literal with a bad key":       one("secretGenerator:\n- {name: a, namespace: shop, literals: ['bad key=VALUE']}\n"),
		"literal twice":                one("secretGenerator:\n- {name: a, namespace: shop, literals: [A=VALUE, A=VALUE]}\n"),
		"literals are text":            one("secretGenerator:\n- {name: a, namespace: shop, literals: A=VALUE}\n"),
		"literals are mappings":        one("secretGenerator:\n- {name: a, namespace: shop, literals: [{A: VALUE}]}\n"),
		"generator with unknown field": one("secretGenerator:\n- {name: a, namespace: shop, literal: [A=VALUE]}\n"),
		"unknown generator":            one("secretsGenerator:\n- {name: a, namespace: shop, literals: [A=VALUE]}\n"),
		"merge into nothing":           one("secretGenerator:\n- {name: a, namespace: shop, behavior: merge, literals: [A=VALUE]}\n"),
		"kustomization cut off":        one("secretGenerator:\n- {name: a, literals: ['A=VALUE\n"),
		"kustomization with a colon":   one("secretGenerator:\n- name: a\n  literals:\n  - A: VALUE: VALUE\n"),
		"image of a value":             one("images:\n- name: VALUE: VALUE\n"),
		"env file": {
			"kustomization.yaml": head + "secretGenerator:\n- {name: a, namespace: shop, envs: [a.env]}\n",
			"a.env":              "A=VALUE\nbad key=VALUE\n=VALUE\n",
		},
		"env file without =": {
			"kustomization.yaml": head + "secretGenerator:\n- {name: a, namespace: shop, envs: [a.env]}\n",
			"a.env":              "VALUE/+ VALUE\n",
		},
		"env file twice the key": {
			"kustomization.yaml": head + "secretGenerator:\n- {name: a, namespace: shop, envs: [a.env], literals: [A=VALUE]}\n",
			"a.env":              "A=VALUE\n",
		},
		"env file not UTF-8": {
			"kustomization.yaml": head + "secretGenerator:\n- {name: a, namespace: shop, envs: [a.env]}\n",
			"a.env":              "A=VALUE\xff\n",
		},
		"broken resource": {
			"kustomization.yaml": head + "- more.yaml\n",
			"more.yaml":          "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}\nstringData: {A: VALUE: VALUE}\n",
		},
		"resource that is no object": {
			"kustomization.yaml": head + "- more.yaml\n",
			"more.yaml":          "VALUE: VALUE\n",
		},
		"resource without a kind": {
			"kustomization.yaml": head + "- more.yaml\n",
			"more.yaml":          "metadata: {name: a}\nstringData: {A: VALUE}\n",
		},
		"resource twice": {
			"kustomization.yaml": head + "- more.yaml\n",
			"more.yaml":          "apiVersion: v1\nkind: Secret\nmetadata: {name: plain, namespace: shop}\nstringData: {A: VALUE}\n",
		},
		"invalid after the build": {
			"kustomization.yaml": head + "- more.yaml\n",
			"more.yaml":          "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}\ndata: {A: 'VALUE!'}\n",
		},
		"patch file not YAML": {
			"kustomization.yaml": head + "patches: [{path: patch.yaml}]\n",
			"patch.yaml":         "apiVersion: v1\nkind: Secret\nmetadata: {name: plain, namespace: shop}\nstringData: {A: VALUE: VALUE}\n",
		},
		"patch file cut off": {
			"kustomization.yaml": head + "patches: [{path: patch.json, target: {kind: Secret}}]\n",
			"patch.json":         `[{"op": "add", "path": "/stringData/A", "value": "VALUE"`,
		},
		"old patch that fails": {
			"kustomization.yaml": head + "patchesStrategicMerge:\n- |-\n  apiVersion: v1\n  kind: Secret\n  metadata: {name: nobody}\n  stringData: {A: VALUE}\n",
		},
		"replacement without a target": {
			"kustomization.yaml": head + "replacements:\n- source: {kind: Secret, name: plain, fieldPath: stringData.string}\n  targets:\n  - select: {kind: ServiceVersion}\n    fieldPaths: [spec.none.deep]\n",
		},
	}
}

func TestCanariesInFailingOverlays(t *testing.T) {
	t.Parallel()
	for name, overlay := range failingOverlays() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCanaries()
			dir := t.TempDir()
			files := map[string]string{"shop/kustomization.yaml": "resources: [cart.yaml, plain.yaml, project.yaml, registry.json, session.yaml, tls.yaml]\n"}
			for file, text := range secretsOf(c, "shop") {
				files["shop/"+file] = text
			}
			for _, file := range slices.Sorted(maps.Keys(overlay)) {
				files[file] = fill(c, overlay[file])
			}
			writeFiles(t, dir, files)
			o := plumblineIn(t, dir, "validate", "--log-level=debug")
			c.none(t, "validate", o.all())
			if o.code == 0 {
				t.Errorf("it does not fail: %s", o.all())
			}
			t.Logf("%s", o.stdout)
			o = plumblineIn(t, dir, "render")
			c.none(t, "render", o.all())
		})
	}
}
