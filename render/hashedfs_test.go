package render_test

import (
	"crypto/sha256"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing/fstest"
)

// hashedFS is a file system whose entries know the hash of their content, as
// those of a Git tree do: hashes of directories change with what is in them.
type hashedFS struct {
	fstest.MapFS
	hashes map[string]string // of files and directories
	lists  map[string][]fs.DirEntry
	reads  []string
}

func newHashedFS(files fstest.MapFS) *hashedFS {
	h := &hashedFS{MapFS: files, hashes: map[string]string{}, lists: map[string][]fs.DirEntry{}}
	h.build(".")
	return h
}

func (h *hashedFS) build(dir string) {
	entries, err := fs.ReadDir(h.MapFS, dir)
	if err != nil {
		panic(err)
	}
	h.lists[dir] = entries
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() {
			h.build(name)
		} else {
			h.hashes[name] = hashOf(string(h.MapFS[name].Data))
		}
	}
	h.sum(dir)
}

func (h *hashedFS) sum(dir string) {
	var all strings.Builder
	for _, e := range h.lists[dir] {
		all.WriteString(e.Name() + "\x00" + h.hashes[path.Join(dir, e.Name())])
	}
	h.hashes[dir] = hashOf(all.String())
}

// set changes a file that is there.
func (h *hashedFS) set(name, text string) {
	h.MapFS[name] = &fstest.MapFile{Data: []byte(text)}
	h.hashes[name] = hashOf(text)
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		h.sum(dir)
		if dir == "." {
			return
		}
	}
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return string(sum[:])
}

func (h *hashedFS) ReadDir(dir string) ([]fs.DirEntry, error) {
	out := slices.Clone(h.lists[dir])
	for i, e := range out {
		out[i] = hashedEntry{e, h.hashes[path.Join(dir, e.Name())]}
	}
	return out, nil
}

// Open and ReadFile note what is read. A directory of MapFS is slow to open,
// so Stat answers for the ones known.
func (h *hashedFS) ReadFile(name string) ([]byte, error) {
	h.reads = append(h.reads, name)
	f, ok := h.MapFS[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return f.Data, nil
}

func (h *hashedFS) Stat(name string) (fs.FileInfo, error) {
	if _, ok := h.lists[name]; ok {
		return dirInfo{name: name, hash: h.hashes[name]}, nil
	}
	if _, ok := h.MapFS[name]; !ok {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	info, err := h.MapFS.Stat(name)
	return fileInfo{info, h.hashes[name]}, err
}

func (h *hashedFS) Open(name string) (fs.File, error) {
	if _, ok := h.MapFS[name]; ok {
		h.reads = append(h.reads, name)
	}
	return h.MapFS.Open(name)
}

type fileInfo struct {
	fs.FileInfo
	hash string
}

func (i fileInfo) ContentHash() string { return i.hash }

type hashedEntry struct {
	fs.DirEntry
	hash string
}

func (e hashedEntry) ContentHash() string { return e.hash }

type dirInfo struct {
	fs.FileInfo
	name, hash string
}

func (i dirInfo) IsDir() bool         { return true }
func (i dirInfo) ContentHash() string { return i.hash }
