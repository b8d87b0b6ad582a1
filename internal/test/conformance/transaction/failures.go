package transaction

import (
	"errors"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// recordFailure is one way in which a record fails in a transaction.
type recordFailure struct {
	breakIt func(t *testing.T, db frame.Database) // before the transaction
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
			breakIt: func(t *testing.T, db frame.Database) {
				t.Helper()
				fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records RENAME TO elsewhere")
			},
			want: audit.ErrRefused,
		},
		"constraint that Validate does not know": {
			breakIt: func(t *testing.T, db frame.Database) {
				t.Helper()
				fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ADD CONSTRAINT dba_says_no CHECK (tenant_id <> 'acme')")
			},
			want: audit.ErrRefused,
		},
		"statement timeout": {
			breakIt: func(t *testing.T, db frame.Database) {
				t.Helper()
				slow := "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(10); RETURN NEW; END $$"
				fixture.MustExec(t, db.Pool, slow)
				fixture.MustExec(t, db.Pool, "CREATE TRIGGER slow BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION slow()")
			},
			want: audit.ErrUnavailable,
		},
	}
}

// The predecessor's defects P4, 15 and 16: the result of a record committed the caller's transaction or
// rolled it back.
func survivesFailedRecord(t *testing.T, db frame.Database) {
	for name, test := range recordFailures() {
		for _, mode := range db.ExecModes() {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				db := db.Another(t)
				pool := frame.PoolInMode(t, db, mode)
				if test.breakIt != nil {
					test.breakIt(t, db)
				}
				rec := fixture.NewRecord()
				if test.change != nil {
					test.change(&rec)
				}
				config := fixture.Quiet()
				config.Timeout = 300 * time.Millisecond
				store := coordaudit.New(pool, config)
				for range 2 {
					tx := frame.CallersTx(t, pool)
					if _, err := store.PersistTx(t.Context(), tx, rec); !errors.Is(err, test.want) {
						t.Errorf("PersistTx() = %v, want %v", err, test.want)
					}
					if _, err := store.PersistManyTx(t.Context(), tx, []audit.Record{rec, rec}); !errors.Is(err, test.want) {
						t.Errorf("PersistManyTx() = %v, want %v", err, test.want)
					}
					frame.Commit(t, tx)
				}
				if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM callers_rows"); n != 4 {
					t.Errorf("%d rows of the caller, want 4", n)
				}
			})
		}
	}
}

// The table may disappear after the connection has prepared the statement. The pipelined way must
// guarantee the same as the stepwise one.
func survivesLaterFailure(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			pool := frame.PoolInMode(t, db, mode)
			store := coordaudit.New(pool, fixture.Quiet())
			tx := frame.CallersTx(t, pool)
			if _, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil {
				t.Fatal(err)
			}
			frame.Commit(t, tx)

			fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records RENAME TO elsewhere")
			for range 2 {
				tx = frame.CallersTx(t, pool)
				if _, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); !errors.Is(err, audit.ErrRefused) {
					t.Errorf("PersistTx() = %v, want ErrRefused", err)
				}
				frame.Commit(t, tx)
			}
			fixture.MustExec(t, db.Pool, "ALTER TABLE elsewhere RENAME TO coordination_audit_records")
			tx = frame.CallersTx(t, pool)
			if _, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil {
				t.Errorf("after the table came back: %v", err)
			}
			frame.Commit(t, tx)
		})
	}
}

// When a column type changes, the next use of a prepared statement fails, and no later one.
func changedTableFailsOnce(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			pool := frame.PoolInMode(t, db, mode)
			store := coordaudit.New(pool, fixture.Quiet())
			tx := frame.CallersTx(t, pool)
			if _, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil {
				t.Fatal(err)
			}
			frame.Commit(t, tx)
			fixture.MustPersist(t, store, fixture.NewRecord())

			fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ALTER COLUMN created_at TYPE timestamptz(3)")
			fixture.MustPersist(t, store, fixture.NewRecord())
			tx = frame.CallersTx(t, pool)
			if _, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil && !errors.Is(err, audit.ErrUnavailable) {
				t.Errorf("PersistTx() = %v, want success or ErrUnavailable", err)
			}
			if _, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil {
				t.Errorf("PersistTx() again = %v, want success", err)
			}
			frame.Commit(t, tx)
		})
	}
}
