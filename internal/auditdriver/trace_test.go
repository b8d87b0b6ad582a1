package auditdriver_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// batchTracer is a caller's own tracer.
type batchTracer struct {
	mu             sync.Mutex
	begun, queried []string
	failed         []string
	ended          int
}

func (*batchTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (*batchTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (b *batchTracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, query := range data.Batch.QueuedQueries {
		b.begun = append(b.begun, query.SQL)
	}
	return ctx
}

func (b *batchTracer) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queried = append(b.queried, data.SQL)
	if data.Err != nil {
		b.failed = append(b.failed, data.SQL)
	}
}

func (b *batchTracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended++
}

// A caller's tracer sees the batch that a statement in the caller's transaction is sent with, as
// it sees those of pgx.
func TestCallersTracerSeesBatch(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			requireTraced(t, mode)
		})
	}
}

func requireTraced(t *testing.T, mode pgx.QueryExecMode) {
	t.Helper()
	db := testdb.New(t)
	config, err := pgxpool.ParseConfig(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	seen := &batchTracer{}
	config.ConnConfig.Tracer, config.ConnConfig.DefaultQueryExecMode = seen, mode
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	persist := func() error {
		rec := record()
		return pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			_, err := auditdriver.New(pool).PersistTx(t.Context(), tx, &rec)
			return err
		})
	}
	if err := persist(); err != nil {
		t.Fatal(err)
	}
	isInsert := func(sql string) bool { return strings.Contains(sql, "INSERT INTO") }
	begun := slices.Clone(seen.begun)
	if inserts := slices.IndexFunc(begun, isInsert); inserts < 0 || len(begun) != 3*seen.ended || !slices.Equal(begun, seen.queried) || len(seen.failed) > 0 {
		t.Errorf("traced are %d batches with\n%q, of which were answered\n%q", seen.ended, begun, seen.queried)
	}
	if _, err := db.Pool.Exec(t.Context(), "ALTER TABLE coordination_audit_records ADD CONSTRAINT says_no CHECK (seq = 0) NOT VALID"); err != nil {
		t.Fatal(err)
	}
	if err := persist(); !errors.Is(err, audit.ErrRefused) {
		t.Errorf("%v, want ErrRefused", err)
	}
	if len(seen.failed) != 1 || !isInsert(seen.failed[0]) || !isInsert(seen.queried[len(seen.queried)-1]) {
		t.Errorf("of the refused batch failed %q, and the last that was answered is %q", seen.failed, seen.queried[len(seen.queried)-1])
	}
}
