package forge

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// more is the count of what a description does not name: "… (+2)".
var more = regexp.MustCompile(` \(\+\d+\)$`)

const ellipsis = "…"

// Describe is text as a status description: one line of at most limit bytes,
// cut on a rune, with a "(+N)" at the end kept.
func Describe(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.TrimSpace(text)
	if len(text) <= limit {
		return text
	}
	tail := ellipsis + more.FindString(text)
	if len(tail) >= limit {
		return cut(text, limit)
	}
	return strings.TrimRight(cut(text, limit-len(tail)), " ") + tail
}

// cut is the longest prefix of whole runes within limit bytes.
func cut(s string, limit int) string {
	limit = max(0, min(limit, len(s)))
	for limit > 0 && limit < len(s) && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
