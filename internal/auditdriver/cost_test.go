package auditdriver_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// sends counts what a connection sends: statements by themselves, and batches.
type sends struct{ statements, batches int }

func (s *sends) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	s.statements++
	return ctx
}

func (*sends) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *sends) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	s.batches++
	return ctx
}

func (*sends) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*sends) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// On a connection that has been used before, a call takes one round trip, and three if the
// id is taken. So it does in a transaction.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	sent := &sends{}
	driver, pool := driverOn(t, db.URL, func(config *pgxpool.Config) { config.ConnConfig.Tracer = sent })
	taken := record()
	many := func() []audit.Record { return []audit.Record{record(), record()} }
	tests := []struct {
		name string
		call func(pgx.Tx) error
		inTx bool
		want sends
	}{
		{"PersistTx", func(tx pgx.Tx) error { rec := record(); return errOf(driver.PersistTx(t.Context(), tx, &rec)) }, true, sends{0, 1}},
		{"PersistTx of a taken id", func(tx pgx.Tx) error { return errOf(driver.PersistTx(t.Context(), tx, &taken)) }, true, sends{0, 3}},
		{"PersistManyTx", func(tx pgx.Tx) error { return errOf(driver.PersistManyTx(t.Context(), tx, many())) }, true, sends{0, 1}},
		{"Persist", func(pgx.Tx) error { rec := record(); return errOf(driver.Persist(t.Context(), &rec)) }, false, sends{1, 0}},
		{"Persist of a taken id", func(pgx.Tx) error { return errOf(driver.Persist(t.Context(), &taken)) }, false, sends{3, 0}},
		{"PersistMany", func(pgx.Tx) error { return errOf(driver.PersistMany(t.Context(), many())) }, false, sends{1, 0}},
		{"PersistMissing of taken ids", func(pgx.Tx) error {
			return errOf(driver.PersistMissing(t.Context(), []audit.Record{taken}))
		}, false, sends{2, 0}},
		{"PersistGap", func(pgx.Tx) error { gap := gapOf(); return driver.PersistGap(t.Context(), &gap) }, false, sends{1, 0}},
		{"PersistStatement", func(pgx.Tx) error {
			statement := statementOf(uuid.Must(uuid.NewV7()), 1)
			return driver.PersistStatement(t.Context(), &statement)
		}, false, sends{1, 0}},
		{"CopyMany", func(pgx.Tx) error { return errOf(driver.CopyMany(t.Context(), many())) }, false, sends{}}, // COPY and the question after it are no queries of pgx
	}
	for _, test := range tests {
		var got sends
		for range 4 { // the first uses of a connection prepare
			var err error
			if got, err = costOf(t.Context(), pool, sent, test.inTx, test.call); err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
		}
		if got != test.want {
			t.Errorf("%s sent %+v, want %+v", test.name, got, test.want)
		}
	}
}

// costOf leaves out BEGIN and COMMIT.
func costOf(ctx context.Context, pool *pgxpool.Pool, sent *sends, inTx bool, call func(pgx.Tx) error) (cost sends, err error) {
	if !inTx {
		*sent = sends{}
		err = call(nil)
		return *sent, err
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		*sent = sends{}
		defer func() { cost = *sent }()
		return call(tx)
	})
	return cost, err
}

// errOf drops a call's result.
func errOf[T any](_ T, err error) error { return err }
