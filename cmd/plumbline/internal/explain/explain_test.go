package explain_test

import (
	"strings"
	"testing"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/explain"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/runbook"
	"github.com/plumbline-dev/plumbline/render/definition/reference"
)

// TestEveryWord: each field of each kind, each key and each code is explained,
// in lines that fit a terminal.
func TestEveryWord(t *testing.T) {
	t.Parallel()
	var words []string
	var add func(path string, m *reference.Mapping)
	add = func(path string, m *reference.Mapping) {
		for _, f := range m.Fields {
			words = append(words, path+"."+f.Key)
			if f.Of != nil {
				add(path+"."+f.Key, f.Of)
			}
		}
	}
	for _, k := range reference.Kinds() {
		words = append(words, k.Name, k.Type)
		add(k.Type, k.Spec)
		add(k.Name+".spec", k.Spec)
	}
	for _, k := range config.Reference() {
		words = append(words, "config."+k.Path)
	}
	for _, c := range runbook.Chapters() {
		for _, e := range c.Entries {
			words = append(words, e.Code)
		}
	}
	if len(words) < 300 {
		t.Fatalf("%d words", len(words))
	}
	for _, w := range words {
		text, err := explain.Word(w)
		if err != nil {
			t.Errorf("%s: %v", w, err)
		}
		_, below, _ := strings.Cut(text, "\n")
		for line := range strings.Lines(below) {
			if len(line) > 81 && len(strings.Fields(line)) > 1 && !strings.HasPrefix(line, "  api:") {
				t.Errorf("%s: %d bytes: %s", w, len(line), line)
			}
		}
	}
}

// TestUnknown: what is not there is named with the nearest that is.
func TestUnknown(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"servce":                       `"servce" begins with no kind of document; did you mean service?`,
		"tasks.docker.image":           `"tasks.docker.image" begins with no kind of document; did you mean service.tasks.docker.image?`,
		"service.tasks.dcoker.image":   `ServiceVersion spec.tasks[] has no field "dcoker"; did you mean docker?`,
		"service.tasks.docker.image.x": `ServiceVersion spec.tasks[].docker.image is text: it has no field "x"`,
		"service.tasks.zzzzzz":         `ServiceVersion spec.tasks[] has no field "zzzzzz"; it has docker, env, id, name, ports, probes, resources, runtime, secrets`,
		"config.sorce.url":             `the configuration has no key "sorce.url"; did you mean source.url?`,
		"PL2040":                       "there is no code PL2040; did you mean PL2004?",
		"qqqqqqqqq":                    `"qqqqqqqqq" begins with no kind of document; plumbline explain without a word lists what there is`,
		"":                             `"" begins with no kind of document; plumbline explain without a word lists what there is`,
	} {
		text, err := explain.Word(word)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s\n%s", word, err, want, text)
		}
	}
}
