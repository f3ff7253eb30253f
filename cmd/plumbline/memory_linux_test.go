package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMemoryOfRender renders 5,000 services, in one file and in as many, and
// looks at the most memory that the process ever had: 145 MiB, of which 40 are
// there before it begins. What doubles the heap is noticed.
func TestMemoryOfRender(t *testing.T) {
	t.Parallel()
	const services, most = 5000, 190 << 20
	one, many := t.TempDir(), t.TempDir()
	var all []byte
	for i := range services {
		text := strings.Replace(benchService("shop", i, services, 1), fmt.Sprintf("    secrets: [s%04d]\n", i), "", 1)
		all = append(all, "---\n"+text...)
		if err := os.WriteFile(filepath.Join(many, fmt.Sprintf("%04d.yaml", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(one, "all.yaml"), all, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"one file": {one, "-o", "json"}, "many files": {many, "-o", "json"},
	} {
		peak, printed := printing(t, exec.CommandContext(t.Context(), built.binary(t), append([]string{"render", "-q"}, args...)...))
		if printed < 10<<20 {
			t.Errorf("%s: %d bytes are printed", name, printed)
		}
		if peak > most {
			t.Errorf("%s: %d MiB at the most, want %d", name, peak>>20, most>>20)
		}
	}
}

// printing runs a command and returns the most memory, in bytes, that it had while
// it printed, and how many bytes it printed. What it prints is read piece by
// piece, so that it is there to be looked at when all but the last is made. (The
// kernel's own account of a process that ended begins with the one that started
// it, which is this test.)
func printing(t *testing.T, cmd *exec.Cmd) (peak, printed int64) {
	t.Helper()
	cmd.Env = append(os.Environ(), "GOGC=", "GOMEMLIMIT=")
	cmd.SysProcAttr = diesWithTest()
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := io.CopyN(io.Discard, out, 1<<20)
		printed += n
		now, _ := peakMemory(t, cmd.Process.Pid) // unknown of one that has ended
		peak = max(peak, now)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, said.String())
	}
	return peak, printed
}

// The heap of a command that ends by itself grows to roomyHeap, and then by less
// and less, down to spareHeap.
func TestHeapGrowth(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0: 1800, 1 << 20: 1800, 4 << 20: 1700, 36 << 20: 100, 48 << 20: 50, 60 << 20: 40, 72 << 20: 40, 1 << 30: 40,
	} {
		if got := heapGrowth(live); got != want {
			t.Errorf("%d MiB in use: %d percent, want %d", live>>20, got, want)
		}
	}
}

// The limit leaves the growth room, and a heap whose growth is out of date none.
func TestHeapLimit(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int64{
		0: 90 << 20, 6 << 20: 90 << 20, 48 << 20: 90 << 20, 80 << 20: 140 << 20, 1000 << 20: 1750 << 20,
	} {
		if got := heapLimit(live); got != want {
			t.Errorf("%d MiB in use: %d MiB, want %d", live>>20, got>>20, want>>20)
		}
		if due := live + live*uint64(heapGrowth(live))/100; int64(due) >= heapLimit(live) {
			t.Errorf("%d MiB in use: a collection is due at %d MiB, the limit is %d", live>>20, due>>20, heapLimit(live)>>20)
		}
	}
}
