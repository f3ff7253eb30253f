package reconciler_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDriftRows holds testdata/drift/rows.txt and the archives together: no
// case without an archive that plays it, no archive without a case.
func TestDriftRows(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/drift/rows.txt")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/drift/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var archives []string
	for _, file := range files {
		archives = append(archives, strings.TrimSuffix(filepath.Base(file), ".txtar"))
	}
	for _, problem := range rowProblems(string(text), archives) {
		t.Error(problem)
	}
}

// rowProblems are what is wrong with a list of cases: its first paragraph says
// what it is, then each line is a case, and each indented one an archive of it.
func rowProblems(text string, archives []string) []string {
	var problems, rows []string
	plays := map[string][]string{}
	_, list, _ := strings.Cut(text, "\n\n")
	for line := range strings.Lines(list) {
		name, indented := strings.CutPrefix(strings.TrimRight(line, "\n"), "\t")
		switch {
		case !indented:
			rows = append(rows, name)
		case !slices.Contains(archives, name):
			problems = append(problems, rows[len(rows)-1]+": there is no archive "+name)
		default:
			plays[name] = append(plays[name], rows[len(rows)-1])
		}
	}
	for _, row := range rows {
		played := slices.ContainsFunc(archives, func(a string) bool { return slices.Contains(plays[a], row) })
		if !played {
			problems = append(problems, row+": no archive plays it")
		}
	}
	for _, a := range archives {
		if len(plays[a]) == 0 {
			problems = append(problems, a+": it plays no case")
		}
	}
	return problems
}

func TestRowProblems(t *testing.T) {
	t.Parallel()
	got := rowProblems("Cases.\n\nedited\n\t01-edited\ndeleted\nmoved\n\t03-moved\n", []string{"01-edited", "02-deleted"})
	want := []string{
		"moved: there is no archive 03-moved", "deleted: no archive plays it", "moved: no archive plays it", "02-deleted: it plays no case",
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems %q, want %q", got, want)
	}
}
