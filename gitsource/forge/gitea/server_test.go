package gitea

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/gitsource/forge"
	"github.com/plumbline-dev/plumbline/gitsource/forge/forgetest"
	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

// pushed makes a repository on the forge and n commits in it.
func pushed(t *testing.T, f *servers.ForgeHandle, n int) (*servers.ForgeRepository, []string) {
	t.Helper()
	repo, local := f.Repository(t), gittest.New(t)
	var commits []string
	for i := range n {
		commits = append(commits, local.CommitFiles("a.yaml", fmt.Sprintf("a: %d\n", i)))
	}
	local.Git("push", "-q", repo.PushURL(), "HEAD:refs/heads/main")
	return repo, commits
}

// member is a user with a right in the repository.
func member(t *testing.T, f *servers.ForgeHandle, repo *servers.ForgeRepository, right string) *servers.ForgeUser {
	t.Helper()
	u := f.NewUser(t)
	repo.Grant(t, u, right)
	return u
}

func reporter(t *testing.T, f *servers.ForgeHandle, repo *servers.ForgeRepository, token string, mod ...func(*Options)) *Reporter {
	t.Helper()
	o := Options{URL: f.TLSURL, Repository: repo.FullName(), TokenFile: writeFile(t, token), CAFile: f.CAFile, Now: now}
	for _, m := range mod {
		m(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// On a real server, over https, with a token that may no more than the
// documentation says it needs.
func TestConformance(t *testing.T) {
	t.Parallel()
	forgetest.Run(t, func(t *testing.T) forgetest.Target {
		f := servers.Forge(t)
		repo, commits := pushed(t, f, 4)
		token := member(t, f, repo, "write").Token(t, "write:repository")
		return forgetest.Target{Reporter: reporter(t, f, repo, token.Value), Commits: commits, UnknownSHA: plumbline.KindTransient}
	})
}

// More statuses than a page has, within one second: order, the newest, and what
// is not repeated all hold.
func TestManyStatuses(t *testing.T) {
	t.Parallel()
	f := servers.Forge(t)
	repo, commits := pushed(t, f, 1)
	r := reporter(t, f, repo, f.Token)
	const n = pageSize + 5
	for i := range n {
		s := plumbline.Status{SHA: commits[0], Context: fmt.Sprintf("plumbline/e%d", i%7), State: plumbline.StatusPending, Description: fmt.Sprintf("step %d", i)}
		for range 2 {
			if err := r.Post(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	list, err := r.List(t.Context(), commits[0])
	if err != nil || len(list) != n {
		t.Fatalf("%d statuses, %v, want %d", len(list), err, n)
	}
	for i, s := range list {
		if s.Description != fmt.Sprintf("step %d", i) {
			t.Errorf("status %d is %q", i, s.Description)
		}
	}
	if got := repo.Statuses(t, commits[0]); len(got) != n || !got[n-1].Equal(list[n-1]) {
		t.Errorf("another client sees %d, last %+v", len(got), got[len(got)-1])
	}
	last, ok, err := r.Last(t.Context(), plumbline.StatusKey{SHA: commits[0], Context: "plumbline/e0"})
	if err != nil || !ok || last.Description != "step 49" {
		t.Errorf("last: %+v, %v, %v", last, ok, err)
	}
}

// What a real server refuses is said with the right that is missing.
func TestRefusals(t *testing.T) {
	t.Parallel()
	f := servers.Forge(t)
	repo, commits := pushed(t, f, 1)
	reader, writer := member(t, f, repo, "read"), member(t, f, repo, "write")
	revoked := writer.Token(t, "write:repository")
	revoked.Revoke(t)
	other := gittest.Serve(t, gittest.New(t), gittest.Settings{}).CAFile
	absent := strings.Repeat("1234567890", 4)
	for _, c := range []struct {
		name, token, sha string
		mod              func(*Options)
		kind             plumbline.Kind
		said             string
	}{
		{"no such token", "0123456789012345678901234567890123456789", commits[0], nil, plumbline.KindDenied, "HTTP 401: the forge refuses the token in forge.tokenFile"},
		{"revoked", revoked.Value, commits[0], nil, plumbline.KindDenied, "HTTP 401: the forge refuses the token in forge.tokenFile: it is wrong, revoked or expired"},
		{"another scope", writer.Token(t, "write:issue").Value, commits[0], nil, plumbline.KindDenied, "HTTP 403: the token in forge.tokenFile may not read the repository (scope read:repository)"},
		{"only reads", writer.Token(t, "read:repository").Value, commits[0], nil, plumbline.KindDenied, "HTTP 403: the token in forge.tokenFile may not write commit statuses (scope write:repository"},
		{"a reader", reader.Token(t, "write:repository").Value, commits[0], nil, plumbline.KindDenied, "HTTP 403: the token in forge.tokenFile may not write commit statuses"},
		{"a stranger", f.NewUser(t).Token(t, "write:repository").Value, commits[0], nil, plumbline.KindDenied, "HTTP 404: no repository " + repo.FullName()},
		{"no such repository", f.Token, commits[0], func(o *Options) { o.Repository = "nobody/nothing" }, plumbline.KindDenied, "HTTP 404: no repository nobody/nothing"},
		{"no such commit", f.Token, absent, nil, plumbline.KindTransient, forge.ErrUnknownSHA.Error()},
		{"the system's authorities", f.Token, commits[0], func(o *Options) { o.CAFile = "" }, plumbline.KindDenied, "set forge.caFile to the certificate of the authority"},
		{"another authority", f.Token, commits[0], func(o *Options) { o.CAFile = other }, plumbline.KindDenied, "set forge.caFile to the certificate of the authority"},
		{"not the forge's address", f.Token, commits[0], func(o *Options) { o.URL += "/api" }, plumbline.KindDenied, "HTTP 404"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := reporter(t, f, repo, c.token, func(o *Options) {
				if c.mod != nil {
					c.mod(o)
				}
			})
			err := r.Post(t.Context(), plumbline.Status{SHA: c.sha, Context: "plumbline/production", State: plumbline.StatusSuccess})
			if plumbline.KindOf(err) != c.kind || !strings.Contains(fmt.Sprint(err), c.said) {
				t.Errorf("%s: %v", plumbline.KindOf(err), err)
			}
			if errors.Is(err, forge.ErrUnknownSHA) != (c.sha == absent) {
				t.Errorf("takes the commit for unknown: %v", err)
			}
			if ask := r.MayPost(t.Context()); (ask == nil) != (c.sha == absent) || ask != nil && plumbline.KindOf(ask) != c.kind {
				t.Errorf("asked beforehand: %v", ask)
			}
			if strings.Contains(fmt.Sprint(err), c.token) {
				t.Errorf("shows the token: %v", err)
			}
		})
	}
}

// A token that ends stops statuses until its file has the next one.
func TestTokenIsReadAgain(t *testing.T) {
	t.Parallel()
	f := servers.Forge(t)
	repo, commits := pushed(t, f, 1)
	u := member(t, f, repo, "write")
	first := u.Token(t, "write:repository")
	file := writeFile(t, first.Value)
	r := reporter(t, f, repo, first.Value, func(o *Options) { o.TokenFile = file })
	s := plumbline.Status{SHA: commits[0], Context: "plumbline/production", State: plumbline.StatusPending}
	if err := r.Post(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	first.Revoke(t)
	s.State = plumbline.StatusSuccess
	if err := r.Post(t.Context(), s); plumbline.KindOf(err) != plumbline.KindDenied {
		t.Errorf("with a revoked token: %v", err)
	}
	if err := os.WriteFile(file, []byte(u.Token(t, "write:repository").Value), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Post(t.Context(), s); err != nil {
		t.Errorf("with the next token: %v", err)
	}
}
