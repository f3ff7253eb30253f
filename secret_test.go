package plumbline_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/plumbline-dev/plumbline"
)

// However a value is printed, alone or inside of others, it is not shown.
func TestSecretValuesDoNotPrint(t *testing.T) {
	t.Parallel()
	const value, key = "hunter2", "value"
	secret, body := plumbline.NewSecretValue(value), plumbline.NewBody([]byte(`{"data":"`+value+`"}`))
	holder := struct {
		Secret plumbline.SecretValue
		Body   plumbline.Body
		List   []any
		// fmt calls no method of a field that is not exported.
		hidden plumbline.SecretValue
		body   plumbline.Body
	}{secret, body, []any{secret, &secret, body, &body, map[string]any{"k": secret}}, secret, body}
	var said bytes.Buffer
	for _, v := range []any{secret, &secret, body, &body, holder, &holder, fmt.Errorf("wrapped: %v %+v %#v", secret, body, holder)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
			fmt.Fprintf(&said, verb+"\n", v)
		}
		fmt.Fprintln(&said, v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		said.Write(text)
		for _, h := range []slog.Handler{slog.NewTextHandler(&said, nil), slog.NewJSONHandler(&said, nil)} {
			slog.New(h).Info("said", key, v)
		}
	}
	for _, form := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), strings.Trim(fmt.Sprint([]byte(value)), "[]")} {
		if i := strings.Index(said.String(), form); i >= 0 {
			t.Errorf("%q is shown: …%s…", form, said.String()[max(0, i-80):min(said.Len(), i+40)])
		}
	}
	if secret.Reveal() != value || !strings.Contains(string(body.Reveal()), value) {
		t.Error("Reveal does not reveal")
	}
}
