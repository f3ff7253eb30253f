package reconciler_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain finds goroutines that outlive a Run. What client-go keeps of a
// connection ends with the connection, not with the client.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*clientConnReadLoop).run"),
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*ClientConn).readLoop"),
	)
}
