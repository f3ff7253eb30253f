package keyservice_test

import (
	"strings"
	"testing"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/keyservice"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	const write, plain = "write unix:///run", "in plain text"
	for text, want := range map[string]string{ // "": taken
		"unix:///run/sops/keyservice.sock": "",
		"tcp://127.0.0.1:5000":             "",
		"tcp://[::1]:5000":                 "",
		"tcp://localhost:5000":             "",
		"tcp://10.0.0.1:5000":              plain,
		"tcp://keyservice:5000":            plain,
		"tcp://127.0.0.1.example.com:5000": plain,
		"tcp://0.0.0.0:5000":               plain,
		"tcp://127.0.0.1":                  write,
		"tcp://127.0.0.1:5000/x":           write,
		"tcp://user@127.0.0.1:5000":        write,
		"unix://run/sops.sock":             write,
		"unix:///run/../sops.sock":         write,
		"unix:///":                         write,
		"/run/sops.sock":                   write,
		"https://127.0.0.1:5000":           write,
		"":                                 write,
	} {
		a, err := keyservice.ParseAddress(text)
		switch {
		case want == "" && (err != nil || a.String() != text):
			t.Errorf("%q: %q, %v", text, a, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
