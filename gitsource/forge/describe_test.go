package forge

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200)
	for _, c := range []struct {
		name, text, want string
		limit            int
	}{
		{"short", "No drift", "No drift", 140},
		{"exact", strings.Repeat("a", 140), strings.Repeat("a", 140), 140},
		{"cut", long, strings.Repeat("x", 137) + "…", 140},
		{"count kept", long + " (+12)", strings.Repeat("x", 131) + "… (+12)", 140},
		{"count in the middle", long + " (+2) " + long, strings.Repeat("x", 137) + "…", 140},
		{"on a rune", "äää" + long, "ää…", 8},
		{"before a rune", "aäää", "aä…", 6},
		{"four bytes", "🪢🪢🪢", "🪢…", 8},
		{"no space before the dots", "aaaa bbbbbbbb", "aaaa…", 8},
		{"one line", " a\nb\tc\r\n", "a b c", 140},
		{"not UTF-8", "a\xffb", "a\uFFFDb", 140},
		{"no room for the count", "aaaaaaaaaaaa (+1234)", "aaaaa", 5},
		{"no room", "abc", "", 0},
		{"negative", "abc", "", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Describe(c.text, c.limit); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestDescribeHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.SampledFrom([]string{"", " (+1)", " (+345)"}).Draw(t, "count")
		text := "x" + rapid.String().Draw(t, "text") + count
		limit := rapid.IntRange(12, 200).Draw(t, "limit")
		got := Describe(text, limit)
		switch {
		case len(got) > limit:
			t.Fatalf("%d bytes: %q", len(got), got)
		case !utf8.ValidString(got):
			t.Fatalf("not UTF-8: %q", got)
		case !strings.HasSuffix(got, count):
			t.Fatalf("count lost: %q", got)
		case Describe(got, limit) != got:
			t.Fatalf("not stable: %q", got)
		}
	})
}
