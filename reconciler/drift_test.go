package reconciler_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// TestDriftTable plays testdata/drift/*.txtar against the running loop, one
// archive a row of what can happen to a live object:
//
//	desired.yaml  the objects of the first commit, without a namespace
//	mode          "report": drift.action is report; "patient": the interval is a day, so
//	              that what is denied is not tried again within the archive
//	edit          what others do, a step a line; see steps_test.go
//	want          what the loop told, what it sent (>), what was shown (=)
//
// UPDATE=1 writes the want sections anew.
func TestDriftTable(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/drift/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("archives %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newPlay(t, archive).run()
			if os.Getenv("UPDATE") != "" {
				rewrite(t, file, archive, got)
				return
			}
			if diff := cmp.Diff(section(archive, "want"), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// section is the text of a file of an archive; empty where there is none.
func section(a *txtar.Archive, name string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func rewrite(t *testing.T, file string, a *txtar.Archive, want string) {
	t.Helper()
	found := false
	for i := range a.Files {
		if a.Files[i].Name == "want" {
			a.Files[i].Data, found = []byte(want), true
		}
	}
	if !found {
		a.Files = append(a.Files, txtar.File{Name: "want", Data: []byte(want)})
	}
	if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
		t.Fatal(err)
	}
}
