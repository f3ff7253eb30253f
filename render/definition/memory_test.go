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
