package transaction

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func recordFollowsOutcome(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	committed, rolledBack := fixture.NewRecord(), fixture.NewRecord()

	tx := frame.CallersTx(t, db.Pool)
	if _, err := store.PersistTx(t.Context(), tx, committed); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), audit.AllTenants(), committed.AuditID); !errors.Is(err, audit.ErrNotFound) {
		t.Errorf("before the commit Get() = %v, want ErrNotFound", err)
	}
	frame.Commit(t, tx)
	if _, err := store.Get(t.Context(), audit.AllTenants(), committed.AuditID); err != nil {
		t.Errorf("after the commit: %v", err)
	}

	tx = frame.CallersTx(t, db.Pool)
	if _, err := store.PersistTx(t.Context(), tx, rolledBack); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), audit.AllTenants(), rolledBack.AuditID); !errors.Is(err, audit.ErrNotFound) {
		t.Errorf("after the rollback Get() = %v, want ErrNotFound", err)
	}
	if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM callers_rows"); n != 2 {
		t.Errorf("%d rows of the caller, want the 2 of the committed transaction", n)
	}
}

// Row 5: one apply that preempted three envelopes was four commits, and other sessions saw one, two
// or three of the records.
func recordsAppearAtOnce(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	tx := frame.CallersTx(t, db.Pool)
	for range 3 {
		preempted := fixture.NewRecord()
		preempted.Decision, preempted.PreemptingEnvelopeID = audit.Preempted, "high"
		if _, err := store.PersistTx(t.Context(), tx, preempted); err != nil {
			t.Fatal(err)
		}
		if n := fixture.CountRecords(t, db.Pool); n != 0 {
			t.Errorf("another connection sees %d rows before the commit", n)
		}
	}
	if _, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil {
		t.Fatal(err)
	}
	frame.Commit(t, tx)
	if n := fixture.CountRecords(t, db.Pool); n != 4 {
		t.Errorf("%d rows after the commit, want 4", n)
	}
}

func replayWritesNothing(t *testing.T, db frame.Database) {
	replay := frame.NewStore(db).Replaying()
	tx := frame.CallersTx(t, db.Pool)
	for _, c := range frame.TxCalls(replay, tx) {
		c.WantOutcome(t, fixture.NewRecord(), audit.Skipped)
		invalid := fixture.NewRecord()
		invalid.Reason = ""
		_ = c.WantFailure(t.Context(), t, invalid, audit.ErrInvalidRecord)
	}
	frame.Commit(t, tx)
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func execModesWork(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			pool := frame.PoolInMode(t, db, mode)
			store := coordaudit.New(pool, fixture.Quiet())
			for range 3 {
				persistInEveryWay(t, store, pool)
			}
			want := audit.Counts{Attempts: 36, Persisted: 18, AlreadyPersisted: 12, Failed: 6}
			if got := store.Stats().Total(); got != want {
				t.Errorf("counts %+v, want %+v", got, want)
			}
			if n := fixture.CountRecords(t, db.Pool); n != 18 {
				t.Errorf("%d rows, want 18", n)
			}
		})
	}
}

// persistInEveryWay persists 12 records: 6 are new, 4 are stored already, and 2 conflict.
func persistInEveryWay(t *testing.T, store *coordaudit.Store, pool *pgxpool.Pool) {
	t.Helper()
	recs := fixture.NewRecords(3)
	conflicting := recs[0]
	conflicting.Reason = "another one"

	fixture.MustPersist(t, store, recs[0])
	fixture.MustPersist(t, store, recs[0])
	if _, err := store.Persist(t.Context(), conflicting); !errors.Is(err, audit.ErrConflict) {
		t.Errorf("Persist() = %v, want ErrConflict", err)
	}
	if results, err := store.PersistMany(t.Context(), recs); err != nil || results[0].Outcome != audit.AlreadyPersisted {
		t.Errorf("PersistMany() = %+v, %v", results, err)
	}

	tx := frame.CallersTx(t, pool)
	more := fixture.NewRecords(3)
	if result, err := store.PersistTx(t.Context(), tx, more[0]); err != nil || result.Outcome != audit.Persisted {
		t.Errorf("PersistTx() = %+v, %v", result, err)
	}
	if result, err := store.PersistTx(t.Context(), tx, more[0]); err != nil || result.Outcome != audit.AlreadyPersisted {
		t.Errorf("PersistTx() again = %+v, %v", result, err)
	}
	if _, err := store.PersistTx(t.Context(), tx, conflicting); !errors.Is(err, audit.ErrConflict) {
		t.Errorf("PersistTx() = %v, want ErrConflict", err)
	}
	if results, err := store.PersistManyTx(t.Context(), tx, more); err != nil || results[0].Outcome != audit.AlreadyPersisted || results[2].Outcome != audit.Persisted {
		t.Errorf("PersistManyTx() = %+v, %v", results, err)
	}
	frame.Commit(t, tx)
}

func unusableIsReported(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)

	aborted := frame.CallersTx(t, db.Pool)
	if _, err := aborted.Exec(t.Context(), "SELECT 1/0"); err == nil {
		t.Fatal("dividing by zero succeeded")
	}
	if _, err := store.PersistTx(t.Context(), aborted, fixture.NewRecord()); !errors.Is(err, audit.ErrTxUnusable) {
		t.Errorf("in an aborted transaction: %v, want ErrTxUnusable", err)
	}
	if status := aborted.Conn().PgConn().TxStatus(); status != 'E' {
		t.Errorf("the transaction's status is %c, want it left aborted", status)
	}
	if err := aborted.Commit(t.Context()); !errors.Is(err, pgx.ErrTxCommitRollback) {
		t.Errorf("committing an aborted transaction: %v, want ErrTxCommitRollback", err)
	}

	finished := frame.CallersTx(t, db.Pool)
	if err := finished.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.PersistTx(t.Context(), finished, fixture.NewRecord()); !errors.Is(err, audit.ErrTxUnusable) {
		t.Errorf("in a finished transaction: %v, want ErrTxUnusable", err)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func isolationLevelsWork(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		err := pgx.BeginTxFunc(t.Context(), db.Pool, pgx.TxOptions{IsoLevel: level}, func(tx pgx.Tx) error {
			return pgx.BeginFunc(t.Context(), tx, func(nested pgx.Tx) error {
				_, err := store.PersistTx(t.Context(), nested, fixture.NewRecord())
				return err
			})
		})
		if err != nil {
			t.Errorf("%s: %v", level, err)
		}
	}
	if n := fixture.CountRecords(t, db.Pool); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
}
