package notes

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plumbline-dev/plumbline"
)

const someSHA = "0123456789abcdef0123456789abcdef01234567"

func TestDecodeLines(t *testing.T) {
	t.Parallel()
	line := func(state string) string {
		return `{"sha":"` + someSHA + `","context":"c","state":"` + state + `","description":""}`
	}
	for name, c := range map[string]struct {
		note string
		want []plumbline.StatusState
	}{
		"empty":          {"", nil},
		"one":            {line("success") + "\n", []plumbline.StatusState{"success"}},
		"no end of line": {line("success"), []plumbline.StatusState{"success"}},
		"CRLF":           {line("pending") + "\r\n" + line("success") + "\r\n", []plumbline.StatusState{"pending", "success"}},
		"others":         {"hello\n[1]\nnull\n" + line("success") + "\n{\"a\":1}\n{broken\n", []plumbline.StatusState{"success"}},
		"another commit": {`{"sha":"ffff","context":"c","state":"success"}`, nil},
		"no context":     {`{"sha":"` + someSHA + `","state":"success"}`, nil},
		"wrong types":    {`{"sha":"` + someSHA + `","context":1,"state":[]}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []plumbline.StatusState
			for _, s := range decodeLines(someSHA, []byte(c.note)) {
				got = append(got, s.State)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzDecodeLines: any note is read, a line that is appended to it is the last,
// and nothing before it is changed.
func FuzzDecodeLines(f *testing.F) {
	for _, seed := range []string{"", "x", "{}", `{"sha":"` + someSHA + `","context":"c","state":"success"}`, "\n\n", "{\"a\":1}\r\n\xff", "{"} {
		f.Add([]byte(seed), "plumbline/production", "description")
	}
	f.Fuzz(func(t *testing.T, note []byte, name, description string) {
		before := decodeLines(someSHA, note)
		s := plumbline.Status{SHA: someSHA, Context: name, State: plumbline.StatusSuccess, Description: description}
		line, err := encodeLine(s)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(line, []byte("\n")) != 1 {
			t.Fatalf("not a line: %q", line)
		}
		after := appendLine(note, line)
		if !bytes.HasPrefix(after, note) {
			t.Fatal("the note is rewritten")
		}
		got := decodeLines(someSHA, after)
		want := len(before) + 1
		if name == "" {
			want--
		}
		if len(got) != want {
			t.Fatalf("%d statuses, want %d", len(got), want)
		}
		if diff := cmp.Diff(before, got[:len(before)], cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}
