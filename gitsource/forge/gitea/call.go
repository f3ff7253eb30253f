package gitea

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/plumbline-dev/plumbline"
)

// maxBody is the largest answer that is read: a page of statuses has 100 kB.
const maxBody = 4 << 20

// call is what one call of a method shares: a connection, and the credentials
// as they were at its beginning.
type call struct {
	r     *Reporter
	ctx   context.Context //nolint:containedctx // of the call: the SDK wants it when a client is made
	sdk   *sdk.Client
	token plumbline.SecretValue
}

// do makes a call, and gives its error an operation and a kind.
func (r *Reporter) do(ctx context.Context, op string, f func(*call) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	err := r.dial(ctx, f)
	if err != nil {
		return &plumbline.Error{Op: op, Err: err}
	}
	return nil
}

func (r *Reporter) dial(ctx context.Context, f func(*call) error) error {
	token, err := readToken(r.o.TokenFile)
	if err != nil {
		return err
	}
	transport, err := r.transport()
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	client, err := sdk.NewClient(
		r.o.URL,
		sdk.SetGiteaVersion(""), // asks the server for its version otherwise
		sdk.SetContext(ctx),
		sdk.SetToken(token.Reveal()),
		sdk.SetUserAgent(r.o.UserAgent),
		sdk.SetHTTPClient(&http.Client{Transport: capped{transport}, CheckRedirect: refuseRedirect}),
	)
	if err != nil {
		return plumbline.Errorf(plumbline.KindInternal, "make client", "%w", err)
	}
	return f(&call{r: r, ctx: ctx, sdk: client, token: token})
}

func (r *Reporter) transport() (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.o.CAFile != "" {
		pem, err := os.ReadFile(r.o.CAFile)
		if err != nil {
			return nil, fileError("forge.caFile", r.o.CAFile, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fileError("forge.caFile", r.o.CAFile, errors.New("no certificate in PEM form"))
		}
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 20 * time.Second}).DialContext,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: 20 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 1,
	}, nil
}

func readToken(path string) (plumbline.SecretValue, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return plumbline.SecretValue{}, fileError("forge.tokenFile", path, err)
	}
	token := strings.TrimSpace(string(b))
	switch {
	case token == "":
		return plumbline.SecretValue{}, fileError("forge.tokenFile", path, errors.New("the file is empty"))
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return plumbline.SecretValue{}, fileError("forge.tokenFile", path, errors.New("more than one word: a token alone is wanted"))
	}
	return plumbline.NewSecretValue(token), nil
}

// fileError names the setting whose file is not to be read.
func fileError(setting, path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return plumbline.Errorf(plumbline.KindDenied, "read "+setting, "%s: %w", path, err)
}

// redirectError is a redirect, none of which is followed.
type redirectError struct{ to string }

func (e *redirectError) Error() string {
	return "the server redirects to " + e.to + ", which is not followed: if that is right, make it forge.url"
}

func refuseRedirect(req *http.Request, _ []*http.Request) error {
	return &redirectError{to: req.URL.Scheme + "://" + req.URL.Host}
}

// capped cuts answers off.
type capped struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (c capped) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := c.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body = &cappedBody{ReadCloser: res.Body, left: maxBody}
	return res, nil
}

var errTooLarge = errors.New("the answer is larger than any of Gitea's API")

type cappedBody struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
