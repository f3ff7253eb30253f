package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/definition/reference"
)

const (
	fieldsBegin = "<!-- fields: written by `make docs` from render/definition/reference and its tests; edit those -->\n"
	fieldsEnd   = "<!-- end of fields -->\n"

	// shownFields tells which case of fixtures/golden shows a field in a mode.
	shownFields = "../../render/definition/testdata/fields.txt"
)

// fieldsInto puts the tables of fields between their marks.
func fieldsInto(old string) (string, error) {
	before, rest, begun := strings.Cut(old, fieldsBegin)
	_, after, ended := strings.Cut(rest, fieldsEnd)
	if !begun || !ended {
		return "", fmt.Errorf("the marks of the fields are gone: %q, %q", fieldsBegin, fieldsEnd)
	}
	text, err := os.ReadFile(shownFields)
	if err != nil {
		return "", err
	}
	t := fieldTable{cases: casesOf(string(text))}
	for _, k := range reference.Kinds() {
		t.kind(k)
	}
	if len(t.missing) > 0 {
		return "", fmt.Errorf("no case and no reason in %s: %s", shownFields, strings.Join(t.missing, ", "))
	}
	return before + fieldsBegin + t.b.String() + "\n" + fieldsEnd + after, nil
}

// casesOf reads lines of "a task: image  knative  fields-knative.txtar" into
// what stands behind field and mode.
func casesOf(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		field, rest, found := strings.Cut(line, "  ")
		words := strings.Fields(rest)
		if found && len(words) >= 2 {
			out[field+"/"+words[0]] = strings.Join(words[1:], " ")
		}
	}
	return out
}

type fieldTable struct {
	b       bytes.Buffer
	cases   map[string]string
	missing []string
}

func (t *fieldTable) kind(k reference.Kind) {
	fmt.Fprintf(&t.b, "\n### %s\n\n%s", k.Name, k.Doc)
	if k.In(definition.FormSpaceCloud) {
		fmt.Fprintf(&t.b, " In Space Cloud's form: `%s`.", k.API)
	}
	t.b.WriteString("\n\n| Field | Meaning | Becomes |\n|---|---|---|\n")
	for _, f := range k.Envelope(definition.FormPlumbline).Fields {
		switch f.Key {
		case "metadata":
			t.fields(k, "metadata.", f.Of)
		case "spec":
			t.fields(k, "", f.Of)
		}
	}
}

func (t *fieldTable) fields(k reference.Kind, path string, m *reference.Mapping) {
	for _, f := range m.Fields {
		if f.Form == definition.FormSpaceCloud {
			continue
		}
		at := path + f.Key
		if f.Type == reference.Objects || f.Type == reference.Texts {
			at += "[]"
		}
		fmt.Fprintf(&t.b, "| `%s` | %s | %s |\n", at, cell(meaning(f)), t.becomes(k, m, f))
		if f.Of != nil {
			t.fields(k, at+".", f.Of)
		}
	}
}

func meaning(f reference.Field) string {
	var notes []string
	if f.Required {
		notes = append(notes, "required")
	}
	if len(f.Values) > 0 && f.Type == reference.Text {
		notes = append(notes, "`"+strings.Join(f.Values, "`, `")+"`")
	}
	if f.Default != "" {
		notes = append(notes, "default `"+f.Default+"`")
	}
	if len(notes) > 0 {
		return f.Doc + " (" + strings.Join(notes, "; ") + ")"
	}
	return f.Doc
}

// becomes is the places of each mode; modes of the same places share a line.
func (t *fieldTable) becomes(k reference.Kind, m *reference.Mapping, f reference.Field) string {
	modes := []string{"knative", "knative-direct", "deployment"}
	if !k.Service {
		modes = []string{"all"}
	}
	var order []string
	links := map[string][]string{}
	for _, mode := range modes {
		text := f.Becomes.In(mode)
		shown := t.cases[m.Name+": "+f.Key+"/"+mode]
		if shown == "" {
			t.missing = append(t.missing, m.Name+": "+f.Key+" in "+mode)
		}
		link := mode
		if strings.HasSuffix(shown, ".txtar") {
			link = "[" + mode + "](../fixtures/golden/" + shown + ")"
		}
		if links[text] == nil {
			order = append(order, text)
		}
		links[text] = append(links[text], link)
	}
	var lines []string
	for _, text := range order {
		lines = append(lines, strings.Join(links[text], ", ")+": "+cell(places(text)))
	}
	return strings.Join(lines, "<br>")
}

// places puts the paths into code.
func places(text string) string {
	if strings.HasPrefix(text, "nothing: ") || strings.HasPrefix(text, "unsupported: ") {
		return text
	}
	var out []string
	for place := range strings.SplitSeq(text, "; ") {
		kind, path, _ := strings.Cut(place, ": ")
		out = append(out, kind+" `"+path+"`")
	}
	return strings.Join(out, ", ")
}

func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "'*'", "`'*'`").Replace(text)
}

// What docs/definitions.md shows renders, without an error.
func TestDefinitionsInDocsRender(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(docsDir, "definitions.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml definitions\n(.*?)```").FindAllSubmatch(page, -1)
	if len(examples) != 2 {
		t.Fatalf("%d examples", len(examples))
	}
	for i, e := range examples {
		r, err := render.New(render.Options{Environment: "test"})
		if err != nil {
			t.Fatal(err)
		}
		res, err := r.Render(t.Context(), fstest.MapFS{"shop.yaml": {Data: e[1]}}, ".")
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range plumbline.Errors(res.Violations) {
			t.Errorf("example %d: %s", i, v)
		}
		if len(res.Services) != 1 || res.Services[0].Mode != plumbline.ModeKnative || len(res.Skipped) > 0 {
			t.Errorf("example %d: %v, skipped %v", i, res.Services, res.Skipped)
		}
	}
}
