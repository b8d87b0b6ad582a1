package testdb

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const prefix = "coordaudit_test_"

// owner is this process as a shared server sees it. The names of its test databases contain its key.
// While the process lives, it holds an advisory lock on that key, which the server releases when the
// process ends by any means. So any process on any host knows whether the owner of a database still
// lives to drop it.
type owner struct {
	admin *pgx.ConnConfig

	mu   sync.Mutex
	conn *pgx.Conn
	key  int64 // 0 behind a pooler, where a lock does not show its holder
}

// claim makes sure that this process holds the lock and returns the key and the server's time. A
// restart of the server releases the lock.
func (o *owner) claim(ctx context.Context) (key int64, now time.Time, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn != nil {
		if now, err = serverTime(ctx, o.conn); err == nil {
			return o.key, now, nil
		}
		_ = o.conn.Close(ctx)
		o.conn = nil
	}
	conn, err := pgx.ConnectConfig(ctx, o.admin)
	if err != nil {
		return 0, time.Time{}, err
	}
	if err := o.hold(ctx, conn); err != nil {
		return 0, time.Time{}, errors.Join(err, conn.Close(ctx))
	}
	now, err = serverTime(ctx, conn)
	o.conn = conn
	return o.key, now, err
}

func (o *owner) hold(ctx context.Context, conn *pgx.Conn) error {
	var backend uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return fmt.Errorf("asking for the session's process: %w", err)
	}
	if backend != conn.PgConn().PID() { // a pooler invents the process ids that it reports
		o.key = 0
		return nil
	}
	if o.key == 0 {
		var bytes [8]byte
		_, _ = rand.Read(bytes[:]) // never fails
		o.key = int64(binary.BigEndian.Uint64(bytes[:])>>1) | 1
	}
	// PostgreSQL before 14 has no such setting and ends no session for that reason.
	_, _ = conn.Exec(ctx, "SET idle_session_timeout = 0")
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", o.key); err != nil {
		return fmt.Errorf("holding this process's lock: %w", err)
	}
	return nil
}

func serverTime(ctx context.Context, conn *pgx.Conn) (time.Time, error) {
	var seconds int64
	if err := conn.QueryRow(ctx, "SELECT extract(epoch FROM clock_timestamp())::bigint").Scan(&seconds); err != nil {
		return time.Time{}, fmt.Errorf("asking for the server's time: %w", err)
	}
	return time.Unix(seconds, 0), nil
}

// newName returns the name of a new database: its time, the owner's key, the process id (for people)
// and a random part.
func newName(key int64, now time.Time) string {
	return fmt.Sprintf("%s%s_%s_%d_%s", prefix, strconv.FormatInt(now.Unix(), 36), strconv.FormatInt(key, 36), os.Getpid(), strings.ToLower(rand.Text()[:8]))
}

var nameForm = regexp.MustCompile(`^` + prefix + `([0-9a-z]{1,13})_([0-9a-z]{1,13})_[0-9]{1,10}_[0-9a-z]{8}$`)

// parseName reads a name that newName made. A database with any other name is not ours to drop.
func parseName(name string) (key int64, made time.Time, ok bool) {
	parts := nameForm.FindStringSubmatch(name)
	if parts == nil {
		return 0, time.Time{}, false
	}
	seconds, err := strconv.ParseInt(parts[1], 36, 64)
	if err != nil {
		return 0, time.Time{}, false
	}
	key, err = strconv.ParseInt(parts[2], 36, 64)
	return key, time.Unix(seconds, 0), err == nil
}
