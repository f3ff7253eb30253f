package notes

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/plumbline-dev/plumbline/gitsource/forge"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
)

// maxNoteBytes bounds one commit's note.
const maxNoteBytes = 16 << 20

// reader is where a notes tree is read from.
type reader interface {
	Read(t plumbing.ObjectType, h plumbing.Hash, limit int64) (odb.Object, error)
	Tree(h plumbing.Hash) ([]odb.Entry, error)
}

// readNote is the note of a commit: the contents of every file whose path,
// without slashes, is rest. Git spreads notes over directories of two digits as
// they become many, so a name may be whole, or cut after any two digits.
func readNote(r reader, tree plumbing.Hash, rest string) ([]byte, error) {
	if tree.IsZero() {
		return nil, nil
	}
	entries, err := r.Tree(tree)
	if err != nil {
		return nil, err
	}
	var note []byte
	if e, ok := find(entries, rest); ok && e.Mode.IsFile() {
		if note, err = content(r, e.Hash); err != nil {
			return nil, err
		}
	}
	if e, ok := fanout(entries, rest); ok {
		below, err := readNote(r, e.Hash, rest[2:])
		if err != nil {
			return nil, err
		}
		note = append(note, below...)
	}
	return note, nil
}

// content is a file of a note. One that is too long takes no more lines.
func content(r reader, h plumbing.Hash) ([]byte, error) {
	o, err := r.Read(plumbing.BlobObject, h, maxNoteBytes)
	if large := (*odb.TooLargeError)(nil); errors.As(err, &large) {
		err = fmt.Errorf("%w: its note has %w", forge.ErrTooMany, err)
	}
	return o.Data, err
}

func find(entries []odb.Entry, name string) (odb.Entry, bool) {
	i := slices.IndexFunc(entries, func(e odb.Entry) bool { return e.Name == name })
	if i < 0 {
		return odb.Entry{}, false
	}
	return entries[i], true
}

// fanout is the directory in which rest may go on.
func fanout(entries []odb.Entry, rest string) (odb.Entry, bool) {
	if len(rest) <= 2 {
		return odb.Entry{}, false
	}
	e, ok := find(entries, rest[:2])
	return e, ok && e.Mode.IsTree()
}

// editor changes a notes tree and collects the objects that are new.
type editor struct {
	r   reader
	new []odb.Object
}

// append adds a line to the note of a commit and returns the new tree.
func (e *editor) append(tree plumbing.Hash, sha string, line []byte) (plumbing.Hash, error) {
	changed, found, err := e.extend(tree, sha, line)
	if err != nil || found {
		return changed, err
	}
	return e.insert(tree, sha, line, 0)
}

// extend changes the note where it is, if it is.
func (e *editor) extend(tree plumbing.Hash, rest string, line []byte) (plumbing.Hash, bool, error) {
	entries, err := e.entries(tree)
	if err != nil {
		return tree, false, err
	}
	if f, ok := find(entries, rest); ok && f.Mode.IsFile() {
		note, err := content(e.r, f.Hash)
		if err != nil {
			return tree, false, err
		}
		f.Hash = e.add(plumbing.BlobObject, appendLine(note, line))
		return e.with(entries, f), true, nil
	}
	d, ok := fanout(entries, rest)
	if !ok {
		return tree, false, nil
	}
	below, found, err := e.extend(d.Hash, rest[2:], line)
	if err != nil || !found {
		return tree, false, err
	}
	d.Hash = below
	return e.with(entries, d), true, nil
}

// insert makes a note that is not there: in the directory that there is for it,
// else in a new one of two digits below the root.
func (e *editor) insert(tree plumbing.Hash, rest string, line []byte, depth int) (plumbing.Hash, error) {
	entries, err := e.entries(tree)
	if err != nil {
		return tree, err
	}
	d, ok := fanout(entries, rest)
	if !ok && depth > 0 {
		return e.with(entries, odb.Entry{Name: rest, Mode: odb.ModeRegular, Hash: e.add(plumbing.BlobObject, line)}), nil
	}
	if !ok {
		d = odb.Entry{Name: rest[:2], Mode: odb.ModeTree}
	}
	if d.Hash, err = e.insert(d.Hash, rest[2:], line, depth+1); err != nil {
		return tree, err
	}
	return e.with(entries, d), nil
}

func (e *editor) entries(tree plumbing.Hash) ([]odb.Entry, error) {
	if tree.IsZero() {
		return nil, nil
	}
	return e.r.Tree(tree)
}

// with is the tree of the entries with one set.
func (e *editor) with(entries []odb.Entry, set odb.Entry) plumbing.Hash {
	out := slices.DeleteFunc(slices.Clone(entries), func(o odb.Entry) bool { return o.Name == set.Name })
	out = append(out, set)
	slices.SortFunc(out, odb.CompareEntries)
	return e.add(plumbing.TreeObject, odb.EncodeTree(out))
}

func (e *editor) add(t plumbing.ObjectType, data []byte) plumbing.Hash {
	o := odb.Object{Type: t, Data: data}
	e.new = append(e.new, o)
	return o.Hash()
}
