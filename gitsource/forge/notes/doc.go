// Package notes reports commit statuses where there is no forge: as JSON lines
// in Git notes under refs/notes/plumbline, pushed to the repository itself.
//
//	git fetch origin refs/notes/plumbline:refs/notes/plumbline
//	git notes --ref=plumbline show HEAD
//
// A status is one line more in the note of its commit. Lines are never
// rewritten, notes and lines of others stay as they are, and a push that was
// lost to someone else's is done again on top of theirs.
package notes
