//go:build !unix

package odb

import "os"

// lockFile does nothing where there is no flock: there the operator sees to it
// that a directory has one user.
func lockFile(*os.File) error { return nil }

func unlockFile(*os.File) error { return nil }
