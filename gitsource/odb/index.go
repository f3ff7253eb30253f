package odb

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

const (
	// maxDeltaBytes bounds the objects that are held in memory while deltas are
	// resolved. Others are hashed as they stream by, whatever their size.
	maxDeltaBytes = 256 << 20
	// minEntryBytes is less than any entry of a pack takes, header and zlib
	// stream together.
	minEntryBytes = 8
	// maxPrealloc bounds what is reserved on the word of the pack alone.
	maxPrealloc = 1 << 16
)

// indexPack checks a pack and returns its index. The pack's own checksum and
// every length in it are verified; a pack that needs objects from outside is
// refused.
func indexPack(ctx context.Context, pack io.ReadSeeker, size int64) (*idxfile.MemoryIndex, error) {
	x := indexer{
		scan:       packfile.NewScanner(pack),
		byOffset:   map[int64]*packed{},
		childrenOf: map[plumbing.Hash][]*packed{},
	}
	_, count, err := x.scan.Header()
	if err != nil {
		return nil, err
	}
	if int64(count) > size/minEntryBytes {
		return nil, fmt.Errorf("%w: %d objects announced in %d bytes", packfile.ErrMalformedPackFile, count, size)
	}
	if err := x.idx.OnHeader(min(count, maxPrealloc)); err != nil {
		return nil, err
	}
	if err := x.scanAll(ctx, count); err != nil {
		return nil, err
	}
	sum, err := x.scan.Checksum()
	if err != nil {
		return nil, err
	}
	if err := x.resolveAll(ctx, count); err != nil {
		return nil, err
	}
	if err := x.idx.OnFooter(sum); err != nil {
		return nil, err
	}
	return x.idx.Index()
}

type indexer struct {
	scan       *packfile.Scanner
	idx        idxfile.Writer
	bases      []*packed // the objects that are stored whole, in the pack's order
	byOffset   map[int64]*packed
	childrenOf map[plumbing.Hash][]*packed // deltas that name their base by hash
	done       uint32
}

// packed is an entry of the pack. kind and hash of a delta are known once its
// base is.
type packed struct {
	offset, length int64
	crc            uint32
	kind           plumbing.ObjectType
	hash           plumbing.Hash
	children       []*packed // deltas that name their base by offset
}

// scanAll reads the pack once from front to back.
func (x *indexer) scanAll(ctx context.Context, count uint32) error {
	for range count {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := x.scan.NextObjectHeader()
		if err != nil {
			return err
		}
		p := &packed{offset: h.Offset, length: h.Length, kind: h.Type}
		x.byOffset[p.offset] = p
		if err := x.scanOne(h, p); err != nil {
			return err
		}
	}
	return nil
}

func (x *indexer) scanOne(h *packfile.ObjectHeader, p *packed) (err error) {
	var n int64
	switch {
	case h.Type == plumbing.OFSDeltaObject:
		base := x.byOffset[h.OffsetReference]
		if base == nil {
			return fmt.Errorf("%w: a delta without its base", packfile.ErrMalformedPackFile)
		}
		base.children = append(base.children, p)
		n, p.crc, err = x.scan.NextObject(io.Discard)
	case h.Type == plumbing.REFDeltaObject:
		x.childrenOf[h.Reference] = append(x.childrenOf[h.Reference], p)
		n, p.crc, err = x.scan.NextObject(io.Discard)
	default:
		hasher := plumbing.NewHasher(h.Type, h.Length)
		n, p.crc, err = x.scan.NextObject(hasher)
		p.hash = hasher.Sum()
		x.bases = append(x.bases, p)
	}
	if err == nil && n != p.length {
		err = fmt.Errorf("%w: an object of %d bytes holds %d", packfile.ErrMalformedPackFile, p.length, n)
	}
	return err
}

// resolveAll names every object, one tree of deltas after the other.
func (x *indexer) resolveAll(ctx context.Context, count uint32) error {
	for _, base := range x.bases {
		if err := ctx.Err(); err != nil {
			return err
		}
		children := x.add(base)
		if len(children) == 0 {
			continue
		}
		data, err := x.data(base)
		if err != nil {
			return err
		}
		if err := x.resolve(ctx, base, data, children); err != nil {
			return err
		}
	}
	if x.done != count {
		return fmt.Errorf("%w: a delta without its base", packfile.ErrMalformedPackFile)
	}
	return nil
}

// add puts a named object into the index and returns the deltas on it.
func (x *indexer) add(p *packed) []*packed {
	x.done++
	x.idx.Add(p.hash, uint64(p.offset), p.crc)
	byHash := x.childrenOf[p.hash]
	delete(x.childrenOf, p.hash)
	return append(p.children, byHash...)
}

func (x *indexer) resolve(ctx context.Context, base *packed, data []byte, children []*packed) error {
	type level struct {
		data     []byte
		children []*packed
	}
	for stack := []level{{data, children}}; len(stack) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		top := &stack[len(stack)-1]
		if len(top.children) == 0 {
			stack = stack[:len(stack)-1]
			continue
		}
		child := top.children[0]
		top.children = top.children[1:]
		delta, err := x.data(child)
		if err != nil {
			return err
		}
		patched, err := patch(top.data, delta)
		if err != nil {
			return err
		}
		child.kind = base.kind
		child.hash = Hash(child.kind, patched)
		if grand := x.add(child); len(grand) > 0 {
			stack = append(stack, level{patched, grand})
		}
	}
	return nil
}

// data reads what the pack holds at p: an object, or the text of a delta.
func (x *indexer) data(p *packed) ([]byte, error) {
	if p.length > maxDeltaBytes {
		return nil, &TooLargeError{Size: p.length, Limit: maxDeltaBytes}
	}
	if _, err := x.scan.SeekObjectHeader(p.offset); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(int(p.length))
	_, _, err := x.scan.NextObject(&b)
	return b.Bytes(), err
}

var errDelta = errors.New("malformed delta")

// patch applies a delta, of a result that is not too large.
func patch(base, delta []byte) ([]byte, error) {
	_, n := binary.Uvarint(delta) // the base's size; PatchDelta checks it
	if n <= 0 {
		return nil, errDelta
	}
	size, m := binary.Uvarint(delta[n:])
	if m <= 0 {
		return nil, errDelta
	}
	if size > maxDeltaBytes {
		return nil, &TooLargeError{Size: int64(min(size, 1<<62)), Limit: maxDeltaBytes}
	}
	return packfile.PatchDelta(base, delta)
}
