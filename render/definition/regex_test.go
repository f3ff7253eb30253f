package definition

import (
	"regexp/syntax"
	"strings"
	"testing"
)

// Envoy refuses a program of more than maxProgram instructions. These sizes are of
// RE2's make, by what is known of it: an ASCII letter or range is one, any
// character eleven.
func TestProgram(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]struct{ low, high int }{
		"/api/v1":         {7, 12},
		"[a-z0-9-]{1,63}": {63 * 3, 63 * 5},
		".{1000}":         {10_000, 20_000},
		"(?:.{900}){1}":   {9_000, 18_000},
		"é":               {2, 4},
		"[à-ü]":           {2, 5},
		"(ab|cd)*":        {6, 12},
		`\pL`:             {500, 3_000},
		"":                {0, 2},
	} {
		tree, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		if got := program(tree); got < want.low || got > want.high {
			t.Errorf("%q: %d instructions, expected %d to %d", expr, got, want.low, want.high)
		}
	}
}

// Whatever Go takes is measured, in no time.
func FuzzRegex(f *testing.F) {
	for _, s := range []string{"a", `(\pL{900})(\pL{900})`, `((a{100}){10}){1}`, `\Q\p{x}\E\p{Letter}`, `\\p{x}`, `\`, `\p{`, `[\p{^Greek}é]*?`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		r := &reader{}
		r.regex(Text{Value: expr})
		if len(r.found) > 1 {
			t.Errorf("%d problems of one regex", len(r.found))
		}
		if c := unknownClass(expr); c != "" && !strings.Contains(expr, c) {
			t.Errorf("class %q is not in it", c)
		}
	})
}
