package auditdriver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// workbench is a trail of a million records that tests read and none writes to.
type workbench struct {
	server *pglocal.Server // kept, since the watchdog ends a server without a reference
	url    string
	some   audit.Record // one of its records
}

// seededOnce is shared by this package's tests, since making it takes half a minute.
// pglocal's watchdog ends its server with the process.
var seededOnce = sync.OnceValues(func() (*workbench, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	server, err := pglocal.Start(ctx, pglocal.Config{})
	if err != nil {
		return nil, err
	}
	db, _, err := testdb.OnServer(server).Clone(ctx)
	if err != nil {
		return nil, err
	}
	var some audit.Record
	recs := func(yield func(audit.Record) bool) {
		for rec := range seed.Records(seed.Config{Records: million, Seed: 1, Envelopes: 2000}) {
			some = rec
			if !yield(rec) {
				return
			}
		}
	}
	if _, err := seed.Copy(ctx, db.Pool, recs); err != nil {
		return nil, err
	}
	if err := addLinked(ctx, db.Pool); err != nil {
		return nil, err
	}
	return &workbench{server: server, url: db.URL, some: some}, nil
})

// One record caused thousands, and a few correct it. seed makes neither.
const (
	causes      = 5000
	corrections = 3
)

func linkedID() uuid.UUID { return uuid.UUID{0xff, 15: 1} }

func addLinked(ctx context.Context, pool *pgxpool.Pool) error {
	const insert = `INSERT INTO coordination_audit_records
		(audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, tenant_id, caused_by, corrects)
		SELECT gen_random_uuid(), 'linked', 'COST', 'APPLIED', 'as before', '2026-01-10'::timestamptz + n * interval '1 minute', 'tenant-acme',
			$1::uuid, CASE WHEN n <= $3::int THEN $1::uuid END
		FROM generate_series(1, $2::int) AS n`
	if _, err := pool.Exec(ctx, insert, linkedID(), causes, corrections); err != nil {
		return err
	}
	_, err := pool.Exec(ctx, "VACUUM ANALYZE coordination_audit_records")
	return err
}

func seeded(t *testing.T) *workbench {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a million records, and -short was given")
	}
	bench, err := seededOnce()
	if err != nil {
		t.Fatalf("making a trail of a million records: %v", err)
	}
	return bench
}

// driver returns a driver with a single connection.
func (w *workbench) driver(t *testing.T) (*auditdriver.Driver, *pgxpool.Pool) {
	t.Helper()
	pool := w.pool(t, func(*pgxpool.Config) {})
	return auditdriver.New(pool), pool
}

func (w *workbench) pool(t *testing.T, set func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(w.url)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 1
	set(config)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// statement is a statement that the driver has sent.
type statement struct {
	sql      string
	args     []any
	settings string // under which the driver sent it
}

// statementsOf returns the queries that a call sends.
func (w *workbench) statementsOf(t *testing.T, call func(context.Context, *auditdriver.Driver) error) []statement {
	t.Helper()
	sent := &recorder{}
	pool := w.pool(t, func(config *pgxpool.Config) { config.ConnConfig.Tracer = sent })
	if err := call(t.Context(), auditdriver.New(pool)); err != nil {
		t.Fatal(err)
	}
	return sent.statements
}

// recorder is a tracer that keeps the statements of sqlc.
type recorder struct {
	statements []statement
	settings   string
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.HasPrefix(data.SQL, "-- name: ") {
		args := slices.DeleteFunc(slices.Clone(data.Args), func(arg any) bool { _, isMode := arg.(pgx.QueryExecMode); return isMode })
		r.statements = append(r.statements, statement{sql: data.SQL, args: args, settings: r.settings})
	}
	if settings, ok := strings.CutPrefix(data.SQL, "SAVEPOINT coordaudit_settings; "); ok {
		r.settings = settings
	}
	return ctx
}

func (*recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// plan is how the server executed a statement.
type plan struct {
	indexes  []string // each once, sorted
	seqScans int
	rowsRead int // from the table, including those that a filter dropped
	text     string
}

// explain executes the statement, planned for its values.
func (w *workbench) explain(t *testing.T, s statement) plan {
	t.Helper()
	pool := w.pool(t, func(*pgxpool.Config) {})
	var answer string
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), s.settings); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) "+s.sql, append([]any{pgx.QueryExecModeExec}, s.args...)...).Scan(&answer)
	})
	if err != nil {
		t.Fatal(err)
	}
	return read(t, answer)
}

// explainGeneric executes the statement with a generic plan.
func (w *workbench) explainGeneric(t *testing.T, s statement) plan {
	t.Helper()
	pool := w.pool(t, func(config *pgxpool.Config) {
		config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	})
	if _, err := pool.Exec(t.Context(), "PREPARE generic AS "+s.sql); err != nil {
		t.Fatal(err)
	}
	places := make([]string, len(s.args))
	for i := range places {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	var answer string
	execute := "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) EXECUTE generic (" + strings.Join(places, ", ") + ")"
	if err := pool.QueryRow(t.Context(), execute, append([]any{pgx.QueryExecModeSimpleProtocol}, s.args...)...).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return read(t, answer)
}

type node struct {
	Type     string  `json:"Node Type"`
	Index    string  `json:"Index Name"`
	Relation string  `json:"Relation Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Filtered float64 `json:"Rows Removed by Filter"`
	Plans    []node  `json:"Plans"`
}

func read(t *testing.T, answer string) plan {
	t.Helper()
	var explained []struct{ Plan node }
	if err := json.Unmarshal([]byte(answer), &explained); err != nil {
		t.Fatal(err)
	}
	p := plan{text: answer}
	p.add(explained[0].Plan)
	slices.Sort(p.indexes)
	p.indexes = slices.Compact(p.indexes)
	return p
}

func (p *plan) add(n node) {
	if n.Index != "" && n.Loops > 0 {
		p.indexes = append(p.indexes, n.Index)
	}
	if n.Type == "Seq Scan" && n.Relation == "coordination_audit_records" {
		p.seqScans++
	}
	if n.Relation != "" {
		p.rowsRead += int((n.Rows + n.Filtered) * n.Loops)
	}
	for _, child := range n.Plans {
		p.add(child)
	}
}
