package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

type holder struct {
	PID         int      `json:"pid"`
	GID         *string  `json:"gid"` // of a prepared transaction
	Role        *string  `json:"role"`
	Application *string  `json:"application"`
	State       *string  `json:"state"`
	Seconds     *float64 `json:"seconds"` // nil: this role does not see since when
}

// holdersQuery lists the transactions that may have inserted a row which is not committed
// yet: each holds this lock to its end.
const holdersQuery = `
	SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.seconds DESC NULLS LAST, x.pid), '[]')::text
	FROM (
		SELECT DISTINCT
			coalesce(l.pid, 0) AS pid,
			p.gid,
			coalesce(pg_catalog.quote_ident(s.usename), pg_catalog.quote_ident(p.owner)) AS role,
			s.application_name AS application,
			s.state,
			extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(s.xact_start, p.prepared))::float8 AS seconds
		FROM pg_catalog.pg_locks AS l
		LEFT JOIN pg_catalog.pg_stat_activity AS s ON s.pid = l.pid
		LEFT JOIN pg_catalog.pg_locks AS own
			ON l.pid IS NULL
			AND own.virtualtransaction = l.virtualtransaction
			AND own.locktype = 'transactionid'
			AND own.pid IS NULL
		LEFT JOIN pg_catalog.pg_prepared_xacts AS p ON p.transaction = own.transactionid
		WHERE l.locktype = 'relation'
			AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
			AND l.relation = ANY ($1::text[]::regclass[])
			AND l.mode = 'RowExclusiveLock'
			AND l.granted
			AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
	) AS x`

// checkFence names the transactions that sealing, following and vacuum wait for.
func checkFence(ctx context.Context, x *examination) ([]Finding, error) {
	var tables []string
	for _, name := range []string{recordsTable, gapsTable, statementsTable, eventsTable} {
		if x.has(name) {
			tables = append(tables, x.table(name))
		}
	}
	if len(tables) == 0 || x.server.Recovery {
		return nil, nil
	}
	var found []holder
	if err := x.ask(ctx, &found, holdersQuery, tables); err != nil {
		return nil, err
	}
	var list []Finding
	for _, h := range found {
		if h.Seconds == nil {
			f := x.needsMonitor(fmt.Sprintf("transaction of process %d", h.PID))
			list = append(list, f)
			continue
		}
		age := seconds(*h.Seconds)
		if age < x.limits.fence {
			continue
		}
		list = append(list, h.finding(age))
	}
	return list, nil
}

func (h holder) finding(age time.Duration) Finding {
	f := Finding{Severity: Warning}
	role := "an unknown role"
	if h.Role != nil {
		role = "role " + *h.Role
	}
	const holdsUp = ": what is stored after it began is not sealed or followed before it ends, or the patience of the reader"
	if h.GID != nil {
		f.Object = "prepared transaction " + quoteLiteral(*h.GID)
		f.Evidence = fmt.Sprintf("of %s, prepared %s ago%s; it survives restarts, and keeps vacuum from all rows since", role, format.Age(age), holdsUp)
		f.Repair = fmt.Sprintf("COMMIT PREPARED %s; or ROLLBACK PREPARED %s; as whoever prepared it decides", quoteLiteral(*h.GID), quoteLiteral(*h.GID))
		return f
	}
	application, state := "", "open"
	if h.Application != nil && *h.Application != "" {
		application = ", application " + *h.Application
	}
	if h.State != nil {
		state = *h.State
	}
	f.Object = fmt.Sprintf("transaction of process %d", h.PID)
	f.Evidence = fmt.Sprintf("of %s%s, %s for %s%s", role, application, state, format.Age(age), holdsUp)
	f.Repair = fmt.Sprintf("end it in its program, or: SELECT pg_terminate_backend(%d);", h.PID)
	return f
}

func quoteLiteral(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
