package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// call is one way to persist a record, so that a promise is held against each.
type call struct {
	name    string
	persist func(ctx context.Context, rec audit.Record) (audit.Receipt, error)
}

// ownCalls commit by themselves.
func ownCalls(store *coordaudit.Store) []call {
	return []call{
		{"Persist", store.Persist},
		{"PersistMany", func(ctx context.Context, rec audit.Record) (audit.Receipt, error) {
			return only(store.PersistMany(ctx, []audit.Record{rec}))
		}},
	}
}

// txCalls persist in a caller's transaction.
func txCalls(store *coordaudit.Store, tx pgx.Tx) []call {
	return []call{
		{"PersistTx", func(ctx context.Context, rec audit.Record) (audit.Receipt, error) {
			return store.PersistTx(ctx, tx, rec)
		}},
		{"PersistManyTx", func(ctx context.Context, rec audit.Record) (audit.Receipt, error) {
			return only(store.PersistManyTx(ctx, tx, []audit.Record{rec}))
		}},
	}
}

// only is the receipt of a batch of one.
func only(receipts []audit.Receipt, err error) (audit.Receipt, error) {
	if len(receipts) != 1 {
		return audit.Receipt{}, fmt.Errorf("%d receipts for one record, beside error %w", len(receipts), err)
	}
	return receipts[0], err
}

func (c call) wantOutcome(t *testing.T, rec audit.Record, want audit.Outcome) {
	t.Helper()
	receipt, err := c.persist(t.Context(), rec)
	if err != nil || receipt.Outcome != want || receipt.AuditID != rec.AuditID {
		t.Errorf("%s() = %+v, %v; want %s", c.name, receipt, err, want)
	}
}

// wantFailure wants an error that matches each of want, and the id alone in the
// receipt, so that the caller can try again with it.
func (c call) wantFailure(ctx context.Context, t *testing.T, rec audit.Record, want ...error) *audit.PersistError {
	t.Helper()
	receipt, err := c.persist(ctx, rec)
	for _, target := range want {
		if !errors.Is(err, target) {
			t.Errorf("%s() = %v, want %v", c.name, err, target)
		}
	}
	if receipt != (audit.Receipt{AuditID: rec.AuditID}) {
		t.Errorf("%s(): receipt %+v, want the id alone", c.name, receipt)
	}
	failed, ok := errors.AsType[*audit.PersistError](err)
	if !ok {
		t.Fatalf("%s() = %v, want a PersistError", c.name, err)
	}
	if failed.AuditID != rec.AuditID {
		t.Errorf("%s(): the error is about %s, want %s", c.name, failed.AuditID, rec.AuditID)
	}
	return failed
}

// poolAsPlainRole returns a pool whose sessions act as a new role that is no
// superuser and has the given rights alone.
func poolAsPlainRole(t *testing.T, db Database, grants ...string) (pool *pgxpool.Pool, role string) {
	t.Helper()
	role = "coordaudit_test_" + strings.ToLower(rand.Text()[:12])
	mustExec(t, db.Pool, "CREATE ROLE "+role)
	t.Cleanup(func() {
		// Roles are the whole server's, so this one would outlive its database.
		for _, sql := range []string{"DROP OWNED BY " + role, "DROP ROLE " + role} {
			if _, err := db.Pool.Exec(context.Background(), sql); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
	})
	for _, grant := range grants {
		mustExec(t, db.Pool, "GRANT "+grant+" TO "+role)
	}
	pool = openPool(t, db.URL, func(config *pgxpool.Config) {
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "SET ROLE "+role)
			return err
		}
	})
	return pool, role
}

// failBySQLState makes the database fail each insert with the SQLSTATE in the
// record's envelope id, which quotes the reason in its message and in its detail.
func failBySQLState(t *testing.T, db Database) {
	t.Helper()
	mustExec(t, db.Pool, `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION 'failed at %', NEW.reason USING ERRCODE = NEW.envelope_id, DETAIL = 'in detail ' || NEW.tenant_id; END $$`)
	mustExec(t, db.Pool, "CREATE TRIGGER fail BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION fail()")
}

func failingWith(sqlState string) audit.Record {
	rec := newRecord()
	rec.EnvelopeID = sqlState
	return rec
}

// waitForWaiter returns when a statement waits for the locked table.
func waitForWaiter(t *testing.T, db Database) {
	t.Helper()
	eventually(t, func() bool {
		return queryInt(t, db.Pool, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'coordination_audit_records'::regclass") > 0
	})
}
