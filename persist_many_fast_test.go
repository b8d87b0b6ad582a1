package coordaudit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// copyCounter counts the COPYs that are sent.
type copyCounter struct{ insertCounter }

func (c *copyCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// A COPY in doubt may be committed. Then a second COPY of the batch would be refused, and would leave a
// batch of dead rows.
func TestCopyInDoubtIsNotRepeated(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	proxy := faultproxy.New(t, db.URL)
	config, err := pgxpool.ParseConfig(proxy.URL())
	if err != nil {
		t.Fatal(err)
	}
	var copies copyCounter
	config.ConnConfig.Tracer = &copies
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	settings := fixture.Quiet()
	settings.Retries, settings.Timeout = -1, 30*time.Second
	store := coordaudit.New(pool, settings)
	if _, err := store.PersistManyFast(t.Context(), fixture.NewRecords(1)); err != nil {
		t.Fatal(err)
	}

	recs := fixture.NewRecords(10)
	proxy.CutAtServer(faultproxy.ReadyForQuery) // the answer to the commit of COPY
	if _, err := store.PersistManyFast(t.Context(), recs); !errors.Is(err, audit.ErrOutcomeUnknown) {
		t.Fatalf("PersistManyFast() = %v, want ErrOutcomeUnknown", err)
	}
	counts, err := store.PersistManyFast(t.Context(), recs)
	if want := (audit.Counts{Attempts: 10, AlreadyPersisted: 10}); err != nil || counts != want {
		t.Errorf("PersistManyFast() again = %+v, %v, want %+v", counts, err, want)
	}
	if n := copies.n.Load(); n != 2 {
		t.Errorf("%d COPY, want 2: none for the batch that was in doubt", n)
	}
	if _, err := store.PersistManyFast(t.Context(), fixture.NewRecords(10)); err != nil { // finds no id taken
		t.Fatal(err)
	}
	if _, err := store.PersistManyFast(t.Context(), fixture.NewRecords(10)); err != nil {
		t.Fatal(err)
	}
	if n := copies.n.Load(); n != 3 {
		t.Errorf("%d COPY, want 3: again, once the ids are new", n)
	}
}
