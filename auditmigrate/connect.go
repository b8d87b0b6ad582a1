package auditmigrate

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Connect opens a connection to the migrator's database, for package auditadmin. If
// [Config.Schema] is set, the connection's search_path leads to it. The caller closes
// the connection. Errors state the cause, as those of the other calls do.
func (m *Migrator) Connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, m.connConfig)
	if err != nil {
		return nil, m.failure(ctx, "connecting to the database", err)
	}
	if m.config.Schema == "" {
		return conn, nil
	}
	if _, err := conn.Exec(ctx, "SET search_path = "+quote(m.config.Schema)); err != nil {
		closeConn(ctx, conn)
		return nil, m.failure(ctx, "connecting to the database", err)
	}
	return conn, nil
}

// Lock takes the migration lock, so that no migration runs while the caller changes
// the schema. It waits at most for timeout (0 means the default of
// [Config.LockTimeout]) and then returns [ErrLocked]. unlock releases the lock, and so
// does closing the connection.
func Lock(ctx context.Context, conn *pgx.Conn, timeout time.Duration) (unlock func(), err error) {
	if timeout <= 0 {
		timeout = defaultLockTimeout
	}
	end := time.Now().Add(timeout)
	for {
		var locked bool
		if err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_lock($1)", lockID).Scan(&locked); err != nil {
			return nil, fmt.Errorf("taking the migration lock: %w", err)
		}
		if locked {
			return func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
				defer cancel()
				_, _ = conn.Exec(ctx, "SELECT pg_catalog.pg_advisory_unlock($1)", lockID) // if this fails, the session is lost, and so is the lock
			}, nil
		}
		left := time.Until(end)
		if left <= 0 {
			return nil, &lockedError{holder: "another process", timeout: timeout}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the migration lock: %w", context.Cause(ctx))
		case <-time.After(min(lockPoll, left)):
		}
	}
}
