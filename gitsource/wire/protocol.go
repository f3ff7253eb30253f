package wire

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"regexp"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
)

// advert is what a server says first.
type advert struct {
	refs Refs
	caps *capability.List
}

// readAdvert decodes the references that a server advertises.
func readAdvert(r io.Reader) (advert, error) {
	adv := packp.NewAdvRefs()
	var first beginning
	err := adv.Decode(io.TeeReader(io.LimitReader(r, maxAdvert), &first))
	var remote *pktline.ErrorLine
	switch {
	case errors.Is(err, packp.ErrEmptyAdvRefs):
		return advert{refs: Refs{}, caps: adv.Capabilities}, nil
	case errors.As(err, &remote):
		return advert{}, plumbline.Errorf(plumbline.KindDenied, "remote", "%s", oneLine(remote.Text))
	case errors.Is(err, packp.ErrEmptyInput):
		return advert{}, io.ErrUnexpectedEOF
	}
	if m := objectFormat.FindSubmatch(first.b); m != nil && string(m[1]) != "sha1" { // its hashes are no advertisement to the decoder
		return advert{}, plumbline.Errorf(plumbline.KindInvalid, "remote", "object format %s is not supported: use a repository with SHA-1", m[1])
	}
	if err != nil {
		return advert{}, decodeError(err)
	}
	return advert{refs: adv.References, caps: adv.Capabilities}, nil
}

// objectFormat is the capability that names the hash.
var objectFormat = regexp.MustCompile(`\x00[^\n]*\bobject-format=([a-z0-9]+)`)

// beginning keeps the first bytes that are written to it.
type beginning struct{ b []byte }

func (b *beginning) Write(p []byte) (int, error) {
	b.b = append(b.b, p[:min(len(p), 4096-len(b.b))]...)
	return len(p), nil
}

// decodeError keeps what a broken connection says and puts the rest, which
// quotes what was received, into words.
func decodeError(err error) error {
	var unexpected *packp.ErrUnexpectedData
	switch {
	case errors.As(err, &unexpected) && strings.HasSuffix(unexpected.Msg, "EOF"):
		return io.ErrUnexpectedEOF
	case errors.As(err, &unexpected), errors.Is(err, pktline.ErrInvalidPktLen):
		return &protocolError{"the answer is not Git's protocol: check that the URL is a repository's clone URL"}
	}
	return err
}

// encodeFetch is the whole request for a pack, without any further rounds: a
// server that knows one of the haves leaves out what it reaches.
func encodeFetch(req FetchRequest, caps *capability.List) ([]byte, error) {
	words := []string{"agent=" + agent}
	for _, c := range []capability.Capability{capability.Sideband64k, capability.OFSDelta, capability.NoProgress} {
		if caps.Supports(c) {
			words = append(words, c.String())
		}
	}
	var b bytes.Buffer
	e := pktline.NewEncoder(&b)
	if err := e.Encodef("want %s %s\n", req.Want, strings.Join(words, " ")); err != nil {
		return nil, err
	}
	if err := e.Flush(); err != nil {
		return nil, err
	}
	for _, h := range req.Haves {
		if err := e.Encodef("have %s\n", h); err != nil {
			return nil, err
		}
	}
	err := e.EncodeString("done\n")
	return b.Bytes(), err
}

// readPack copies the pack out of a server's answer.
func readPack(r io.Reader, caps *capability.List, w io.Writer) error {
	buf := bufio.NewReader(r)
	if err := skipAcks(buf); err != nil {
		return decodeError(err)
	}
	var pack io.Reader = buf
	if caps.Supports(capability.Sideband64k) {
		pack = sideband.NewDemuxer(sideband.Sideband64k, buf)
	}
	_, err := io.Copy(w, pack)
	return decodeError(err)
}

// skipAcks reads what comes before the pack: a NAK, or an ACK for one or more
// of the haves, which may be repeated.
func skipAcks(buf *bufio.Reader) error {
	lines := pktline.NewScanner(buf)
	for acked := false; ; {
		head, err := buf.Peek(len("0000ACK"))
		if err != nil && len(head) < len("0000") {
			return io.ErrUnexpectedEOF
		}
		word := string(head[4:])
		switch {
		case word == "ACK" || word == "NAK":
			acked = true
		case acked: // the pack, in a side band or bare
			return nil
		case word != "ERR":
			return &protocolError{"the answer is not Git's protocol"}
		}
		if !lines.Scan() {
			return cmp.Or(lines.Err(), io.ErrUnexpectedEOF)
		}
		if word == "ERR" {
			return plumbline.Errorf(plumbline.KindTransient, "remote", "%s", oneLine(string(lines.Bytes())))
		}
	}
}

// encodePush is the head of a push: everything before the pack.
func encodePush(u Update, caps *capability.List) ([]byte, error) {
	words := []string{"report-status", "agent=" + agent}
	if caps.Supports(capability.Sideband64k) {
		words = append(words, capability.Sideband64k.String())
	}
	var b bytes.Buffer
	e := pktline.NewEncoder(&b)
	if err := e.Encodef("%s %s %s\x00 %s", u.Old, u.New, u.Ref, strings.Join(words, " ")); err != nil {
		return nil, err
	}
	err := e.Flush()
	return b.Bytes(), err
}

// writePushPack writes the objects of an update as a pack.
func writePushPack(ctx context.Context, u Update, w io.Writer) error {
	return odb.WritePack(ctx, w, len(u.Objects), func(i int) (odb.Object, error) { return u.Objects[i], nil })
}

// readReport reads a server's answer to a push.
func readReport(r io.Reader, u Update, caps *capability.List) error {
	r = io.LimitReader(r, maxReply)
	said := &lastWords{}
	if caps.Supports(capability.Sideband64k) {
		d := sideband.NewDemuxer(sideband.Sideband64k, r)
		d.Progress = said
		r = d
	}
	report := packp.NewReportStatus()
	if err := report.Decode(r); err != nil {
		if said.text != "" {
			return &RejectedError{Ref: u.Ref, Reason: oneLine(said.text)}
		}
		return decodeError(err)
	}
	if report.UnpackStatus != "ok" {
		return &RejectedError{Ref: u.Ref, Reason: oneLine("unpack " + report.UnpackStatus)}
	}
	for _, c := range report.CommandStatuses {
		if c.ReferenceName == plumbing.ReferenceName(u.Ref) && c.Status != "ok" {
			reason := c.Status
			if said.text != "" {
				reason += ": " + said.text
			}
			return &RejectedError{Ref: u.Ref, Reason: oneLine(reason)}
		}
	}
	return nil
}

// lastWords keeps the beginning of what a server prints.
type lastWords struct{ text string }

func (l *lastWords) Write(p []byte) (int, error) {
	if len(l.text) < 1024 {
		l.text += string(p)
	}
	return len(p), nil
}
