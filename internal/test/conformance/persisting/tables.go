package persisting

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// A column of another type may hold another value than the one that was sent.
func changedTypeConflicts(t *testing.T, db frame.Database) {
	for column, newType := range map[string]string{
		"decision_timestamp":     "timestamptz(3)",
		"tenant_id":              "varchar(6)",
		"target_subsystem":       "char(20)",
		"active_envelopes_count": "numeric(10,-2)",
	} {
		t.Run(newType, func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ALTER "+column+" TYPE "+newType)
			store := frame.NewStore(db)
			tx := frame.CallersTx(t, db.Pool)
			for _, c := range frame.EveryCall(store, tx) {
				rec := fixture.NewRecord()
				rec.TenantID, rec.TargetSubsystem, rec.ActiveEnvelopesCount = "acme      ", "brakes", 1234
				failed := c.WantFailure(t.Context(), t, rec, audit.ErrConflict)
				conflict, ok := errors.AsType[*audit.ConflictError](failed)
				if !ok || len(conflict.Fields) != 1 || conflict.Fields[0] != column {
					t.Errorf("%s() = %v, want a conflict of %s", c.Name, failed, column)
				}
			}
			frame.Commit(t, tx)
		})
	}
}

func partitionTriggerIsSeen(t *testing.T, db frame.Database) {
	fixture.MustExec(t, db.Pool, `CREATE TABLE parted (LIKE coordination_audit_records INCLUDING ALL) PARTITION BY HASH (audit_id);
		CREATE TABLE part PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
		ALTER TABLE coordination_audit_records RENAME TO former;
		ALTER TABLE parted RENAME TO coordination_audit_records`)
	frame.BeforeInsert(t, db, "part", "NEW.reason := 'masked'; RETURN NEW;")
	store := frame.NewStore(db)
	tx := frame.CallersTx(t, db.Pool)
	for _, c := range frame.EveryCall(store, tx) {
		_ = c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrConflict)
	}
	frame.Commit(t, tx)
}

// In what only looks like the trail, a row may be anywhere or nowhere.
func misleadingTableIsRefused(t *testing.T, db frame.Database) {
	const view = `CREATE SCHEMA app;
		CREATE VIEW app.coordination_audit_records AS SELECT * FROM public.coordination_audit_records;
		CREATE FUNCTION app.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE TRIGGER swallow INSTEAD OF INSERT ON app.coordination_audit_records FOR EACH ROW EXECUTE FUNCTION app.swallow()`
	const child = `CREATE TABLE child () INHERITS (coordination_audit_records);
		CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN INSERT INTO child OVERRIDING SYSTEM VALUE SELECT NEW.*; RETURN NULL; END';
		CREATE TRIGGER move BEFORE INSERT ON coordination_audit_records FOR EACH ROW
		WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION move()`
	const rule = "CREATE RULE nothing AS ON INSERT TO coordination_audit_records DO INSTEAD NOTHING"
	for _, test := range []struct{ sql, schema, named string }{
		{view, "app", "no table"}, {child, "", "child"}, {rule, "", "rule"},
	} {
		t.Run(test.named, func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			known := fixture.NewRecord()
			fixture.MustPersist(t, frame.NewStore(db), known)
			fixture.MustExec(t, db.Pool, test.sql)
			config := fixture.Quiet()
			config.Schema = test.schema
			store := coordaudit.New(fixture.OpenPool(t, db.URL, nil), config)
			tx := frame.CallersTx(t, fixture.OpenPool(t, db.URL, nil))
			for _, c := range frame.EveryCall(store, tx) {
				for _, rec := range []audit.Record{known, fixture.NewRecord()} {
					failed := c.WantFailure(t.Context(), t, rec, audit.ErrRefused)
					if !strings.Contains(failed.Error(), test.named) {
						t.Errorf("%s() = %v, want the cause named", c.Name, failed)
					}
				}
			}
			frame.Commit(t, tx)
			if n := fixture.CountRecords(t, db.Pool); n != 1 {
				t.Errorf("%d rows, want the first alone", n)
			}
		})
	}
}

// COPY asks what the table is after its commit. By then its rows may be in a child table.
func newChildEndsCopyInDoubt(t *testing.T, db frame.Database) {
	pool := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) { config.MaxConns = 1 })
	store := coordaudit.New(pool, fixture.Quiet())
	fixture.MustPersist(t, store, fixture.NewRecord())
	fixture.MustExec(t, db.Pool, "CREATE TABLE child () INHERITS (coordination_audit_records)")
	counts, err := store.PersistManyFast(t.Context(), fixture.NewRecords(2))
	if counts.Failed != 2 || !errors.Is(err, audit.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "child") {
		t.Errorf("PersistManyFast() = %+v, %v; want ErrOutcomeUnknown, which names the cause", counts, err)
	}
}
