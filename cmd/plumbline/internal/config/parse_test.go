package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/plumbline-dev/plumbline"
)

// Each archive holds a configuration and what comes of it: "out", the decoded
// value, or "err", one mistake a line. UPDATE=1 rewrites them.
func TestParse(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			testArchive(t, file)
		})
	}
}

func testArchive(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	input, want := archive.Files[0], archive.Files[1]
	c, err := Parse(input.Name, input.Data)
	got := txtar.File{Name: "out"}
	if err != nil {
		got = txtar.File{Name: "err", Data: []byte(err.Error() + "\n")}
		if plumbline.KindOf(err) != plumbline.KindUsage {
			t.Errorf("kind %s", plumbline.KindOf(err))
		}
	} else {
		raw, err := json.MarshalIndent(c, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		got.Data = append(raw, '\n')
	}
	if strings.Contains(string(got.Data), "hunter2") {
		t.Errorf("a password is shown:\n%s", got.Data)
	}
	if os.Getenv("UPDATE") != "" {
		archive.Files = []txtar.File{input, got}
		if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want.Data), string(got.Data)); diff != "" || want.Name != got.Name {
		t.Errorf("%s, want %s\n%s", got.Name, want.Name, diff)
	}
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

func FuzzParse(f *testing.F) {
	f.Add("{apiVersion: plumbline.dev/v1, kind: Config, source: {url: x}, environments: [{name: a, path: a}]}")
	f.Add("environments: [{windows: [{}]}, null]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("c.yaml", []byte(text))
		if err == nil && (len(c.Environments) == 0 || c.Source.URL == "") {
			t.Errorf("accepted without a source or an environment: %q", text)
		}
	})
}
