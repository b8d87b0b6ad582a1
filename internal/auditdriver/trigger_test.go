package auditdriver_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// COPY returns no rows, so a trigger that changes them must be noticed even if it was
// created after the session had looked for triggers.
func TestCopyNoticesNewTrigger(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	driver, pool := driverOn(t, db.URL, nil)
	for _, persist := range []func() ([]auditdriver.Item, error){
		func() ([]auditdriver.Item, error) { return driver.PersistMany(t.Context(), []audit.Record{record()}) },
		func() ([]auditdriver.Item, error) { return driver.CopyMany(t.Context(), []audit.Record{record()}) },
	} {
		if items, err := persist(); err != nil || items[0].Err != nil || items[0].Result.Outcome != audit.Persisted {
			t.Fatalf("without a trigger: %+v, %v; want persisted", items, err)
		}
	}
	const trigger = `CREATE FUNCTION changes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.reason := 'changed'; RETURN NEW; END $$;
		CREATE TRIGGER changes BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION changes()`
	if _, err := db.Pool.Exec(t.Context(), trigger); err != nil {
		t.Fatal(err)
	}
	wantConflict := func(call string, items []auditdriver.Item, err error) {
		t.Helper()
		conflict, ok := errors.AsType[*audit.ConflictError](items[0].Err)
		if err != nil || !ok || len(conflict.Fields) != 1 || conflict.Fields[0] != "reason" {
			t.Errorf("%s: %+v, %v; want a conflict in reason", call, items, err)
		}
	}
	items, err := driver.CopyMany(t.Context(), []audit.Record{record()})
	wantConflict("CopyMany", items, err)

	// The session remembers what it has seen.
	items, err = driver.PersistMany(t.Context(), []audit.Record{record()})
	wantConflict("PersistMany", items, err)
	if pool.Stat().NewConnsCount() != 1 {
		t.Errorf("%d connections were used, want one", pool.Stat().NewConnsCount())
	}
}

// A trigger that changes what does not count leaves a record persisted, and its result
// complete.
func TestHarmlessTriggerKeepsOutcome(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	const trigger = `ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_optional_ids_not_empty;
		CREATE FUNCTION empties() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.tenant_id := ''; RETURN NEW; END $$;
		CREATE TRIGGER empties BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION empties()`
	if _, err := db.Pool.Exec(t.Context(), trigger); err != nil {
		t.Fatal(err)
	}
	driver, pool := driverOn(t, db.URL, nil)
	for _, call := range calls(t, driver, pool) {
		rec := record()
		result, err := call.persist(&rec)
		if err != nil || result.Outcome != audit.Persisted || result.AuditID != rec.AuditID || result.Seq == 0 || result.CreatedAt.IsZero() {
			t.Errorf("%s: %+v, %v; want persisted with seq and time", call.name, result, err)
		}
	}
}

// A trigger that moves rows away after their INSERT is stopped by the guard. Where the guard
// does not stand, no call says that such a row is stored.
func TestRowTakenAwayAfterInsertIsNotPersisted(t *testing.T) {
	t.Parallel()
	for name, ending := range map[string]string{
		"ForEachRow":       "FOR EACH ROW EXECUTE FUNCTION moves()",
		"ForEachStatement": "FOR EACH STATEMENT EXECUTE FUNCTION moves()",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			if _, err := db.Pool.Exec(t.Context(), `ALTER TABLE coordination_audit_records ENABLE TRIGGER ALL;
				ALTER TABLE coordination_audit_records DISABLE TRIGGER coordination_audit_refuse_update_delete;
				CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM coordination_audit_records; RETURN NULL; END';
				CREATE TRIGGER moves AFTER INSERT ON coordination_audit_records `+ending); err != nil {
				t.Fatal(err)
			}
			driver, pool := driverOn(t, db.URL, nil)
			every := append(calls(t, driver, pool), call{"CopyMany", func(rec *audit.Record) (audit.Result, error) {
				items, err := driver.CopyMany(t.Context(), []audit.Record{*rec})
				if err != nil {
					return audit.Result{}, err
				}
				return items[0].Result, items[0].Err
			}})
			for _, call := range every {
				rec := record()
				if result, err := call.persist(&rec); !errors.Is(err, audit.ErrRefused) {
					t.Errorf("%s: %+v, %v; want it refused", call.name, result, err)
				}
			}
		})
	}
}

