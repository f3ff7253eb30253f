package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
)

// TestFlood pushes 10,000 definitions with a mistake each, twice, and then with
// more mistakes than are listed at all: every commit gets one status, which counts
// them and is short, the log stops listing, and memory is bounded.
func TestFlood(t *testing.T) {
	t.Parallel()
	const files, each, listed = 100, 100, 100
	s := newStage(t, t.TempDir(), servers.Cluster(t))
	s.writeFile("plumbline.yaml", strings.ReplaceAll(s.theirs(defaultConfig), "$REPOSITORY", "file://"+s.origin()))
	push := func(message, image string) plumbline.Status {
		t.Helper()
		s.writeFile("repo/message", message)
		for f := range files {
			var b strings.Builder
			for d := range each {
				fmt.Fprintf(&b, `---
apiVersion: plumbline.dev/v1
kind: ServiceVersion
metadata: {name: s%[1]d-%[2]d-v1, namespace: shop}
spec:
  id: s%[1]d-%[2]d
  version: v1
  tasks: [{id: web, docker: {image: "%[3]s"}, ports: [{name: http, protocol: grcp, port: 8080}]}]
`, f, d, image)
			}
			s.writeFile(fmt.Sprintf("repo/environments/production/f%02d.yaml", f), b.String())
		}
		s.commit(message)
		sha := s.commits[len(s.commits)-1]
		if s.daemon == nil {
			s.start("--config", "plumbline.yaml")
		}
		s.await("the failure", func() (bool, string) {
			got := s.notes(sha)
			return slices.ContainsFunc(got, func(p plumbline.Status) bool { return p.State == plumbline.StatusFailure }), fmt.Sprint(got)
		})
		got := s.notes(sha)
		if len(got) != 1 || len(got[0].Description) > 140 {
			t.Errorf("%s: the statuses are %v", message, got)
		}
		return got[0]
	}
	const image = "registry.example.com/cart:1"
	for _, message := range []string{"All are wrong", "All are wrong still"} {
		got := push(message, image).Description
		if !strings.HasPrefix(got, "environments/production/f00.yaml:8:") || !strings.HasSuffix(got, fmt.Sprintf(" (+%d)", files*each-1)) {
			t.Errorf("%s: %s", message, got)
		}
	}
	if got := push("All are wrong in two ways", "a:1").Description; !strings.Contains(got, "more than 10000 problems in the definitions") {
		t.Error(got)
	}
	if peak, known := peakMemory(t, s.daemon.cmd.Process.Pid); known && peak > 300<<20 {
		t.Errorf("it took %d MiB", peak>>20)
	}
	log := s.stop()
	for i, lines := range []int{listed, listed, 0} {
		about := 0
		for line := range strings.Lines(log) {
			if strings.Contains(line, `"invalid definition"`) && strings.Contains(line, fmt.Sprintf("commit=commit%d ", i+1)) {
				about++
			}
		}
		if about != lines {
			t.Errorf("%d lines list mistakes of commit %d, want %d", about, i+1, lines)
		}
	}
	if n := strings.Count(log, fmt.Sprintf(" more=%d\n", files*each-listed)); n != 2 {
		t.Errorf("it is told %d times how many more there are, want twice", n)
	}
	if n := strings.Count(log, "\n"); n > 2*listed+30 || len(log) > 100<<10 {
		t.Errorf("the log has %d lines, %d bytes:\n%s", n, len(log), log[max(0, len(log)-2000):])
	}
}
