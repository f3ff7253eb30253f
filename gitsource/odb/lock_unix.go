//go:build unix

package odb

import (
	"os"
	"syscall"
)

// lockFile takes f for this process. The kernel gives it back when the process
// ends, however it ends.
func lockFile(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// unlockFile gives f back even while a child that was just forked shares it.
func unlockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
