// Package faultproxy stands on loopback between a client and a PostgreSQL server on TCP or a Unix
// socket. It breaks the connection at a chosen message, so that tests can check what the client
// concludes.
package faultproxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/internal/dsn"
)

// Message is the type byte of a message in PostgreSQL's protocol.
type Message byte

// The messages at which tests cut a connection.
const (
	CommandComplete Message = 'C'
	ReadyForQuery   Message = 'Z'
	Query           Message = 'Q'
	Execute         Message = 'E'
	Sync            Message = 'S'
	CopyData        Message = 'd'
	CopyDone        Message = 'c'
)

// Proxy forwards connections until a test breaks them.
type Proxy struct {
	listener net.Listener
	network  string
	address  string
	database string
	user     *url.Userinfo // with the password, which the server asks for through the proxy too

	mu         sync.Mutex
	cutClient  Message // the client's message to cut at
	cutServer  Message // the server's message to cut at
	stalled    bool    // for every connection
	stalledNew bool    // for new connections
	heldNew    bool    // for new connections
	hungUp     int     // held connections that their client has closed
	conns      map[net.Conn]bool
	closed     bool
	running    sync.WaitGroup
}

// New returns a proxy in front of the server of a database URL, closed when the test ends.
func New(tb testing.TB, databaseURL string) *Proxy {
	tb.Helper()
	config, err := dsn.Parse(databaseURL, pgx.ParseConfig)
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{listener: listener, database: config.Database, user: url.User(config.User), conns: map[net.Conn]bool{}}
	if config.Password != "" {
		p.user = url.UserPassword(config.User, config.Password)
	}
	p.network, p.address = pgconn.NetworkAddress(config.Host, config.Port)
	p.running.Go(p.accept)
	tb.Cleanup(p.Close)
	return p
}

// URL opens the same database through the proxy. It contains the password, so do not print it.
func (p *Proxy) URL() string {
	u := url.URL{Scheme: "postgres", User: p.user, Host: p.listener.Addr().String(), Path: "/" + p.database, RawQuery: "sslmode=disable"}
	return u.String()
}

// CutAtClient breaks the next connection on which the client sends the message, once. The message does
// not reach the server.
func (p *Proxy) CutAtClient(m Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutClient = m
}

// CutAtServer breaks the next connection on which the server sends the message, once. The message does
// not reach the client.
func (p *Proxy) CutAtServer(m Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutServer = m
}

// Stall makes the proxy accept and never answer, on old and new connections, until Resume or the end of
// the test.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled, p.stalledNew = true, true
}

// Resume ends Stall and every cut that has not happened, for new connections. A connection that was
// stalled stays silent until the client closes it.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled, p.stalledNew = false, false
	p.cutClient, p.cutServer = 0, 0
}

// StallNewConnections stalls new connections only.
func (p *Proxy) StallNewConnections() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalledNew = true
}

// HoldNewConnections forwards only the first message of new connections. A cancel request arrives, and
// its connection does not end.
func (p *Proxy) HoldNewConnections() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heldNew = true
}

// HungUp counts the held connections that their client closed.
func (p *Proxy) HungUp() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hungUp
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		if !p.track(client) {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.untrack(client)
	if p.is(&p.stalledNew) {
		_, _ = io.Copy(io.Discard, client)
		return
	}
	server, err := net.Dial(p.network, p.address)
	if err != nil || !p.track(server) {
		return
	}
	defer p.untrack(server)
	if p.is(&p.heldNew) {
		_ = passStartup(client, server) // it fails if the client has given up
		_, _ = io.Copy(io.Discard, client)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hungUp++
		return
	}

	var pumps sync.WaitGroup
	pumps.Go(func() {
		defer closeBoth(client, server)
		// The startup message has no type byte. The messages after it have one.
		if err := passStartup(client, server); err == nil {
			p.pump(client, server, &p.cutClient)
		}
	})
	pumps.Go(func() {
		defer closeBoth(client, server)
		p.pump(server, client, &p.cutServer)
	})
	pumps.Wait()
}

// pump forwards typed messages until an end closes the connection or a cut breaks it.
func (p *Proxy) pump(from, to net.Conn, cut *Message) {
	reader := bufio.NewReader(from)
	for {
		message, err := readMessage(reader)
		if err != nil {
			return
		}
		if p.is(&p.stalled) {
			_, _ = io.Copy(io.Discard, reader)
			return
		}
		if p.takeCut(cut, Message(message[0])) {
			return
		}
		if _, err := to.Write(message); err != nil {
			return
		}
	}
}

func (p *Proxy) takeCut(cut *Message, m Message) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if *cut != m {
		return false
	}
	*cut = 0
	return true
}

func (p *Proxy) is(state *bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *state
}

func passStartup(from io.Reader, to io.Writer) error {
	length := make([]byte, 4)
	if _, err := io.ReadFull(from, length); err != nil {
		return err
	}
	body := make([]byte, binary.BigEndian.Uint32(length)-4)
	if _, err := io.ReadFull(from, body); err != nil {
		return err
	}
	_, err := to.Write(append(length, body...))
	return err
}

func readMessage(from io.Reader) ([]byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length < 4 {
		return nil, errors.New("message is too short")
	}
	message := append(head, make([]byte, length-4)...)
	_, err := io.ReadFull(from, message[5:])
	return message, err
}

func (p *Proxy) track(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *Proxy) untrack(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	_ = conn.Close()
}

// Close breaks every connection. The end of the test closes a proxy too.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for conn := range p.conns {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

func closeBoth(a, b net.Conn) {
	_ = a.Close()
	_ = b.Close()
}
