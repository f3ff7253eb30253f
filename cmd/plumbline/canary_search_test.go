package main

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// canaries are the secret values of one test, by what they are the value of.
// Each has random words at both ends and between them what encodings change;
// finding one word is enough, so a value that was cut is found as well.
type canaries struct{ words map[string][]string }

func newCanaries() *canaries { return &canaries{words: map[string][]string{}} }

// word makes a random word that belongs to name.
func (c *canaries) word(name string) string {
	w := "cn" + strings.ToLower(rand.Text()[:14])
	c.words[name] = append(c.words[name], w)
	return w
}

// value makes a value that URLs, JSON, YAML and shells have to quote.
func (c *canaries) value(name string) string {
	return c.word(name) + `+/?&=%<>"'\:@ ü~` + c.word(name)
}

// lines makes a value of three lines, like a key in PEM.
func (c *canaries) lines(name string) string {
	return "-----BEGIN KEY-----\n" + c.word(name) + "/+\n" + c.word(name) + "==\n-----END KEY-----\n"
}

// url makes a value that is a URL with a password.
func (c *canaries) url(name string) string {
	return "postgres://shop:" + c.word(name) + "%2F" + c.word(name) + "@db.example.com:5432/shop?sslmode=require"
}

// leak is a word that was found where it must not be.
type leak struct{ name, form, around string }

func (l leak) String() string {
	return fmt.Sprintf("%s, %s: …%s…", l.name, l.form, l.around)
}

// find looks for every word in text, in every form that a program could have
// given it, and returns one place for each word that is there.
func (c *canaries) find(text []byte) []leak {
	var out []leak
	read := readings(text)
	for _, name := range slices.Sorted(maps.Keys(c.words)) {
		for _, w := range c.words[name] {
			if l, ok := findWord(w, read); ok {
				l.name = name
				out = append(out, l)
			}
		}
	}
	return out
}

func findWord(w string, read []reading) (leak, bool) {
	for _, form := range formsOf(w) {
		for _, text := range read {
			for _, n := range form.needles {
				if i := strings.Index(text.text, n); i >= 0 {
					return leak{form: form.name + text.how, around: text.text[max(0, i-60):min(len(text.text), i+len(n)+60)]}, true
				}
			}
		}
	}
	return leak{}, false
}

