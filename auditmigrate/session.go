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
	// lockID is "coordaud" in ASCII, so that two of our programs meet and no other
	// program's does. It must stay the same for ever: an older program may be migrating.
	lockID int64 = 0x636f6f7264617564

	lockPoll      = 200 * time.Millisecond
	unlockTimeout = 5 * time.Second
)

// openDB returns connections for one run. ctx is for what their server has to say.
func (m *Migrator) openDB(ctx context.Context) *sql.DB {
	connConfig := m.connConfig.Copy()
	inherited := connConfig.OnNotice
	connConfig.OnNotice = func(conn *pgconn.PgConn, notice *pgconn.Notice) {
		m.logNotice(ctx, notice)
		if inherited != nil {
			inherited(conn, notice)
		}
	}
	db := stdlib.OpenDB(*connConfig, stdlib.OptionAfterConnect(m.setUpSession))
	db.SetMaxOpenConns(2) // goose locks on one, and may want another
	return db
}

// setUpSession undoes what the role or the URL may have set for a service's short
// statements. It sends SET, as poolers refuse most settings at the connect.
func (m *Migrator) setUpSession(ctx context.Context, conn *pgx.Conn) error {
	allowDataLoss := "off" // said out loud, lest it is on in the role's or the database's settings
	if m.config.AllowDataLoss {
		allowDataLoss = "on"
	}
	// goose's tstamp has no time zone; it is read back as UTC.
	_, err := conn.Exec(ctx, fmt.Sprintf(
		"SET lock_timeout = %d; SET statement_timeout = 0; SET client_min_messages = notice; SET TimeZone = 'UTC'; SET coordaudit.allow_data_loss = %s",
		max(m.config.LockTimeout.Milliseconds(), 1), allowDataLoss))
	if err != nil {
		return fmt.Errorf("setting up the session: %w", err)
	}
	return nil
}

// logNotice tells the operator what the server says by the way. Its notices are
// about objects that were there or not there already, as on every first run.
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

// sessionLock lets one session migrate at a time. goose's own counts its wait in
// whole seconds, once for all calls, and its error cannot be told from others.
type sessionLock struct {
	timeout time.Duration
}

// SessionLock asks again and again instead of once with patience: a session that
// waits in the server would be waited for by CREATE INDEX CONCURRENTLY.
func (l sessionLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	end := time.Now().Add(l.timeout)
	for {
		var locked bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", lockID).Scan(&locked); err != nil {
			return fmt.Errorf("taking the migration lock: %w", err)
		}
		if locked {
			return nil
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

// lockedError says who else is migrating. It matches [ErrLocked].
type lockedError struct {
	holder  string
	timeout time.Duration
}

func (e *lockedError) Error() string {
	return fmt.Sprintf("%v: %s has been migrating this database for %v or longer", ErrLocked, e.holder, e.timeout)
}

func (e *lockedError) Is(target error) bool { return target == ErrLocked }

// SessionUnlock fails only where the session is lost, and the lock with it.
func (l sessionLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, unlockTimeout)
	defer cancel()
	_, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", lockID)
	return nil
}

// lockHolder names who holds the lock, for the operator to look at.
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
