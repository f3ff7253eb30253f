package plumbline

import (
	"io/fs"
	"time"
)

// Snapshot is one commit of the configuration repository. It is immutable: FS
// reads the tree of that commit, whatever is fetched later.
type Snapshot struct {
	Commit Commit
	// FS is the root of the repository's tree. The fs.FileInfo of its files may
	// offer the content's hash, see ContentHasher.
	FS fs.FS `json:"-"`
}

// ContentHasher is implemented by the fs.FileInfo, and by the fs.DirEntry, of
// file systems that know a hash of a file's content without reading it (Git's
// blob hash), or of all that is in a directory (Git's tree hash). Equal hashes
// mean equal contents; "" says nothing.
type ContentHasher interface{ ContentHash() string }

// Commit is what is known of a Git commit.
type Commit struct {
	SHA     string    `json:"sha"` // 40 hex digits
	Author  string    `json:"author,omitempty"`
	Time    time.Time `json:"time,omitzero"` // committer's time
	Message string    `json:"message,omitempty"`
}

// Short is the abbreviated SHA of messages: 7 digits.
func (c Commit) Short() string { return c.SHA[:min(7, len(c.SHA))] }
