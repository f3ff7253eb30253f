package odb

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Mode is the kind of a tree's entry, in Git's octal numbers.
type Mode uint32

// The modes that Git writes.
const (
	ModeTree       Mode = 0o040000
	ModeRegular    Mode = 0o100644
	ModeExecutable Mode = 0o100755
	ModeSymlink    Mode = 0o120000
	ModeSubmodule  Mode = 0o160000
)

// IsTree tells whether the entry is a directory.
func (m Mode) IsTree() bool { return m == ModeTree }

// IsFile tells whether the entry is a file with contents of its own.
func (m Mode) IsFile() bool {
	return m == ModeRegular || m == ModeExecutable
}

// canonical is the mode that Git takes m for: trees that it wrote long ago, and
// those of other programs, have all the bits that a file can have.
func (m Mode) canonical() Mode {
	const kind, byOwner = 0o170000, 0o100
	switch k := m & kind; {
	case k == ModeRegular&kind && m&byOwner != 0:
		return ModeExecutable
	case k == ModeRegular&kind:
		return ModeRegular
	case k == ModeTree, k == ModeSymlink, k == ModeSubmodule:
		return k
	}
	return m
}

// Entry is a line of a tree.
type Entry struct {
	Name string // as stored: any bytes but NUL
	Mode Mode
	Hash plumbing.Hash
}

var errTree = errors.New("malformed tree")

// ParseTree decodes the content of a tree object, with modes as Git takes them.
// The names are as they are stored: whether one is fit for a path is the caller's
// to decide.
func ParseTree(b []byte) ([]Entry, error) {
	entries := make([]Entry, 0, len(b)/40)
	for rest := string(b); rest != ""; {
		mode, after, ok := strings.Cut(rest, " ")
		if !ok {
			return nil, errTree
		}
		name, after, ok := strings.Cut(after, "\x00")
		if !ok || name == "" || len(after) < len(plumbing.Hash{}) {
			return nil, errTree
		}
		m, err := parseMode(mode)
		if err != nil {
			return nil, err
		}
		e := Entry{Name: name, Mode: m} // a part of the one copy of b
		rest = after[copy(e.Hash[:], after):]
		entries = append(entries, e)
	}
	return entries, nil
}

func parseMode(b string) (Mode, error) {
	if len(b) == 0 || len(b) > 7 {
		return 0, errTree
	}
	var m Mode
	for _, c := range []byte(b) {
		if c < '0' || c > '7' {
			return 0, errTree
		}
		m = m<<3 | Mode(c-'0')
	}
	return m.canonical(), nil
}

// EncodeTree is the content of the tree object with these entries, which have
// to be in Git's order: see CompareEntries.
func EncodeTree(entries []Entry) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&b, "%o %s\x00", uint32(e.Mode), e.Name)
		b.Write(e.Hash[:])
	}
	return b.Bytes()
}

// CompareEntries is Git's order of a tree's entries: by name, a directory as if
// a slash ended it.
func CompareEntries(a, b Entry) int { return strings.Compare(a.sortName(), b.sortName()) }

func (e Entry) sortName() string {
	if e.Mode.IsTree() {
		return e.Name + "/"
	}
	return e.Name
}

// Commit is a commit object.
type Commit struct {
	Hash    plumbing.Hash
	Tree    plumbing.Hash
	Parents []plumbing.Hash
	Author  string    // "Name <address>"
	Time    time.Time // committer's
	Message string
}

// ParseCommit decodes the content of a commit object.
func ParseCommit(h plumbing.Hash, b []byte) (Commit, error) {
	o := &plumbing.MemoryObject{}
	o.SetType(plumbing.CommitObject)
	if _, err := o.Write(b); err != nil {
		return Commit{}, err
	}
	c := &object.Commit{}
	if err := c.Decode(o); err != nil {
		return Commit{}, fmt.Errorf("malformed commit %s: %w", h, err)
	}
	return Commit{
		Hash:    h,
		Tree:    c.TreeHash,
		Parents: c.ParentHashes,
		Author:  strings.TrimSpace(c.Author.Name + " <" + c.Author.Email + ">"),
		Time:    c.Committer.When,
		Message: c.Message,
	}, nil
}

// Hash is the name under which Git stores this content.
func Hash(t plumbing.ObjectType, b []byte) plumbing.Hash { return plumbing.ComputeHash(t, b) }

// Object is an object that is not stored yet.
type Object struct {
	Type plumbing.ObjectType
	Data []byte
}

// Hash is the name under which Git stores the object.
func (o Object) Hash() plumbing.Hash { return Hash(o.Type, o.Data) }
