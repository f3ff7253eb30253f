package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/plumbline-dev/plumbline/fixtures/servers"
)

// builder builds the binary under test when the first test wants it. It is the
// one that people get, without the race detector, because it is started and
// killed often.
type builder struct {
	dir  string
	once sync.Once
	err  error
}

// built is where; the tests of one binary have no other place in common.
var built builder

func (b *builder) binary(t testing.TB) string {
	t.Helper()
	path := filepath.Join(b.dir, "plumbline")
	b.once.Do(func() {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=test", "-o", path, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			b.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if b.err != nil {
		t.Fatalf("build plumbline: %v", b.err)
	}
	return path
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// stage is a Plumbline of its own on an API server that others use too: a
// namespace for its state, a project, a user, a repository and a directory.
//
// Projects are Kubernetes namespaces, so each stage has one of its own. Tests
// need not know: their definitions say "shop" and are translated on the way
// into the repository, and what Plumbline says is translated back, with
// commits as commit1, commit2 in the order they were made.
type stage struct {
	t         testing.TB
	dir       string
	cluster   *servers.ClusterHandle
	dynamic   dynamic.Interface
	binary    string
	project   string // for shop
	namespace string // for plumbline-system
	user      string // who Plumbline is, for the audit log
	commits   []string
	mark      servers.Mark
	daemon    *daemonProcess
}

func newStage(t testing.TB, dir string, cluster *servers.ClusterHandle) *stage {
	t.Helper()
	suffix := servers.Suffix(t)
	s := &stage{
		t: t, dir: dir, cluster: cluster, binary: built.binary(t),
		project: "shop-" + suffix, namespace: "plumbline-" + suffix, user: "plumbline:" + suffix,
	}
	var err error
	if s.dynamic, err = dynamic.NewForConfig(cluster.Config()); err != nil {
		t.Fatal(err)
	}
	s.writeKubeconfig(s.kubeconfig(), cluster.Config().Host)
	s.mark = cluster.Mark(t)
	for _, dir := range []string{filepath.Join(s.repo(), "environments", "production"), s.temp()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(s.kill)
	return s
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }
func (s *stage) kubeconfig() string      { return s.path("kubeconfig") }
func (s *stage) repo() string            { return s.path("repo") }       // as tests see it
func (s *stage) clone() string           { return s.path(".clone") }     // as Git sees it
func (s *stage) origin() string          { return s.path("origin.git") } // as Plumbline sees it
func (s *stage) temp() string            { return s.path(".tmp") }

// writeKubeconfig writes the administrator's kubeconfig, for another name: all
// requests that Plumbline makes with it carry that name in the audit log.
func (s *stage) writeKubeconfig(path, server string) {
	s.t.Helper()
	c, err := clientcmd.LoadFromFile(s.cluster.Kubeconfig)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, cluster := range c.Clusters {
		cluster.Server = server
		if strings.HasPrefix(server, "http:") {
			cluster.CertificateAuthorityData = nil
		}
	}
	for _, user := range c.AuthInfos {
		user.Impersonate, user.ImpersonateGroups = s.user, []string{"system:masters"}
	}
	s.writeConfig(path, c)
}

func (s *stage) writeConfig(path string, c *clientcmdapi.Config) {
	s.t.Helper()
	if err := clientcmd.WriteToFile(*c, path); err != nil {
		s.t.Fatal(err)
	}
}

// theirs is text with the project and the commits of the stage.
func (s *stage) theirs(text string) string {
	text = projectWords.ReplaceAllString(text, "${1}"+s.project+"${2}")
	text = strings.ReplaceAll(text, "plumbline-system", s.namespace)
	for i, sha := range s.commits {
		text = strings.ReplaceAll(text, fmt.Sprintf("commit%d", i+1), sha)
	}
	return text
}

// projectWords are the places where a definition, or a request, names its
// project.
var projectWords = regexp.MustCompile(`(?m)((?:namespace|project|projectId): |guard-|kind: (?:Project|Namespace)\nmetadata:\n  name: |\.)shop([\s,./}]|\z)`)

// ours is the opposite: what Plumbline says, in the words of the test.
func (s *stage) ours(text string) string {
	text = strings.NewReplacer(s.project, "shop", s.namespace, "plumbline-system", s.dir, "$WORK").Replace(text)
	for i, sha := range s.commits {
		name := fmt.Sprintf("commit%d", i+1)
		text = strings.NewReplacer(sha, name, sha[:7], name).Replace(text)
	}
	return text
}

// commit commits the files of repo and pushes.
func (s *stage) commit(message string) {
	s.t.Helper()
	if len(s.commits) == 0 {
		s.git(s.dir, "init", "--quiet", "--bare", "--initial-branch=main", s.origin())
		s.git(s.dir, "clone", "--quiet", s.origin(), s.clone())
	}
	if err := s.translate(); err != nil {
		s.t.Fatal(err)
	}
	s.git(s.clone(), "add", "--all")
	s.git(s.clone(), "commit", "--quiet", "--allow-empty", "-m", message)
	s.git(s.clone(), "push", "--quiet", "origin", "HEAD:main")
	s.commits = append(s.commits, s.git(s.clone(), "rev-parse", "HEAD"))
}

// translate makes the clone's files those of repo.
func (s *stage) translate() error {
	old, err := os.ReadDir(s.clone())
	if err != nil {
		return err
	}
	for _, e := range old {
		if e.Name() != ".git" {
			if err := os.RemoveAll(filepath.Join(s.clone(), e.Name())); err != nil {
				return err
			}
		}
	}
	return filepath.WalkDir(s.repo(), func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(s.repo(), path)
		to := filepath.Join(s.clone(), rel)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(to, 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte(s.theirs(string(data))), 0o600)
	})
}

// git runs git, whatever the machine's own settings are.
func (s *stage) git(dir string, args ...string) string {
	s.t.Helper()
	out, err := s.tryGit(dir, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *stage) tryGit(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@example.com", "GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@example.com",
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// command is the binary under test, told where it is.
func (s *stage) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"HOME=" + s.dir, "TMPDIR=" + s.temp(), "PATH=" + os.Getenv("PATH"), "KUBECONFIG=" + s.kubeconfig()}
	cmd.SysProcAttr = diesWithTest()
	return cmd
}

// plumbline runs the binary to its end. It may leave nothing behind.
func (s *stage) plumbline(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	var out, errs bytes.Buffer
	cmd := s.command(s.t.Context(), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("run plumbline: %v", err)
	}
	if s.daemon == nil { // which has files of its own there
		s.wantNothingLeft()
	}
	return cmd.ProcessState.ExitCode(), s.ours(out.String()), s.ours(errs.String())
}

func (s *stage) wantNothingLeft() {
	s.t.Helper()
	left, err := os.ReadDir(s.temp())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range left {
		s.t.Errorf("plumbline left %s behind", e.Name())
	}
}

// requests are those of Plumbline since the mark, of some classes, sorted.
func (s *stage) requests(classes ...servers.Class) []string {
	s.t.Helper()
	var out []string
	for _, r := range s.mark.Requests(s.t, func(r servers.Request) bool { return r.User == s.user && slices.Contains(classes, r.Class()) }) {
		out = append(out, s.ours(r.String()))
	}
	slices.Sort(out)
	return out
}

// await asks until look is content.
func (s *stage) await(what string, look func() (ok bool, saw string)) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, saw := look()
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("%s: not seen; the last was:\n%s\nthe log:\n%s", what, saw, s.log())
		case <-tick.C:
		}
	}
}
