package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
)

// TestStories plays each archive in testdata/story on a real API server and a
// real Git repository, with the real binary. The commands hide both:
//
//	cluster [own]              a stage on the shared API server, or on one of its own
//	shop                       the files of fixtures/shop, as repo/
//	edit FILE OLD NEW          in a file, which must hold OLD; \n is a new line
//	git-commit MESSAGE         commits and pushes repo/; commit1, commit2, … in all output
//	exits CODE plumbline ARGS  runs the binary to its end
//	plumbline-run ARGS         `plumbline run` in the background
//	plumbline-stop             ends it by SIGTERM, and wants exit 0
//	log                        what it has said
//	get PATH                   asks it over HTTP
//	wait-status COMMIT CONTEXT STATE REGEXP, statuses COMMIT
//	mark, requests CLASS…      requests of the product since the mark, sorted
//	writes                     those of all classes that are no dry run
//	create-live FILE [MANAGER], managers OBJECT, edit-live MANAGER OBJECT PATCH, delete-live OBJECT
//	live OBJECT FIELD, wait-live OBJECT FIELD VALUE; \. is a dot in a key
//	versions                   resourceVersions of all that Plumbline applied
//	events, wait-event REGEXP  the Events that Plumbline wrote
//	kubeconfig-for FILE USER   a kubeconfig of somebody without rights
//	sops ARGS                  the real sops in repo/, with the keys of both.agekey
//	key-service FILE           the real sops keyservice at $KEYSERVICE, with the age keys of a file;
//	                           a new one in the place of the last; "nothing" stops it, "another" is a web server
//	create-keys NAME FILE      a Secret in Plumbline's namespace, of the file
//	forge                      a repository on a real Gitea, which all that follows is about
//	revoke-token, rotate-token, read-only-token  Plumbline's on the forge, in the file token
//	tokens-unseen              in all that Plumbline said
//	kubectl PAGE ARGS          the real kubectl, with a line that stands in a page of docs
//	all-typed PAGE             all such lines of the page were run
//	documented PAGE FILE       the file, or stdout, stands in a page of docs
//	wait-log REGEXP
//	all-statuses COMMIT        what was pending and was overtaken, too
//	status-within TIME COMMIT CONTEXT STATE REGEXP
//	same-objects COMMIT        wants live what the commit renders, and no more
//
// Without a plumbline.yaml in the archive there is one with the environment
// production at environments/production and statuses in Git notes; in one of
// the archive, $REPOSITORY is the repository, and $KEYSERVICE where key-service
// listens. See stage for the words that are translated.
func TestStories(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/story",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Values[storyKey{}] = &story{t: e.T().(testing.TB), dir: e.WorkDir}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cluster":         told(0, 1, (*story).cluster),
			"shop":            told(0, 0, (*story).shop),
			"edit":            told(3, 3, (*story).edit),
			"git-commit":      told(1, 1, (*story).gitCommit),
			"exits":           told(2, 99, (*story).exits),
			"plumbline-run":   told(0, 99, (*story).startDaemon),
			"plumbline-stop":  told(0, 0, (*story).stopDaemon),
			"log":             told(0, 0, (*story).showLog),
			"get":             told(1, 1, (*story).get),
			"wait-status":     told(4, 4, (*story).waitStatus),
			"statuses":        told(1, 1, (*story).showStatuses),
			"mark":            told(0, 0, (*story).setMark),
			"requests":        told(1, 9, (*story).showRequests),
			"writes":          told(0, 0, (*story).showWrites),
			"create-live":     told(1, 2, (*story).createLive),
			"managers":        told(1, 1, (*story).showManagers),
			"kubectl":         told(2, 99, (*story).kubectl),
			"all-typed":       told(1, 1, (*story).allTyped),
			"documented":      told(2, 2, (*story).documented),
			"edit-live":       told(3, 3, (*story).editLive),
			"delete-live":     told(1, 1, (*story).deleteLive),
			"live":            told(2, 2, (*story).showLive),
			"wait-live":       told(3, 3, (*story).waitLive),
			"versions":        told(0, 0, (*story).versions),
			"events":          told(0, 0, (*story).showEvents),
			"wait-event":      told(1, 1, (*story).waitEvent),
			"kubeconfig-for":  told(2, 2, (*story).kubeconfigFor),
			"sops":            told(2, 99, (*story).sops),
			"key-service":     told(1, 1, (*story).startKeyService),
			"create-keys":     told(2, 2, (*story).createKeys),
			"forge":           told(0, 0, (*story).openForge),
			"revoke-token":    told(0, 0, (*story).revokeToken),
			"rotate-token":    told(0, 0, (*story).rotateToken),
			"read-only-token": told(0, 0, (*story).readOnlyToken),
			"wait-log":        told(1, 1, (*story).waitLog),
			"tokens-unseen":   told(0, 0, (*story).tokensUnseen),
			"all-statuses":    told(1, 1, (*story).allStatuses),
			"status-within":   told(5, 5, (*story).statusWithin),
			"same-objects":    told(1, 1, (*story).sameObjects),
		},
	})
}

