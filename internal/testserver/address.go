package testserver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A program that is told its port cannot be given one that the system picks: between the question and
// its start that port is anybody's, and the system soon gives it to the next who asks. So these are
// below those that the system picks from (32768 and up on Linux), and each is given out once.
const (
	firstPort = 10_000
	ports     = 20_000
)

// given counts the ports of this process, from a place of its own: test processes run side by side.
var given = sync.OnceValue(func() *atomic.Uint32 {
	n := new(atomic.Uint32)
	n.Store(rand.Uint32N(ports)) //nolint:gosec // a place to begin at, and no secret
	return n
})

// FreeAddress is an address of this machine on which nobody listens, host and port, for a program
// that must be told one.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	var err error
	for range 100 {
		var l net.Listener
		l, err = new(net.ListenConfig).Listen(tb.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", firstPort+given().Add(1)%ports))
		if err != nil {
			continue
		}
		address := l.Addr().String()
		if err = l.Close(); err == nil {
			return address
		}
	}
	tb.Fatal(err)
	return ""
}
