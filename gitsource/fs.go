package gitsource

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
)

// FS is the tree of a commit, or a directory in it. It is what Snapshot.FS
// holds. Directory entries are as os.DirFS shows them: a symbolic link is one
// (it has the content's hash of the file that it leads to), and Open, ReadFile
// and Stat follow it within the repository's tree. Submodules are absent.
//
// It is immutable and safe for concurrent use. Errors are *fs.PathError.
type FS struct {
	t    *tree
	base string // "." or the directory that is shown as the root
}

var (
	_ fs.ReadDirFS  = (*FS)(nil)
	_ fs.ReadFileFS = (*FS)(nil)
	_ fs.StatFS     = (*FS)(nil)
	_ fs.SubFS      = (*FS)(nil)
	_ fs.ReadLinkFS = (*FS)(nil)

	_ plumbline.ContentHasher = info{}
	_ plumbline.ContentHasher = dirEntry{}
)

// Excluded is what the repository holds and the file system does not show, by
// path, and why, of the directories that were read so far.
func (f *FS) Excluded() map[string]string {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	out := map[string]string{}
	for p, why := range f.t.excluded {
		if f.base == "." {
			out[strings.ToValidUTF8(p, "\uFFFD")] = why
		} else if below, ok := strings.CutPrefix(p, f.base+"/"); ok {
			out[strings.ToValidUTF8(below, "\uFFFD")] = why
		}
	}
	return out
}

func (f *FS) at(op, name string, follow bool) (node, error) {
	if !fs.ValidPath(name) {
		return node{}, pathError(op, name, fs.ErrInvalid)
	}
	n, err := f.t.resolve(path.Join(f.base, name), follow)
	if err != nil {
		return node{}, pathError(op, name, err)
	}
	return n, nil
}

// Sub is the directory as a file system of its own. Links in it may still lead
// anywhere in the repository's tree.
func (f *FS) Sub(dir string) (fs.FS, error) {
	n, err := f.at("sub", dir, true)
	if err != nil {
		return nil, err
	}
	if !n.Mode.IsTree() {
		return nil, pathError("sub", dir, errNotDir)
	}
	return &FS{t: f.t, base: n.full}, nil
}

// Stat describes what name leads to.
func (f *FS) Stat(name string) (fs.FileInfo, error) { return f.stat(name, true) }

// Lstat describes name itself, also where it is a link.
func (f *FS) Lstat(name string) (fs.FileInfo, error) { return f.stat(name, false) }

func (f *FS) stat(name string, follow bool) (fs.FileInfo, error) {
	n, err := f.at("stat", name, follow)
	if err != nil {
		return nil, err
	}
	var size int64
	if !n.Mode.IsTree() {
		if size, err = f.t.objects.Size(n.Hash); err != nil {
			return nil, pathError("stat", name, err)
		}
	}
	return f.t.info(path.Base(name), n, size), nil
}

// ReadLink is the text of a link.
func (f *FS) ReadLink(name string) (string, error) {
	n, err := f.at("readlink", name, false)
	if err != nil {
		return "", err
	}
	if n.Mode != odb.ModeSymlink {
		return "", pathError("readlink", name, fs.ErrInvalid)
	}
	target, err := f.t.readLink(n.Hash)
	if err != nil {
		return "", pathError("readlink", name, err)
	}
	return target, nil
}

// ReadFile reads a file of at most Options.MaxFileBytes.
func (f *FS) ReadFile(name string) ([]byte, error) {
	n, err := f.at("read", name, true)
	if err != nil {
		return nil, err
	}
	return f.read("read", name, n)
}

func (f *FS) read(op, name string, n node) ([]byte, error) {
	if n.Mode.IsTree() {
		return nil, pathError(op, name, errIsDir)
	}
	o, err := f.t.objects.Read(plumbing.BlobObject, n.Hash, f.t.max)
	if err != nil {
		return nil, pathError(op, name, err)
	}
	return o.Data, nil
}

