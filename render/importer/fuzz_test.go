package importer_test

import (
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/importer"
)

// FuzzImport: what is imported can be imported, and comes out the same.
func FuzzImport(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no archives: %v", err)
	}
	for _, p := range paths {
		archive, err := txtar.ParseFile(p)
		if err != nil {
			f.Fatal(err)
		}
		for _, a := range archive.Files {
			f.Add(a.Data, false)
			f.Add(a.Data, true)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, old bool) {
		var o importer.Options
		if old {
			o.Form = definition.FormSpaceCloud
		}
		res := importer.Import([]importer.File{{Path: "a.yaml", Text: text}}, o)
		if len(res.Violations) > 0 {
			if len(res.Files) > 0 {
				t.Error("files beside an error")
			}
			return
		}
		fixPoint(t, res.Files, o)
	})
}
