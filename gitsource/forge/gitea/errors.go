package gitea

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/forge"
)

// What the token and its user need, as Gitea names it.
const (
	rightRead  = "read the repository (scope read:repository)"
	rightWrite = "write commit statuses (scope write:repository, and write access to the repository's code for the user)"
)

// maxAfter is the longest pause that a forge may ask for.
const maxAfter = time.Hour

// check turns what the SDK returned into an error that says what to do. What
// the forge says itself is quoted in one line, without the token.
func (c *call) check(res *sdk.Response, err error, right string) error {
	if err == nil {
		return nil
	}
	if res == nil || res.Response == nil {
		return c.noAnswer(err)
	}
	op := fmt.Sprintf("HTTP %d", res.StatusCode)
	fail := func(kind plumbline.Kind, format string, args ...any) *plumbline.Error {
		return plumbline.Errorf(kind, op, format, args...)
	}
	switch code := res.StatusCode; {
	case errors.Is(err, errTooLarge):
		return fail(plumbline.KindTransient, "%w: check that forge.url is the forge's address", errTooLarge)
	case code/100 == 2 && !isJSON(res), code/100 == 2 && isSyntax(err):
		return fail(plumbline.KindTransient, "the answer is %q and not of Gitea's API: check that forge.url is the forge's address", res.Header.Get("Content-Type"))
	case code/100 == 2:
		return c.noAnswer(err)
	case pause(res, c.r.o.Now()) > 0 && (code == http.StatusTooManyRequests || code == http.StatusForbidden || code >= 500), code == http.StatusTooManyRequests:
		e := fail(plumbline.KindTransient, "the forge asks to wait%s", c.said(res, err))
		e.After = pause(res, c.r.o.Now())
		return e
	case code == http.StatusUnauthorized:
		return fail(plumbline.KindDenied, "the forge refuses the token in forge.tokenFile: it is wrong, revoked or expired%s", c.said(res, err))
	case code == http.StatusForbidden:
		return fail(plumbline.KindDenied, "the token in forge.tokenFile may not %s%s", right, c.said(res, err))
	case code == http.StatusNotFound:
		return c.missing(op)
	case code >= 500 || code == http.StatusRequestTimeout:
		return fail(plumbline.KindTransient, "%s%s", http.StatusText(code), c.said(res, err))
	case isJSON(res) && (code == http.StatusBadRequest || code == http.StatusUnprocessableEntity || code == http.StatusRequestEntityTooLarge):
		return fail(plumbline.KindInvalid, "the forge does not take it%s", c.said(res, err))
	}
	return fail(plumbline.KindDenied, "%s%s: check forge.url, and that the repository is not archived", http.StatusText(res.StatusCode), c.said(res, err))
}

// missing tells a commit that is not there from a repository that is not: the
// forge says 404 to both.
func (c *call) missing(op string) error {
	_, res, err := c.sdk.GetRepo(c.r.owner, c.r.name)
	switch {
	case err == nil:
		return plumbline.Errorf(plumbline.KindTransient, op, "%w", forge.ErrUnknownSHA)
	case res != nil && res.Response != nil && res.StatusCode == http.StatusNotFound:
		return plumbline.Errorf(plumbline.KindDenied, op, "no repository %s, or the token in forge.tokenFile may not %s: check forge.repository, and give the token's user access", c.r.o.Repository, rightRead)
	}
	return c.check(res, err, rightRead)
}

// noAnswer classifies what came instead of an answer.
func (c *call) noAnswer(err error) error {
	var (
		redirect  *redirectError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(c.ctx.Err(), context.DeadlineExceeded):
		return plumbline.Errorf(plumbline.KindTransient, "", "%s: no answer in time: %w", c.r.o.URL, context.DeadlineExceeded)
	case c.ctx.Err() != nil:
		return plumbline.Errorf(plumbline.KindTransient, "", "%s: %w", c.r.o.URL, c.ctx.Err())
	case errors.As(err, &redirect):
		return plumbline.Errorf(plumbline.KindDenied, "", "%s: %w", c.r.o.URL, redirect)
	case errors.As(err, &authority):
		return plumbline.Errorf(plumbline.KindDenied, "", "%s: %w: set forge.caFile to the certificate of the authority", c.r.o.URL, authority)
	case errors.As(err, &hostname):
		return plumbline.Errorf(plumbline.KindDenied, "", "%s: %w", c.r.o.URL, hostname)
	}
	var u *url.Error
	if errors.As(err, &u) { // it repeats method and address
		err = u.Err
	}
	return plumbline.Errorf(plumbline.KindTransient, "", "%s: %s", c.r.o.URL, c.quote(err.Error()))
}

// said is the forge's own message, if it is one of its API.
func (c *call) said(res *sdk.Response, err error) string {
	if !isJSON(res) || strings.HasPrefix(err.Error(), "unknown API error: ") { // how the SDK quotes a page
		return ""
	}
	if text := c.quote(err.Error()); text != "" {
		return ": " + text
	}
	return ""
}

// quote is remote text, fit for an error: one line, cut, without the token.
func (c *call) quote(text string) string {
	const limit = 300
	text = strings.ReplaceAll(text, c.token.Reveal(), "[redacted]")
	return forge.Describe(text, limit)
}

// pause is what Retry-After asks for: seconds, or a date.
func pause(res *sdk.Response, now time.Time) time.Duration {
	header := res.Header.Get("Retry-After")
	d := time.Duration(0)
	if seconds, err := strconv.Atoi(header); err == nil {
		d = time.Duration(min(seconds, int(maxAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		d = at.Sub(now)
	}
	return max(0, min(d, maxAfter))
}

func isJSON(res *sdk.Response) bool {
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

func isSyntax(err error) bool {
	return errors.As(err, new(*json.SyntaxError)) || errors.As(err, new(*json.UnmarshalTypeError))
}