// ReadDir lists a directory by name.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := f.at("readdir", name, true)
	if err != nil {
		return nil, err
	}
	return f.list(name, n)
}

func (f *FS) list(name string, n node) ([]fs.DirEntry, error) {
	if !n.Mode.IsTree() {
		return nil, pathError("readdir", name, errNotDir)
	}
	d, err := f.t.dir(n.full, n.Hash)
	if err != nil {
		return nil, pathError("readdir", name, err)
	}
	lines := make([]dirEntry, len(d.entries))
	list := make([]fs.DirEntry, len(d.entries))
	for i, e := range d.entries {
		lines[i] = dirEntry{Entry: e, t: f.t, dir: n.full}
		list[i] = &lines[i]
	}
	return list, nil
}

// Open opens a file, with its content read, or a directory.
func (f *FS) Open(name string) (fs.File, error) {
	n, err := f.at("open", name, true)
	if err != nil {
		return nil, err
	}
	if n.Mode.IsTree() {
		list, err := f.list(name, n)
		if err != nil {
			return nil, err
		}
		return &openDir{info: f.t.info(path.Base(name), n, 0), left: list}, nil
	}
	b, err := f.read("open", name, n)
	if err != nil {
		return nil, err
	}
	return &openFile{Reader: *bytes.NewReader(b), info: f.t.info(path.Base(name), n, int64(len(b)))}, nil
}

var (
	errIsDir  error = &pathRule{"is a directory", fs.ErrInvalid}
	errNotDir error = &pathRule{"not a directory", fs.ErrInvalid}
)

// info is an fs.FileInfo that knows the content's hash.
type info struct {
	name string
	mode fs.FileMode
	size int64
	time time.Time
	hash string
}

func (t *tree) info(name string, n node, size int64) info {
	i := info{name: name, mode: fileMode(n.Mode), size: size, time: t.time}
	if n.Mode.IsFile() || n.Mode.IsTree() {
		i.hash = n.Hash.String()
	}
	return i
}

func fileMode(m odb.Mode) fs.FileMode {
	switch m {
	case odb.ModeTree:
		return fs.ModeDir | 0o555
	case odb.ModeSymlink:
		return fs.ModeSymlink | 0o777
	case odb.ModeExecutable:
		return 0o555
	default:
		return 0o444
	}
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.time }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }

// ContentHash is the hash of the blob or the tree.
func (i info) ContentHash() string { return i.hash }

// dirEntry is a line of a directory.
type dirEntry struct {
	odb.Entry
	t   *tree
	dir string // resolved
}

func (e dirEntry) full() string { return path.Join(e.dir, e.Entry.Name) }

func (e dirEntry) Name() string      { return e.Entry.Name }
func (e dirEntry) IsDir() bool       { return e.Mode.IsTree() }
func (e dirEntry) Type() fs.FileMode { return fileMode(e.Mode).Type() }
func (e dirEntry) String() string    { return fs.FormatDirEntry(e) }

// Info reads the size.
func (e dirEntry) Info() (fs.FileInfo, error) {
	var size int64
	if !e.IsDir() {
		var err error
		if size, err = e.t.objects.Size(e.Hash); err != nil {
			return nil, pathError("stat", e.full(), err)
		}
	}
	return e.t.info(e.Name(), node{Entry: e.Entry, full: e.full()}, size), nil
}

// ContentHash is the hash of the blob or the tree; of a link that of the file
// that it leads to; "" where there is no file.
func (e dirEntry) ContentHash() string {
	if e.Mode != odb.ModeSymlink {
		return e.Hash.String()
	}
	n, err := e.t.resolve(e.full(), true)
	if err != nil || !n.Mode.IsFile() {
		return ""
	}
	return n.Hash.String()
}

type openFile struct {
	bytes.Reader
	info info
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	info info
	left []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) { return 0, pathError("read", d.info.name, errIsDir) }

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.left)
	} else if len(d.left) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.left))
	list := d.left[:n:n]
	d.left = d.left[n:]
	return list, nil
}
