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

// rowChanges change a stored record so that a client may be unable to read its row.
func rowChanges() map[string]string {
	return map[string]string{
		"created_at infinite":         "UPDATE coordination_audit_records SET created_at = 'infinity'",
		"created_at minus infinite":   "UPDATE coordination_audit_records SET created_at = '-infinity'",
		"decision_timestamp infinite": "UPDATE coordination_audit_records SET decision_timestamp = 'infinity'",
		"created_at a text":           "ALTER TABLE coordination_audit_records ALTER COLUMN created_at DROP DEFAULT, ALTER COLUMN created_at TYPE text USING 'yesterday'",
		"seq a number":                "ALTER TABLE coordination_audit_records ALTER COLUMN seq DROP IDENTITY; ALTER TABLE coordination_audit_records ALTER COLUMN seq TYPE numeric USING seq + 0.5",
		"reason missing":              "ALTER TABLE coordination_audit_records ALTER COLUMN reason DROP NOT NULL; UPDATE coordination_audit_records SET reason = NULL",
	}
}

// For an id that is taken the call reads the stored row, on the first use of a connection and in a
// pipeline. Even if the row cannot be read, the caller's transaction goes on, and the other records
// of a batch have their own outcome.
func survivesUnreadableRow(t *testing.T, db frame.Database) {
	for name, change := range rowChanges() {
		for _, mode := range db.ExecModes() {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				db := db.Another(t)
				pool := frame.PoolInMode(t, db, mode)
				store := coordaudit.New(pool, fixture.Quiet())
				rec := fixture.NewRecord()
				fixture.MustPersist(t, store, rec)
				frame.Unguarded(t, db.Pool, change)
				for range 4 {
					tx := frame.CallersTx(t, pool)
					for _, c := range frame.TxCalls(store, tx) {
						result, err := c.Persist(t.Context(), rec)
						known := err == nil && result.Outcome == audit.AlreadyPersisted
						if !known && !errors.Is(err, audit.ErrConflict) && !errors.Is(err, audit.ErrRefused) && !isStaleLook(err) {
							t.Errorf("%s() = %+v, %v; want AlreadyPersisted, ErrConflict or ErrRefused", c.Name, result, err)
						}
					}
					frame.Commit(t, tx)
				}
				for _, c := range frame.OwnCalls(store) {
					if _, err := c.Persist(t.Context(), rec); errors.Is(err, audit.ErrOutcomeUnknown) || errors.Is(err, audit.ErrUnavailable) {
						t.Errorf("%s() = %v, want no doubt about a taken id", c.Name, err)
					}
				}
			})
		}
	}
}

// isStaleLook reports the one failure of a plan whose table has changed.
func isStaleLook(err error) bool {
	failed, ok := errors.AsType[*audit.PersistError](err)
	return ok && failed.SQLState == "0A000"
}

// The row is stored, so the call must report that, even if it cannot read seq or the time.
func unreadableAnswerIsStored(t *testing.T, db frame.Database) {
	tests := map[string]string{
		"created_at infinite": `CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.created_at := 'infinity'; RETURN NEW; END $$;
			CREATE TRIGGER forge BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION forge()`,
		"created_at a text": "ALTER TABLE coordination_audit_records ALTER COLUMN created_at TYPE text USING 'yesterday', ALTER COLUMN created_at SET DEFAULT 'today'",
		"seq missing":       "ALTER TABLE coordination_audit_records ALTER COLUMN seq DROP IDENTITY, ALTER COLUMN seq DROP NOT NULL",
	}
	for name, change := range tests {
		for _, mode := range db.ExecModes() {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				db := db.Another(t)
				frame.Unguarded(t, db.Pool, change)
				pool := frame.PoolInMode(t, db, mode)
				store := coordaudit.New(pool, fixture.Quiet())
				for range 3 {
					tx := frame.CallersTx(t, pool)
					for _, c := range frame.TxCalls(store, tx) {
						c.WantOutcome(t, fixture.NewRecord(), audit.Persisted)
					}
					frame.Commit(t, tx)
					for _, c := range frame.OwnCalls(store) {
						c.WantOutcome(t, fixture.NewRecord(), audit.Persisted)
					}
				}
				if n := fixture.CountRecords(t, db.Pool); n != 12 {
					t.Errorf("%d rows, want 12", n)
				}
			})
		}
	}
}

// The column holds small counts only. pgx closes the connection if it cannot encode an argument in
// the middle of a batch.
func survivesUnsendableValue(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ALTER COLUMN active_envelopes_count TYPE smallint")
			pool := frame.PoolInMode(t, db, mode)
			store, spare := coordaudit.New(pool, fixture.Quiet()), coordaudit.New(frame.PoolInMode(t, db, mode), fixture.Quiet())
			for range 3 {
				tx := frame.CallersTx(t, pool)
				for _, c := range append(frame.OwnCalls(spare), frame.TxCalls(store, tx)...) {
					c.WantOutcome(t, fixture.NewRecord(), audit.Persisted)
					many := fixture.NewRecord()
					many.ActiveEnvelopesCount = 70_000
					_ = c.WantFailure(t.Context(), t, many, audit.ErrRefused)
				}
				frame.Commit(t, tx)
			}
			if n := fixture.CountRecords(t, db.Pool); n != 12 {
				t.Errorf("%d rows, want 12", n)
			}
		})
	}
}

// There is more than one way to pass no transaction.
func missingIsRefused(t *testing.T, db frame.Database) {
	var typed *pgxpool.Tx
	for name, tx := range map[string]pgx.Tx{
		"nil":                    nil,
		"a nil *pgxpool.Tx":      typed,
		"a wrapper around none":  struct{ pgx.Tx }{},
		"one without connection": foreignTx{},
	} {
		for on, store := range map[string]*coordaudit.Store{"a pool": frame.NewStore(db), "no pool": coordaudit.New(nil, fixture.Quiet())} {
			for _, c := range frame.TxCalls(store, tx) {
				if _, err := c.Persist(t.Context(), fixture.NewRecord()); !errors.Is(err, audit.ErrTxUnusable) {
					t.Errorf("%s on %s with %s: %v, want ErrTxUnusable", c.Name, on, name, err)
				}
			}
		}
	}
}

type foreignTx struct{ pgx.Tx }

func (foreignTx) Conn() *pgx.Conn { return nil }