type storyKey struct{}

// story is the stage of one archive, once `cluster` has set it.
type story struct {
	*stage
	ts    *testscript.TestScript
	t     testing.TB
	dir   string
	forge *storyForge // nil: statuses are Git notes
	keys  storyKeys
	ran   map[string]bool // lines with kubectl
}

// told makes a command of the archive of a method.
func told(least, most int, do func(*story, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < least || len(args) > most {
			ts.Fatalf("usage: see TestStories")
		}
		st := ts.Value(storyKey{}).(*story)
		st.ts = ts
		_ = ts.Stdout() // a command that prints nothing has printed nothing
		do(st, args)
	}
}

func (st *story) say(text string) {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	_, err := io.WriteString(st.ts.Stdout(), text)
	st.ts.Check(err)
}

func (st *story) cluster(args []string) {
	c := (*servers.ClusterHandle)(nil)
	switch {
	case len(args) == 0:
		c = servers.Cluster(st.t)
	case args[0] == "own":
		c = servers.Own(st.t).ClusterHandle
	default:
		st.ts.Fatalf("cluster: %q is not own", args[0])
	}
	st.stage = newStage(st.t, st.dir, c)
	st.ts.Setenv("NAMESPACE", st.namespace)
	if _, err := os.Stat(st.path("plumbline.yaml")); err != nil {
		st.ts.Check(os.WriteFile(st.path("plumbline.yaml"), []byte(defaultConfig), 0o600))
	}
	files, err := filepath.Glob(st.path("*.yaml"))
	st.ts.Check(err)
	for _, file := range files {
		config := strings.ReplaceAll(st.ts.ReadFile(file), "$REPOSITORY", "file://"+st.origin())
		if strings.Contains(config, "$KEYSERVICE") {
			config = strings.ReplaceAll(config, "$KEYSERVICE", "unix://"+st.keySocket())
		}
		config = strings.ReplaceAll(config, "namespace: plumbline-system", "namespace: "+st.namespace)
		st.ts.Check(os.WriteFile(file, []byte(config), 0o600))
	}
}

const defaultConfig = `apiVersion: plumbline.dev/v1
kind: Config
source: {url: "$REPOSITORY", branch: main, interval: 1s}
environments:
- {name: production, path: environments/production}
forge: {kind: notes}
namespace: plumbline-system
server: {listen: "127.0.0.1:0"}
`

func (st *story) shop([]string) {
	st.ts.Check(os.CopyFS(st.repo(), os.DirFS(filepath.Join("..", "..", "fixtures", "shop"))))
}

func (st *story) edit(args []string) {
	path := st.ts.MkAbs(args[0])
	text := st.ts.ReadFile(args[0])
	args[1], args[2] = strings.ReplaceAll(args[1], `\n`, "\n"), strings.ReplaceAll(args[2], `\n`, "\n")
	if !strings.Contains(text, args[1]) {
		st.ts.Fatalf("edit: %s does not hold %q", args[0], args[1])
	}
	st.ts.Check(os.WriteFile(path, []byte(strings.Replace(text, args[1], args[2], 1)), 0o600))
}

func (st *story) gitCommit(args []string) {
	st.commit(strings.ReplaceAll(args[0], `\n`, "\n"))
}

func (st *story) exits(args []string) {
	if args[1] != "plumbline" {
		st.ts.Fatalf("exits: only plumbline")
	}
	code, out, errs := st.plumbline(st.expand(args[2:])...)
	st.say(out)
	_, err := io.WriteString(st.ts.Stderr(), errs)
	st.ts.Check(err)
	if strconv.Itoa(code) != args[0] {
		st.ts.Fatalf("exit code %d, want %s\n%s%s", code, args[0], out, errs)
	}
}

