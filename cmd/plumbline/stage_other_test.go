//go:build !linux

package main

import (
	"syscall"
	"testing"
)

// diesWithTest has no means here: a test binary that is killed leaves its
// processes behind.
func diesWithTest() *syscall.SysProcAttr { return nil }

// peakMemory of a process cannot be asked for here.
func peakMemory(testing.TB, int) (bytes int64, known bool) { return 0, false }
