package schema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/schema"
	"github.com/plumbline-dev/plumbline/fixtures/golden"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// unseen are the codes of mistakes in one document that a schema does not see,
// with the reason. It sees those of all other codes.
func unseen() map[string]string {
	return map[string]string{
		definition.CodeEncoding:           "editors say it",
		definition.CodeSyntax:             "editors say it",
		definition.CodeTooLarge:           "no schema counts bytes",
		definition.CodeTooDeep:            "no schema counts levels",
		definition.CodeTooMany:            "an editor shows all",
		definition.CodeDuplicateKey:       "editors say it",
		definition.CodeNumber:             "JSON has no such numbers",
		definition.CodeAmbiguous:          "JSON has no such words",
		definition.CodeTag:                "JSON has no tags",
		definition.CodeEncrypted:          "of encrypted documents nothing is said",
		definition.CodeSeal:               "of encrypted documents nothing is said",
		definition.CodeMismatch:           "it compares two fields",
		definition.CodeNotYet:             "annotations are free",
		definition.CodeControl:            "annotations are free",
		definition.CodeNameLength:         "it joins two fields",
		definition.CodeDuplicateTask:      "it compares two items",
		definition.CodeDuplicatePort:      "it compares two items",
		definition.CodeReservedPort:       "a range with holes would hide the message",
		definition.CodeReservedLabel:      "labels are free",
		definition.CodeLabelValue:         "labels are free",
		definition.CodeMinMax:             "it compares two fields",
		definition.CodeTrigger:            "it depends on the type of the trigger",
		definition.CodeImage:              "a pattern of images would hide the message",
		definition.CodeProbe:              "it depends on other fields",
		definition.CodeAffinity:           "it depends on other fields",
		definition.CodeSecretSize:         "no schema counts bytes",
		definition.CodeSecretShape:        "it depends on the secret's type",
		definition.CodeMountPath:          "it depends on the secret's type",
		definition.CodeEncryptedElsewhere: "it is about another document",
		definition.CodePlainNull:          "it may stand anywhere in an object",
		definition.CodeWeights:            "the sum of several items",
		definition.CodeRouteTargets:       "it compares two items",
		definition.CodeMatcher:            "no schema reads regular expressions",
		definition.CodePatch:              "no schema reads regular expressions, or patches",
		definition.CodePlaceholder:        "a pattern of what a value is not would hide the message",
		definition.CodeSystemNamespace:    "a pattern of what a name is not would hide the message",
	}
}

// unseenMessages are single mistakes of the other codes.
func unseenMessages() map[string]string {
	return map[string]string{
		"the document names ":            "a name may stand in api, meta or spec",
		"the service needs meta.version": "a name may stand in api, meta or spec",
		"is the name of ":                "a pattern of what a name is not would hide the message",
		"type external needs host":       "it depends on another field",
		`unknown port protocol "grcp"`:   "in Space Cloud's form a protocol may be the beginning of the port's name",
		`a Secret has no field "spec"`:   "what a merge key brings is not read here",
		"expected a service's id or '*'": "exports write host names there",
		"must be a plain word":           "JSON has no other keys",
		"needs metadata.namespace: a pr": "an overlay may give it to a plain object",
	}
}

// TestDefinitions: the schema takes each document that the reader takes, and
// refuses, at the same line, what it refuses.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	s := compiled(t, schema.Definitions())
	seen := map[string]int{}
	for _, c := range golden.Cases(t) {
		for name, f := range c.Files() {
			check(t, s, c.Name+"/"+name, f.Data, seen)
		}
	}
	for name, text := range shop(t) {
		check(t, s, name, text, seen)
	}
	for name, text := range examples(t) {
		if !strings.Contains(text, "kind: Config") {
			check(t, s, name, []byte(text), seen)
		}
	}
	if seen["right"] < 200 || seen["wrong"] < 60 || seen["plain"] < 50 {
		t.Errorf("%v documents are right, wrong and plain: where are they?", seen)
	}
}

