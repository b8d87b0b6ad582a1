package coordaudit_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/baseline"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const (
	bareListTenant = `SELECT ` + baseline.Columns + `, seq, created_at
		FROM coordination_audit_records WHERE coalesce(tenant_id, '') = $1 ORDER BY decision_timestamp DESC, seq DESC LIMIT $2`

	bareListAll = `SELECT ` + baseline.Columns + `, seq, created_at
		FROM coordination_audit_records ORDER BY decision_timestamp DESC, seq DESC LIMIT $1`

	seededRecords = 1_000_000
)

// The first page of a million records, next to a plain query for it.
func BenchmarkListFirstPage(b *testing.B) {
	store, pool := seededStore(b)
	ctx := context.Background()
	for name, scope := range map[string]audit.Scope{
		"Tenant": audit.Tenant("tenant-acme"), "RareTenant": audit.Tenant(seed.RareTenant), "AllTenants": audit.AllTenants(),
	} {
		b.Run(name, func(b *testing.B) {
			compare(b, func() {
				sql, args := bareListTenant, []any{scope.TenantID(), audit.DefaultPageSize}
				if scope.IsAllTenants() {
					sql, args = bareListAll, args[1:]
				}
				if _, err := listBare(ctx, pool, sql, args...); err != nil {
					b.Fatal(err)
				}
			}, func() {
				if _, err := store.List(ctx, audit.Query{Scope: scope}); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// The 10,000th page next to the first one, which is reported as the bare statement.
func BenchmarkListPage10000BesideFirst(b *testing.B) {
	store, _ := seededStore(b)
	ctx := context.Background()
	first := audit.Query{Scope: audit.AllTenants()}
	deep := first
	deep.After = cursorAfter(b, store, first, 9_999*audit.DefaultPageSize)
	read := func(q audit.Query) func() {
		return func() {
			if page, err := store.List(ctx, q); err != nil || len(page.Records) != audit.DefaultPageSize {
				b.Fatal(len(page.Records), err)
			}
		}
	}
	compare(b, read(first), read(deep))
}

// An explanation of a million records' trail, next to a get.
func BenchmarkExplainBesideGet(b *testing.B) {
	store, _ := seededStore(b)
	ctx := context.Background()
	page, err := store.List(ctx, audit.Query{Scope: audit.AllTenants(), Decisions: []audit.Decision{audit.Preempted, audit.Rejected}, Limit: audit.MaxPageSize})
	if err != nil {
		b.Fatal(err)
	}
	next := 0
	id := func() uuid.UUID {
		next++
		return page.Records[next*7%len(page.Records)].AuditID
	}
	compare(b, func() {
		if _, err := store.Get(ctx, audit.AllTenants(), id()); err != nil {
			b.Fatal(err)
		}
	}, func() {
		if _, err := store.Explain(ctx, audit.AllTenants(), id()); err != nil {
			b.Fatal(err)
		}
	})
}

// The signals of a week next to five plain counts of the same window.
func BenchmarkSignalsBesideCounts(b *testing.B) {
	store, pool := seededStore(b)
	ctx := context.Background()
	week := audit.Window{Since: january(24), Until: january(31)}
	for name, scope := range map[string]audit.Scope{"Tenant": audit.Tenant("tenant-acme"), "AllTenants": audit.AllTenants()} {
		b.Run(name, func(b *testing.B) {
			compareSlow(b, func() {
				for _, sql := range plainCounts() {
					if _, err := pool.Exec(ctx, sql, pgx.QueryExecModeExec, scope.IsAllTenants(), scope.TenantID(), week.Since, week.Until); err != nil {
						b.Fatal(err)
					}
				}
			}, func() {
				if _, err := store.Signals(ctx, audit.SignalQuery{Scope: scope, Window: week}); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// plainCounts count what the signals count, without the records behind a number. They are those of
// bench, for any scope.
func plainCounts() []string {
	const from = ` FROM coordination_audit_records
		WHERE ($1::boolean OR coalesce(tenant_id, '') = $2::text) AND decision_timestamp >= $3 AND decision_timestamp < $4 `
	return []string{
		`SELECT envelope_class, decision, count(*)` + from + `GROUP BY 1, 2`,
		`SELECT tenant_id, envelope_id, count(*) FROM (
			SELECT tenant_id, envelope_id, decision, lead(decision) OVER (PARTITION BY tenant_id, envelope_id ORDER BY decision_timestamp, seq) AS next` + from + `
			AND decision IN ('APPLIED', 'PREEMPTED')) AS moves
			WHERE decision = 'PREEMPTED' AND next = 'APPLIED' GROUP BY 1, 2 HAVING count(*) >= 2`,
		`SELECT envelope_class, counterpart_class, count(*)` + from + `AND counterpart_class IS NOT NULL GROUP BY 1, 2 HAVING count(*) >= 3`,
		`SELECT tenant_id, envelope_id, count(*)` + from + `AND decision = 'REJECTED' GROUP BY 1, 2 HAVING count(*) >= 3`,
		`SELECT tenant_id, target_subsystem, target_parameter, count(*)` + from + `AND decision = 'REJECTED'
			AND target_subsystem IS NOT NULL AND target_parameter IS NOT NULL GROUP BY 1, 2, 3 HAVING count(*) >= 3`,
	}
}

// cursorAfter skips n records in large pages. A cursor does not depend on the limit.
func cursorAfter(b *testing.B, store *coordaudit.Store, q audit.Query, n int) audit.Cursor {
	b.Helper()
	for n > 0 {
		q.Limit = min(n, audit.MaxPageSize)
		page, err := store.List(context.Background(), q)
		if err != nil || page.Next == "" {
			b.Fatal(n, err)
		}
		n -= len(page.Records)
		q.After = page.Next
	}
	return q.After
}

func listBare(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) ([]audit.Record, error) {
	rows, err := pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (rec audit.Record, err error) {
		var conflicting, preempting, tenant, subsystem, parameter, counterpart, code, policy, actor, correlation, details *string
		var causedBy, corrects, source *uuid.UUID
		var trace, span []byte
		var ordinal *int64
		err = row.Scan(&rec.AuditID, &rec.EnvelopeID, &rec.EnvelopeClass, &rec.Decision, &rec.Reason, &rec.DecisionTimestamp,
			&conflicting, &preempting, &rec.ActiveEnvelopesCount, &tenant, &subsystem, &parameter, &counterpart,
			&code, &policy, &actor, &causedBy, &corrects, &correlation, &trace, &span, &details, &source, &ordinal, &rec.Seq, &rec.CreatedAt)
		for _, text := range []struct {
			to   *string
			from *string
		}{
			{&rec.ConflictingEnvelopeID, conflicting},
			{&rec.PreemptingEnvelopeID, preempting},
			{&rec.TenantID, tenant},
			{&rec.TargetSubsystem, subsystem},
			{&rec.TargetParameter, parameter},
			{&rec.ReasonCode, code},
			{&rec.PolicyVersion, policy},
			{&rec.Actor, actor},
			{&rec.Links.CorrelationID, correlation},
			{(*string)(&rec.Details), details},
		} {
			if text.from != nil {
				*text.to = *text.from
			}
		}
		if counterpart != nil {
			rec.CounterpartClass = audit.EnvelopeClass(*counterpart)
		}
		for _, id := range []struct{ to, from *uuid.UUID }{{&rec.Links.CausedBy, causedBy}, {&rec.Links.Corrects, corrects}, {&rec.Origin.SourceID, source}} {
			if id.from != nil {
				*id.to = *id.from
			}
		}
		copy(rec.Origin.TraceID[:], trace)
		copy(rec.Origin.SpanID[:], span)
		if ordinal != nil {
			rec.Origin.SourceSeq = *ordinal
		}
		return rec, err
	})
}

// seededOnce starts a server for all benchmarks, because making a million records takes a while.
var seededOnce = sync.OnceValues(func() (*pglocal.Server, error) {
	return pglocal.Start(context.Background(), pglocal.Config{Durable: true, Settings: map[string]string{"shared_buffers": "512MB"}})
})

var seededDatabase = sync.OnceValues(func() (*testdb.DB, error) {
	server, err := seededOnce()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	db, _, err := testdb.OnServer(server).Clone(ctx)
	if err != nil {
		return nil, err
	}
	_, err = seed.Copy(ctx, db.Pool, seed.Records(seed.Config{Records: seededRecords, Seed: 1}))
	return db, err
})

func seededStore(b *testing.B) (*coordaudit.Store, *pgxpool.Pool) {
	b.Helper()
	db, err := seededDatabase()
	if err != nil {
		b.Fatal(err)
	}
	return coordaudit.New(db.Pool, fixture.Quiet()), db.Pool
}
