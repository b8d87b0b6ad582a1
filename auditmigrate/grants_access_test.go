package auditmigrate_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestWriterGrants(t *testing.T) {
	t.Parallel()
	db, _, migrator := owned(t)
	mustUp(t, migrator)
	writer := newRole(t, db)
	mustApply(t, migrator, auditmigrate.GrantConfig{Writers: []string{writer}})

	pool := poolAs(t, db, writer)
	store := coordaudit.New(pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler), Timeout: 30 * time.Second})
	checkWriter(t, pool, store)
	if n := texts(t, db.Pool, "SELECT count(*)::text FROM coordination_audit_records"); n[0] != "6" {
		t.Errorf("%s records, want 6", n[0])
	}
	mustBeForbidden(t, pool, "writer", slices.Concat([]string{
		insertTile, insertCheckpoint, insertSealEvent,
		"SELECT * FROM coordination_audit_seal_tiles", "SELECT * FROM coordination_audit_seal_checkpoints", "SELECT * FROM coordination_audit_seal_events",
		"SELECT last_value FROM coordination_audit_seal_events_seq_seq",
	}, forgeries(), edits())...)
	if err := as(db, writer).Validate(t.Context()); err != nil {
		t.Errorf("validate: %v", err)
	}
}

func writerRecord() audit.Record {
	return audit.Record{
		AuditID: uuid.New(), EnvelopeID: "e", EnvelopeClass: audit.Cost, Decision: audit.Rejected, Reason: "why",
		DecisionTimestamp: time.Now(), ConflictingEnvelopeID: "other", TargetSubsystem: "retry", TargetParameter: "backoff", CounterpartClass: audit.Safety,
	}
}

