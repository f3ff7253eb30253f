// Package keyservice asks a key service of SOPS for data keys: `sops
// keyservice`, which runs beside Plumbline and has the credentials of a cloud.
//
// In go a recipient and its encrypted data key, out comes the data key, or that
// the service does not open it, or that it is away. No credential passes here,
// and no message of the package holds what the service said or sent.
//
// The protocol is one unary call of gRPC without encryption, to which net/http
// speaks HTTP/2: four headers, a prefix of five bytes and a status. SOPS's own
// client links the SDKs of all clouds, and a library for gRPC would be linked
// for this call alone. The tests hold it against the real sops.
package keyservice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/plumbline-dev/plumbline/render/sops"
)

// Options of a Client.
type Options struct {
	Address Address
	Timeout time.Duration // of one call; 0 is 10 s
}

// Client asks one key service. Close ends its connection; the next call opens
// another.
type Client struct {
	opts Options
	http http.Client
}

// New makes a Client; it does not connect yet.
func New(o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &Client{opts: o, http: http.Client{Transport: &http.Transport{
		Protocols:          &protocols,
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, o.Address.network, o.Address.address)
		},
	}}}
}

// Close ends the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) String() string { return c.opts.Address.String() }

// The statuses of gRPC that tell something of the service and not of the key.
const (
	statusOK            = "0"
	statusDeadline      = "4"
	statusNotFound      = "5"
	statusUnimplemented = "12"
	statusUnavailable   = "14"
)

// Decrypt is the data key, or the share of one, of a recipient. The error is of
// sops.ErrRefused or of sops.ErrAway, or that of ctx. Whether a cloud was away or
// denied, a service does not tell: both are sops.ErrRefused.
func (c *Client) Decrypt(ctx context.Context, r sops.Recipient) ([]byte, error) {
	key, ok := encodeKey(r)
	if !ok {
		return nil, sops.ErrNoKey
	}
	answer, status, err := c.call(ctx, encodeRequest(key, r.Wrapped))
	if err != nil {
		return nil, err
	}
	switch status {
	case statusOK:
		out, err := decodeResponse(answer)
		if err != nil {
			return nil, c.away(err)
		}
		return out, nil
	case statusDeadline, statusUnavailable, statusUnimplemented, "":
		return nil, c.away(errAnswer)
	}
	return nil, fmt.Errorf("%w: see its log", sops.ErrRefused)
}

// Probe asks for a key of no kind, which SOPS's service refuses: an error says
// that what listens is away or something else.
func (c *Client) Probe(ctx context.Context) error {
	_, status, err := c.call(ctx, encodeRequest(nil, ""))
	if err == nil && status != statusNotFound {
		err = c.away(errAnswer)
	}
	return err
}

// call returns the answer, not yet decoded, and the status of gRPC.
func (c *Client) call(ctx context.Context, request []byte) (answer []byte, status string, err error) {
	within, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(within, http.MethodPost, "http://localhost/KeyService/Decrypt", bytes.NewReader(request))
	if err != nil {
		return nil, "", err
	}
	q.Header.Set("Content-Type", "application/grpc")
	q.Header.Set("Te", "trailers")
	p, err := c.http.Do(q)
	if err == nil {
		defer p.Body.Close()
		answer, err = io.ReadAll(io.LimitReader(p.Body, maxAnswer+1))
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, "", ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return nil, "", c.away(fmt.Errorf("no answer within %s", c.opts.Timeout))
	case err != nil:
		return nil, "", c.away(reason(err))
	case p.StatusCode != http.StatusOK || len(answer) > maxAnswer:
		return nil, "", c.away(errAnswer)
	}
	if status = p.Trailer.Get("Grpc-Status"); status == "" {
		status = p.Header.Get("Grpc-Status") // an answer without a body
	}
	return answer, status, nil
}

func (c *Client) away(why error) error {
	return fmt.Errorf("%w: %s: %w", sops.ErrAway, c.opts.Address, why)
}

// reason is why no connection was made, without the address of the request.
func reason(err error) error {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return dial.Err
	}
	return errors.New("the connection was cut, or what listens is no key service")
}
