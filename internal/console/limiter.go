package console

import (
	"net/netip"
	"sync"
	"time"
)

// limiter bounds how many requests each client makes: a bucket of tokens for each one, filled
// at a steady rate.
//
// golang.org/x/time/rate has such a bucket. It would be one more line in the go.mod of every
// service that imports the library, for twenty lines that only the console runs.
type limiter struct {
	rate, burst float64

	mu      sync.Mutex
	buckets map[string]bucket
	swept   time.Time
}

type bucket struct {
	tokens float64
	at     time.Time
}

// maxClients bounds the memory of the limiter. Beyond it the clients that are not known yet
// share one bucket.
const maxClients = 10_000

func newLimiter(rate, burst float64) *limiter {
	return &limiter{rate: rate, burst: burst, buckets: make(map[string]bucket)}
}

// allow takes a token of a client. If there is none, it says how long to wait for one.
func (l *limiter) allow(client string, now time.Time) (ok bool, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	b, known := l.buckets[client]
	if !known {
		if len(l.buckets) >= maxClients {
			client = ""
			b, known = l.buckets[client]
		}
		if !known {
			b = bucket{tokens: l.burst, at: now}
		}
	}
	b.tokens = min(l.burst, b.tokens+l.rate*max(0, now.Sub(b.at).Seconds()))
	b.at = now
	if ok = b.tokens >= 1; ok {
		b.tokens--
	} else {
		wait = time.Duration((1 - b.tokens) / l.rate * float64(time.Second))
	}
	l.buckets[client] = b
	return ok, wait
}

// sweep forgets the clients whose buckets are full again.
func (l *limiter) sweep(now time.Time) {
	full := time.Duration(l.burst / l.rate * float64(time.Second))
	if now.Sub(l.swept) < full {
		return
	}
	l.swept = now
	for client, b := range l.buckets {
		if now.Sub(b.at) > full {
			delete(l.buckets, client)
		}
	}
}

// clientKey is one client of the limiter: an IPv4 address, or the network of an IPv6 address,
// since its owner has 2^64 of them.
func clientKey(addr netip.Addr) string {
	addr = addr.Unmap()
	if !addr.Is6() {
		return addr.String()
	}
	network, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return addr.String()
	}
	return network.String()
}
