package main

import (
	"context"

	"github.com/plumbline-dev/plumbline"
)

// openRevision opens a commit of the clone at root, straight from its Git
// objects.
func openRevision(_ context.Context, _, _ string) (plumbline.Snapshot, error) {
	return plumbline.Snapshot{}, usage("--revision: not in this version")
}
