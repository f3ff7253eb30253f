package encode_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/plumbline-dev/plumbline/render/encode"
)

// TestForYAML: whatever character a value holds, a reader of YAML finds it again.
func TestForYAML(t *testing.T) {
	t.Parallel()
	var every strings.Builder
	for c := rune(1); c < 0x11000; c++ {
		if c < 0x3000 || c > 0xfd00 {
			every.WriteRune(c)
		}
	}
	for _, c := range every.String() {
		want := map[string]any{"a": "x" + string(c) + "y", "b" + string(c): "1"}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if c == 0x2028 || c == 0x2029 { // as Encoder writes it; encoding/json escapes it itself
			text = []byte(strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(string(text)))
		}
		var got map[string]any
		if err := sigsyaml.Unmarshal(encode.ForYAML(text), &got); err != nil {
			t.Errorf("%U: %v", c, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%U (-want +got)\n%s", c, diff)
		}
	}
	plain := []byte(`{"a":"ü"}`)
	if got := encode.ForYAML(plain); &got[0] != &plain[0] {
		t.Error("a text that is well is copied")
	}
}
