package gitsource

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

const (
	envURL = "PLUMBLINE_TEST_FETCH_URL"
	envDir = "PLUMBLINE_TEST_FETCH_DIR"
	envCA  = "PLUMBLINE_TEST_FETCH_CA"
)

// TestFetchInChild is the process that TestKilledFetch kills; it does nothing
// when it is not asked to.
func TestFetchInChild(t *testing.T) {
	if os.Getenv(envURL) == "" {
		return
	}
	m, err := New(Options{URL: os.Getenv(envURL), Dir: os.Getenv(envDir), Auth: Auth{CAFile: os.Getenv(envCA)}})
	must(t, err)
	_, err = m.Fetch(t.Context())
	t.Fatalf("the fetch ended: %v", err)
}

// TestKilledFetch kills a process in the middle of a pack: the next one takes
// the mirror over as it was, and fetches.
func TestKilledFetch(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	first := repo.CommitFiles("a.yaml", "a: 1\n")
	srv := gittest.Serve(t, repo, gittest.Settings{})
	dir := filepath.Join(t.TempDir(), "mirror")
	in := func(o *Options) { o.Dir, o.Auth = dir, Auth{CAFile: srv.CAFile} }
	m := open(t, srv.URL, in)
	fetch(t, m)
	must(t, m.Close())
	second := repo.CommitFiles("a.yaml", randomText(200_000))

	half := make(chan struct{})
	srv.Set(func(s *gittest.Settings) {
		s.Override = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				return false
			}
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			_, _ = w.Write([]byte("0008NAK\n" + pkt("\x01PACK\x00\x00\x00\x02\x00\x00\x00\x03"+randomText(60_000))))
			_ = http.NewResponseController(w).Flush()
			close(half)
			<-r.Context().Done()
			return true
		}
	})
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFetchInChild$")
	child.Env = append(os.Environ(), envURL+"="+srv.URL, envDir+"="+dir, envCA+"="+srv.CAFile)
	must(t, child.Start())
	<-half
	must(t, child.Process.Kill())
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("not killed: %v", err)
	}

	srv.Set(func(s *gittest.Settings) { s.Override = nil })
	m = open(t, srv.URL, in)
	if got := read(t, snapshot(t, m, first), "a.yaml"); got != "a: 1\n" {
		t.Errorf("content %q", got)
	}
	if got := fetch(t, m).SHA; got != second {
		t.Errorf("head %s, want %s", got, second)
	}
	if tmp, _ := filepath.Glob(filepath.Join(dir, "repo.git/objects/pack/tmp_*")); len(tmp) > 0 {
		t.Errorf("left behind: %v", tmp)
	}
}
