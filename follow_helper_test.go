package coordaudit_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// trail is a migrated database with a store for a busy machine.
type trail struct {
	pool  *pgxpool.Pool
	url   string
	store *coordaudit.Store
}

func newTrail(tb testing.TB) *trail {
	tb.Helper()
	db := testdb.New(tb)
	return trailOn(db)
}

func trailOn(db *testdb.DB) *trail {
	return &trail{pool: db.Pool, url: db.URL, store: coordaudit.New(db.Pool, patientConfig())}
}

// preparing starts a server that keeps prepared transactions.
func preparing(tb testing.TB) *pglocal.Server {
	tb.Helper()
	server := testdb.Durable(tb)
	conn, err := pgx.Connect(tb.Context(), server.URL())
	if err != nil {
		tb.Fatal(err)
	}
	_, err = conn.Exec(tb.Context(), "ALTER SYSTEM SET max_prepared_transactions = 50")
	if err := errors.Join(err, conn.Close(tb.Context()), server.ShutDown(), server.Restart(tb.Context())); err != nil {
		tb.Fatal(err)
	}
	return server
}

// persist stores records of the fixture's tenant, one after the other in one statement.
func (tr *trail) persist(tb testing.TB, n int) []audit.Record {
	tb.Helper()
	recs := fixture.NewRecords(n)
	if _, err := tr.store.PersistMany(tb.Context(), recs); err != nil {
		tb.Fatal(err)
	}
	return recs
}

func (tr *trail) begin(tb testing.TB) pgx.Tx {
	tb.Helper()
	tx, err := tr.pool.Begin(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(tb.Context())) })
	return tx
}

func (tr *trail) persistTx(tb testing.TB, tx pgx.Tx, rec audit.Record) audit.Record {
	tb.Helper()
	if _, err := tr.store.PersistTx(tb.Context(), tx, rec); err != nil {
		tb.Fatal(err)
	}
	return rec
}

// impatient follows all tenants' records without waiting.
func impatient() audit.FollowQuery {
	return audit.FollowQuery{Scope: audit.AllTenants(), Patience: -1, PollInterval: time.Millisecond}
}

// reader reads pages, each from the cursor of the one before.
type reader struct {
	store *coordaudit.Store
	query audit.FollowQuery

	got  []audit.Followed
	page audit.FollowPage // the last one
}

func (tr *trail) reader(query audit.FollowQuery) *reader {
	return &reader{store: tr.store, query: query}
}

// read reads until there is nothing more, and returns what has come.
func (r *reader) read(tb testing.TB) []audit.Followed {
	tb.Helper()
	first := len(r.got)
	for more := true; more; more = r.page.More {
		r.one(tb)
	}
	return r.got[first:]
}

func (r *reader) one(tb testing.TB) {
	tb.Helper()
	page, err := r.store.FollowPage(tb.Context(), r.query)
	if err != nil {
		tb.Fatal(err)
	}
	r.page, r.got = page, append(r.got, page.Records...)
	r.query.From = audit.FromCursor(page.Next)
}

// wantIDs fails unless exactly these records have come, in this order.
func wantIDs(tb testing.TB, got []audit.Followed, want ...audit.Record) {
	tb.Helper()
	ids := func(n int, id func(int) uuid.UUID) (ids []string) {
		for i := range min(n, 200) {
			ids = append(ids, id(i).String()[:8])
		}
		return ids
	}
	have := ids(len(got), func(i int) uuid.UUID { return got[i].AuditID })
	wish := ids(len(want), func(i int) uuid.UUID { return want[i].AuditID })
	if len(got) != len(want) || !slices.Equal(have, wish) {
		tb.Errorf("%d records came, want %d:\n%v\n%v", len(got), len(want), have, wish)
	}
}

func wantLate(tb testing.TB, got []audit.Followed, late, repeated bool) {
	tb.Helper()
	for _, rec := range got {
		if rec.Late != late || rec.Repeated != repeated {
			tb.Errorf("seq %d came with late %t, repeated %t, want %t, %t", rec.Seq, rec.Late, rec.Repeated, late, repeated)
		}
	}
}
