package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

// What a signal ends before it is done exits as shells have it, 128 and the
// signal's number, and says so. A daemon is done when it is stopped.
func TestStoppedBySignal(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	const project = "apiVersion: plumbline.dev/v1\nkind: Project\nmetadata: {name: shop}\n"
	repo.CommitFiles("shop.yaml", project)
	binary := built.binary(t)
	cases := []struct {
		args   string
		signal syscall.Signal
		code   int
	}{
		{"run", syscall.SIGINT, 0},
		{"run", syscall.SIGTERM, 0},
		{"run --once", syscall.SIGINT, 130},
		{"run --once", syscall.SIGTERM, 143},
		{"status", syscall.SIGINT, 130},
		{"status --watch", syscall.SIGINT, 130},
		{"apply .", syscall.SIGTERM, 143},
		{"sync", syscall.SIGINT, 130},
		{"check", syscall.SIGINT, 130},
		{"uninstall --orphan --yes", syscall.SIGINT, 130},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s %s", c.args, c.signal), func(t *testing.T) {
			t.Parallel()
			kubeconfig, asked := mute(t)
			dir := t.TempDir()
			config := fmt.Sprintf("apiVersion: plumbline.dev/v1\nkind: Config\nsource: {url: %q}\nserver: {listen: \"\"}\nenvironments: [{name: production, path: .}]\n", repo.URL())
			for name, text := range map[string]string{"config": config, "shop.yaml": project} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), binary, append(strings.Fields(c.args), "--config", "config", "--kubeconfig", kubeconfig)...)
			cmd.SysProcAttr = diesWithTest()
			cmd.Dir = dir
			var errs bytes.Buffer
			cmd.Stderr = &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-asked:
			case <-t.Context().Done():
			}
			if err := cmd.Process.Signal(c.signal); err != nil {
				t.Error(err)
			}
			_ = cmd.Wait() // its exit code is looked at
			if got := cmd.ProcessState.ExitCode(); got != c.code {
				t.Errorf("exit code %d, want %d\n%s", got, c.code, errs.String())
			}
			if said := strings.HasSuffix(errs.String(), "plumbline: interrupted\n"); said != (c.code != 0) {
				t.Errorf("said:\n%s", errs.String())
			}
		})
	}
}

// mute is an API server that answers nothing, and tells of the first request.
func mute(t *testing.T) (kubeconfig string, asked <-chan struct{}) {
	t.Helper()
	first := make(chan struct{})
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(first) })
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: mute
contexts: [{name: mute, context: {cluster: mute, user: mute}}]
clusters: [{name: mute, cluster: {server: %q}}]
users: [{name: mute, user: {token: none}}]
`, server.URL)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return kubeconfig, first
}
