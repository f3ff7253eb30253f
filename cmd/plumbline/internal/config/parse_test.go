package config

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/archive"
)

// Each archive holds a configuration and what comes of it: "out", the decoded
// value, or "err", one mistake a line. UPDATE=1 rewrites them.
func TestParse(t *testing.T) {
	t.Parallel()
	archive.Play(t, "testdata/*.txtar", []string{"out", "err"}, func(t *testing.T, in *txtar.Archive) []txtar.File {
		got := parsed(t, in.Files[0])
		if strings.Contains(string(got.Data), "hunter2") {
			t.Errorf("a password is shown:\n%s", got.Data)
		}
		return []txtar.File{got}
	})
}

func parsed(t *testing.T, in txtar.File) txtar.File {
	t.Helper()
	c, err := Parse(in.Name, in.Data)
	if err != nil {
		if plumbline.KindOf(err) != plumbline.KindUsage {
			t.Errorf("kind %s", plumbline.KindOf(err))
		}
		return txtar.File{Name: "err", Data: []byte(err.Error() + "\n")}
	}
	raw, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return txtar.File{Name: "out", Data: append(raw, '\n')}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none.yaml")
	if _, err := Load(missing); plumbline.KindOf(err) != plumbline.KindUsage || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("error %v", err)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "{apiVersion: plumbline.dev/v1, kind: Config, source: {url: x}, environments: [{name: a, path: a}]}"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(file); err != nil || c.Environments[0].Name != "a" {
		t.Errorf("%+v, %v", c, err)
	}
}

// FuzzParse: a configuration is refused with a place in the file for every
// mistake, and without the password that may stand in an address; or it has all
// that it needs, and is the same when it is read again.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(archive.Files[0].Data))
	}
	for _, seed := range []string{
		"{apiVersion: plumbline.dev/v1, kind: Config, source: {url: x}, environments: [{name: a, path: a}]}",
		"environments: [{windows: [{}]}, null]", "a: &a [*a]", "source: &s {<<: *s}", "? {a: b}\n: c", "environments: !!binary aGVsbG8=", "\ufeff---\r\n---\r\n", "\xff\xfe\x28\x20a\x00", "source: {url: 1e400, interval: -9999999h}",
		"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nenvironments: [*c,*c,*c,*c,*c,*c,*c,*c]\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("c.yaml", []byte(text))
		if err != nil {
			lines := 1 // as YAML 1.1 counts them, or more
			for _, end := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
				lines += strings.Count(text, end)
			}
			refusedWithPlaces(t, err, lines)
			return
		}
		if len(c.Environments) == 0 || c.Source.URL == "" {
			t.Errorf("accepted without a source or an environment: %q", text)
		}
		for _, e := range c.Environments {
			if CheckEnvironmentName(e.Name) != nil || !fs.ValidPath(e.Path) {
				t.Errorf("accepted with an environment %q at %q", e.Name, e.Path)
			}
		}
		again, err := Parse("c.yaml", []byte(text))
		if diff := cmp.Diff(c, again, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" || err != nil {
			t.Errorf("read again it is another: %v\n%s", err, diff)
		}
	})
}

func refusedWithPlaces(t *testing.T, err error, lines int) {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("not all mistakes: %v", err)
	}
	for _, e := range joined.Unwrap() {
		var p *plumbline.Error
		if !errors.As(e, &p) || p.Kind != plumbline.KindUsage || p.Origin.Path != "c.yaml" || p.Origin.Line < 0 || p.Origin.Line > lines {
			t.Errorf("%v: not a mistake in one of %d lines", e, lines)
		}
	}
}
