package wire

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
)

const (
	opFetch = "fetch"
	opPush  = "push"
)

// RejectedError is a push that the repository answered and refused.
type RejectedError struct {
	Ref    string
	Reason string // the repository's own words, in one line
}

// Error names the reference and the reason.
func (e *RejectedError) Error() string { return fmt.Sprintf("%s rejected: %s", e.Ref, e.Reason) }

// protocolError says that what answers does not speak Git's protocol.
type protocolError struct{ what string }

func (e *protocolError) Error() string { return e.what }

// classify makes a *plumbline.Error of what a transport returned. One that has
// a Kind already is only given its URL.
func (r *Remote) classify(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	op += " " + r.URL()
	var known *plumbline.Error
	if errors.As(err, &known) && known.Kind != plumbline.KindUnset {
		return &plumbline.Error{Op: op, Kind: known.Kind, After: known.After, Err: err}
	}
	var (
		rejected  *RejectedError
		authority x509.UnknownAuthorityError
		tooLarge  *odb.TooLargeError
		network   net.Error
	)
	switch {
	case errors.As(err, &rejected):
		return &plumbline.Error{Op: op, Kind: plumbline.KindDenied, Err: err}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return plumbline.Errorf(plumbline.KindTransient, op, "no complete answer in time: %w", context.DeadlineExceeded)
	case ctx.Err() != nil:
		return plumbline.Errorf(plumbline.KindTransient, op, "%w", ctx.Err())
	case errors.As(err, &authority):
		return plumbline.Errorf(plumbline.KindDenied, op, "%w: set auth.caFile to the certificate of the authority", plain(err))
	case errors.Is(err, odb.ErrTooLarge) || errors.As(err, &tooLarge):
		return plumbline.Errorf(plumbline.KindInvalid, op, "the repository is over the limit of %d bytes a fetch: %w", r.max, err)
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return plumbline.Errorf(plumbline.KindTransient, op, "the connection ended early: %w", io.ErrUnexpectedEOF)
	case errors.As(err, &network):
		return plumbline.Errorf(plumbline.KindTransient, op, "%w", plain(err))
	}
	return plumbline.Errorf(plumbline.KindTransient, op, "%w", plain(err))
}

// plain drops net/http's repetition of method and URL, and keeps what a server
// said in one line.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return oneLiner{err}
}

type oneLiner struct{ error }

func (o oneLiner) Error() string { return oneLine(o.error.Error()) }
func (o oneLiner) Unwrap() error { return o.error }

// oneLine is remote text, fit for an error: printable, in one line, cut.
func oneLine(s string) string {
	const limit = 300
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return ' '
		}
		return r
	}, s))
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// fileError names the setting whose file is not to be read.
func fileError(setting, path string, err error) error {
	what := plain(err)
	var p *fs.PathError
	if errors.As(err, &p) {
		what = p.Err
	}
	return plumbline.Errorf(plumbline.KindDenied, "read "+setting, "%s: %w", path, what)
}
