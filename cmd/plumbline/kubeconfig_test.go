package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
)

const kubeconfigText = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443"}}]
users: [{name: u, user: {token: hunter2}}]
contexts: [{name: one, context: {cluster: c, user: u}}]
current-context: one
`

func TestRestConfig(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", kubeconfigText)
	tests := map[string]struct {
		cluster config.Cluster
		env     string // KUBECONFIG
		err     string // empty: found
	}{
		"given":              {config.Cluster{Kubeconfig: good}, "", ""},
		"from the shell":     {config.Cluster{}, good, ""},
		"a context":          {config.Cluster{Kubeconfig: good, Context: "one"}, "", ""},
		"no such file":       {config.Cluster{Kubeconfig: filepath.Join(dir, "none")}, "", "none is not there; give --kubeconfig FILE"},
		"no such file, env":  {config.Cluster{}, filepath.Join(dir, "none"), "none is empty or not there"},
		"nothing at all":     {config.Cluster{}, "", "there is none; give --kubeconfig FILE, or set KUBECONFIG"},
		"empty":              {config.Cluster{Kubeconfig: file("empty", "")}, "", "is empty or not there"},
		"not YAML":           {config.Cluster{Kubeconfig: file("bad", "a: b: c")}, "", "mend the file"},
		"no such context":    {config.Cluster{Kubeconfig: good, Context: "two"}, "", "no context two; give --context NAME"},
		"a directory":        {config.Cluster{Kubeconfig: dir}, "", "mend the file"},
		"a server is no URL": {config.Cluster{Kubeconfig: file("url", strings.Replace(kubeconfigText, "https://127", "://127", 1))}, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", tt.env)
			rc, err := restConfig(tt.cluster)
			if tt.err == "" {
				if err != nil || rc == nil {
					t.Error(err)
				}
				return
			}
			if err == nil || plumbline.KindOf(err) != plumbline.KindUsage || !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
		})
	}
}
