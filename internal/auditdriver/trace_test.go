package auditdriver_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// batchTracer is a caller's own tracer.
type batchTracer struct {
	mu             sync.Mutex
	begun, queried []string
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
	db := testdb.New(t)
	config, err := pgxpool.ParseConfig(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	seen := &batchTracer{}
	config.ConnConfig.Tracer = seen
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	rec := record()
	err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := auditdriver.New(pool).PersistTx(t.Context(), tx, &rec)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	inserts := 0
	for _, sql := range seen.begun {
		if strings.Contains(sql, "INSERT INTO") {
			inserts++
		}
	}
	if inserts != 1 || len(seen.begun) != 3*seen.ended || !slices.Equal(seen.begun, seen.queried) {
		t.Errorf("traced are %d batches with\n%q, of which were answered\n%q", seen.ended, seen.begun, seen.queried)
	}
}
