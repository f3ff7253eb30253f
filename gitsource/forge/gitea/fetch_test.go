package gitea

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/gitsource"
	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

// The same forge is where the commits come from, with the same token and the
// same authority.
func mirror(t *testing.T, f *servers.ForgeHandle, repo *servers.ForgeRepository, token string, mod ...func(*gitsource.Options)) *gitsource.Mirror {
	t.Helper()
	o := gitsource.Options{
		URL: repo.URL(), Dir: filepath.Join(t.TempDir(), "mirror"),
		Auth: gitsource.Auth{TokenFile: writeFile(t, token), CAFile: f.CAFile},
	}
	for _, m := range mod {
		m(&o)
	}
	m, err := gitsource.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestFetch(t *testing.T) {
	t.Parallel()
	f := servers.Forge(t)
	repo, commits := pushed(t, f, 3)
	m := mirror(t, f, repo, member(t, f, repo, "read").Token(t, "read:repository").Value)
	head, err := m.Fetch(t.Context())
	if err != nil || head.SHA != commits[2] {
		t.Fatalf("%+v, %v, want %s", head, err, commits[2])
	}
	s, err := m.Snapshot(t.Context(), head.SHA)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := fs.ReadFile(s.FS, "a.yaml"); err != nil || string(content) != "a: 2\n" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestFetchRefusals(t *testing.T) {
	t.Parallel()
	f := servers.Forge(t)
	repo, _ := pushed(t, f, 1)
	revoked := member(t, f, repo, "read").Token(t, "read:repository")
	revoked.Revoke(t)
	other := gittest.Serve(t, gittest.New(t), gittest.Settings{}).CAFile
	for _, c := range []struct {
		name, token string
		mod         func(*gitsource.Options)
		said        string
	}{
		{"wrong token", "0123456789012345678901234567890123456789", nil, "HTTP 401: the server refuses the credentials: check that the token in auth.tokenFile is valid"},
		{"expired token", revoked.Value, nil, "HTTP 401: the server refuses the credentials"},
		{"no token", "x", func(o *gitsource.Options) { o.Auth.TokenFile = "" }, "set auth.tokenFile"},
		{"a stranger", f.NewUser(t).Token(t, "read:repository").Value, nil, "auth.tokenFile|check the URL and the token's rights"},
		{"the system's authorities", f.Token, func(o *gitsource.Options) { o.Auth.CAFile = "" }, "set auth.caFile to the certificate of the authority"},
		{"another authority", f.Token, func(o *gitsource.Options) { o.Auth.CAFile = other }, "set auth.caFile to the certificate of the authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := mirror(t, f, repo, c.token, func(o *gitsource.Options) {
				if c.mod != nil {
					c.mod(o)
				}
			})
			_, err := m.Fetch(t.Context())
			said := false
			for part := range strings.SplitSeq(c.said, "|") {
				said = said || strings.Contains(fmt.Sprint(err), part)
			}
			if plumbline.KindOf(err) != plumbline.KindDenied || !said {
				t.Errorf("%s: %v", plumbline.KindOf(err), err)
			}
			if len(c.token) > 1 && strings.Contains(fmt.Sprint(err), c.token) {
				t.Errorf("shows the token: %v", err)
			}
		})
	}
}

// A token that ends stops fetches until its file has the next one.
func TestFetchRotated(t *testing.T) {
	t.Parallel()
	f := servers.Forge(t)
	repo, commits := pushed(t, f, 1)
	u := member(t, f, repo, "read")
	first := u.Token(t, "read:repository")
	file := writeFile(t, first.Value)
	m := mirror(t, f, repo, "", func(o *gitsource.Options) { o.Auth.TokenFile = file })
	if head, err := m.Fetch(t.Context()); err != nil || head.SHA != commits[0] {
		t.Fatalf("%+v, %v", head, err)
	}
	first.Revoke(t)
	if _, err := m.Fetch(t.Context()); plumbline.KindOf(err) != plumbline.KindDenied {
		t.Errorf("with a revoked token: %v", err)
	}
	if err := os.WriteFile(file, []byte(u.Token(t, "read:repository").Value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if head, err := m.Fetch(t.Context()); err != nil || head.SHA != commits[0] {
		t.Errorf("with the next token: %+v, %v", head, err)
	}
}
