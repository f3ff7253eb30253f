package reconciler_test

import (
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/plumbline-dev/plumbline/fixtures/archive"
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
	archive.Play(t, "testdata/drift/*.txtar", []string{"want"}, func(t *testing.T, in *txtar.Archive) []txtar.File {
		return []txtar.File{{Name: "want", Data: []byte(newPlay(t, in).run())}}
	})
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