// expand gives commits their SHA.
func (st *story) expand(args []string) []string {
	out := slices.Clone(args)
	for i := range out {
		for n, sha := range st.commits {
			out[i] = strings.ReplaceAll(out[i], fmt.Sprintf("commit%d", n+1), sha)
		}
	}
	return out
}

func (st *story) startDaemon(args []string) {
	st.start(append([]string{"--config", "plumbline.yaml"}, args...)...)
}
func (st *story) stopDaemon([]string) { st.say(st.stop()) }
func (st *story) showLog([]string)    { st.say(st.log()) }

func (st *story) get(args []string) {
	req, err := http.NewRequestWithContext(st.t.Context(), http.MethodGet, "http://"+st.address()+args[0], nil)
	st.ts.Check(err)
	res, err := http.DefaultClient.Do(req)
	st.ts.Check(err)
	body, err := io.ReadAll(res.Body)
	st.ts.Check(errors.Join(err, res.Body.Close()))
	st.say(fmt.Sprintf("%d %s", res.StatusCode, body))
}

func (st *story) waitStatus(args []string) {
	want := regexp.MustCompile(args[3])
	st.await("status", func() (bool, string) {
		var newest plumbline.Status
		all := st.statuses(args[0])
		for _, s := range all {
			if s.Context == args[1] {
				newest = s
			}
		}
		return string(newest.State) == args[2] && want.MatchString(newest.Description), fmt.Sprint(all)
	})
}

// statuses of a commit, in the order in which they were posted, as anyone with
// a clone can read them, or as the forge has them.
func (st *story) statuses(commit string) []plumbline.Status {
	sha := st.expand([]string{commit})[0]
	var out []plumbline.Status
	if st.forge != nil {
		out = st.forge.repo.Statuses(st.t, sha)
	} else {
		out = st.notes(sha)
	}
	for i := range out {
		out[i].Description = st.ours(out[i].Description)
	}
	return out
}

// notes are the statuses of a commit that are kept in Git notes.
func (s *stage) notes(sha string) []plumbline.Status {
	s.t.Helper()
	note, err := s.tryGit(s.origin(), "notes", "--ref=plumbline", "show", sha)
	if err != nil {
		return nil // there is none yet
	}
	var out []plumbline.Status
	for line := range strings.Lines(note) {
		var one plumbline.Status
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			s.t.Fatal(err)
		}
		out = append(out, one)
	}
	return out
}

// Times change, and so does how many objects the shop comes to.
var (
	clockTime  = regexp.MustCompile(`\d\d:\d\dZ`)
	manyOthers = regexp.MustCompile(`\d{2,} (of|objects)`)
)

// showStatuses leaves out what was pending and was overtaken: whether a forge
// still hears of that is a matter of milliseconds.
func (st *story) showStatuses(args []string) {
	all := st.statuses(args[0])
	for i, s := range all {
		if s.State == plumbline.StatusPending && slices.ContainsFunc(all[i+1:], func(o plumbline.Status) bool { return o.Context == s.Context }) {
			continue
		}
		st.say(statusLine(s))
	}
}

func (st *story) setMark([]string) { st.mark = st.stage.cluster.Mark(st.t) }

func (st *story) showRequests(args []string) {
	var classes []servers.Class
	for _, a := range args {
		classes = append(classes, servers.Class(a))
	}
	for _, r := range st.requests(classes...) {
		st.say(r)
	}
}

func (st *story) showWrites([]string) {
	for _, r := range st.mark.Requests(st.t, func(r servers.Request) bool {
		return r.User == st.user && !r.DryRun() && slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, r.Verb)
	}) {
		st.say(st.ours(r.String()))
	}
}

