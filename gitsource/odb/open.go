package odb

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
)

const (
	tmpPrefix = "tmp_"
	packExt   = ".pack"
	idxExt    = ".idx"
	sumBytes  = sha1.Size
)

// Create makes an empty bare repository in dir, which must not exist. head is
// the branch that HEAD names: "refs/heads/main".
func Create(dir, head string) error {
	for _, d := range []string{"objects/info", "objects/pack", "refs/heads", "refs/tags"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(d)), 0o755); err != nil {
			return err
		}
	}
	config := "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
	return errors.Join(
		writeFile(filepath.Join(dir, "config"), []byte(config)),
		writeFile(filepath.Join(dir, "HEAD"), []byte("ref: "+head+"\n")),
	)
}

// Open opens a bare repository that Create made and that no other process
// writes to. What a killed process left half done is removed. Every pack is
// read once and compared with its checksum; damage is ErrCorrupt.
func Open(dir string) (*Store, error) {
	s := &Store{dir: dir, fs: osfs.New(dir)}
	if err := s.check(); isScarce(err) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return s, nil
}

// check sweeps, and compares every pack with its checksum.
func (s *Store) check() error {
	if _, err := os.Stat(filepath.Join(s.dir, "HEAD")); err != nil {
		return err
	}
	packs, err := s.sweep()
	if err != nil {
		return err
	}
	for _, p := range packs {
		if err := checkPack(filepath.Join(s.packDir(), p)); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

func (s *Store) packDir() string { return filepath.Join(s.dir, "objects", "pack") }

// sweep removes the files that are no half of a pack with its index, and
// returns the names of the packs without extension.
func (s *Store) sweep() ([]string, error) {
	files, err := os.ReadDir(s.packDir())
	if err != nil {
		return nil, err
	}
	halves := map[string]int{}
	for _, f := range files {
		if base, ok := packBase(f.Name()); ok {
			halves[base]++
		}
	}
	var packs []string
	for _, f := range files {
		base, ok := packBase(f.Name())
		switch {
		case !ok || halves[base] != 2:
			err = errors.Join(err, os.Remove(filepath.Join(s.packDir(), f.Name())))
		case strings.HasSuffix(f.Name(), packExt):
			packs = append(packs, base)
		}
	}
	return packs, err
}

func packBase(name string) (string, bool) {
	for _, ext := range []string{packExt, idxExt} {
		if base, ok := strings.CutSuffix(name, ext); ok && strings.HasPrefix(base, "pack-") {
			return base, true
		}
	}
	return "", false
}

// checkPack compares a pack and its index with the checksums at their ends, and
// both with the name.
func checkPack(base string) error {
	pack, err := trailer(base + packExt)
	if err != nil {
		return err
	}
	if hex.EncodeToString(pack) != strings.TrimPrefix(filepath.Base(base), "pack-") {
		return errors.New("named for another pack")
	}
	if _, err := trailer(base + idxExt); err != nil {
		return err
	}
	ofPack, err := tail(base+idxExt, 2*sumBytes)
	if err != nil {
		return err
	}
	if !bytes.Equal(pack, ofPack[:sumBytes]) {
		return errors.New("index of another pack")
	}
	return nil
}

// trailer is the checksum at a file's end, which has to be that of what comes
// before it.
func trailer(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	sum := sha1.New()
	if _, err := io.CopyN(sum, f, max(0, info.Size()-sumBytes)); err != nil {
		return nil, err
	}
	end, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(end, sum.Sum(nil)) {
		return nil, errors.New("checksum mismatch")
	}
	return end, nil
}

func tail(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(-n, io.SeekEnd); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}
