package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

// backend returns the process that serves a connection at this moment.
func backend(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	err = conn.QueryRow(ctx, "SELECT pg_catalog.pg_backend_pid()", pgx.QueryExecModeExec).Scan(&pid)
	if err != nil {
		return 0, fmt.Errorf("asking for the backend: %w", err)
	}
	return pid, nil
}

// checkPooler opens two connections and keeps both. If one backend serves them, a pooler
// lends it for a transaction or a statement. A pooler of sessions, or one that happens to
// have two free backends, shows only by its own process ids.
func checkPooler(ctx context.Context, x *examination) ([]Finding, error) {
	var conns [2]*pgx.Conn
	for i := range conns {
		conn, err := x.connect(ctx)
		if err != nil {
			return nil, err
		}
		defer closeConn(ctx, conn)
		conns[i] = conn
	}
	pooled, shared := false, false
	seen := map[uint32]int{}
	for range 4 { // a pooler gives its backends out in an order of its own
		for i, conn := range conns {
			pid, err := backend(ctx, conn)
			if err != nil {
				return nil, err
			}
			before, met := seen[pid]
			shared = shared || met && before != i
			seen[pid] = i
			pooled = pooled || pid != conn.PgConn().PID()
		}
	}
	switch {
	case shared, len(seen) > len(conns):
		return []Finding{{
			Severity: Warning, Object: "this database URL",
			Evidence: "a pooler lends a backend for each transaction: locks of a session, and SET, reach other clients, and prepared statements may be of others",
			Repair:   "give migrate, coordaudit seal and coordaudit expire a URL of the server itself; services need default_query_exec_mode=cache_describe or exec in theirs (docs/deploy.md)",
		}}, nil
	case pooled:
		return []Finding{{
			Severity: Notice, Object: "this database URL",
			Evidence: "a pooler or proxy is in between; it did not share a backend between two connections just now",
			Repair:   "give migrate and coordaudit seal a URL of the server itself (docs/deploy.md)",
		}}, nil
	default:
		return nil, nil
	}
}

// checkClock compares the clocks of this machine, of the server, and of the services that
// stored the latest records.
func checkClock(ctx context.Context, x *examination) ([]Finding, error) {
	conn, err := x.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(ctx, conn)
	var list []Finding
	var server time.Time
	sent := x.now()
	if err := conn.QueryRow(ctx, "SELECT pg_catalog.clock_timestamp()", pgx.QueryExecModeExec).Scan(&server); err != nil {
		return nil, fmt.Errorf("asking for the time: %w", err)
	}
	answered := x.now()
	// It was asked between the two, so only what lies outside is certain.
	skew, direction := sent.Sub(server), "behind"
	if server.After(answered) {
		skew, direction = server.Sub(answered), "ahead of"
	}
	if skew >= x.limits.skew {
		list = append(list, Finding{
			Severity: Warning, Object: "the server's clock", Evidence: fmt.Sprintf("%s %s this machine's: created_at and decision_timestamp do not agree", format.Age(skew), direction),
			Repair: "synchronize both with NTP (chronyc tracking, timedatectl)",
		})
	}
	ahead, err := x.recordsAhead(ctx)
	if err != nil || ahead == nil {
		return list, err
	}
	if lead := seconds(*ahead); lead >= x.limits.skew {
		list = append(list, Finding{
			Severity: Warning, Object: "the clocks of services", Evidence: fmt.Sprintf("among the last 1,000 records, some were decided up to %s after they were stored", format.Age(lead)),
			Repair: "synchronize the hosts that write with NTP; coordaudit list --json shows actor and times",
		})
	}
	return list, nil
}

// recordsAhead returns by how many seconds the latest records were decided after they were
// stored, at most. It is nil if there is no record.
func (x *examination) recordsAhead(ctx context.Context) (seconds *float64, err error) {
	if !x.has(recordsTable) {
		return nil, nil
	}
	return seconds, x.ask(ctx, &seconds, `
		SELECT coalesce(pg_catalog.to_jsonb(pg_catalog.max(extract(epoch FROM r.decision_timestamp - r.created_at)::float8)), 'null')::text
		FROM (
			SELECT t.decision_timestamp, t.created_at
			FROM `+x.table(recordsTable)+` AS t
			ORDER BY t.seq DESC
			LIMIT 1000
		) AS r`)
}
