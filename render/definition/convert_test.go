package definition_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// TestConvertKeepsMeaning: what a document says is the same before and after,
// but for its form and places.
func TestConvertKeepsMeaning(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/convert/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			converted, violations := definition.Convert(text)
			if e := plumbline.Errors(violations); len(e) > 0 {
				t.Fatal(e)
			}
			before, after := parseAll(text), parseAll(converted)
			for _, d := range after {
				if len(d.Violations) > 0 {
					t.Errorf("%v in\n%s", d.Violations, converted)
				}
			}
			if diff := cmp.Diff(joined(before), joined(after), sameMeaning()...); diff != "" {
				t.Errorf("(-before +after)\n%s\n%s", diff, converted)
			}
			again, _ := definition.Convert(converted)
			if string(again) != string(converted) {
				t.Errorf("converted twice:\n%s", again)
			}
		})
	}
}

func parseAll(text []byte) []*definition.Document {
	chunks, _ := definition.Split(text)
	var out []*definition.Document
	for _, c := range chunks {
		if d := definition.Parse(c.Text); d.Skipped == "" {
			out = append(out, d)
		}
	}
	return out
}

// joined is what several documents say.
func joined(docs []*definition.Document) definition.Document {
	var out definition.Document
	for _, d := range docs {
		out.Versions = append(out.Versions, d.Versions...)
		out.Routes = append(out.Routes, d.Routes...)
		out.Secrets = append(out.Secrets, d.Secrets...)
		out.Roles = append(out.Roles, d.Roles...)
		out.Projects = append(out.Projects, d.Projects...)
		out.Plain = append(out.Plain, d.Plain...)
	}
	return out
}

func sameMeaning() []cmp.Option {
	return []cmp.Option{
		cmp.AllowUnexported(plumbline.SecretValue{}),
		cmpopts.IgnoreTypes(definition.Pos{}, definition.Form("")),
		cmpopts.IgnoreFields(definition.Document{}, "Violations"),
		cmpopts.EquateEmpty(),
	}
}