func check(t *testing.T, s *jsonschema.Schema, file string, text []byte, seen map[string]int) {
	t.Helper()
	chunks, _ := definition.Split(text)
	for _, c := range chunks {
		d := definition.Parse(c.Text)
		wrong := plumbline.Errors(d.Violations)
		var root yaml.Node
		if yaml.Unmarshal(c.Text, &root) != nil || len(root.Content) == 0 || len(c.Text) > 1<<20 || slices.ContainsFunc(wrong, isTooMuch) {
			continue
		}
		refused := validate(t, s, &root)
		if isPlain(&root) {
			seen["plain"]++
		}
		if len(wrong) == 0 {
			seen["right"]++
			if len(refused) > 0 {
				t.Errorf("%s:%d: the document is right, and the schema says %v", file, c.Before+1, refused)
			}
			continue
		}
		for _, v := range wrong {
			if _, ok := unseen()[v.Code]; ok || isUnseen(v.Message) {
				continue
			}
			seen["wrong"]++
			if _, ok := refused[v.Origin.Line]; !ok && !isMissing(v, refused) {
				t.Errorf("%s:%d: %s %s\nthe schema says nothing of it: %v", file, c.Before+1, v.Code, v, refused)
			}
		}
	}
}

// isMissing tells whether the schema misses the same, or refuses the name of the
// same object: the reader says it where the document begins.
func isMissing(v plumbline.Violation, refused map[int]string) bool {
	for _, text := range refused {
		if v.Code == definition.CodePlainName && strings.Contains(text, "missing property 'name'") ||
			v.Code == definition.CodeName && strings.Contains(text, "'/metadata/name'") {
			return true
		}
		for _, name := range []string{"rules", "service"} {
			if strings.Contains(text, "'"+name+"'") && strings.Contains(v.Message, name) || strings.Contains(text, "/"+name+"': minItems") {
				return v.Code == definition.CodeMissing
			}
		}
	}
	return false
}

func isUnseen(message string) bool {
	for part := range unseenMessages() {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}

// isPlain tells of objects of Kubernetes.
func isPlain(root *yaml.Node) bool {
	fields, _ := value(root).(map[string]any)
	version, _ := fields["apiVersion"].(string)
	return version != "" && !strings.HasPrefix(version, "plumbline")
}

// isTooMuch tells of documents that no test should expand.
func isTooMuch(v plumbline.Violation) bool {
	return v.Code == definition.CodeTooDeep || v.Code == definition.CodeTooLarge
}

// TestConfig: the same for the operator's configuration.
func TestConfig(t *testing.T) {
	t.Parallel()
	s := compiled(t, schema.Config())
	files, err := filepath.Glob("../config/testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	right, unknown := 0, 0
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var root yaml.Node
		if yaml.Unmarshal(a.Files[0].Data, &root) != nil || len(root.Content) == 0 {
			continue
		}
		refused := validate(t, s, &root)
		_, err = config.Parse("config.yaml", a.Files[0].Data)
		if err == nil {
			right++
			if len(refused) > 0 {
				t.Errorf("%s: the configuration is right, and the schema says %v", file, refused)
			}
			continue
		}
		if strings.Contains(err.Error(), "a second time") {
			continue // of a key that is there twice a schema sees one
		}
		for _, line := range strings.Split(err.Error(), "\n") {
			if _, at, found := strings.Cut(line, "config.yaml:"); found && (strings.Contains(line, "unknown key") || strings.Contains(line, "not in this version")) {
				unknown++
				number, _, _ := strings.Cut(at, ":")
				if n, err := strconv.Atoi(number); err != nil || refused[n] == "" {
					t.Errorf("%s: %s\nthe schema says nothing of it: %v", file, line, refused)
				}
			}
		}
	}
	for name, text := range examples(t) {
		if !strings.Contains(text, "kind: Config\n") || !strings.Contains(text, "source:") { // or a part of one
			continue
		}
		var root yaml.Node
		if err := yaml.Unmarshal([]byte(text), &root); err != nil {
			t.Fatal(name, err)
		}
		if refused := validate(t, s, &root); len(refused) > 0 {
			t.Errorf("%s: the schema says %v", name, refused)
		}
		right++
	}
	if right < 5 || unknown < 10 {
		t.Errorf("%d configurations are right and %d mistakes seen", right, unknown)
	}
}

// TestEveryFieldIsDescribed: what an editor shows has a description.
func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]any{"Definition": schema.Definitions(), "Config": schema.Config()} {
		described := 0
		walk(plainJSON(t, s), "", func(path string, part map[string]any) {
			properties, _ := part["properties"].(map[string]any)
			for key, v := range properties {
				f, _ := v.(map[string]any)
				if strings.Contains(path, "/if/") || strings.Contains(path, "/not/") || strings.Contains(path, "anyOf") ||
					f["doNotSuggest"] == true || f["const"] != nil || f["properties"] != nil || f["items"] != nil && name == "Config" {
					continue
				}
				described++
				if f["description"] == nil && !strings.HasPrefix(path, "/allOf") {
					t.Errorf("%s: %s/%s has no description", name, path, key)
				}
			}
		})
		if described < 50 {
			t.Errorf("%s: %d fields", name, described)
		}
	}
}

