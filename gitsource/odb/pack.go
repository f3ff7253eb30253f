package odb

import (
	"bufio"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
)

// WritePack writes a pack of n objects, each whole: no deltas. next is called n
// times.
func WritePack(ctx context.Context, w io.Writer, n int, next func(i int) (Object, error)) error {
	sum := sha1.New()
	buf := bufio.NewWriterSize(w, 64<<10)
	out := io.MultiWriter(buf, sum)
	head := binary.BigEndian.AppendUint32([]byte("PACK"), 2)
	if _, err := out.Write(binary.BigEndian.AppendUint32(head, uint32(n))); err != nil {
		return err
	}
	z, err := zlib.NewWriterLevel(out, zlib.BestSpeed)
	if err != nil {
		return err
	}
	for i := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		o, err := next(i)
		if err != nil {
			return err
		}
		if err := writeEntry(out, z, o); err != nil {
			return err
		}
	}
	if _, err := buf.Write(sum.Sum(nil)); err != nil {
		return err
	}
	return buf.Flush()
}

func writeEntry(out io.Writer, z *zlib.Writer, o Object) error {
	if _, err := out.Write(entryHead(o.Type, len(o.Data))); err != nil {
		return err
	}
	z.Reset(out)
	if _, err := z.Write(o.Data); err != nil {
		return err
	}
	return z.Close()
}

// entryHead is a pack entry's type and size: four bits of the size beside the
// type, then seven a byte.
func entryHead(t plumbing.ObjectType, size int) []byte {
	b := byte(t)<<4 | byte(size&15)
	var head []byte
	for size >>= 4; size > 0; size >>= 7 {
		head = append(head, b|0x80)
		b = byte(size & 0x7f)
	}
	return append(head, b)
}
