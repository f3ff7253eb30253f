package gitsource

import (
	"errors"
	"io/fs"
)

// What the errors of this package wrap where a caller has to tell them apart.
var (
	// ErrBranchGone: the repository is there and the branch is not. The last
	// good revision stays.
	ErrBranchGone = errors.New("branch does not exist")
	// ErrEmptyRepository: nothing was ever pushed.
	ErrEmptyRepository = errors.New("repository is empty")
	// ErrUnknownCommit: the mirror does not hold the commit, as after a
	// force-push and a new mirror.
	ErrUnknownCommit = errors.New("unknown commit")
	// ErrOutsideTree: a symbolic link leads out of the repository.
	// It is an fs.ErrPermission.
	ErrOutsideTree error = &pathRule{"symbolic link leads out of the repository", fs.ErrPermission}
	// ErrLinkLoop: symbolic links lead to each other.
	ErrLinkLoop = errors.New("too many symbolic links")
	// ErrNotFetched: a submodule, which is never fetched.
	// It is an fs.ErrNotExist.
	ErrNotFetched error = &pathRule{"submodules are not fetched", fs.ErrNotExist}
)

// pathRule is an error with a text of its own that counts as one of io/fs.
type pathRule struct {
	text string
	as   error
}

func (r *pathRule) Error() string { return r.text }
func (r *pathRule) Unwrap() error { return r.as }
