// Package pooler runs a private PgBouncer in front of a test's database, for tests
// of what holds where several clients share one server connection.
//
// The program is Debian's package pgbouncer (or the like). Where it is missing the
// tests skip, or fail if COORDAUDIT_REQUIRE_POOLER is set.
package pooler

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

// Config of a pooler; the zero value pools transactions, as services have it.
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

// Start puts a pooler before a database until the test ends, or until its process
// does, also by kill -9.
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
		tb.Fatalf("making the pooler's folder: %v", err)
	}
	stop, err := keep(program, p.dir, output)
	if err != nil {
		tb.Fatalf("starting pgbouncer: %v", errors.Join(err, os.RemoveAll(p.dir)))
	}
	tb.Cleanup(stop)
	tb.Cleanup(func() {
		if tb.Failed() { // why a connection was closed, only the log says
			tb.Logf("pgbouncer's log:\n%s", p.Log())
		}
	})
	if err := p.waitUntilReady(); err != nil {
		tb.Fatalf("starting pgbouncer: %v", err)
	}
	return p
}

// URL is the database's, through the pooler, in an exec mode of pgx.
func (p *Pooler) URL(mode pgx.QueryExecMode) string {
	return "postgres:///" + url.PathEscape(p.database.Database) + "?host=" + url.PathEscape(p.dir) + "&port=" + port +
		"&user=" + url.PathEscape(p.database.User) + "&sslmode=disable&default_query_exec_mode=" + strings.ReplaceAll(mode.String(), " ", "_")
}

// Log is what PgBouncer has logged.
func (p *Pooler) Log() string {
	text, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// find looks beside PATH where Debian puts it, which is not on everybody's.
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

// makeDir makes a folder with a name short enough for a socket, and in it PgBouncer's
// settings and output. Both are made while the folder is still ours alone: as root,
// later, its user could swap a path for a link.
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

// runAs is whom PgBouncer, which refuses to run as root, is told to become: the user
// who runs internal/pglocal's server, whose socket nobody else may reach. Without a
// name it stays who it is.
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

// keeper runs program $1 in folder $2 until its input ends, which the kernel sees to
// however the test's process dies. It kills: from 1.23 on, the gentler signals wait for
// the clients, and there is nothing to save. $! is its own child, not yet waited for,
// so no other process has that id.
const keeper = `
trap '' HUP INT TERM
"$1" -q "$2/ini" </dev/null &
while read -r _; do :; done
kill -KILL $!
wait
rm -rf "$2"
`

// keep starts the keeper. Its output is a file: go test would wait for whoever holds
// its own.
func keep(program, dir string, output *os.File) (stop func(), err error) {
	defer func() { _ = output.Close() }()
	cmd := exec.Command("/bin/sh", "-c", keeper, "coordaudit-pooler", program, dir) // it ends when its input does
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", output, output
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, input.Close())
	}
	return func() {
		_ = input.Close() // closing is all that it is for
		_ = cmd.Wait()    // how it ended changes nothing: the folder is gone
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
			text, _ := os.ReadFile(filepath.Join(p.dir, "output")) // the socket's error is the one to tell
			return fmt.Errorf("it did not open its socket: %w; it says: %s", err, text)
		}
	}
}