// checkWriter stores six records, by every method.
func checkWriter(t *testing.T, pool *pgxpool.Pool, store *coordaudit.Store) {
	t.Helper()
	rec := writerRecord()
	for range 2 { // the second time the id is taken
		if _, err := store.Persist(t.Context(), rec); err != nil {
			t.Errorf("Persist: %v", err)
		}
	}
	if _, err := store.PersistMany(t.Context(), []audit.Record{writerRecord(), rec}); err != nil {
		t.Errorf("PersistMany: %v", err)
	}
	if counts, err := store.PersistManyFast(t.Context(), []audit.Record{writerRecord(), writerRecord()}); err != nil || counts.Persisted != 2 {
		t.Errorf("PersistManyFast: %+v, %v", counts, err)
	}
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.PersistTx(t.Context(), tx, writerRecord()); err != nil {
		t.Errorf("PersistTx: %v", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{SpoolDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := recorder.Record(t.Context(), writerRecord()); err != nil {
		t.Errorf("Record: %v", err)
	}
	if err := recorder.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := pool.Exec(t.Context(), insertGap+" ON CONFLICT (gap_id) DO NOTHING"); err != nil {
		t.Errorf("a gap: %v", err)
	}
	if _, err := pool.Exec(t.Context(), insertStatement+" ON CONFLICT (source_id, statement_no) DO NOTHING RETURNING seq, made_at"); err != nil {
		t.Errorf("a statement: %v", err)
	}
	if _, err := store.Gaps(t.Context(), audit.GapQuery{}); err != nil {
		t.Errorf("Gaps: %v", err)
	}
	if _, err := store.Completeness(t.Context(), audit.CompletenessQuery{}); err != nil {
		t.Errorf("Completeness: %v", err)
	}
}

func TestReaderGrants(t *testing.T) {
	t.Parallel()
	db, _, migrator := owned(t)
	mustUp(t, migrator)
	execute(t, db.Pool, insertRecord)
	reader := newRole(t, db)
	mustApply(t, migrator, auditmigrate.GrantConfig{Readers: []string{reader}})
	pool := poolAs(t, db, reader)
	for _, sql := range []string{
		"SELECT * FROM coordination_audit_records", "SELECT * FROM coordination_audit_gaps", "SELECT * FROM coordination_audit_statements",
		"SELECT * FROM coordaudit_schema_version", "SELECT last_value FROM coordination_audit_records_seq_seq",
		"SELECT last_value FROM coordination_audit_gaps_seq_seq", "SELECT last_value FROM coordination_audit_statements_seq_seq",
		"SELECT * FROM coordination_audit_seal_tiles", "SELECT * FROM coordination_audit_seal_checkpoints", "SELECT * FROM coordination_audit_seal_events",
		"SELECT last_value FROM coordination_audit_seal_events_seq_seq",
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := as(db, reader).Status(t.Context()); err != nil {
		t.Errorf("status: %v", err)
	}
	mustBeForbidden(t, pool, "reader", slices.Concat([]string{insertRecord, insertGap, insertStatement, insertTile, insertCheckpoint, insertSealEvent}, forgeries(), edits())...)
}

// forgeries set columns that only the database may set.
func forgeries() []string {
	const record = "INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, "
	const values = "VALUES (gen_random_uuid(), 'e', 'COST', 'APPLIED', 'why', now(), "
	const gap = "INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause, "
	const gapValues = "VALUES (gen_random_uuid(), 1, 0, 0, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'a cause', "
	return []string{
		record + "seq) OVERRIDING SYSTEM VALUE " + values + "7)",
		record + "created_at) " + values + "'2020-01-01')",
		record + "created_at) " + values + "'infinity')",
		gap + "seq) OVERRIDING SYSTEM VALUE " + gapValues + "7)",
		gap + "recorded_at) " + gapValues + "'infinity')",
		strings.Replace(strings.Replace(insertStatement, "label)", "label, seq) OVERRIDING SYSTEM VALUE", 1), "'coordinator-1')", "'coordinator-1', 7)", 1),
		strings.Replace(strings.Replace(insertSealEvent, "body)", "body, seq) OVERRIDING SYSTEM VALUE", 1), "'a body')", "'a body', 7)", 1),
		strings.Replace(strings.Replace(insertSealEvent, "body)", "body, made_at)", 1), "'a body')", "'a body', '2020-01-01')", 1),
		strings.Replace(strings.Replace(insertCheckpoint, "note)", "note, made_at)", 1), "'a note')", "'a note', '2020-01-01')", 1),
		strings.Replace(strings.Replace(insertStatement, "label)", "label, made_at)", 1), "'coordinator-1')", "'coordinator-1', '2020-01-01')", 1),
	}
}

// edits are statements that only an owner may try.
func edits() []string {
	return []string{
		"UPDATE coordination_audit_records SET reason = 'another'",
		"DELETE FROM coordination_audit_records",
		"TRUNCATE coordination_audit_records",
		"UPDATE coordination_audit_gaps SET cause = 'another'",
		"DELETE FROM coordination_audit_gaps",
		"TRUNCATE coordination_audit_gaps",
		"UPDATE coordination_audit_statements SET label = 'another'",
		"DELETE FROM coordination_audit_statements",
		"TRUNCATE coordination_audit_statements",
		"UPDATE coordination_audit_seal_tiles SET through = 1",
		"DELETE FROM coordination_audit_seal_tiles",
		"TRUNCATE coordination_audit_seal_tiles",
		"UPDATE coordination_audit_seal_checkpoints SET note = 'another'",
		"DELETE FROM coordination_audit_seal_checkpoints",
		"TRUNCATE coordination_audit_seal_checkpoints",
		"UPDATE coordination_audit_seal_events SET body = 'another'",
		"DELETE FROM coordination_audit_seal_events",
		"TRUNCATE coordination_audit_seal_events",
		"ALTER TABLE coordination_audit_seal_tiles DISABLE TRIGGER ALL",
		"DELETE FROM coordaudit_schema_version",
		"INSERT INTO coordaudit_schema_version (version_id, is_applied) VALUES (6, true)",
		"SELECT setval('coordination_audit_records_seq_seq', 1)",
		"SELECT nextval('coordination_audit_records_seq_seq')",
		"SELECT nextval('coordination_audit_gaps_seq_seq')",
		"SELECT nextval('coordination_audit_statements_seq_seq')",
		"SELECT nextval('coordination_audit_seal_events_seq_seq')",
		"CREATE TABLE another (n int)",
		"CREATE FUNCTION coordination_audit_refuse_change(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"DROP TRIGGER coordination_audit_refuse_truncate ON coordination_audit_records",
		"ALTER TABLE coordination_audit_records DISABLE TRIGGER ALL",
		"CREATE TRIGGER mine BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION coordination_audit_refuse_change()",
		"DROP TABLE coordination_audit_records",
	}
}

func TestSealerGrants(t *testing.T) {
	t.Parallel()
	db, _, migrator := owned(t)
	mustUp(t, migrator)
	execute(t, db.Pool, insertRecord)
	sealer := newRole(t, db)
	mustApply(t, migrator, auditmigrate.GrantConfig{Sealers: []string{sealer}})
	pool := poolAs(t, db, sealer)
	for _, sql := range []string{
		insertTile, insertCheckpoint, insertSealEvent + " RETURNING seq, made_at",
		"SELECT * FROM coordination_audit_records", "SELECT * FROM coordination_audit_gaps", "SELECT * FROM coordination_audit_statements",
		"SELECT * FROM coordination_audit_seal_tiles", "SELECT * FROM coordination_audit_seal_checkpoints", "SELECT * FROM coordination_audit_seal_events",
		"SELECT * FROM coordaudit_schema_version", "SELECT last_value FROM coordination_audit_records_seq_seq",
		"SELECT last_value FROM coordination_audit_gaps_seq_seq", "SELECT last_value FROM coordination_audit_statements_seq_seq",
		"SELECT last_value FROM coordination_audit_seal_events_seq_seq",
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if err := as(db, sealer).Validate(t.Context()); err != nil {
		t.Errorf("validate: %v", err)
	}
	mustBeForbidden(t, pool, "sealer", slices.Concat([]string{insertRecord, insertGap, insertStatement}, forgeries(), edits())...)
}

// A role that is named more than once gets the rights of each list.
func TestGrantsOfSeveralLists(t *testing.T) {
	t.Parallel()
	db, _, migrator := owned(t)
	mustUp(t, migrator)
	both := newRole(t, db)
	mustApply(t, migrator, auditmigrate.GrantConfig{Writers: []string{both}, Sealers: []string{both}})
	pool := poolAs(t, db, both)
	for _, sql := range []string{insertRecord, insertGap, insertStatement, insertTile, insertCheckpoint, insertSealEvent} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	mustBeForbidden(t, pool, "writer and sealer", slices.Concat(forgeries(), edits())...)
}

// Without its tables there is nothing to grant to a sealer.
func TestSealerNeedsItsTables(t *testing.T) {
	t.Parallel()
	db, _, migrator := owned(t)
	if _, err := migrator.UpTo(t.Context(), 9); err != nil {
		t.Fatal(err)
	}
	_, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{Sealers: []string{newRole(t, db)}})
	if err == nil || !strings.Contains(err.Error(), `there is no table "public".coordination_audit_seal_tiles yet`) || !strings.Contains(err.Error(), "migrate up") {
		t.Errorf("error is %v, want the missing table and the next step", err)
	}
	if rights := texts(t, db.Pool, grantsOf, ""); len(rights) > 0 {
		t.Errorf("rights after a refusal: %v", rights)
	}
}

// A column that a later migration adds must get into the grants.
func TestContentColumns(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	writer := newRole(t, db)
	mustApply(t, open(t, db.URL, quiet()), auditmigrate.GrantConfig{Writers: []string{writer}, Sealers: []string{writer}})
	got := texts(t, db.Pool, `
		SELECT attrelid::regclass || '.' || attname FROM pg_attribute
		WHERE attrelid IN ('coordination_audit_records'::regclass, 'coordination_audit_gaps'::regclass, 'coordination_audit_statements'::regclass,
			'coordination_audit_seal_tiles'::regclass, 'coordination_audit_seal_checkpoints'::regclass, 'coordination_audit_seal_events'::regclass) AND attnum > 0 AND NOT attisdropped
			AND NOT has_column_privilege($1, attrelid, attnum, 'INSERT') ORDER BY 1`, writer)
	want := []string{
		"coordination_audit_gaps.recorded_at", "coordination_audit_gaps.seq", "coordination_audit_records.created_at", "coordination_audit_records.seq",
		"coordination_audit_seal_checkpoints.made_at", "coordination_audit_seal_events.made_at", "coordination_audit_seal_events.seq",
		"coordination_audit_statements.made_at", "coordination_audit_statements.seq",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("columns that a writer and sealer gives no value to (-want +got):\n%s", diff)
	}
}
