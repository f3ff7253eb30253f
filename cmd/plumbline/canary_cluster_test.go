package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/serve"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// canarySite is a repository with canaries in its secrets, and an environment
// of its own on the shared API server.
type canarySite struct {
	t          *testing.T
	c          *canaries
	cluster    *servers.ClusterHandle
	kubeconfig string
	project    string
	system     string // Plumbline's namespace
	env        string
	origin     string // bare repository
	repo       string // clone, where definitions are written
}

func newCanarySite(t *testing.T) *canarySite {
	t.Helper()
	suffix := servers.Suffix(t)
	cluster := servers.Cluster(t)
	s := &canarySite{
		t: t, c: newCanaries(), cluster: cluster, kubeconfig: cluster.Kubeconfig,
		project: "shop-" + suffix, system: "plumbline-" + suffix, env: "e" + suffix,
		origin: filepath.Join(t.TempDir(), "origin.git"), repo: filepath.Join(t.TempDir(), "clone"),
	}
	s.git(".", "init", "--quiet", "--bare", "--initial-branch=main", s.origin)
	s.git(".", "clone", "--quiet", s.origin, s.repo)
	s.commit(secretsOf(s.c, s.project))
	return s
}

// git runs git whatever the machine's own settings are.
func (s *canarySite) git(dir string, args ...string) []byte {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
		"GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@example.com", "GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return bytes.TrimSpace(out)
}

// commit writes files, pushes them, and returns the SHA.
func (s *canarySite) commit(files map[string]string) string {
	s.t.Helper()
	writeFiles(s.t, s.repo, files)
	s.git(s.repo, "add", "--all")
	s.git(s.repo, "commit", "--quiet", "--message", "change")
	s.git(s.repo, "push", "--quiet", "origin", "HEAD:main")
	return string(s.git(s.repo, "rev-parse", "HEAD"))
}

func (s *canarySite) flags() []string {
	return []string{"--kubeconfig", s.kubeconfig, "--namespace", s.system, "-e", s.env, "--log-level=debug", "--log-format=json"}
}

// quiet runs a command on the environment.
func (s *canarySite) quiet(code int, args ...string) {
	s.t.Helper()
	s.c.quiet(s.t, s.repo, code, append(args, s.flags()...)...)
}

