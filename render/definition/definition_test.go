package definition_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline/render/definition"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file string
		want       []string // "line:text"
	}{
		{"one", "a: b\n", []string{"0:a: b\n"}},
		{"no newline", "a: b", []string{"0:a: b"}},
		{"two", "a: b\n---\nc: d\n", []string{"0:a: b\n", "1:---\nc: d\n"}},
		{"ends with a marker", "a: b\n---\n", []string{"0:a: b\n"}},
		{"comments only", "# a\n---\n\n# b\n--- # c\n", nil},
		{"content on the marker's line", "--- {a: b}\n--- |\n text\n", []string{"0:--- {a: b}\n", "1:--- |\n text\n"}},
		{"a marker that is none", "a: |\n  ---\n ----\n", []string{"0:a: |\n  ---\n ----\n"}},
		{"a marker with a blank", "a: b\n--- \nc: d\n", []string{"0:a: b\n", "1:--- \nc: d\n"}},
		{"an end", "a: b\n...\n# x\nc: d\n", []string{"0:a: b\n", "2:# x\nc: d\n"}},
		{"directive", "%YAML 1.2\n---\na: b\n", []string{"0:%YAML 1.2\n---\na: b\n"}},
		{"CRLF", "a: b\r\n---\r\nc: d\r\n", []string{"0:a: b\r\n", "1:---\r\nc: d\r\n"}},
		{"BOM", "\ufeffa: b\n", []string{"0:a: b\n"}},
		{"nothing", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			chunks, violations := definition.Split([]byte(tt.file))
			for _, c := range chunks {
				got = append(got, string(rune('0'+c.Before))+":"+string(c.Text))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || violations != nil {
				t.Errorf("%v (-want +got)\n%s", violations, diff)
			}
		})
	}
}

func TestSlug(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"v1": "v1", "1.2.3": "1-2-3", "V2_b": "v2-b", "1.0+x": "1-0-x", "1.10": "1-10"} {
		if got := definition.Slug(version); got != want {
			t.Errorf("Slug(%q) = %q, want %q", version, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"whitelists", "upstreams", "tasks", "labels", "version"}
	for word, want := range map[string]string{
		"whitelist": "whitelists", "Whitelists": "whitelists", "uptsreams": "upstreams", "task": "tasks",
		"lables": "labels", "vresion": "version", "probes": "", "x": "", "": "",
	} {
		if got := definition.Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// TestScalarsAsWritten: no value changes on its way through YAML.
func TestScalarsAsWritten(t *testing.T) {
	t.Parallel()
	written := []string{"1.10", "yes", "0644", "1e3", "2001-01-01", "~x", "0x1F", "1_000", ".5", "12:30:45", "null_"}
	var text strings.Builder
	text.WriteString("apiVersion: plumbline.dev/v1\nkind: ServiceVersion\nmetadata: {name: a-1-10, namespace: p}\nspec:\n  id: a\n  version: 1.10\n  tasks:\n  - id: a\n    docker: {image: app}\n    env:\n")
	for i, w := range written {
		text.WriteString("      A" + string(rune('a'+i)) + ": " + w + "\n")
	}
	d := definition.Parse([]byte(text.String()))
	if len(d.Violations) > 0 || len(d.Versions) != 1 {
		t.Fatal(d.Violations)
	}
	if got := d.Versions[0].Version.Value; got != "1.10" {
		t.Errorf("version %q", got)
	}
	var got []string
	for _, e := range d.Versions[0].Tasks[0].Env {
		got = append(got, e.Value)
	}
	if diff := cmp.Diff(written, got); diff != "" {
		t.Error(diff)
	}
}