// TestSpaceCloudIsSeen: a mistake in the spec of each kind of Space Cloud's is.
func TestSpaceCloudIsSeen(t *testing.T) {
	t.Parallel()
	s := compiled(t, schema.Definitions())
	for spec, at := range map[string]string{
		"api: /v1/runner/{project}/services/{id}/{version}\nspec:\n  tasks: {}":              "3: /spec/tasks",
		"api: /v1/runner/{project}/service-routes/{id}\nspec:\n  routes: [{targets: 1}]":     "3: /spec/routes/0",
		"api: /v1/runner/{project}/secrets/{id}\nspec:\n  type: fiel":                        "3: /spec/type",
		"api: /v1/runner/{project}/service-roles/{serviceId}/{roleId}\nspec:\n  rules: text": "3: /spec/rules",
		"type: service\nmeta: {}\nspec:\n  scale: 1":                                         "4: /spec/scale",
	} {
		var root yaml.Node
		if err := yaml.Unmarshal([]byte(spec), &root); err != nil {
			t.Fatal(err)
		}
		line, path, _ := strings.Cut(at, ": ")
		n, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		if got := validate(t, s, &root); !strings.Contains(got[n], path) {
			t.Errorf("%s: %v, want something of %s", spec, got, at)
		}
	}
}

// TestPlainObjects: of Kubernetes objects the schema wants what all of them
// have, also in lists, and it leaves overlays and patches alone.
func TestPlainObjects(t *testing.T) {
	t.Parallel()
	s := compiled(t, schema.Definitions())
	for text, want := range map[string]string{ // "": nothing is wrong
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n":             "",
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  generateName: a-\n":                    "4: at '/metadata': missing property 'name'",
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: 5\n":                             "4: at '/metadata/name': got number, want string",
		"apiVersion: v1\nkind: ConfigMap\n":                                                   "1: at '': missing property 'metadata'",
		"apiVersion: apps/v1\nmetadata: {name: a}\n":                                          "1: at '': missing property 'kind'",
		"kind: Deployment\nmetadata: {name: a}\n":                                             "1: at '': missing property 'apiVersion'",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  debug: true\n":        "5: at '/data/debug': got boolean",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  TOKEN: not base64!\n":    "5: at '/data/TOKEN': 'not base64!' does not match",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  a key: b\n":        "5: at '/stringData': additional properties 'a key'",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  A: \"YWJj\\nYWI=\\n\"\n": "",
		"apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  labels: {plumbline.dev/x: b}\n":     "5: at '/metadata/labels/plumbline.dev~1x': false schema",

		"apiVersion: v1\nkind: List\nitems: []\n": "",
		"apiVersion: v1\nkind: List\n":            "1: at '': missing property 'metadata'",
		"apiVersion: v1\nkind: ConfigMapList\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {}\n":      "6: at '/items/0/metadata': missing property 'name'",
		"apiVersion: v1\nkind: List\nitems:\n- apiVersion: plumbline.dev/v1\n  kind: Servic\n":                    "5: at '/items/0/kind': value must be one of",
		"apiVersion: v1\nkind: List\nitems:\n- kind: List\n  apiVersion: v1\n  items: [{kind: A, metadata: 1}]\n": "6: at '/items/0/items/0': missing property 'apiVersion'",
		"apiVersion: v1\nkind: List\nitems: [text]\n":                                                             "3: at '/items/0': got string, want object",
		"apiVersion: example.com/v1\nkind: AllowList\nmetadata: {name: a}\n":                                      "",

		"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n":                                                         "",
		"apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n":                                                                                 "",
		"resources: [a.yaml]\nnamespace: staging\n":                                                                                                       "",
		"apiVersion: plumbline.dev/v1\nkind: PostRender\nmetadata: {name: a, namespace: shop}\nspec: {patches: [{target: {kind: A}, patch: \"x: 1\"}]}\n": "",
		"apiVersion: ENC[x]\nkind: ENC[x]\nmetadata: ENC[x]\nsops: {}\n":                                                                                  "",
	} {
		var root yaml.Node
		if err := yaml.Unmarshal([]byte(text), &root); err != nil {
			t.Fatal(err)
		}
		got := validate(t, s, &root)
		line, part, _ := strings.Cut(want, ": ")
		n, err := strconv.Atoi(line)
		if want == "" && len(got) > 0 || want != "" && (err != nil || !strings.Contains(got[n], part)) {
			t.Errorf("%s\nthe schema says %v, want %q", text, got, want)
		}
	}
}

