package conformance

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

func transactions() []promise {
	return []promise{
		{"EveryCallWorksInEveryExecMode", everyCallWorksInEveryExecMode},
		{"AFailedRecordLeavesTheCallersTransactionAlone", aFailedRecordLeavesTheCallersTransactionAlone},
		{"AFailureOnAUsedConnectionLeavesTheTransactionAlone", aFailureOnAUsedConnectionLeavesTheTransactionAlone},
		{"AnUnusableTransactionIsReportedAndNotRepaired", anUnusableTransactionIsReportedAndNotRepaired},
		{"PersistTxWorksInEveryIsolationLevelAndInNestedTransactions", persistTxWorksInEveryIsolationLevelAndInNestedTransactions},
		{"AChangedTableFailsAPreparedStatementOnceAtMost", aChangedTableFailsAPreparedStatementOnceAtMost},
	}
}

func everyCallWorksInEveryExecMode(t *testing.T, db Database) {
	for _, mode := range execModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.another(t)
			pool := poolInMode(t, db, mode)
			store := coordaudit.New(pool, quiet())
			for range 3 {
				persistInEveryWay(t, store, pool)
			}
			want := audit.Counts{Attempts: 36, Persisted: 18, AlreadyPersisted: 12, Failed: 6}
			if got := store.Stats().Total(); got != want {
				t.Errorf("counts %+v, want %+v", got, want)
			}
			if n := countRecords(t, db.Pool); n != 18 {
				t.Errorf("%d rows, want 18", n)
			}
		})
	}
}

// persistInEveryWay persists 12 records: 6 new ones, 4 again, 2 in conflict.
func persistInEveryWay(t *testing.T, store *coordaudit.Store, pool *pgxpool.Pool) {
	t.Helper()
	recs := newRecords(3)
	conflicting := recs[0]
	conflicting.Reason = "another one"

	mustPersist(t, store, recs[0])
	mustPersist(t, store, recs[0])
	if _, err := store.Persist(t.Context(), conflicting); !errors.Is(err, audit.ErrConflict) {
		t.Errorf("Persist() = %v, want ErrConflict", err)
	}
	if receipts, err := store.PersistMany(t.Context(), recs); err != nil || receipts[0].Outcome != audit.AlreadyPersisted {
		t.Errorf("PersistMany() = %+v, %v", receipts, err)
	}

	tx := callersTx(t, pool)
	more := newRecords(3)
	if receipt, err := store.PersistTx(t.Context(), tx, more[0]); err != nil || receipt.Outcome != audit.Persisted {
		t.Errorf("PersistTx() = %+v, %v", receipt, err)
	}
	if receipt, err := store.PersistTx(t.Context(), tx, more[0]); err != nil || receipt.Outcome != audit.AlreadyPersisted {
		t.Errorf("PersistTx() again = %+v, %v", receipt, err)
	}
	if _, err := store.PersistTx(t.Context(), tx, conflicting); !errors.Is(err, audit.ErrConflict) {
		t.Errorf("PersistTx() = %v, want ErrConflict", err)
	}
	if receipts, err := store.PersistManyTx(t.Context(), tx, more); err != nil || receipts[0].Outcome != audit.AlreadyPersisted || receipts[2].Outcome != audit.Persisted {
		t.Errorf("PersistManyTx() = %+v, %v", receipts, err)
	}
	commit(t, tx)
}

// recordFailure is one way in which a record fails in a transaction.
type recordFailure struct {
	breakIt func(t *testing.T, db Database) // before the transaction
	change  func(*audit.Record)
	want    error
}

func recordFailures() map[string]recordFailure {
	return map[string]recordFailure{
		"invalid record": {
			change: func(r *audit.Record) { r.EnvelopeClass = "LATENCY" },
			want:   audit.ErrInvalidRecord,
		},
		"missing table": {
			breakIt: func(t *testing.T, db Database) {
				t.Helper()
				mustExec(t, db.Pool, "ALTER TABLE coordination_audit_records RENAME TO elsewhere")
			},
			want: audit.ErrRefused,
		},
		"constraint that Validate does not know": {
			breakIt: func(t *testing.T, db Database) {
				t.Helper()
				mustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ADD CONSTRAINT dba_says_no CHECK (tenant_id <> 'acme')")
			},
			want: audit.ErrRefused,
		},
		"statement timeout": {
			breakIt: func(t *testing.T, db Database) {
				t.Helper()
				slow := "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(10); RETURN NEW; END $$"
				mustExec(t, db.Pool, slow)
				mustExec(t, db.Pool, "CREATE TRIGGER slow BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION slow()")
			},
			want: audit.ErrUnavailable,
		},
	}
}

