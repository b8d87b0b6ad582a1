package frame

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// FailBySQLState makes each insert fail with the SQLSTATE that stands in the record's
// envelope id. The error quotes the reason in its message and the tenant in its detail.
func FailBySQLState(t *testing.T, db Database) {
	t.Helper()
	fixture.MustExec(t, db.Pool, `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION 'failed at %', NEW.reason USING ERRCODE = NEW.envelope_id, DETAIL = 'in detail ' || NEW.tenant_id; END $$`)
	fixture.MustExec(t, db.Pool, "CREATE TRIGGER fail BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION fail()")
}

// FailingWith returns a record that FailBySQLState fails with an SQLSTATE.
func FailingWith(sqlState string) audit.Record {
	rec := fixture.NewRecord()
	rec.EnvelopeID = sqlState
	return rec
}

// BeforeInsert adds a foreign trigger that runs body for each row that is inserted into a
// table.
func BeforeInsert(t *testing.T, db Database, table, body string) {
	t.Helper()
	fixture.MustExec(t, db.Pool, "CREATE FUNCTION foreign_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "+body+" END $$")
	fixture.MustExec(t, db.Pool, "CREATE TRIGGER foreign_trigger BEFORE INSERT ON "+table+" FOR EACH ROW EXECUTE FUNCTION foreign_trigger()")
}

// Unguarded drops the CHECKs and triggers of the main table and then runs statements, so that a test
// can make the rows that an owner could.
func Unguarded(t *testing.T, pool *pgxpool.Pool, sql ...string) {
	t.Helper()
	drops := strings.Split(fixture.QueryText(t, pool, `SELECT string_agg(format('ALTER TABLE coordination_audit_records DROP CONSTRAINT %I', conname), ';')
		FROM pg_constraint WHERE conrelid = 'coordination_audit_records'::regclass AND contype = 'c'`), ";")
	// One by one: a cluster takes one change of the schema at a time.
	for _, one := range slices.Concat([]string{"ALTER TABLE coordination_audit_records DISABLE TRIGGER USER"}, drops, sql) {
		fixture.MustExec(t, pool, one)
	}
}
