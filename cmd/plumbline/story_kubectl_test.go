package main

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline-dev/plumbline/fixtures/servers/build"
)

func kubectlBinary(t testing.TB) string {
	t.Helper()
	root, err := build.FindRoot(".")
	if err != nil {
		t.Fatal(err)
	}
	path, err := build.Ensure(context.Background(), build.Options{Root: root, Log: os.Stderr}, "kubectl")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// typed are the lines with kubectl that a page of docs tells people to type.
func (st *story) typed(page string) map[string]bool {
	text, err := os.ReadFile(filepath.Join(docsDir, page))
	st.ts.Check(err)
	out := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)(?:^ *|`)(kubectl [^`#\n]+)").FindAllStringSubmatch(string(text), -1) {
		out[strings.TrimSpace(m[1])] = true
	}
	return out
}

// kubectl runs the real one as the cluster's administrator, with a line that
// stands in a page of docs. Nothing on the cluster carries deletions of
// Namespaces to their end, so it does not wait for that.
func (st *story) kubectl(args []string) {
	page, args := args[0], args[1:]
	line := strings.Join(append([]string{"kubectl"}, args...), " ")
	if !st.typed(page)[line] {
		st.ts.Fatalf("docs/%s has no line %q", page, line)
	}
	if st.ran == nil {
		st.ran = map[string]bool{}
	}
	st.ran[line] = true
	args = slices.Clone(args)
	for i := range args {
		if i > 0 && args[i-1] == "-n" && args[i] == "shop" {
			args[i] = st.project
		}
	}
	if slices.Contains(args, "delete") {
		args = append(args, "--wait=false")
	}
	cmd := exec.CommandContext(st.t.Context(), kubectlBinary(st.t), args...)
	cmd.Dir = st.dir
	cmd.Env = []string{"HOME=" + st.dir, "PATH=" + st.dir, "KUBECONFIG=" + st.stage.cluster.Kubeconfig}
	out, err := cmd.CombinedOutput()
	st.say(st.ours(string(out)))
	if err != nil {
		st.ts.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// allTyped wants every line with kubectl of a page to have been run.
func (st *story) allTyped(args []string) {
	lines := st.typed(args[0])
	if len(lines) == 0 {
		st.ts.Fatalf("docs/%s has no line with kubectl", args[0])
	}
	for _, line := range slices.Sorted(maps.Keys(lines)) {
		if !st.ran[line] {
			st.ts.Fatalf("docs/%s: %s: the story does not run it", args[0], line)
		}
	}
}
