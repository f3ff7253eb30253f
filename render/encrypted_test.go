package render_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/golden"
	"github.com/plumbline-dev/plumbline/render"
)

// encryptedShop is the input of encrypted.txtar, with its keys.
func encryptedShop(t *testing.T) (fstest.MapFS, *golden.AgeKeys) {
	t.Helper()
	for _, c := range golden.Cases(t) {
		if c.Name == "encrypted" {
			return c.Files(), c.Options.Keys.(*golden.AgeKeys)
		}
	}
	t.Fatal("fixtures/golden/encrypted.txtar is gone")
	return nil, nil
}

func newRendererWith(t *testing.T, keys render.Keys) *render.Renderer {
	t.Helper()
	r, err := render.New(render.Options{Environment: "test", HashKey: []byte("example"), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func rendered(t *testing.T, r *render.Renderer, files fstest.MapFS) render.Result {
	t.Helper()
	res, err := r.Render(t.Context(), files, ".")
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// checksums are what the inventory compares.
func checksums(res render.Result) string {
	var b strings.Builder
	for _, o := range plumbline.InWaves(res.Objects) {
		fmt.Fprintf(&b, "%s %s\n", o.Ref, o.Checksum)
	}
	return b.String()
}

// An encrypted file is opened once, and again when it, or one that is sealed
// with it, changes.
func TestOpenedOnce(t *testing.T) {
	t.Parallel()
	files, keys := encryptedShop(t)
	r := newRendererWith(t, keys)
	first := rendered(t, r, files)
	if keys.Opened != 4 || len(plumbline.Errors(first.Violations)) > 0 {
		t.Fatalf("opened %d data keys, want one for each file: %v", keys.Opened, first.Violations)
	}
	change := func(name, old, now string) {
		t.Helper()
		text := strings.Replace(string(files[name].Data), old, now, 1)
		if text == string(files[name].Data) {
			t.Fatalf("%s does not hold %q", name, old)
		}
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for _, step := range []struct {
		what   string
		do     func()
		opened int
	}{
		{"nothing", func() {}, 4},
		{"another file", func() { change("orders.yaml", "orders:1", "orders:2") }, 4},
		{"a plain document in the same file", func() { change("database.yaml", "    version: 3.13.3\n", "    version: 3.13.3\n---\nkind: other\n") }, 4},
		{"a blank line before the document", func() { change("plain.yaml", "apiVersion", "\n\napiVersion") }, 5},
		{"back", func() { change("plain.yaml", "\n\napiVersion", "apiVersion") }, 5},
	} {
		step.do()
		res := rendered(t, r, files)
		if keys.Opened != step.opened {
			t.Errorf("after %s: opened %d data keys, want %d", step.what, keys.Opened, step.opened)
		}
		if len(res.Violations) != len(first.Violations) {
			t.Errorf("after %s: %v", step.what, res.Violations)
		}
	}
}

// Encrypting the same values anew changes no checksum, whatever else the file
// says of recipients and times.
func TestEncryptedAnew(t *testing.T) {
	t.Parallel()
	files, keys := encryptedShop(t)
	r := newRendererWith(t, keys)
	before := checksums(rendered(t, r, files))
	for _, f := range txtar.Parse([]byte(encryptedAnew)).Files {
		if string(files[f.Name].Data) == string(f.Data) {
			t.Fatalf("%s is the same", f.Name)
		}
		files[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	res := rendered(t, r, files)
	if after := checksums(res); after != before || before == "" {
		t.Errorf("before:\n%s\nafter: %v\n%s", before, res.Violations, after)
	}
	opened := keys.Opened
	if again := checksums(rendered(t, newRendererWith(t, keys), files)); again != before || keys.Opened == opened {
		t.Errorf("a new renderer says:\n%s", again)
	}
}

// Keys that come, change or go count at the next rendering, though the files
// are the same.
func TestKeysChange(t *testing.T) {
	t.Parallel()
	files, with := encryptedShop(t)
	keys := &golden.AgeKeys{}
	r := newRendererWith(t, keys)
	for i, step := range []struct {
		keys    *golden.AgeKeys
		refused bool
	}{{&golden.AgeKeys{}, true}, {with, false}, {&golden.AgeKeys{Name: "none"}, true}, {with, false}} {
		keys.IDs, keys.Name = step.keys.IDs, step.keys.Name
		res := rendered(t, r, files)
		refused := len(plumbline.Errors(res.Violations)) > 0
		if refused != step.refused || refused == (res.Objects.Len() > 0) {
			t.Errorf("step %d: %d objects, %v", i, res.Objects.Len(), res.Violations)
		}
		if refused != (len(res.Closed) > 0) {
			t.Errorf("step %d: closed: %v", i, res.Closed)
		}
	}
	keys.Err = plumbline.Errorf(plumbline.KindDenied, "read keys", "gone")
	if _, err := r.Render(t.Context(), files, "."); plumbline.KindOf(err) != plumbline.KindDenied {
		t.Errorf("keys that cannot be read: %v", err)
	}
	keys.Err = nil
	if res := rendered(t, r, files); res.Objects.Len() == 0 {
		t.Errorf("keys that can be read again: %v", res.Violations)
	}
}

// Without keys, what is refused names each recipient, at the line of the block.
func TestRefusedWithoutKeys(t *testing.T) {
	t.Parallel()
	files, _ := encryptedShop(t)
	res := rendered(t, newRendererWith(t, nil), files)
	var codes []string
	for _, v := range plumbline.Errors(res.Violations) {
		codes = append(codes, v.Code)
		if !strings.Contains(v.Message, "no key for recipient age1") || v.Origin.Line == 0 {
			t.Errorf("%s", v)
		}
	}
	if got := strings.Join(codes, " "); got != "PL1009 PL1009 PL1009 PL1009" || res.Objects.Len() > 0 {
		t.Errorf("%s, %d objects: %v", got, res.Objects.Len(), res.Violations)
	}
}
