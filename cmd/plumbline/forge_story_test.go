package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
)

// storyForge is a repository on a real forge that stands before the stage's
// own: what is pushed there is passed on, and Plumbline knows only the forge.
type storyForge struct {
	repo   *servers.ForgeRepository
	user   *servers.ForgeUser // Plumbline's
	token  servers.ForgeToken
	tokens []string // all that there were
}

// openForge makes the repository, a user that may write to it, and the files
// token and ca.crt; of the story's configurations it replaces $REPOSITORY,
// $FORGE and $FORGE_REPOSITORY.
func (st *story) openForge([]string) {
	f := servers.Forge(st.t)
	repo, user := f.Repository(st.t), f.NewUser(st.t)
	repo.Grant(st.t, user, "write")
	st.forge = &storyForge{repo: repo, user: user}
	st.rotateToken(nil)
	ca, err := os.ReadFile(f.CAFile)
	st.ts.Check(err)
	st.ts.Check(os.WriteFile(st.path("ca.crt"), ca, 0o600))

	st.git(st.dir, "init", "--quiet", "--bare", "--initial-branch=main", st.origin())
	hook := "#!/bin/sh\nwhile read old new ref; do git push --quiet --force '" + repo.PushURL() + "' \"$new:$ref\"; done\n"
	st.ts.Check(os.WriteFile(filepath.Join(st.origin(), "hooks", "post-receive"), []byte(hook), 0o700)) //nolint:gosec // git runs it

	files, err := filepath.Glob(st.path("*.yaml"))
	st.ts.Check(err)
	for _, file := range files {
		config := strings.NewReplacer(
			"file://"+st.origin(), repo.URL(), "$FORGE_REPOSITORY", repo.FullName(), "$FORGE", f.TLSURL,
		).Replace(st.ts.ReadFile(file))
		st.ts.Check(os.WriteFile(file, []byte(config), 0o600))
	}
}

func (st *story) revokeToken([]string) { st.forge.token.Revoke(st.t) }

// rotateToken replaces the token in its file.
func (st *story) rotateToken([]string) { st.newToken("write:repository") }

// readOnlyToken is what somebody makes who trusts nobody.
func (st *story) readOnlyToken([]string) { st.newToken("read:repository") }

func (st *story) newToken(scope string) {
	st.forge.token = st.forge.user.Token(st.t, scope)
	st.forge.tokens = append(st.forge.tokens, st.forge.token.Value)
	st.ts.Check(os.WriteFile(st.path("token"), []byte(st.forge.token.Value+"\n"), 0o600))
}

// waitLog waits until the daemon has said it.
func (st *story) waitLog(args []string) {
	want := regexp.MustCompile(args[0])
	st.await("log", func() (bool, string) { return want.MatchString(st.log()), "" })
}

// tokensUnseen looks for tokens in all that the daemon said.
func (st *story) tokensUnseen([]string) {
	log := st.log()
	if log == "" {
		st.ts.Fatalf("the daemon said nothing")
	}
	for _, token := range st.forge.tokens {
		if strings.Contains(log, token) {
			st.ts.Fatalf("a token is shown:\n%s", log)
		}
	}
}

// allStatuses shows every status of a commit, what was overtaken too.
func (st *story) allStatuses(args []string) {
	for _, s := range st.statuses(args[0]) {
		st.say(statusLine(s))
	}
}

// statusWithin is wait-status with an end that is promised.
func (st *story) statusWithin(args []string) {
	limit, err := time.ParseDuration(args[0])
	st.ts.Check(err)
	began := time.Now()
	st.waitStatus(args[1:])
	took := time.Since(began).Round(time.Millisecond)
	st.t.Logf("seen after %v", took)
	if took > limit {
		st.ts.Fatalf("that took %v, more than %v", took, limit)
	}
}

// sameObjects wants on the cluster what a commit renders, and nothing else of
// ours.
func (st *story) sameObjects(args []string) {
	sha := st.expand(args)[0]
	code, out, errs := st.plumbline("render", "-e", "production", "-o", "json", "--revision", sha, st.clone()+"/environments/production")
	if code != 0 {
		st.ts.Fatalf("render: exit %d\n%s", code, errs)
	}
	var list struct{ Items []unstructured.Unstructured }
	st.ts.Check(json.Unmarshal([]byte(out), &list))
	var want, got []string
	for _, o := range list.Items {
		gvk := o.GroupVersionKind()
		want = append(want, plumbline.Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: o.GetNamespace(), Name: o.GetName()}.String())
	}
	for ref := range st.live() {
		got = append(got, st.ours(ref.String()))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
		st.ts.Fatalf("%d objects: rendered -, live +\n%s", len(got), diff)
	}
}

// statusLine is a status without what changes from run to run.
func statusLine(s plumbline.Status) string {
	return fmt.Sprintf("%s: %s: %s", s.Context, s.State, manyOthers.ReplaceAllString(clockTime.ReplaceAllString(s.Description, "hh:mmZ"), "N $1"))
}
