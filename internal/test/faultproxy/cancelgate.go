package faultproxy

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// CancelGate stands in front of a server and decides the fate of cancel requests, as the network or
// a pooler does.
type CancelGate struct {
	listener net.Listener
	server   *pgconn.Config

	// cancel is called for each request with its connection and its bytes. The connection is
	// closed when it returns.
	cancel func(client net.Conn, request []byte)

	// Spoil is how many of the next rollbacks to a savepoint fail as if a late cancel request
	// had hit them: the server has done nothing. Spoiled counts those that have failed.
	Spoil, Spoiled atomic.Int32
}

const cancelRequestCode = 80877102

// NewCancelGate returns a gate in front of the server of a database URL, closed when the test ends.
func NewCancelGate(tb testing.TB, databaseURL string, cancel func(client net.Conn, request []byte)) *CancelGate {
	tb.Helper()
	config, err := pgconn.ParseConfig(databaseURL)
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	g := &CancelGate{listener: listener, server: config, cancel: cancel}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { g.serve(client) })
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
	})
	return g
}

// URL is the URL of the database through the gate.
func (g *CancelGate) URL() string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(g.server.User, g.server.Password), Host: g.listener.Addr().String(), Path: "/" + g.server.Database, RawQuery: "sslmode=disable"}
	return u.String()
}

func (g *CancelGate) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	startup := make([]byte, 8)
	if _, err := io.ReadFull(client, startup); err != nil {
		return
	}
	rest := make([]byte, binary.BigEndian.Uint32(startup)-8)
	if _, err := io.ReadFull(client, rest); err != nil {
		return
	}
	startup = append(startup, rest...)
	if binary.BigEndian.Uint32(startup[4:]) == cancelRequestCode {
		g.cancel(client, startup)
		return
	}
	server, err := g.Dial()
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if _, err := server.Write(startup); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	g.pass(client, server)
	_ = server.Close()
	both.Wait()
}

// Dial connects to the server without the gate.
func (g *CancelGate) Dial() (net.Conn, error) {
	return net.Dial(pgconn.NetworkAddress(g.server.Host, g.server.Port))
}

// pass forwards the client's messages until either side ends.
func (g *CancelGate) pass(client, server net.Conn) {
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		if head[0] == 'Q' && strings.HasPrefix(string(body), "ROLLBACK TO SAVEPOINT") && g.Spoil.Add(-1) >= 0 {
			answer, _ := (&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "57014", Message: "canceling statement due to user request"}).Encode(nil)
			answer, _ = (&pgproto3.ReadyForQuery{TxStatus: 'E'}).Encode(answer)
			if _, err := client.Write(answer); err != nil {
				return
			}
			g.Spoiled.Add(1)
			continue
		}
		if _, err := server.Write(append(head, body...)); err != nil {
			return
		}
	}
}