// The guard passes the role of the retention. A trigger that acts as that role takes rows away while
// the guard stands.
func TestRowTakenAwayByTheRetentionIsNotPersisted(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	fixture.MustExec(t, db.Pool, `DO $$ BEGIN CREATE ROLE coordaudit_retention NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
		GRANT SELECT, DELETE ON coordination_audit_records TO coordaudit_retention;
		CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN DELETE FROM public.coordination_audit_records; RETURN NULL; END';
		GRANT CREATE ON SCHEMA public TO coordaudit_retention;
		ALTER FUNCTION moves() OWNER TO coordaudit_retention;
		CREATE TRIGGER moves AFTER INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION moves()`)
	driver, pool := driverOn(t, db.URL, nil)
	for _, call := range calls(t, driver, pool) {
		rec := record()
		if result, err := call.persist(&rec); !errors.Is(err, audit.ErrRefused) {
			t.Errorf("%s: %+v, %v; want it refused", call.name, result, err)
		}
	}
}

// What a trigger removes or changes after its INSERT is no gap and no statement on record, either.
// The same trigger is harmless where it does neither.
func TestGapAndStatementTakenAwayAfterInsertAreNotPersisted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind, does, ending string
		want               error
	}{
		"RowDeleted":       {"TRIGGER", "DELETE FROM its_table", "FOR EACH ROW", audit.ErrRefused},
		"StatementDeleted": {"TRIGGER", "DELETE FROM its_table", "FOR EACH STATEMENT", audit.ErrRefused},
		"AtTheCommit":      {"CONSTRAINT TRIGGER", "DELETE FROM its_table", "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW", audit.ErrRefused},
		"RowChanged":       {"TRIGGER", "UPDATE its_table SET its_text = 'changed'", "FOR EACH ROW", audit.ErrRefused},
		"Nothing":          {"TRIGGER", "PERFORM 1 FROM its_table", "FOR EACH ROW", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			for table, text := range map[string]string{"coordination_audit_gaps": "cause", "coordination_audit_statements": "label"} {
				meddle := strings.NewReplacer("its_table", table, "its_text", text).Replace(`
					ALTER TABLE its_table DISABLE TRIGGER its_table_refuse_update_delete;
					CREATE FUNCTION meddles_with_its_text() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ` + test.does + `; RETURN NULL; END $$;
					CREATE ` + test.kind + ` meddles AFTER INSERT ON its_table ` + test.ending + ` EXECUTE FUNCTION meddles_with_its_text();
					ALTER TABLE its_table ENABLE ALWAYS TRIGGER meddles`)
				fixture.MustExec(t, db.Pool, meddle)
			}
			driver, _ := driverOn(t, db.URL, nil)
			for range 2 { // the second call knows the table
				gap, statement := gapOf(), statementOf(uuid.Must(uuid.NewV7()), 1)
				if err := driver.PersistGap(t.Context(), &gap); !errors.Is(err, test.want) {
					t.Errorf("PersistGap() = %v, want %v", err, test.want)
				}
				err := driver.PersistStatement(t.Context(), &statement)
				if !errors.Is(err, test.want) || (statement.Seq != 0) != (test.want == nil) {
					t.Errorf("PersistStatement() = %v with seq %d, want %v", err, statement.Seq, test.want)
				}
			}
		})
	}
}

func gapOf() audit.Gap {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	return audit.Gap{GapID: uuid.New(), Dropped: map[audit.EnvelopeClass]int64{audit.Cost: 1}, From: at, Until: at, Cause: "a test"}
}
