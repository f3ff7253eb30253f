package keyservice_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/keyservice"
	"github.com/plumbline-dev/plumbline/render/sops"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hidden is in all that a service says, and in no message of ours: it could be a
// data key, or what a cloud says of an account.
const hidden = "hunter2"

// message is a DecryptResponse of the key hidden, with the prefix of gRPC.
func message() []byte {
	body := append([]byte{0x0a, byte(len(hidden))}, hidden...)
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...) //nolint:gosec // of a test
}

// says answers a call with a message and a status of gRPC.
func says(answer []byte, status string) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		_, _ = w.Write(answer)
		w.Header().Set("Grpc-Status", status)
		w.Header().Set("Grpc-Message", hidden)
	}
}

// statusOnly answers without a body, as gRPC does with errors: the status is in
// the only headers.
func statusOnly(status string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", status)
		w.Header().Set("Grpc-Message", hidden)
	}
}

// stalls says the first n bytes of an answer and nothing more, until the client
// gives up, which it tells by gone.
func stalls(n int, gone chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(message()[:n])
		_ = http.NewResponseController(w).Flush()
		<-q.Context().Done()
		gone <- struct{}{}
	}
}

// serve is a service on the loopback interface, with HTTP/2 as gRPC speaks it,
// and as well HTTP/1.
func serve(t *testing.T, h http.Handler) keyservice.Address {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP1(true)
	s := &http.Server{Handler: h, Protocols: &protocols, ReadHeaderTimeout: time.Minute}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l) // closed
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-ended
	})
	return address(t, l)
}

func address(t *testing.T, l net.Listener) keyservice.Address {
	t.Helper()
	a, err := keyservice.ParseAddress("tcp://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func client(t *testing.T, o keyservice.Options) *keyservice.Client {
	t.Helper()
	c := keyservice.New(o)
	t.Cleanup(c.Close)
	return c
}

var vault = sops.Recipient{Kind: sops.KindVault, Name: "https://vault.example.com", Engine: "transit", KeyName: "k", Wrapped: "wrapped"}

// TestDecrypt: a key, no key, or nobody there; which of them, and nothing of what
// the service said.
func TestDecrypt(t *testing.T) {
	t.Parallel()
	const away, refused = "the key service does not answer: tcp://127.0.0.1:", "the key service does not open it: see its log"
	none := "an answer that is none of SOPS's protocol"
	for name, c := range map[string]struct {
		service http.HandlerFunc
		is      error
		want    []string
	}{
		"a key":                       {says(message(), "0"), nil, nil},
		"refused":                     {says(nil, "2"), sops.ErrRefused, []string{refused}},
		"refused, without a body":     {statusOnly("7"), sops.ErrRefused, []string{refused}},
		"a key beside a refusal":      {says(message(), "7"), sops.ErrRefused, []string{refused}},
		"its cloud is away":           {statusOnly("14"), sops.ErrAway, []string{away, none}},
		"its cloud took too long":     {statusOnly("4"), sops.ErrAway, []string{away, none}},
		"another service of gRPC":     {statusOnly("12"), sops.ErrAway, []string{away, none}},
		"a key without a status":      {says(message(), ""), sops.ErrAway, []string{away, none}},
		"no key":                      {says(nil, "0"), sops.ErrAway, []string{away, none}},
		"a cut key":                   {says(message()[:9], "0"), sops.ErrAway, []string{away, none}},
		"more than any key has":       {says([]byte(strings.Repeat(hidden, 1<<10)), "0"), sops.ErrAway, []string{away, none}},
		"a page":                      {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, hidden) }, sops.ErrAway, []string{away, none}},
		"an error page":               {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, hidden, http.StatusBadGateway) }, sops.ErrAway, []string{away, none}},
		"cut in the middle of a call": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, sops.ErrAway, []string{away, "the connection was cut"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := client(t, keyservice.Options{Address: serve(t, c.service)})
			key, err := k.Decrypt(t.Context(), vault)
			if c.is == nil && (string(key) != hidden || err != nil) {
				t.Errorf("%q, %v", key, err)
			}
			if c.is != nil {
				wantError(t, key, err, c.is, c.want...)
			}
		})
	}
}

func wantError(t *testing.T, key []byte, err, is error, parts ...string) {
	t.Helper()
	if key != nil || !errors.Is(err, is) {
		t.Fatalf("%q, %v, want %v", key, err, is)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q, want %q in it", err, p)
		}
	}
	if strings.Contains(err.Error(), hidden) {
		t.Errorf("%q quotes the service", err)
	}
}

// TestSilence: whoever takes the call and says nothing, or half an answer, is away
// after the timeout, is told so, and is asked anew the next time. On a busy machine
// a call may not even arrive in time: that is silence, too, and it is made again.
func TestSilence(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"a head alone": 0, "half a prefix": 3, "half a key": 9, "a whole key, and no status": len(message())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const calls = 60
			gone := make(chan struct{}, calls)
			var answers atomic.Bool
			at := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if answers.Load() {
					says(message(), "0")(w, q)
				} else {
					stalls(n, gone)(w, q)
				}
			}))
			k := client(t, keyservice.Options{Address: at, Timeout: time.Second})
			for arrived := false; !arrived; {
				key, err := k.Decrypt(t.Context(), vault)
				wantError(t, key, err, sops.ErrAway, "no answer within 1s")
				select {
				case <-gone: // the call was given up, not left behind
					arrived = true
				case <-time.After(time.Second): // it did not come as far as that
				}
			}
			answers.Store(true)
			for call := 1; ; call++ {
				key, err := k.Decrypt(t.Context(), vault)
				if errors.Is(err, sops.ErrAway) && call < calls {
					continue
				}
				if string(key) != hidden || err != nil {
					t.Errorf("asked again: %q, %v", key, err)
				}
				return
			}
		})
	}
}

// TestCancelled: the end of the context ends a call, also one that has begun to be
// answered, and is no outage.
func TestCancelled(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 1)
	begun, begin := context.WithCancel(t.Context())
	stall := stalls(9, gone)
	k := client(t, keyservice.Options{Timeout: time.Hour, Address: serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		begin()
		stall(w, q)
	}))})
	key, err := k.Decrypt(begun, vault)
	wantError(t, key, err, context.Canceled)
	if errors.Is(err, sops.ErrAway) || errors.Is(err, sops.ErrRefused) {
		t.Errorf("%v is told of the service", err)
	}
	<-gone
	if err := k.Probe(begun); !errors.Is(err, context.Canceled) {
		t.Errorf("probed: %v", err)
	}
}

// TestNobodyListens, or something that does not speak HTTP/2.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" + hidden))
			_ = conn.Close()
		}
	}()
	at := address(t, l)
	k := client(t, keyservice.Options{Address: at})
	key, err := k.Decrypt(t.Context(), vault)
	wantError(t, key, err, sops.ErrAway, at.String(), "the connection was cut, or what listens is no key service")
	_ = l.Close()
	<-ended
	key, err = k.Decrypt(t.Context(), vault)
	wantError(t, key, err, sops.ErrAway, at.String(), "connection refused")
}

// TestProbe: a key service is told from all else by how it refuses a key of no
// kind.
func TestProbe(t *testing.T) {
	t.Parallel()
	for status, well := range map[string]bool{"5": true, "0": false, "12": false, "14": false} {
		err := client(t, keyservice.Options{Address: serve(t, statusOnly(status))}).Probe(t.Context())
		if well != (err == nil) || !well && !errors.Is(err, sops.ErrAway) {
			t.Errorf("status %s: %v", status, err)
		}
	}
}
