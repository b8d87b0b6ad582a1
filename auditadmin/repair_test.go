package auditadmin_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// An adopted trail is valid, although it keeps rows that violate a CHECK.
func TestAdoptedTrailIsValid(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	sql, err := os.ReadFile("../auditmigrate/testdata/predecessor.sql")
	if err != nil {
		t.Fatal(err)
	}
	execute(t, db, string(sql))
	if _, err := migrator(t, db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, db, "")
	found := check(t, conn)
	if len(found) == 0 || len(auditadmin.Errors(found)) > 0 {
		t.Errorf("want notices alone: %v", found)
	}
	for _, d := range found {
		if d.Severity != auditadmin.Notice || !strings.HasPrefix(d.Got, "NOT VALID") {
			t.Errorf("want a notice about a CHECK that is NOT VALID: %v", d)
		}
	}
	before := rows(t, db, "coordination_audit_records")
	left, actions := repair(t, conn)
	if diff := cmp.Diff(names(found), names(left)); diff != "" {
		t.Errorf("a repair changed the notices (-before +after):\n%s", diff)
	}
	for _, action := range actions {
		if action.Err == nil || !strings.HasSuffix(action.Err.Error(), "rows violate it: they are kept, it stays NOT VALID, and new rows must satisfy it") {
			t.Errorf("%+v, want it to say that rows violate it", action)
		}
	}
	if diff := cmp.Diff(before, rows(t, db, "coordination_audit_records")); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
}

func names(differences []auditadmin.Difference) []string {
	var list []string
	for _, d := range differences {
		list = append(list, d.Object)
	}
	return list
}

// Repair never changes rows. If they prevent a repair, it says so.
func TestRepairKeepsRows(t *testing.T) {
	t.Parallel()
	const again = " INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp) SELECT "
	tests := map[string]struct {
		sql, object, says string
		severity          auditadmin.Severity
	}{
		"SameID": {
			"ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_records_pkey;" + again + "audit_id, 'other', 'COST', 'APPLIED', 'r', now() FROM coordination_audit_records LIMIT 1",
			"primary key of " + records, "rows have the same id: they are kept", auditadmin.Error,
		},
		"Null": {
			"ALTER TABLE coordination_audit_records ALTER COLUMN reason DROP NOT NULL;" + again + "gen_random_uuid(), 'other', 'COST', 'APPLIED', NULL, now()",
			"column " + records + ".reason", "rows hold NULL there: they are kept", auditadmin.Error,
		},
		"Check": {
			"ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_decision_valid;" + again + "gen_random_uuid(), 'other', 'COST', 'DEFERRED', 'r', now()",
			"constraint coordination_audit_decision_valid on " + records, "it stays NOT VALID, and new rows must satisfy it", auditadmin.Notice,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, owner := owned(t)
			execute(t, db, test.sql)
			before := rows(t, db, "coordination_audit_records")
			left, actions := repair(t, connect(t, db, owner))
			if find(left, test.object, test.severity) == nil || len(left) != 1 {
				t.Errorf("left: %v, want one %s about %s", left, test.severity, test.object)
			}
			if last := actions[len(actions)-1]; last.Err == nil || !strings.Contains(last.Err.Error(), test.says) {
				t.Errorf("%+v, want it to say %q", last, test.says)
			}
			if diff := cmp.Diff(before, rows(t, db, "coordination_audit_records")); diff != "" {
				t.Errorf("rows (-before +after):\n%s", diff)
			}
		})
	}
}

// A dry run changes nothing. Its SQL, sent one statement at a time, is the repair.
func TestDryRunSQL(t *testing.T) {
	t.Parallel()
	db, owner := owned(t)
	execute(t, db, "DROP FUNCTION coordination_audit_refuse_change() CASCADE; DROP INDEX coordination_audit_scope_time_idx; "+
		"ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_reason_valid; ALTER TABLE coordination_audit_gaps ALTER COLUMN seq RESTART; "+
		"ALTER TABLE coordination_audit_statements ALTER COLUMN seq RESTART; ALTER TABLE coordination_audit_seal_events ALTER COLUMN seq RESTART; "+
		"DROP INDEX coordination_audit_seal_checkpoints_previous_idx")
	conn := connect(t, db, owner)
	before := check(t, conn)
	var sql []string
	left, err := auditadmin.Repair(t.Context(), conn, auditadmin.RepairConfig{DryRun: true, Report: func(a auditadmin.Action) { sql = append(sql, a.SQL) }})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names(before), names(left)); diff != "" || len(sql) == 0 {
		t.Errorf("a dry run changed something (-before +after):\n%s", diff)
	}
	for _, text := range sql {
		// A function's body may contain semicolons. Statements outside a transaction
		// do not.
		statements := []string{text}
		if strings.Contains(text, "CONCURRENTLY") {
			statements = strings.Split(strings.TrimSuffix(text, ";"), "; ")
		}
		for _, statement := range statements {
			if _, err := conn.Exec(t.Context(), statement); err != nil {
				t.Errorf("%v in %s", err, statement)
			}
		}
	}
	if found := check(t, conn); len(found) > 0 {
		t.Errorf("differences after the SQL of the dry run: %v", found)
	}
}