// The predecessor's defects P4, 15 and 16: whatever became of a record, the
// caller's transaction was committed or rolled back for it.
func aFailedRecordLeavesTheCallersTransactionAlone(t *testing.T, db Database) {
	for name, test := range recordFailures() {
		for _, mode := range execModes() {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				db := db.another(t)
				pool := poolInMode(t, db, mode)
				if test.breakIt != nil {
					test.breakIt(t, db)
				}
				rec := newRecord()
				if test.change != nil {
					test.change(&rec)
				}
				config := quiet()
				config.Timeout = 300 * time.Millisecond
				store := coordaudit.New(pool, config)
				for range 2 {
					tx := callersTx(t, pool)
					if _, err := store.PersistTx(t.Context(), tx, rec); !errors.Is(err, test.want) {
						t.Errorf("PersistTx() = %v, want %v", err, test.want)
					}
					if _, err := store.PersistManyTx(t.Context(), tx, []audit.Record{rec, rec}); !errors.Is(err, test.want) {
						t.Errorf("PersistManyTx() = %v, want %v", err, test.want)
					}
					commit(t, tx)
				}
				if n := queryInt(t, db.Pool, "SELECT count(*) FROM callers_rows"); n != 4 {
					t.Errorf("%d rows of the caller, want 4", n)
				}
			})
		}
	}
}

// The table may vanish after the connection has prepared the statement: the
// pipelined way must hold what the stepwise one holds.
func aFailureOnAUsedConnectionLeavesTheTransactionAlone(t *testing.T, db Database) {
	for _, mode := range execModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.another(t)
			pool := poolInMode(t, db, mode)
			store := coordaudit.New(pool, quiet())
			tx := callersTx(t, pool)
			if _, err := store.PersistTx(t.Context(), tx, newRecord()); err != nil {
				t.Fatal(err)
			}
			commit(t, tx)

			mustExec(t, db.Pool, "ALTER TABLE coordination_audit_records RENAME TO elsewhere")
			for range 2 {
				tx = callersTx(t, pool)
				if _, err := store.PersistTx(t.Context(), tx, newRecord()); !errors.Is(err, audit.ErrRefused) {
					t.Errorf("PersistTx() = %v, want ErrRefused", err)
				}
				commit(t, tx)
			}
			mustExec(t, db.Pool, "ALTER TABLE elsewhere RENAME TO coordination_audit_records")
			tx = callersTx(t, pool)
			if _, err := store.PersistTx(t.Context(), tx, newRecord()); err != nil {
				t.Errorf("after the table came back: %v", err)
			}
			commit(t, tx)
		})
	}
}

func anUnusableTransactionIsReportedAndNotRepaired(t *testing.T, db Database) {
	store := newStore(db)

	aborted := callersTx(t, db.Pool)
	if _, err := aborted.Exec(t.Context(), "SELECT 1/0"); err == nil {
		t.Fatal("dividing by zero succeeded")
	}
	if _, err := store.PersistTx(t.Context(), aborted, newRecord()); !errors.Is(err, audit.ErrTxUnusable) {
		t.Errorf("in an aborted transaction: %v, want ErrTxUnusable", err)
	}
	if status := aborted.Conn().PgConn().TxStatus(); status != 'E' {
		t.Errorf("the transaction's status is %c, want it left aborted", status)
	}
	if err := aborted.Commit(t.Context()); !errors.Is(err, pgx.ErrTxCommitRollback) {
		t.Errorf("committing an aborted transaction: %v, want ErrTxCommitRollback", err)
	}

	finished := callersTx(t, db.Pool)
	if err := finished.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.PersistTx(t.Context(), finished, newRecord()); !errors.Is(err, audit.ErrTxUnusable) {
		t.Errorf("in a finished transaction: %v, want ErrTxUnusable", err)
	}
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func persistTxWorksInEveryIsolationLevelAndInNestedTransactions(t *testing.T, db Database) {
	store := newStore(db)
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		err := pgx.BeginTxFunc(t.Context(), db.Pool, pgx.TxOptions{IsoLevel: level}, func(tx pgx.Tx) error {
			return pgx.BeginFunc(t.Context(), tx, func(nested pgx.Tx) error {
				_, err := store.PersistTx(t.Context(), nested, newRecord())
				return err
			})
		})
		if err != nil {
			t.Errorf("%s: %v", level, err)
		}
	}
	if n := countRecords(t, db.Pool); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
}

// A type change under a prepared statement fails its next use, once.
func aChangedTableFailsAPreparedStatementOnceAtMost(t *testing.T, db Database) {
	for _, mode := range execModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.another(t)
			pool := poolInMode(t, db, mode)
			store := coordaudit.New(pool, quiet())
			tx := callersTx(t, pool)
			if _, err := store.PersistTx(t.Context(), tx, newRecord()); err != nil {
				t.Fatal(err)
			}
			commit(t, tx)
			mustPersist(t, store, newRecord())

			mustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ALTER COLUMN created_at TYPE timestamptz(3)")
			mustPersist(t, store, newRecord())
			tx = callersTx(t, pool)
			if _, err := store.PersistTx(t.Context(), tx, newRecord()); err != nil && !errors.Is(err, audit.ErrUnavailable) {
				t.Errorf("PersistTx() = %v, want success or ErrUnavailable", err)
			}
			if _, err := store.PersistTx(t.Context(), tx, newRecord()); err != nil {
				t.Errorf("PersistTx() again = %v, want success", err)
			}
			commit(t, tx)
		})
	}
}
