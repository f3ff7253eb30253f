package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline-dev/plumbline"
)

const defaultUsername = "x-access-token"

// httpConn is a conversation over https: requests that share a connection.
type httpConn struct {
	client *http.Client
	base   *url.URL // without credentials; where a redirect has led
	header http.Header
	svc    Service
	advert advert
}

func (r *Remote) openHTTP(ctx context.Context, s Service) (*Session, error) {
	c, err := r.newHTTP(s)
	if err != nil {
		return nil, err
	}
	refs := c.base.JoinPath("info/refs")
	refs.RawQuery = url.Values{"service": {string(s)}}.Encode()
	res, err := c.do(ctx, http.MethodGet, refs, nil, "application/x-"+string(s)+"-advertisement")
	if err != nil {
		c.close()
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if c.advert, err = readAdvert(res.Body); err != nil {
		c.close()
		return nil, err
	}
	c.base = res.Request.URL.JoinPath("../..")
	c.base.RawQuery = ""
	return &Session{Refs: c.advert.refs, conn: c}, nil
}

func (r *Remote) newHTTP(s Service) (*httpConn, error) {
	header := http.Header{"User-Agent": {agent}}
	user, password, err := r.credentials()
	if err != nil {
		return nil, err
	}
	if user != "" || password.Reveal() != "" {
		req := &http.Request{Header: header}
		req.SetBasicAuth(user, password.Reveal())
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.auth.CAFile != "" {
		if config.RootCAs, err = readAuthorities(r.auth.CAFile); err != nil {
			return nil, err
		}
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 20 * time.Second}).DialContext,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   20 * time.Second,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   1,
	}
	return &httpConn{
		client: &http.Client{Transport: transport, CheckRedirect: checkRedirect},
		base:   &url.URL{Scheme: string(r.ep.scheme), Host: r.ep.host, Path: strings.TrimSuffix(r.ep.path, "/")},
		header: header,
		svc:    s,
	}, nil
}

// credentials are the token file's, or those of the URL.
func (r *Remote) credentials() (string, plumbline.SecretValue, error) {
	user, password := r.ep.user, r.ep.password
	if r.auth.Username != "" {
		user = r.auth.Username
	}
	if r.auth.TokenFile != "" {
		b, err := os.ReadFile(r.auth.TokenFile)
		if err != nil {
			return "", password, fileError("auth.tokenFile", r.auth.TokenFile, err)
		}
		token := strings.TrimSpace(string(b))
		if token == "" {
			return "", password, fileError("auth.tokenFile", r.auth.TokenFile, errors.New("the file is empty"))
		}
		password = plumbline.NewSecretValue(token)
	}
	if user == "" && password.Reveal() != "" {
		user = defaultUsername
	}
	return user, password, nil
}

func readAuthorities(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fileError("auth.caFile", path, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fileError("auth.caFile", path, errors.New("no certificate in PEM form"))
	}
	return pool, nil
}

// redirectError is a redirect that is not followed.
type redirectError struct{ to string }

func (e *redirectError) Error() string {
	return fmt.Sprintf("the server redirects to %s, which is not followed: if that is right, make it the URL", e.to)
}

// checkRedirect follows the first request to another path of the same host,
// and from http to https; so neither credentials nor the request itself reach
// another host.
func checkRedirect(req *http.Request, via []*http.Request) error {
	from := via[len(via)-1]
	same := req.URL.Host == from.URL.Host &&
		(req.URL.Scheme == from.URL.Scheme || req.URL.Scheme == "https")
	if len(via) > 5 || !same || req.Method != http.MethodGet || !strings.HasSuffix(req.URL.Path, "/info/refs") {
		return &redirectError{to: req.URL.Scheme + "://" + req.URL.Host + req.URL.Path}
	}
	return nil
}

func (c *httpConn) fetch(ctx context.Context, req FetchRequest, w io.Writer) error {
	body, err := encodeFetch(req, c.advert.caps)
	if err != nil {
		return err
	}
	res, err := c.post(ctx, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	return readPack(res.Body, c.advert.caps, w)
}

func (c *httpConn) push(ctx context.Context, u Update) error {
	head, err := encodePush(u, c.advert.caps)
	if err != nil {
		return err
	}
	body := bytes.NewBuffer(head)
	if err := writePushPack(ctx, u, body); err != nil {
		return err
	}
	res, err := c.post(ctx, bytes.NewReader(body.Bytes()))
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	return readReport(res.Body, u, c.advert.caps)
}

func (c *httpConn) post(ctx context.Context, body *bytes.Reader) (*http.Response, error) {
	return c.do(ctx, http.MethodPost, c.base.JoinPath(string(c.svc)), body, "application/x-"+string(c.svc)+"-result")
}

func (c *httpConn) close() { c.client.CloseIdleConnections() }

// do sends a request and checks that Git answers it.
func (c *httpConn) do(ctx context.Context, method string, u *url.URL, body *bytes.Reader, want string) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		r = body
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), r)
	if err != nil {
		return nil, err
	}
	req.Header = c.header.Clone()
	req.Header.Set("Accept", want)
	if body != nil {
		req.Header.Set("Content-Type", "application/x-"+string(c.svc)+"-request")
	}
	res, err := c.client.Do(req)
	if err != nil {
		var redirect *redirectError
		if errors.As(err, &redirect) {
			return nil, plumbline.Errorf(plumbline.KindDenied, "redirect", "%w", redirect)
		}
		return nil, err
	}
	if err := c.check(res, want); err != nil {
		_ = res.Body.Close()
		return nil, err
	}
	return res, nil
}

// check turns every answer but Git's into an error that says what to do.
func (c *httpConn) check(res *http.Response, want string) error {
	deny := func(format string, args ...any) error {
		return plumbline.Errorf(plumbline.KindDenied, fmt.Sprintf("HTTP %d", res.StatusCode), format, args...)
	}
	right := "read the repository"
	if c.svc == ReceivePack {
		right = "write to the repository"
	}
	sent := c.header.Get("Authorization") != ""
	switch code := res.StatusCode; {
	case code == http.StatusOK:
		if got, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || got != want {
			return &protocolError{fmt.Sprintf("the answer is %q, not Git's protocol: check that the URL is a repository's clone URL, and not a web page's or a login's", oneLine(got))}
		}
		return nil
	case code == http.StatusUnauthorized && !sent:
		return deny("the server asks for credentials: set auth.tokenFile")
	case code == http.StatusUnauthorized:
		return deny("the server refuses the credentials: check that the token in auth.tokenFile is valid and may %s", right)
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= http.StatusInternalServerError,
		code == http.StatusForbidden && pause(res) > 0: // how some forges say that it is too much
		e := plumbline.Errorf(plumbline.KindTransient, fmt.Sprintf("HTTP %d", code), "%s", http.StatusText(code))
		e.After = pause(res)
		return e
	case code == http.StatusForbidden:
		return deny("the credentials may not %s: grant that right to the token", right)
	case code == http.StatusNotFound || code == http.StatusGone:
		return deny("no such repository, or the credentials may not see it: check the URL and the token's rights")
	}
	return deny("the server answers %q", http.StatusText(res.StatusCode))
}

// maxPause bounds what a server may ask for.
const maxPause = time.Hour

// pause is what Retry-After asks for: seconds, or a time, by the server's clock.
func pause(res *http.Response) time.Duration {
	asked := res.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(asked); err == nil {
		return time.Duration(max(0, min(seconds, int(maxPause/time.Second)))) * time.Second
	}
	at, err := http.ParseTime(asked)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), maxPause))
}
