package auditdriver

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func plainRecord() audit.Record {
	return audit.Record{
		AuditID: uuid.Must(uuid.NewV7()), EnvelopeID: "e", EnvelopeClass: audit.Cost, Decision: audit.Applied, Reason: "r",
		DecisionTimestamp: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

// A connection whose default mode works is used as it is. One whose cache is switched off gets a
// mode that works on it, and keeps it.
func TestConnectionKeepsItsMode(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for _, capacity := range []int{512, 0} {
		config := db.Pool.Config().ConnConfig.Copy()
		config.StatementCacheCapacity = capacity
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		how, again := sendingOf(conn), sendingOf(conn)
		if how != again || how.uncached != (capacity == 0) || (how.mode == config.DefaultQueryExecMode) == how.uncached {
			t.Errorf("with a cache of %d statements: mode %v, replaced %t", capacity, how.mode, how.uncached)
		}
		if _, replaced := possible(conn, conn).(planned); replaced != how.uncached {
			t.Errorf("with a cache of %d statements: statements are given a mode: %t", capacity, replaced)
		}
		rec := plainRecord()
		err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
			_, err := New(nil).PersistTx(t.Context(), tx, &rec)
			return err
		})
		if err != nil {
			t.Errorf("with a cache of %d statements: %v", capacity, err)
		}
	}
}

// The server may have forgotten what was prepared in a session. A statement in the caller's
// transaction is prepared again then, once, and the transaction goes on.
func TestForgottenStatementIsPreparedAgain(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	conn, err := pgx.ConnectConfig(t.Context(), db.Pool.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	driver := New(nil)
	for range 3 {
		rec := plainRecord()
		err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			_, err := driver.PersistTx(ctx, tx, &rec)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "DEALLOCATE ALL"); err != nil {
			t.Fatal(err)
		}
	}
	var stored int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM coordination_audit_records").Scan(&stored); err != nil || stored != 3 {
		t.Errorf("%d records are stored, want 3: %v", stored, err)
	}
}

// A transaction whose connection broke during the call is lost, and the error says why, once.
func TestLostTransactionNamesItsCause(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	driver := New(db.Pool)
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	rec := plainRecord()
	if _, err := driver.PersistTx(t.Context(), tx, &rec); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool.Exec(t.Context(), `CREATE FUNCTION ends() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$`); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "CREATE TRIGGER ends BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION ends()"); err != nil {
		t.Fatal(err)
	}
	rec = plainRecord()
	_, err = driver.PersistTx(t.Context(), tx, &rec)
	if err == nil || !strings.Contains(err.Error(), audit.ErrTxLost.Error()) || strings.Contains(err.Error(), "conn closed") {
		t.Errorf("%v, want ErrTxLost with the server's cause alone", err)
	}
}
