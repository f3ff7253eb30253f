package main

import (
	"bytes"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
)

// daemonProcess is `plumbline run` beside a test.
type daemonProcess struct {
	cmd *exec.Cmd
	out lockedBuffer
}

// lockedBuffer is what a process has written so far.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start starts a daemon. It ends with the test, if not before.
func (s *stage) start(args ...string) {
	s.t.Helper()
	if s.daemon != nil {
		s.t.Fatal("one daemon runs already")
	}
	d := &daemonProcess{cmd: s.command(s.t.Context(), append([]string{"run"}, args...)...)}
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.out
	if err := d.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.daemon = d
}

// stop asks the daemon to end, wants it to end well, and is all that it said.
func (s *stage) stop() string {
	s.t.Helper()
	d := s.daemon
	if d == nil {
		s.t.Fatal("no daemon runs")
	}
	s.daemon = nil
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
	if err := d.cmd.Wait(); err != nil {
		s.t.Errorf("stop plumbline: %v\n%s", err, s.ours(d.out.String()))
	}
	s.wantNothingLeft()
	return s.ours(d.out.String())
}

// kill ends the daemon as a crash would.
func (s *stage) kill() {
	if s.daemon != nil {
		_ = s.daemon.cmd.Process.Kill() // it may have ended by itself
		_ = s.daemon.cmd.Wait()
		s.daemon = nil
	}
}

// log is what the daemon said.
func (s *stage) log() string {
	if s.daemon == nil {
		return ""
	}
	return s.ours(s.daemon.out.String())
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// address is where the daemon serves.
func (s *stage) address() string {
	s.t.Helper()
	var at string
	s.await("listening", func() (bool, string) {
		if m := listening.FindStringSubmatch(s.log()); m != nil {
			at = m[1]
		}
		return at != "", s.log()
	})
	return at
}
