package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plumbline-dev/plumbline/fixtures/servers/build"
)

// sopsBinary is the real sops.
func sopsBinary(t testing.TB) string {
	t.Helper()
	root, err := build.FindRoot(".")
	if err != nil {
		t.Fatal(err)
	}
	path, err := build.Ensure(context.Background(), build.Options{Root: root, Log: os.Stderr}, "sops")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// sops runs the real sops in repo/, with the keys of both.agekey. Files that it
// is given are translated first: what it sealed stays as it is.
func (st *story) sops(args []string) {
	for _, a := range args {
		path := filepath.Join(st.repo(), a)
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		text, err := os.ReadFile(path)
		st.ts.Check(err)
		st.ts.Check(os.WriteFile(path, []byte(st.theirs(string(text))), 0o600))
	}
	cmd := exec.CommandContext(st.t.Context(), sopsBinary(st.t), args...)
	cmd.Dir = st.repo()
	cmd.Env = []string{"HOME=" + st.dir, "PATH=" + st.dir, "SOPS_AGE_KEY_FILE=" + st.path("both.agekey")}
	if out, err := cmd.CombinedOutput(); err != nil {
		st.ts.Fatalf("sops %v: %v\n%s", args, err, out)
	}
}

// storyKeys is where a key service listens, and what stops it.
type storyKeys struct {
	socket string
	stop   func()
}

// keySocket is in a directory of its own: the name of a socket is short, and that
// of an archive's directory may not be.
func (st *story) keySocket() string {
	if st.keys.socket == "" {
		dir, err := os.MkdirTemp("", "keys")
		st.ts.Check(err)
		st.keys = storyKeys{socket: filepath.Join(dir, "s"), stop: func() {}}
		st.t.Cleanup(func() {
			st.keys.stop()
			_ = os.RemoveAll(dir)
		})
	}
	return st.keys.socket
}

// startKeyService lets another key service listen, or something else, or nothing.
func (st *story) startKeyService(args []string) {
	socket := st.keySocket()
	st.keys.stop()
	if err := os.Remove(socket); !errors.Is(err, fs.ErrNotExist) {
		st.ts.Check(err)
	}
	st.keys.stop = func() {}
	switch args[0] {
	case "nothing":
	case "another":
		l, err := net.Listen("unix", socket)
		st.ts.Check(err)
		s := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: patience, Protocols: new(http.Protocols)}
		s.Protocols.SetUnencryptedHTTP2(true)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = s.Serve(l) // closed
		}()
		st.keys.stop = func() {
			_ = s.Close()
			<-ended
		}
	default:
		cmd := exec.Command(sopsBinary(st.t), "keyservice", "--network", "unix", "--address", socket)
		cmd.Env = []string{"HOME=" + st.dir, "PATH=" + st.dir, "SOPS_AGE_KEY_FILE=" + st.path(args[0])}
		cmd.SysProcAttr = diesWithTest()
		st.ts.Check(cmd.Start())
		st.keys.stop = func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // killed
		}
		st.await("the key service", func() (bool, string) {
			conn, err := net.Dial("unix", socket)
			if err != nil {
				return false, err.Error()
			}
			return conn.Close() == nil, ""
		})
	}
}

// createKeys makes a Secret in Plumbline's namespace out of a file.
func (st *story) createKeys(args []string) {
	gvr, _ := kind("secret")
	_, err := st.dynamic.Resource(gvr).Namespace(st.namespace).Create(st.t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret",
		"metadata":   map[string]any{"name": args[0]},
		"stringData": map[string]any{filepath.Base(args[1]): st.ts.ReadFile(args[1])},
	}}, metav1.CreateOptions{FieldManager: "somebody"})
	st.ts.Check(err)
}
