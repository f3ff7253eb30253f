package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// diesWithTest makes a process end with the test binary, however that ends.
func diesWithTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// peakMemory is the most, in bytes, that a process ever had in memory. It is not
// known of a process that has ended.
func peakMemory(t testing.TB, pid int) (bytes int64, known bool) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10, true
		}
	}
	return 0, false
}
