package testdb

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// oldAge is the age at which a database whose owner holds no lock counts as left over.
	oldAge = 24 * time.Hour

	sweepTimeout = 30 * time.Second

	// lastBreath is how long the server may take to end the sessions of a killed process.
	lastBreath = time.Second
)

// leftover is a test database whose owner will not drop it.
type leftover struct {
	name string
	busy bool // a session uses it
}

// sweep drops the databases that killed test processes have left on a shared server. If it cannot drop
// one, the next start tries again.
func sweep(ctx context.Context, admin *pgx.ConnConfig, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, admin)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for deadline := time.Now().Add(lastBreath); ; {
		left, err := leftovers(ctx, conn, now)
		if err != nil {
			return
		}
		busy := false
		for _, found := range left {
			if found.busy {
				busy = true
				continue
			}
			// Without FORCE, because a session may have started since.
			_, _ = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{found.name}.Sanitize())
		}
		if !busy || time.Now().After(deadline) || ctx.Err() != nil {
			return
		}
		<-time.After(lastBreath / 20)
	}
}

// leftovers lists the databases first and the locks second, because an owner takes its lock before it
// makes its first database.
func leftovers(ctx context.Context, conn *pgx.Conn, now time.Time) ([]leftover, error) {
	rows, err := conn.Query(ctx, `SELECT d.datname, EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.datid = d.oid)
		FROM pg_database d
		WHERE starts_with(d.datname, $1) AND NOT d.datistemplate`, prefix)
	if err != nil {
		return nil, fmt.Errorf("listing the test databases: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (found leftover, err error) {
		err = row.Scan(&found.name, &found.busy)
		return found, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the test databases: %w", err)
	}
	// pg_try_advisory_lock sees only the locks of its own database.
	rows, err = conn.Query(ctx, "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1")
	if err != nil {
		return nil, fmt.Errorf("listing the owners: %w", err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("listing the owners: %w", err)
	}
	alive := make(map[int64]bool, len(keys))
	for _, key := range keys {
		alive[key] = true
	}
	var left []leftover
	for _, found := range all {
		key, made, ok := parseName(found.name)
		if ok && !alive[key] && (key != 0 || now.Sub(made) > oldAge) {
			left = append(left, found)
		}
	}
	return left, nil
}
