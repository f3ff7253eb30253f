package definition_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// What a text takes to be read is bounded by its length, whatever it says. The
// test is not parallel: it counts all that is allocated.
func TestMemoryIsBounded(t *testing.T) {
	const size = 1 << 20
	for name, unit := range map[string]string{
		"colons": ":", "commas": ",", "dashes": "- ", "keys": "a:\n", "values": "0,", "brackets": "[", "anchors": "&a ", "aliases": "*a ",
		"documents": "---\na\n", "comments": "# a\n", "blanks": "    \n", "quotes": "'' ", "tabs": "\t", "ends": "\r",
	} {
		text := []byte("a: " + strings.Repeat(unit, size/len(unit)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		chunks, _ := definition.Split(text)
		for _, c := range chunks {
			definition.Parse(c.Text)
		}
		runtime.ReadMemStats(&after)
		took := after.TotalAlloc - before.TotalAlloc
		if took > 40*size {
			t.Errorf("%s: %d bytes for each one of the text", name, took/size)
		}
	}
}

// A document of the largest size is not parsed where it has too many values, and
// the line is named at which it has. The test is
// not parallel, as above.
func TestTinyValues(t *testing.T) {
	for name, tt := range map[string]struct {
		head, unit string
		line       int // at which there are too many
	}{
		"a list in one line": {"a: [", "0,", 1}, "a list": {"a:\n", "- 0\n", 400_001}, "lists": {"a: [", "[],", 1}, "empty keys": {"a: {", "b,", 1},
		"JSON": {"{", "\"a\":0,", 1}, "nothing": {"a:\n", "-\n", 400_001}, "hidden behind a text": {"b: ['\nb: |\n ', ", "0,", 3},
		"hidden in a text": {"b: ['x', \"\nb: |\n \", ", "0,", 3}, "hidden in a list": {"b: [x\", \"y\nb: |\n \", ", "0,", 3},
	} {
		text := []byte(tt.head + strings.Repeat(tt.unit, (definition.MaxDocument-len(tt.head))/len(tt.unit)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d := definition.Parse(text)
		runtime.ReadMemStats(&after)
		if len(d.Violations) != 1 || d.Violations[0].Code != definition.CodeTooLarge || d.Violations[0].Origin.Line != tt.line {
			t.Errorf("%s: %v, want one at line %d", name, d.Violations, tt.line)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s: %d bytes for a document that is not read", name, took)
		}
	}
	// A file in a ConfigMap is one value, whatever it holds.
	row := "    " + strings.Repeat("0,1,", 25) + "\n"
	config := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: p}\ndata:\n  matrix.csv: |\n" + strings.Repeat(row, 10_000)
	if d := definition.Parse([]byte(config)); len(d.Violations) > 0 || len(d.Plain) != 1 {
		t.Errorf("%v", d.Violations)
	}
}
