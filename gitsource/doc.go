// Package gitsource turns a branch of a remote Git repository into immutable
// snapshots: a commit and an fs.FS that reads its tree straight from Git's
// objects.
//
// In go a URL, a branch and credentials; out come plumbline.Commit and
// plumbline.Snapshot. A Mirror keeps the branch's full history in a bare
// repository on disk, so that a fetch transfers what is new and nothing else.
//
// The package never writes a work tree, never runs a program, hook, filter or
// credential helper, never follows a submodule or a symbolic link out of the
// tree, and never reads a tag where a branch is meant.
package gitsource
