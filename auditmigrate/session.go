package auditmigrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// lockID is "coordaud" in ASCII, so that only our programs share the lock. It must
	// never change, because an older program may be migrating.
	lockID int64 = 0x636f6f7264617564

	lockPoll      = 200 * time.Millisecond
	unlockTimeout = 5 * time.Second
)

// openDB returns connections for one run at a location. ctx is for logging the
// server's notices.
func (m *Migrator) openDB(ctx context.Context, at location) *sql.DB {
	connConfig := m.connConfig.Copy()
	inherited := connConfig.OnNotice
	connConfig.OnNotice = func(conn *pgconn.PgConn, notice *pgconn.Notice) {
		m.logNotice(ctx, notice)
		if inherited != nil {
			inherited(conn, notice)
		}
	}
	db := stdlib.OpenDB(*connConfig, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		return m.setUpSession(ctx, conn, at)
	}))
	db.SetMaxOpenConns(2) // goose locks on one, and may need another
	return db
}

// setUpSession overrides what the role or the URL may set for a service's short
// statements. It uses SET, as poolers refuse most settings at connection start.
func (m *Migrator) setUpSession(ctx context.Context, conn *pgx.Conn, at location) error {
	_, err := conn.Exec(ctx, setStatements(m.sessionSettings(at, serverVersion(conn))))
	if err != nil {
		return fmt.Errorf("setting up the session: %w", err)
	}
	return nil
}

// logNotice logs the server's notices for the operator.
func (m *Migrator) logNotice(ctx context.Context, notice *pgconn.Notice) {
	level := slog.LevelDebug
	if notice.SeverityUnlocalized == "WARNING" {
		level = slog.LevelWarn
	}
	m.config.Logger.LogAttrs(ctx, level, "audit_migration_notice",
		slog.String("severity", notice.Severity),
		slog.String("message", notice.Message),
	)
}

// sessionLock lets one session migrate at a time. goose's own locker measures its wait
// in whole seconds, once for all calls, and its error cannot be distinguished from
// others.
type sessionLock struct {
	timeout time.Duration

	// locked is called once the lock is held.
	locked func(ctx context.Context, conn *sql.Conn) error
}

// SessionLock polls instead of waiting in the server, because CREATE INDEX
// CONCURRENTLY waits for sessions that wait there.
func (l sessionLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	end := time.Now().Add(l.timeout)
	for {
		var locked bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_catalog.pg_try_advisory_lock($1)", lockID).Scan(&locked); err != nil {
			return fmt.Errorf("taking the migration lock: %w", err)
		}
		if locked {
			return l.begin(ctx, conn)
		}
		left := time.Until(end)
		if left <= 0 {
			return &lockedError{holder: lockHolder(ctx, conn), timeout: l.timeout}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(min(lockPoll, left)):
		}
	}
}

// begin releases the lock if the first step fails, which goose does not do.
func (l sessionLock) begin(ctx context.Context, conn *sql.Conn) error {
	if l.locked == nil {
		return nil
	}
	err := l.locked(ctx, conn)
	if err != nil {
		_ = l.SessionUnlock(context.WithoutCancel(ctx), conn) // it never fails
	}
	return err
}

// lockedError names the other migrating session. It matches [ErrLocked].
type lockedError struct {
	holder  string
	timeout time.Duration
}

func (e *lockedError) Error() string {
	return fmt.Sprintf("%v: %s has been migrating this database for %v or longer", ErrLocked, e.holder, e.timeout)
}

func (e *lockedError) Is(target error) bool { return target == ErrLocked }

// SessionUnlock fails only if the session is lost, and then so is the lock.
func (l sessionLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, unlockTimeout)
	defer cancel()
	_, _ = conn.ExecContext(ctx, "SELECT pg_catalog.pg_advisory_unlock($1)", lockID)
	return nil
}

// lockHolder identifies the session that holds the lock, for the operator.
func lockHolder(ctx context.Context, conn *sql.Conn) string {
	var pid int
	err := conn.QueryRowContext(ctx, `
		SELECT pid FROM pg_catalog.pg_locks
		WHERE locktype = 'advisory' AND granted AND objsubid = 1
			AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
			AND (classid::bigint << 32) | objid::bigint = $1`, lockID).Scan(&pid)
	if err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return "another process, gone this moment,"
		}
		return "another process"
	}
	return fmt.Sprintf("another process (pid %d in pg_stat_activity)", pid)
}
