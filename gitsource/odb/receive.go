package odb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
)

// ErrTooLarge is wrapped by Receive's error when a pack is over the limit.
var ErrTooLarge = errors.New("pack too large")

// Receive stores the pack that write produces, of at most limit bytes. Its
// objects can be read once Receive returned nil; after an error nothing is left.
// The pack has to be complete: with what the store holds already, every object
// that it names is there.
func (s *Store) Receive(ctx context.Context, limit int64, write func(w io.Writer) error) error {
	_, err := s.receive(ctx, limit, write)
	return err
}

// receive returns the path of the new pack without extension; "" for a pack
// without objects.
func (s *Store) receive(ctx context.Context, limit int64, write func(w io.Writer) error) (base string, err error) {
	f, err := os.CreateTemp(s.packDir(), tmpPrefix+"*")
	if errors.Is(err, os.ErrNotExist) { // somebody cleaned up under the running process
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if rm := os.Remove(f.Name()); rm != nil && !errors.Is(rm, os.ErrNotExist) {
			err = errors.Join(err, rm)
		}
	}()
	size, err := spool(f, limit, write)
	if err != nil {
		return "", err
	}
	idx, err := indexPack(ctx, f, size)
	if err != nil {
		return "", fmt.Errorf("index pack: %w", err)
	}
	if n, err := idx.Count(); err != nil || n == 0 {
		return "", err
	}
	return s.install(f, idx)
}

func spool(f *os.File, limit int64, write func(w io.Writer) error) (int64, error) {
	buf := bufio.NewWriterSize(f, 64<<10)
	w := &limitWriter{w: buf, left: limit}
	if err := write(w); err != nil {
		return 0, err
	}
	if err := errors.Join(buf.Flush(), f.Sync()); err != nil {
		return 0, err
	}
	_, err := f.Seek(0, io.SeekStart)
	return limit - w.left, err
}

// install moves the pack and its index to where readers find them: the pack
// first, for it is the index that makes it count.
func (s *Store) install(f *os.File, idx *idxfile.MemoryIndex) (string, error) {
	base := filepath.Join(s.packDir(), "pack-"+fmt.Sprintf("%x", idx.PackfileChecksum))
	tmp, err := os.CreateTemp(s.packDir(), tmpPrefix+"*")
	if err != nil {
		return "", err
	}
	_, err = idxfile.NewEncoder(tmp).Encode(idx)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		if err = os.Rename(f.Name(), base+packExt); err == nil {
			err = os.Rename(tmp.Name(), base+idxExt)
		}
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return "", err
	}
	s.Release() // the next read lists the packs again
	return base, nil
}

type limitWriter struct {
	w    io.Writer
	left int64
}

func (l *limitWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > l.left {
		return 0, ErrTooLarge
	}
	n, err := l.w.Write(p)
	l.left -= int64(n)
	return n, err
}
