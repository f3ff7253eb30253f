//go:build !linux

package main

import "syscall"

// diesWithTest has no means here: a test binary that is killed leaves its
// processes behind.
func diesWithTest() *syscall.SysProcAttr { return nil }
