package auditmigrate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const password = "s3cret"

// listen calls serve for each connection until the test ends.
func listen(t *testing.T, address string, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer func() { _ = conn.Close() }(); serve(conn) }()
		}
	}()
	return listener.Addr().String()
}

// refuser answers a start-up message with an error, after it has requested the
// password.
func refuser(code, message string) func(net.Conn) {
	return func(conn net.Conn) {
		backend := pgproto3.NewBackend(conn, conn)
		if _, err := backend.ReceiveStartupMessage(); err != nil {
			return
		}
		backend.Send(&pgproto3.AuthenticationCleartextPassword{})
		_ = backend.Flush()
		_ = backend.SetAuthType(pgproto3.AuthTypeCleartextPassword)
		if _, err := backend.Receive(); err != nil {
			return
		}
		backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: message})
		_ = backend.Flush()
	}
}

// forwarder forwards everything to a test's database.
func forwarder(t *testing.T, db *testdb.DB) func(net.Conn) {
	t.Helper()
	config := db.Pool.Config().ConnConfig
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	return func(conn net.Conn) {
		server, err := net.Dial(network, address)
		if err != nil {
			return
		}
		defer func() { _ = server.Close() }()
		go func() { _, _ = io.Copy(server, conn); _ = server.Close() }()
		_, _ = io.Copy(conn, server)
	}
}

func urlOf(address string, db *testdb.DB) string {
	config := db.Pool.Config().ConnConfig
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", config.User, password, address, config.Database)
}

func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	return listener.Addr().String()
}

func TestWaitUntilAnswer(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	var starting atomic.Int64
	forward, refuse := forwarder(t, db), refuser("57P03", "the database system is starting up")
	address := closedPort(t)
	done := make(chan error, 1)
	go func() { done <- open(t, urlOf(address, db), quiet()).Wait(t.Context()) }()

	select {
	case err := <-done:
		t.Fatalf("returned before there was a database: %v", err)
	case <-time.After(600 * time.Millisecond):
	}
	listen(t, address, func(conn net.Conn) {
		if starting.Add(1) <= 2 {
			refuse(conn)
		} else {
			forward(conn)
		}
	})
	if err := <-done; err != nil {
		t.Errorf("once the database answers: %v", err)
	}
	if starting.Load() < 3 {
		t.Errorf("returned while the database was starting up")
	}
}

func TestWaitReportsLastTry(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	address := closedPort(t)
	hung := listen(t, "127.0.0.1:0", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	tests := map[string]struct {
		address, cause string
		is             error
	}{
		"ClosedPort": {address, "connect: connection refused: check host and port in the database URL and that the server runs, or wait for it (migrate wait)", syscall.ECONNREFUSED},
		"Hung":       {hung, "timeout: context deadline exceeded: check host and port in the database URL, or wait for the server (migrate wait)", context.DeadlineExceeded},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			err := open(t, urlOf(test.address, db), quiet()).Wait(ctx)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("returned after %v, want 1s", took)
			}
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, test.is) {
				t.Fatalf("error is %v, want %v", err, test.is)
			}
			text := err.Error()
			if !strings.HasPrefix(text, "waiting for the database: context deadline exceeded; the last try: failed to connect to ") ||
				!strings.HasSuffix(text, test.cause) || strings.Contains(text, "\n") || strings.Contains(text, password) {
				t.Errorf("error is %q", text)
			}
		})
	}
}

func TestWaitStopsOnRefusal(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	for code, next := range map[string]string{
		"28P01": "check user and password",
		"28000": "check user and password",
		"3D000": "create the database",
		"42501": "grant this role CONNECT",
	} {
		address := listen(t, "127.0.0.1:0", refuser(code, "no, says the server"))
		migrator := open(t, urlOf(address, db), quiet())
		start := time.Now()
		err := migrator.Wait(t.Context())
		if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != code || time.Since(start) > 5*time.Second {
			t.Errorf("%s: %v after %v", code, err, time.Since(start))
			continue
		}
		for doing, err := range map[string]error{"waiting for the database: ": err, "validating the schema: ": migrator.Validate(t.Context())} {
			text := err.Error()
			if !strings.HasPrefix(text, doing) || !strings.Contains(text, "FATAL: no, says the server (SQLSTATE "+code+"): "+next) ||
				strings.Contains(text, "\n") || strings.Contains(text, password) {
				t.Errorf("%s: error is %q", code, text)
			}
		}
	}
}

func TestOpenHidesPassword(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"postgres://user:s3cret@host:port/db":                     "postgres://user:password@host:port/database",
		"postgres://user:s3cret":                                  "postgres://user:password@host:port/database",
		"postgres://user:s3@cret@host/db":                         "write @ as %40",
		"postgres://user:s3cret/s3cret@host/db":                   "write @ as %40, / as %2F",
		"postgres://user:s3cret%zz@host/db":                       "% as %25",
		"postgres://user:12/s3cret@host/db":                       "/ as %2F",
		"postgres://user:s3cret@host/db?sslmode=perhaps":          "sslmode is invalid",
		"postgres://host/db?password=s3cret&sslmode=perhaps":      "sslmode is invalid",
		"postgres://user:s3cret@host/db?sslrootcert=/no/such.pem": "/no/such.pem",
		"postgres://user:s3cret@[::1]:5432x/db":                   "postgres://user:password@host:port/database",
		"mysql://user:s3cret@host/db":                             "neither a URL",
		"host=host password=my s3cret port=1":                     "neither a URL",
		"host=host password='s3cret":                              "neither a URL",
		"host=host port=s3cret":                                   "neither a URL",
		"s3cret":                                                  "neither a URL",
	}
	for url, want := range tests {
		_, err := auditmigrate.Open(url, quiet())
		if err == nil {
			t.Errorf("%s: no error", url)
			continue
		}
		text := err.Error()
		if !strings.HasPrefix(text, "parsing the database URL: ") || !strings.Contains(text, want) {
			t.Errorf("%s: %q, want it to say %q", url, text, want)
		}
		for cause := err; cause != nil; cause = errors.Unwrap(cause) {
			if shown := fmt.Sprintf("%v %+v %#v", cause, cause, cause); strings.Contains(shown, "cret") {
				t.Errorf("%s: the password is in %s", url, shown)
			}
		}
	}
}

func TestOpenAcceptsURLForms(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://user:p%40ss%2Fword@host:5432/db?sslmode=disable",
		"postgresql://user@host",
		"postgres:///db?host=/run/postgresql&user=me@example",
		"postgres://user:a:b?c#d@host1:1,host2:2/db",
		"postgres://user:s3cret@[::1]:5432,[fe80::1]/db",
		"host=/run/postgresql dbname=db password='a b'",
	} {
		if _, err := auditmigrate.Open(url, quiet()); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