func walk(v any, path string, visit func(path string, part map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(path, v)
		for key, inner := range v {
			walk(inner, path+"/"+key, visit)
		}
	case []any:
		for i, inner := range v {
			walk(inner, path+"/"+strconv.Itoa(i), visit)
		}
	}
}

func plainJSON(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func compiled(t *testing.T, v any) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", plainJSON(t, v)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate is what the schema says of a document, by line.
func validate(t *testing.T, s *jsonschema.Schema, root *yaml.Node) map[int]string {
	t.Helper()
	out := map[int]string{}
	err := s.Validate(value(root))
	var found *jsonschema.ValidationError
	if err != nil && !errors.As(err, &found) {
		t.Fatal(err)
	}
	if found != nil {
		leaves(found, root, out)
	}
	return out
}

func leaves(e *jsonschema.ValidationError, root *yaml.Node, out map[int]string) {
	for _, c := range e.Causes {
		leaves(c, root, out)
	}
	if len(e.Causes) > 0 {
		return
	}
	at := find(root, e.InstanceLocation)
	if extra, ok := e.ErrorKind.(*kind.AdditionalProperties); ok {
		for i := 0; i+1 < len(at.Content); i += 2 {
			if slices.Contains(extra.Properties, at.Content[i].Value) {
				out[at.Content[i].Line] += e.Error() + "; "
			}
		}
		return
	}
	out[at.Line] += e.Error() + "; "
}

// find is the node at a path, or the nearest above it.
func find(n *yaml.Node, path []string) *yaml.Node {
	n = resolved(n)
	if len(path) == 0 {
		return n
	}
	if n.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(path[0]); err == nil && i < len(n.Content) {
			return find(n.Content[i], path[1:])
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == path[0] {
			return find(n.Content[i+1], path[1:])
		}
	}
	return n
}

func resolved(n *yaml.Node) *yaml.Node {
	switch n.Kind {
	case yaml.DocumentNode:
		return resolved(n.Content[0])
	case yaml.AliasNode:
		return resolved(n.Alias)
	}
	return n
}

// value is a node as an editor hands it to a schema: YAML 1.2, merge keys
// included.
func value(n *yaml.Node) any {
	n = resolved(n)
	switch n.Kind {
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			out = append(out, value(c))
		}
		return out
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Tag != "!!merge" {
				out[n.Content[i].Value] = value(n.Content[i+1])
				continue
			}
			sources := []*yaml.Node{n.Content[i+1]}
			if s := resolved(n.Content[i+1]); s.Kind == yaml.SequenceNode {
				sources = s.Content
			}
			for _, s := range sources {
				merged, _ := value(s).(map[string]any)
				for k, v := range merged {
					if _, said := out[k]; !said {
						out[k] = v
					}
				}
			}
		}
		return out
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		var f float64
		if err := n.Decode(&f); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	}
	return n.Value
}

// examples are the blocks of YAML in what people read, by file and number.
func examples(t *testing.T) map[string]string {
	t.Helper()
	pages, err := filepath.Glob("../../../../docs/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatal(pages, err)
	}
	out := map[string]string{}
	for _, page := range append(pages, "../../../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range regexp.MustCompile("(?s)```yaml[^\n]*\n(.*?)```").FindAllSubmatch(text, -1) {
			out[filepath.Base(page)+" example "+strconv.Itoa(i)] = string(block[1])
		}
	}
	return out
}

// shop are the files of the sample repository.
func shop(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	root := os.DirFS("../../../../fixtures/shop")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".yaml") {
			return err
		}
		out[path], err = fs.ReadFile(root, path)
		return err
	})
	if err != nil || len(out) < 10 {
		t.Fatalf("%d files: %v", len(out), err)
	}
	return out
}