// config writes an operator's configuration for the site.
func (s *canarySite) config() string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "plumbline.yaml")
	text := fmt.Sprintf(`apiVersion: plumbline.dev/v1
kind: Config
source: {url: %q, branch: main, interval: 1s}
environments:
- {name: %s, path: ., cluster: {kubeconfig: %q}}
forge: {kind: notes}
server: {listen: "127.0.0.1:0"}
namespace: %s
log: {level: debug, format: json}
`, "file://"+s.origin, s.env, s.kubeconfig, s.system)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *canarySite) dynamic() dynamic.Interface {
	s.t.Helper()
	cfg := s.cluster.Config()
	cfg.WarningHandler = rest.NoWarnings{}
	d, err := dynamic.NewForConfig(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// editSecret changes a live Secret, as kubectl edit would, to another canary.
func (s *canarySite) editSecret(name, key string) {
	s.t.Helper()
	patch, err := json.Marshal(map[string]any{"data": map[string]string{key: base64Text(s.c.value("foreign value")), "added": base64Text(s.c.value("foreign key"))}})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.dynamic().Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(s.project).
		Patch(s.t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-edit"})
	if err != nil {
		s.t.Fatal(err)
	}
}

// search looks through everything that is on the cluster and in Git's notes,
// except for the data of Secrets, which it returns.
func (s *canarySite) search() (secrets []byte) {
	s.t.Helper()
	cfg := s.cluster.Config()
	cfg.WarningHandler = rest.NoWarnings{}
	dc, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	lists, err := dc.ServerPreferredNamespacedResources()
	if err != nil {
		s.t.Fatal(err)
	}
	d, objects := s.dynamic(), 0
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, r := range l.APIResources {
			if !strings.Contains(r.Verbs.String(), "list") {
				continue
			}
			for _, ns := range []string{s.project, s.system} {
				found, err := d.Resource(gv.WithResource(r.Name)).Namespace(ns).List(s.t.Context(), metav1.ListOptions{})
				if err != nil {
					s.t.Fatalf("list %s: %v", r.Name, err)
				}
				for i := range found.Items {
					objects++
					secrets = append(secrets, s.searchObject(&found.Items[i])...)
				}
			}
		}
	}
	for _, name := range []string{s.project, s.system} {
		ns, err := d.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")).Get(s.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			s.t.Fatal(err)
		}
		s.searchObject(ns)
	}
	if objects < 8 {
		s.t.Errorf("only %d objects were looked through", objects)
	}
	for _, ref := range strings.Fields(string(s.git(s.origin, "for-each-ref", "--format=%(refname)", "refs/notes"))) {
		s.c.none(s.t, ref, s.git(s.origin, "log", "--patch", ref))
	}
	return secrets
}

// searchObject looks through one object, and returns the data of a Secret.
func (s *canarySite) searchObject(o *unstructured.Unstructured) (data []byte) {
	s.t.Helper()
	if o.GetKind() == "Secret" && o.GetAPIVersion() == "v1" {
		var err error
		if data, err = json.Marshal(o.Object["data"]); err != nil {
			s.t.Fatal(err)
		}
		delete(o.Object, "data")
	}
	text, err := o.MarshalJSON()
	if err != nil {
		s.t.Fatal(err)
	}
	binary, _, _ := unstructured.NestedMap(o.Object, "binaryData")
	for _, v := range binary {
		raw := decodeBase64(s.t, v.(string))
		text = append(append(text, '\n'), gunzipped(raw)...)
	}
	s.c.none(s.t, o.GetKind()+" "+o.GetNamespace()+"/"+o.GetName(), text)
	return data
}

func decodeBase64(t *testing.T, text string) []byte {
	t.Helper()
	var raw []byte
	if err := json.Unmarshal([]byte(quote(text)), &raw); err != nil {
		t.Fatal(err)
	}
	return raw
}

// Every command that talks to the cluster: with new secrets, changed ones, one
// that somebody else edited, and one that goes.
func TestCanariesOnTheCluster(t *testing.T) {
	t.Parallel()
	s := newCanarySite(t)
	ask := func(different int) {
		t.Helper()
		for _, format := range []string{"text", "json", "markdown"} {
			s.quiet(different, "diff", "-o", format)
		}
		s.quiet(0, "apply", "--dry-run")
	}
	look := func(different int) {
		t.Helper()
		for _, format := range []string{"text", "json"} {
			s.quiet(0, "status", "-o", format)
			s.quiet(different, "drift", "-o", format)
		}
	}
	look(0) // never applied
	ask(1)
	s.quiet(0, "apply")
	look(0)
	ask(0)
	if missing := s.c.missing(s.search()); strings.Join(missing, ", ") != "last applied" {
		t.Errorf("the Secrets on the cluster do not have %v, so the search proves nothing", missing)
	}

	s.commit(secretsOf(s.c, s.project))
	for _, format := range []string{"text", "json", "markdown"} {
		s.quiet(1, "diff", "-o", format, "--against", "git:HEAD~1")
	}
	ask(1)
	s.quiet(0, "apply", "--revision", "HEAD")

	s.editSecret("session", "SESSION_KEY")
	look(1)
	ask(1)
	s.quiet(0, "apply")

	s.commit(map[string]string{"plain.yaml": ""})
	ask(1)
	s.quiet(0, "apply")
	s.search()
}

// canaryDaemon is a `plumbline run` whose log is read as it is written.
type canaryDaemon struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	mu    sync.Mutex
	said  bytes.Buffer // all of both streams
}

// canaryPatience is generous: a busy machine is not a broken daemon.
const canaryPatience = 2 * time.Minute

func startCanaryDaemon(t *testing.T, args ...string) *canaryDaemon {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), canaryPatience)
	d := &canaryDaemon{t: t, cmd: exec.CommandContext(ctx, "plumbline", append([]string{"run"}, args...)...), lines: make(chan string, 1000)}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd.Stdout, d.cmd.Stderr = w, w
	err = d.cmd.Start()
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(d.lines)
		for b := bufio.NewReader(r); ; {
			line, err := b.ReadString('\n')
			d.mu.Lock()
			d.said.WriteString(line)
			d.mu.Unlock()
			if err != nil {
				return
			}
			d.lines <- line
		}
	}()
	t.Cleanup(func() {
		cancel()
		for range d.lines {
		}
		<-done
		_ = r.Close()
		_ = d.cmd.Wait() // its exit code is looked at by stop
	})
	return d
}

// waitFor reads the log up to a line that has all words.
func (d *canaryDaemon) waitFor(words ...string) string {
	d.t.Helper()
	for line := range d.lines {
		has := true
		for _, w := range words {
			has = has && strings.Contains(line, w)
		}
		if has {
			return line
		}
	}
	d.t.Fatalf("the daemon ended without a line of %q:\n%s", words, d.output())
	return ""
}

func (d *canaryDaemon) output() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Clone(d.said.Bytes())
}

