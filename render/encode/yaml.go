package encode

import (
	"fmt"
	"strings"
)

// ForYAML is a JSON text that readers of YAML take for the same values. Characters
// that YAML does not take as they are, or reads as the end of a line, are escaped.
func ForYAML(text []byte) []byte {
	s := string(text)
	if !strings.ContainsFunc(s, unreadable) {
		return text
	}
	var b strings.Builder
	for _, c := range s {
		if unreadable(c) {
			fmt.Fprintf(&b, `\u%04x`, c)
			continue
		}
		b.WriteRune(c)
	}
	return []byte(b.String())
}

// unreadable tells of characters that stand in strings only, in JSON.
func unreadable(c rune) bool {
	return c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff
}