// The next repair completes an interrupted one.
func TestInterruptedRepair(t *testing.T) {
	t.Parallel()
	db, owner := owned(t)
	execute(t, db, "DROP INDEX coordination_audit_time_idx, coordination_audit_scope_time_idx; ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_records_pkey")
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), "LOCK TABLE coordination_audit_records IN ROW EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	first := connect(t, db, owner)
	go func() {
		_, err := auditadmin.Repair(ctx, first, auditadmin.RepairConfig{})
		ended <- err
	}()
	// Once its index is in the catalogs, a concurrent build waits for the open
	// transaction.
	eventually(t, db, "SELECT EXISTS (SELECT 1 FROM pg_index WHERE NOT indisvalid AND indrelid = 'coordination_audit_records'::regclass)")
	eventually(t, db, "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The server may still be ending the first session, which holds the lock until
	// then.
	left, _ := repair(t, connect(t, db, owner))
	if len(left) > 0 {
		t.Errorf("left by the second one: %v", left)
	}
}

// Only one session at a time changes the schema.
func TestRepairWaitsForLock(t *testing.T) {
	t.Parallel()
	db, owner := owned(t)
	unlock, err := auditmigrate.Lock(t.Context(), connect(t, db, owner), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, db, "DROP INDEX coordination_audit_time_idx")
	_, err = auditadmin.Repair(t.Context(), connect(t, db, owner), auditadmin.RepairConfig{LockTimeout: time.Millisecond})
	if !errors.Is(err, auditmigrate.ErrLocked) {
		t.Errorf("while another one migrates: %v, want ErrLocked", err)
	}
	unlock()
	if left, _ := repair(t, connect(t, db, owner)); len(left) > 0 {
		t.Errorf("once it has ended: %v left", left)
	}
}

// A role that does not own the tables repairs nothing, and the error says why.
func TestRepairNeedsOwner(t *testing.T) {
	t.Parallel()
	db, _ := owned(t)
	reader := newRole(t, db)
	execute(t, db, "GRANT SELECT ON coordaudit_schema_version TO "+reader+"; DROP TRIGGER coordination_audit_refuse_truncate ON coordination_audit_records")
	left, actions := repair(t, connect(t, db, reader))
	if find(left, "trigger coordination_audit_refuse_truncate on "+records, auditadmin.Error) == nil {
		t.Errorf("left: %v", left)
	}
	if len(actions) != 1 || actions[0].Err == nil || !strings.HasSuffix(actions[0].Err.Error(), "run it as the owner of the tables and functions") {
		t.Errorf("actions: %+v", actions)
	}
}

// The trail may be in another schema than public, and its name may need quotes.
func TestRepairInOwnSchema(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	execute(t, db, `CREATE SCHEMA "Audit's trail"`)
	config := db.Pool.Config().ConnConfig.Copy()
	config.RuntimeParams["search_path"] = `"Audit's trail"`
	if _, err := auditmigrate.New(config, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)}).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, db, "", "search_path", `"Audit's trail", public`)
	if found := check(t, conn); len(found) > 0 {
		t.Fatalf("differences: %v", found)
	}
	if _, err := conn.Exec(t.Context(), insertRecord); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "DROP FUNCTION coordination_audit_refuse_change() CASCADE; DROP INDEX coordination_audit_time_idx; DROP TABLE coordaudit_schema_version, "+strings.Join(trailTables()[1:], ", ")+"; "+
		"ALTER TABLE coordination_audit_records ALTER COLUMN seq DROP IDENTITY; ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_records_pkey"); err != nil {
		t.Fatal(err)
	}
	if left, actions := repair(t, conn); len(left) > 0 {
		t.Errorf("left: %v after %+v", left, actions)
	}
	if _, err := conn.Exec(t.Context(), insertRecord); err != nil {
		t.Error(err)
	}
}