// stop interrupts the daemon and returns all that it said.
func (d *canaryDaemon) stop() []byte {
	d.t.Helper()
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		d.t.Fatal(err)
	}
	for range d.lines {
	}
	return d.output()
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// The daemon: a first commit, changed secrets, an edit that it heals, a broken
// commit; its log, its metrics, its notes and what it keeps on the cluster.
func TestCanariesOfTheDaemon(t *testing.T) {
	t.Parallel()
	s := newCanarySite(t)
	d := startCanaryDaemon(t, "--config", s.config())
	var at struct{ Address string }
	if err := json.Unmarshal([]byte(d.waitFor("listening")), &at); err != nil {
		t.Fatal(err)
	}
	d.waitFor("in sync")
	sha := s.commit(secretsOf(s.c, s.project))
	d.waitFor("in sync", sha[:7])
	s.editSecret("session", "SESSION_KEY")
	d.waitFor(`"healed"`, "session")
	sha = s.commit(map[string]string{"broken.yaml": fill(s.c, brokenSecrets()["flow mapping without a blank"]), "worse.yaml": fill(s.c, brokenSecrets()["no closing quote"])})
	d.waitFor("invalid definition", "worse.yaml", sha[:7])

	metrics := get(t, "http://"+at.Address+"/metrics")
	if !bytes.Contains(metrics, []byte("plumbline_requests_total")) {
		t.Errorf("no metrics: %s", metrics)
	}
	s.c.none(t, "/metrics", metrics)
	s.c.none(t, "/readyz", get(t, "http://"+at.Address+"/readyz"))
	s.c.none(t, "the daemon", d.stop())
	s.search()
	if notes := s.git(s.origin, "log", "--format=%B", "refs/notes/plumbline"); len(notes) == 0 {
		t.Error("no statuses in Git notes")
	}
}

// panickingRenderer is a bug: it panics with what it should render.
type panickingRenderer struct{ value any }

func (r panickingRenderer) Render(context.Context, plumbline.Snapshot) (reconciler.Rendered, error) {
	panic(r.value)
}

// A bug that panics with a secret value.
func TestCanariesInPanics(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(string) any{
		"text":  func(v string) any { return v },
		"error": func(v string) any { return fmt.Errorf("render: %s", v) },
		"value": func(v string) any { return map[string]string{"data": v} },
	} {
		t.Run("in the renderer, "+name, func(t *testing.T) {
			t.Parallel()
			s := newCanarySite(t)
			var log bytes.Buffer
			j := s.join(&log)
			defer j.close() //nolint:errcheck // nothing of it is written
			j.Once = true
			j.Renderer = panickingRenderer{wrap(s.c.value("panic"))}
			_, err := reconciler.New(j.Options).Run(t.Context())
			if code := exitCode(t.Context(), err); code != 70 {
				t.Errorf("exit code %d of %v", code, err)
			}
			s.c.none(t, "the error", fmt.Appendf(nil, "%v\n%+v", err, err))
			s.c.none(t, "the log", log.Bytes())
			if !bytes.Contains(log.Bytes(), []byte("a bug")) || !strings.Contains(err.Error(), "panic of type") {
				t.Errorf("the log does not tell of the panic: %s", log.Bytes())
			}
		})
		t.Run("in the loop, "+name, func(t *testing.T) {
			t.Parallel()
			s := newCanarySite(t)
			var out, log bytes.Buffer
			bug := wrap(s.c.value("panic"))
			a := &app{streams: streams{out: &out, err: &log}, now: func() time.Time { panic(bug) }}
			a.config = s.config()
			settings, err := a.settings()
			if err != nil {
				t.Fatal(err)
			}
			d := &daemon{
				app: a, settings: settings, once: true, cache: t.TempDir(),
				metrics: serve.NewMetrics("test", []string{s.env}, time.Now), log: slog.New(slog.NewJSONHandler(&log, nil)),
			}
			err = d.run(t.Context())
			if code := exitCode(t.Context(), err); code != 70 {
				t.Errorf("exit code %d of %v", code, err)
			}
			a.report(err)
			s.c.none(t, "the log", log.Bytes())
			if !strings.Contains(log.String(), "canarySite") && !strings.Contains(log.String(), "plumbline: ") {
				t.Errorf("nothing tells where the panic was: %s", log.String())
			}
		})
	}
}

// join joins the site's environment as the daemon would.
func (s *canarySite) join(log io.Writer) *joined {
	s.t.Helper()
	c, err := config.Load(s.config())
	if err != nil {
		s.t.Fatal(err)
	}
	j, err := join(joining{
		settings: settings{Config: c, fromFile: true}, environment: c.Environments[0], cache: s.t.TempDir(),
		logger: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), now: time.Now,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return j
}