// kinds that stories touch.
func kind(word string) (schema.GroupVersionResource, bool) {
	kinds := map[string]schema.GroupVersionResource{
		"ksvc":       {Group: "serving.knative.dev", Version: "v1", Resource: "services"},
		"kroute":     {Group: "serving.knative.dev", Version: "v1", Resource: "routes"},
		"secret":     {Version: "v1", Resource: "secrets"},
		"configmap":  {Version: "v1", Resource: "configmaps"},
		"account":    {Version: "v1", Resource: "serviceaccounts"},
		"service":    {Version: "v1", Resource: "services"},
		"namespace":  {Version: "v1", Resource: "namespaces"},
		"deployment": {Group: "apps", Version: "v1", Resource: "deployments"},
		"policy":     {Group: "security.istio.io", Version: "v1", Resource: "authorizationpolicies"},
		"sidecar":    {Group: "networking.istio.io", Version: "v1", Resource: "sidecars"},

		"virtualservice":      {Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"},
		"destinationrule":     {Group: "networking.istio.io", Version: "v1", Resource: "destinationrules"},
		"scaledobject":        {Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"},
		"serviceaccount":      {Version: "v1", Resource: "serviceaccounts"},
		"clusterrole":         {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
		"clusterrolebinding":  {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
		"authorizationpolicy": {Group: "security.istio.io", Version: "v1", Resource: "authorizationpolicies"},
	}
	gvr, ok := kinds[word]
	return gvr, ok
}

// object is the client and the name for "ksvc/cart-v1", an object of the shop,
// or "namespace/shop".
func (st *story) object(word string) (get objectClient, name string) {
	k, name, _ := strings.Cut(word, "/")
	gvr, ok := kind(k)
	if !ok {
		st.ts.Fatalf("no kind %q; add it to kind", k)
	}
	if gvr.Resource == "namespaces" {
		return st.dynamic.Resource(gvr), strings.NewReplacer("plumbline-system", st.namespace, "shop", st.project).Replace(name)
	}
	return st.dynamic.Resource(gvr).Namespace(st.project), name
}

func (st *story) createLive(args []string) {
	manager := "somebody"
	if len(args) > 1 {
		manager = args[1]
	}
	for doc := range strings.SplitSeq(st.theirs(st.ts.ReadFile(args[0])), "\n---\n") {
		var o unstructured.Unstructured
		st.ts.Check(yaml.Unmarshal([]byte(doc), &o.Object))
		gvr, ok := kind(strings.ToLower(o.GetKind()))
		if !ok {
			st.ts.Fatalf("no kind %q; add it to kind", o.GetKind())
		}
		gvr.Version = o.GroupVersionKind().Version // ownership is of a version
		client := st.dynamic.Resource(gvr)
		var err error
		if ns := o.GetNamespace(); ns != "" {
			_, err = client.Namespace(ns).Create(st.t.Context(), &o, metav1.CreateOptions{FieldManager: manager})
		} else {
			_, err = client.Create(st.t.Context(), &o, metav1.CreateOptions{FieldManager: manager})
		}
		st.ts.Check(err)
	}
}

// showManagers prints who owns fields of an object, and by which operation.
func (st *story) showManagers(args []string) {
	client, name := st.object(args[0])
	o, err := client.Get(st.t.Context(), name, metav1.GetOptions{})
	st.ts.Check(err)
	var out []string
	for _, f := range o.GetManagedFields() {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Manager, f.Operation, f.Subresource)))
	}
	slices.Sort(out)
	st.say(strings.Join(out, "\n"))
}

func (st *story) documented(args []string) { documented(st.ts, false, args) }

func (st *story) editLive(args []string) {
	client, name := st.object(args[1])
	_, err := client.Patch(st.t.Context(), name, types.MergePatchType, []byte(st.theirs(args[2])), metav1.PatchOptions{FieldManager: args[0]})
	st.ts.Check(err)
}

func (st *story) deleteLive(args []string) {
	client, name := st.object(args[0])
	st.ts.Check(client.Delete(st.t.Context(), name, metav1.DeleteOptions{}))
}

// field of a live object, as JSON; "none" where there is no such object.
func (st *story) field(object, path string) string {
	client, name := st.object(object)
	o, err := client.Get(st.t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "none"
	}
	st.ts.Check(err)
	var v any = o.Object
	for step := range strings.SplitSeq(strings.ReplaceAll(path, `\.`, "\x00"), ".") {
		step = strings.ReplaceAll(step, "\x00", ".")
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(x) {
				return "none"
			}
			v = x[i]
		default:
			return "none"
		}
	}
	if s, ok := v.(string); ok {
		return st.ours(s)
	}
	data, err := json.Marshal(v)
	st.ts.Check(err)
	return st.ours(string(data))
}

func (st *story) showLive(args []string) { st.say(st.field(args[0], args[1])) }

func (st *story) waitLive(args []string) {
	st.await(args[0], func() (bool, string) {
		got := st.field(args[0], args[1])
		return got == args[2], got
	})
}

func (st *story) versions([]string) { st.say(strings.Join(st.liveVersions(), "\n")) }

// kubeconfigFor writes a kubeconfig of another user, who may do nothing.
func (st *story) kubeconfigFor(args []string) {
	groups := []string{"system:authenticated"}
	st.writeKubeconfigAs(st.ts.MkAbs(args[0]), args[1], groups)
}
