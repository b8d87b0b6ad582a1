// Package pgbouncer runs a private PgBouncer in front of a test's database, for tests in which
// several clients share one server connection.
//
// The program is in Debian's package pgbouncer, for example. Where it is missing, the tests are
// skipped, or fail if COORDAUDIT_REQUIRE_POOLER is set.
package pgbouncer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const requireVariable = "COORDAUDIT_REQUIRE_POOLER"

// Config of a pooler. The zero value pools transactions, as services use it.
type Config struct {
	// PoolMode is PgBouncer's pool_mode. Default "transaction".
	PoolMode string

	// ServerConnections is how many connections all clients share. Default 3.
	ServerConnections int
}

// Pooler is a running PgBouncer of the test's own.
type Pooler struct {
	dir      string
	database *pgconn.Config
}

// Start runs a pooler in front of a database. It ends with the test or with the test's process, even
// if kill -9 ends that.
func Start(tb testing.TB, databaseURL string, cfg Config) *Pooler {
	tb.Helper()
	program, err := find()
	if err != nil && os.Getenv(requireVariable) == "" {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	database, err := pgconn.ParseConfig(databaseURL)
	if err != nil {
		tb.Fatal(err)
	}
	p := &Pooler{database: database}
	output, err := p.makeDir(cfg)
	if err != nil {
		tb.Fatalf("making the pooler's directory: %v", err)
	}
	stop, err := keep(program, p.dir, output)
	if err != nil {
		tb.Fatalf("starting pgbouncer: %v", errors.Join(err, os.RemoveAll(p.dir)))
	}
	tb.Cleanup(stop)
	tb.Cleanup(func() {
		if tb.Failed() { // only the log says why a connection was closed
			tb.Logf("pgbouncer's log:\n%s", p.Log())
		}
	})
	if err := p.waitUntilReady(); err != nil {
		tb.Fatalf("starting pgbouncer: %v", err)
	}
	return p
}

// URL is the URL of the database through the pooler, in an exec mode of pgx.
func (p *Pooler) URL(mode pgx.QueryExecMode) string {
	return "postgres:///" + url.PathEscape(p.database.Database) + "?host=" + url.PathEscape(p.dir) + "&port=" + port +
		"&user=" + url.PathEscape(p.database.User) + "&sslmode=disable&default_query_exec_mode=" + strings.ReplaceAll(mode.String(), " ", "_")
}

// Log returns what PgBouncer has logged.
func (p *Pooler) Log() string {
	text, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// find looks in PATH, and where Debian puts the program, which not every PATH includes.
func find() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if program, err := exec.LookPath(name); err == nil {
			return program, nil
		}
	}
	return "", errors.New("no pgbouncer on this machine: apt-get install pgbouncer (its service need not run), or brew install pgbouncer")
}

// The port only names the socket.
const port = "6432"

// makeDir makes a directory with a name short enough for a socket, and in it PgBouncer's settings and
// output. It makes both while only this process can write to the directory. Later the user that
// PgBouncer runs as could replace a path by a link, which is dangerous if this process is root.
func (p *Pooler) makeDir(cfg Config) (output *os.File, err error) {
	const prefix = "coordaudit-pooler-"
	base := os.TempDir()
	if len(base)+len(prefix) > 60 {
		base = "/tmp"
	}
	if p.dir, err = os.MkdirTemp(base, prefix); err != nil {
		return nil, err
	}
	output, err = p.furnish(cfg)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	return output, nil
}

func (p *Pooler) furnish(cfg Config) (output *os.File, err error) {
	name, uid, gid, err := runAs()
	if err != nil {
		return nil, err
	}
	settings := p.settings(cfg)
	if name != "" {
		settings += "user = " + name + "\n"
	}
	if err := os.WriteFile(filepath.Join(p.dir, "ini"), []byte(settings), 0o600); err != nil {
		return nil, err
	}
	if output, err = os.Create(filepath.Join(p.dir, "output")); err != nil {
		return nil, err
	}
	return output, os.Chown(p.dir, uid, gid)
}

// runAs returns the user that PgBouncer switches to, since it refuses to run as root. That user runs
// the server of internal/pglocal, and no other may use its socket. Without a name PgBouncer does not
// switch.
func runAs() (name string, uid, gid int, err error) {
	if os.Geteuid() != 0 {
		return "", -1, -1, nil
	}
	found, err := user.Lookup("postgres")
	if err != nil {
		found, err = user.Lookup("nobody")
	}
	if err != nil {
		return "", 0, 0, err
	}
	uid, uidErr := strconv.Atoi(found.Uid)
	gid, gidErr := strconv.Atoi(found.Gid)
	return found.Username, uid, gid, errors.Join(uidErr, gidErr)
}

func (p *Pooler) settings(cfg Config) string {
	quote := func(value string) string { return "'" + strings.ReplaceAll(value, "'", "''") + "'" }
	password := ""
	if p.database.Password != "" {
		password = " password=" + quote(p.database.Password)
	}
	return fmt.Sprintf("[databases]\n%s = host=%s port=%d dbname=%s user=%s%s\n", p.database.Database,
		quote(p.database.Host), p.database.Port, quote(p.database.Database), quote(p.database.User), password) +
		fmt.Sprintf(`[pgbouncer]
listen_addr =
listen_port = %s
unix_socket_dir = %s
logfile = %s
auth_type = any
pool_mode = %s
default_pool_size = %d
max_client_conn = 200
`, port, p.dir, filepath.Join(p.dir, "log"), cmp.Or(cfg.PoolMode, "transaction"), cmp.Or(cfg.ServerConnections, 3))
}

// keeper runs program $1 in directory $2 until its input ends. The kernel closes the input when the
// test's process ends, by any means. The keeper kills PgBouncer, which has nothing to save: from 1.23
// on, other signals wait for the clients. $! is a child that was not waited for, so no other process
// has that id.
const keeper = `
trap '' HUP INT TERM
"$1" -q "$2/ini" </dev/null &
while read -r _; do :; done
kill -KILL $!
wait
rm -rf "$2"
`

// keep starts the keeper. Its output is a file, because go test waits for every process that has the
// test's own output open.
func keep(program, dir string, output *os.File) (stop func(), err error) {
	defer func() { _ = output.Close() }()
	cmd := exec.Command("/bin/sh", "-c", keeper, "coordaudit-pooler", program, dir) // it ends when its input ends
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", output, output
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, input.Close())
	}
	return func() {
		_ = input.Close() // closing it is its only use
		_ = cmd.Wait()    // how it ended does not matter, the directory is removed
	}, nil
}

func (p *Pooler) waitUntilReady() error {
	socket := filepath.Join(p.dir, ".s.PGSQL."+port)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "unix", socket)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(p.dir, "output")) // if this fails, the error of the socket is enough
			return fmt.Errorf("it did not open its socket: %w; it says: %s", err, text)
		}
	}
}