// missing are the names of which find finds nothing.
func (c *canaries) missing(text []byte) []string {
	found := map[string]bool{}
	for _, l := range c.find(text) {
		found[l.name] = true
	}
	var out []string
	for name := range c.words {
		if !found[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

type reading struct{ how, text string }

// readings of a text: as it is, and without what splits a value over lines:
// blanks, written-out line ends, and the marks of a diff.
func readings(text []byte) []reading {
	var joined strings.Builder
	for line := range strings.Lines(strings.NewReplacer(`\n`, "\n", `\r`, "\n", `\t`, " ", `\u000a`, "\n").Replace(string(text))) {
		line = strings.TrimLeft(strings.TrimSpace(line), "+- ")
		line = strings.TrimRight(line, `\`)
		for _, r := range line {
			if !unicode.IsSpace(r) {
				joined.WriteRune(r)
			}
		}
	}
	return []reading{{"", string(text)}, {", over lines", joined.String()}}
}

// form is one way in which a word may be written.
type form struct {
	name    string
	needles []string
}

// formsOf is what w may look like. Whatever stands before or after it in an
// encoding of a longer text, its needles are in there.
func formsOf(w string) []form {
	quoted, err := json.Marshal(w)
	if err != nil {
		panic(err)
	}
	var codes, percent, bytesList strings.Builder
	for _, b := range []byte(w) {
		fmt.Fprintf(&codes, `\u%04x`, b)
		fmt.Fprintf(&percent, "%%%02X", b)
		fmt.Fprintf(&bytesList, "%d ", b)
	}
	list := strings.TrimSpace(bytesList.String())
	var twice []string
	for _, once := range base64Of(w) {
		twice = append(twice, base64Of(once)...)
	}
	return []form{
		{"raw", []string{w, strings.ToUpper(w)}},
		{"URL-quoted", []string{url.QueryEscape(w), url.PathEscape(w), percent.String(), strings.ToLower(percent.String())}},
		{"JSON-escaped", []string{strings.Trim(string(quoted), `"`), codes.String()}},
		{"hex", []string{hex.EncodeToString([]byte(w)), strings.ToUpper(hex.EncodeToString([]byte(w)))}},
		{"bytes", []string{list, strings.ReplaceAll(list, " ", ","), strings.ReplaceAll(list, " ", ", ")}},
		{"base64", base64Of(w)},
		{"base64 twice", twice},
	}
}

// base64Of is w as a part of a longer text in base64: what is the same
// whatever stands around it, for each of the three places at which it can
// begin.
func base64Of(w string) []string {
	var out []string
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			text := enc.EncodeToString([]byte(strings.Repeat("x", before) + w))
			begin := (before*8 + 5) / 6
			end := (before + len(w)) * 8 / 6
			out = append(out, text[begin:end])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// gunzipped is data, and after it everything that is gzip in it.
func gunzipped(data []byte) []byte {
	out := slices.Clone(data)
	for rest := data; ; {
		i := bytes.Index(rest, []byte{0x1f, 0x8b, 0x08})
		if i < 0 {
			return out
		}
		rest = rest[i:]
		if zr, err := gzip.NewReader(bytes.NewReader(rest)); err == nil {
			raw, _ := io.ReadAll(zr) // what can be read of it
			out = append(append(out, '\n'), raw...)
		}
		rest = rest[1:]
	}
}

// A search that finds nothing proves something only if it would find.
func TestCanarySearchFinds(t *testing.T) {
	t.Parallel()
	c := newCanaries()
	v := c.value("value")
	wrap := func(s string) string {
		var lines []string
		for chunk := range slices.Chunk([]byte(s), 9) {
			lines = append(lines, string(chunk))
		}
		return strings.Join(lines, "\n  ")
	}
	quoted, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(zw, v); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	forms := map[string]string{
		"raw":              "a " + v + " b",
		"cut":              v[:18],
		"over lines":       wrap(v),
		"over diff lines":  "+ " + strings.ReplaceAll(wrap(v), "\n", "\n+ "),
		"over JSON lines":  strings.ReplaceAll(wrap(v), "\n", `\n`),
		"URL query":        url.QueryEscape(v),
		"URL path":         url.PathEscape(v),
		"JSON":             string(quoted),
		"JSON in JSON":     fmt.Sprintf("%q", quoted),
		"Go":               fmt.Sprintf("%q", v),
		"bytes":            fmt.Sprint([]byte(v)),
		"hex":              hex.EncodeToString([]byte(v)),
		"HEX":              fmt.Sprintf("%X", v),
		"gzip":             string(gunzipped(append([]byte{1}, zipped.Bytes()...))),
		"base64 over line": wrap(base64.StdEncoding.EncodeToString([]byte("ab" + v))),
		"base64 twice":     base64.StdEncoding.EncodeToString([]byte("{" + base64.StdEncoding.EncodeToString([]byte("user:"+v)) + "}")),
	}
	for before := range 3 {
		text := []byte(strings.Repeat("~", before) + v + "~")
		forms[fmt.Sprintf("base64 at %d", before)] = base64.StdEncoding.EncodeToString(text)
		forms[fmt.Sprintf("base64 for URLs at %d", before)] = base64.RawURLEncoding.EncodeToString(text)
	}
	for name, text := range forms {
		if missing := c.missing([]byte("before " + text + " after")); len(missing) > 0 {
			t.Errorf("%s: not found in %q", name, text)
		}
	}
	if found := c.find([]byte("nothing of it " + newCanaries().value("other"))); len(found) > 0 {
		t.Errorf("found what is not there: %v", found)
	}
}
