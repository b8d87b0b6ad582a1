package sealer_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// The tests here change what the server says of the rows, and not what was sealed.

const forged = "INSERT INTO coordination_audit_records (audit_id, seq, envelope_id, envelope_class, decision, reason, decision_timestamp) " +
	"OVERRIDING SYSTEM VALUE VALUES ($1, $2, 'forged', 'COST', 'APPLIED', 'forged', now())"

// withHole returns a sealed trail of 600 records in which no record has seq 301.
func withHole(t *testing.T) *sealed {
	t.Helper()
	s := newSealed(t)
	s.persist(t, 300)
	s.superuser(t, "SELECT nextval('coordination_audit_records_seq_seq')")
	s.persist(t, 300)
	s.once(t)
	s.mustVerify(t, 600)
	return s
}

// A row without a seq is in no range of seqs, and every reader but a verification finds it.
func TestRowWithoutASeqIsNamed(t *testing.T) {
	t.Parallel()
	s := withHole(t)
	for table, insert := range map[string]string{
		"records":     forged,
		"gaps":        "INSERT INTO coordination_audit_gaps (gap_id, seq, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause) OVERRIDING SYSTEM VALUE VALUES ($1, $2, 1, 0, 0, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'the disk was full')",
		"statements":  "INSERT INTO coordination_audit_statements (source_id, seq, statement_no, kind, accepted_through, reserved_through, dropped, rejected, already_persisted, waiting, waiting_continues, label) OVERRIDING SYSTEM VALUE VALUES ($1, $2, 1, 'opened', 0, 100, '{}', '{}', '{}', '{}', false, 'label')",
		"seal_events": "INSERT INTO coordination_audit_seal_events (event_id, seq, kind, epoch, body) OVERRIDING SYSTEM VALUE VALUES ($1, $2, 'hold placed', 1, '{}')",
	} {
		s.superuser(t, "ALTER TABLE coordination_audit_"+table+" ALTER seq DROP IDENTITY")
		s.superuser(t, "ALTER TABLE coordination_audit_"+table+" ALTER seq DROP NOT NULL")
		id := uuid.New()
		s.superuser(t, insert, id, nil)
		if result := s.verify(t); !blamed(result, sealer.Inserted, id) {
			t.Errorf("%s: found %+v, want the row", table, result.Findings)
		}
		s.superuser(t, "DELETE FROM coordination_audit_"+table+" WHERE seq IS NULL")
	}
}

// A row that the index on seq does not lead to is in the table all the same.
func TestRowThatTheIndexHidesIsFound(t *testing.T) {
	t.Parallel()
	s := withHole(t)
	const ready = "UPDATE pg_index SET indisready = $1 WHERE indexrelid = 'coordination_audit_seq_idx'::regclass"
	s.superuser(t, ready, false)
	id := uuid.New()
	s.superuser(t, forged, id, 301)
	s.superuser(t, ready, true)
	result := s.verify(t)
	if !slices.ContainsFunc(result.Findings, func(f sealer.Finding) bool {
		return f.Fault == sealer.Damaged && strings.Contains(f.Text, "REINDEX TABLE coordination_audit_records")
	}) {
		t.Errorf("found %+v, want the index", result.Findings)
	}
	s.superuser(t, "REINDEX TABLE coordination_audit_records")
	wantFindings(t, s.verify(t), sealer.Inserted, id)
}

// A row whose copy the other indexes lead to, and that is still the one of its seq.
func TestEditThatTheIndexHidesIsFound(t *testing.T) {
	t.Parallel()
	s := withHole(t)
	s.superuser(t, "ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_records_pkey")
	s.superuser(t, "UPDATE pg_index SET indisready = false WHERE indexrelid = 'coordination_audit_seq_idx'::regclass")
	s.superuser(t, "INSERT INTO coordination_audit_records OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(NULL::coordination_audit_records, to_jsonb(r) || '{\"reason\": \"edited\"}')).* FROM coordination_audit_records r WHERE seq = 7")
	s.superuser(t, "UPDATE pg_index SET indisready = true WHERE indexrelid = 'coordination_audit_seq_idx'::regclass")
	if result := s.verify(t); len(result.Findings) == 0 {
		t.Error("nothing is found")
	}
}

// Operators in a schema that the database's search_path has before pg_catalog.
func TestOperatorOfAnotherSchemaHidesNothing(t *testing.T) {
	t.Parallel()
	s := withHole(t)
	id := uuid.New()
	s.superuser(t, forged, id, 301)
	s.superuser(t, "CREATE SCHEMA evil")
	for name, operator := range map[string]string{"at_least": ">=", "at_most": "<="} {
		s.superuser(t, "CREATE FUNCTION evil."+name+"(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT $1 OPERATOR(pg_catalog."+operator+") $2 AND $1 OPERATOR(pg_catalog.<>) 301'")
		s.superuser(t, "CREATE OPERATOR evil."+operator+" (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil."+name+")")
	}
	name := fixture.QueryText(t, s.pool, "SELECT current_database()")
	s.superuser(t, "ALTER DATABASE "+pgx.Identifier{name}.Sanitize()+" SET search_path = evil, pg_catalog, public")
	wantFindings(t, s.verify(t), sealer.Inserted, id)
}

// A CHECK that is not so, on a table of which the planner believes it.
func TestConstraintThatLiesHidesNothing(t *testing.T) {
	t.Parallel()
	s := withHole(t)
	s.superuser(t, "CREATE TABLE child () INHERITS (coordination_audit_records)")
	id := uuid.New()
	s.superuser(t, strings.Replace(strings.Replace(forged, "coordination_audit_records", "child", 1), "OVERRIDING SYSTEM VALUE ", "", 1), id, 301)
	s.superuser(t, "ALTER TABLE child ADD CONSTRAINT lie CHECK (seq > 1000000) NOT VALID")
	s.superuser(t, "UPDATE pg_constraint SET convalidated = true WHERE conname = 'lie'")
	wantFindings(t, s.verify(t), sealer.Inserted, id)
}

// The bytes of a timestamp are those of a timestamptz, and it says another time.
func TestColumnOfAnotherTypeIsRefused(t *testing.T) {
	t.Parallel()
	for column, as := range map[string]string{
		"decision_timestamp":     "timestamp USING decision_timestamp AT TIME ZONE 'UTC'",
		"envelope_id":            "bytea USING convert_to(envelope_id, 'UTF8')",
		"active_envelopes_count": "oid USING active_envelopes_count::oid",
	} {
		s := withHole(t)
		s.dropChecks(t)
		s.superuser(t, "ALTER TABLE coordination_audit_records ALTER "+column+" TYPE "+as)
		_, err := sealer.Verify(t.Context(), s.pool, sealer.VerifyConfig{Checkpoint: s.checkpoint(t), Verifier: s.verifier})
		if err == nil || !strings.Contains(err.Error(), column) {
			t.Errorf("%s: %v", column, err)
		}
		s.persist(t, 0)
		if _, err := s.sealer(t).Once(t.Context()); err == nil {
			t.Errorf("%s: it was sealed", column)
		}
	}
}

// A view can show each reader other rows.
func TestViewIsNoTable(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"records", "gaps", "statements", "seal_events"} {
		s := withHole(t)
		s.superuser(t, "ALTER TABLE coordination_audit_"+table+" RENAME TO kept")
		s.superuser(t, "CREATE VIEW coordination_audit_"+table+" AS SELECT * FROM kept")
		_, err := sealer.Verify(t.Context(), s.pool, sealer.VerifyConfig{Checkpoint: s.checkpoint(t), Verifier: s.verifier, Schema: "public"})
		if !errors.Is(err, sealer.ErrTampered) || !strings.Contains(err.Error(), "coordination_audit_"+table) {
			t.Errorf("%s: %v", table, err)
		}
		config := s.config()
		config.Schema = "public"
		sealing, err := sealer.New(s.pool, config)
		if err == nil {
			_, err = sealing.Once(t.Context())
		}
		if err == nil {
			t.Errorf("%s: it was sealed", table)
		}
	}
}

// A record behind the sequence is not sealed, and is counted.
func TestRecordBehindTheSequenceIsCounted(t *testing.T) {
	t.Parallel()
	s := withHole(t)
	s.superuser(t, forged, uuid.New(), 1_000_000)
	if result := s.verify(t); result.Unsealed != 1_000_000-601 {
		t.Errorf("%d are not sealed", result.Unsealed)
	}
}

// A record that was sealed late is no insertion for a verification against an older checkpoint, also
// where its leaf is in no full tile yet. One that was inserted is, also if the last checkpoint is
// changed so that it lists that record.
func TestOlderCheckpointKnowsWhatWasSealedLate(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	tx := s.begin(t)
	s.persistTx(t, tx)
	s.persist(t, 300)
	s.once(t)
	older := s.checkpoint(t)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.superuser(t, "SELECT nextval('coordination_audit_records_seq_seq')")
	s.persist(t, 5)
	s.once(t)
	s.mustVerify(t, 306)
	if result := s.verifyAgainst(t, older); len(result.Findings) > 0 || result.Awaited != 1 || result.Verified != 300 {
		t.Errorf("%d verified, %d late, found %+v", result.Verified, result.Awaited, result.Findings)
	}
	id := s.insertAt(t, 5)
	wantFindings(t, s.verifyAgainst(t, older), sealer.Inserted, id)
}

// An index that holds all columns can answer without the table. It need not hold what that does.
func TestIndexOfAllColumnsHidesNoEdit(t *testing.T) {
	t.Parallel()
	s := withHole(t)
	run := func(sql string) {
		t.Helper()
		if _, err := s.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	columns := fixture.QueryText(t, s.pool, "SELECT string_agg(attname, ', ') FROM pg_attribute WHERE attrelid = 'coordination_audit_records'::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('seq', 'audit_id')")
	run("CREATE INDEX evil ON coordination_audit_records (seq, audit_id) INCLUDE (" + columns + ")")
	s.superuser(t, "UPDATE pg_index SET indisready = false WHERE indexrelid = 'evil'::regclass")
	s.edit(t, 7)
	run("VACUUM (INDEX_CLEANUP ON) coordination_audit_records")
	s.superuser(t, "UPDATE pg_index SET indisready = true WHERE indexrelid = 'evil'::regclass")
	if result := s.verify(t); len(result.Findings) == 0 {
		t.Error("nothing is found")
	}
}

// A rule can make a view of a table without a sign in its kind.
func TestTableWithARuleOfAViewIsRefused(t *testing.T) {
	t.Parallel()
	s := withHole(t)
	s.superuser(t, "CREATE TABLE shown AS SELECT * FROM coordination_audit_records")
	s.superuser(t, "CREATE VIEW liar AS SELECT * FROM shown")
	s.superuser(t, "UPDATE pg_rewrite SET ev_class = 'coordination_audit_records'::regclass WHERE ev_class = 'liar'::regclass")
	s.superuser(t, "UPDATE pg_class SET relhasrules = true WHERE oid = 'coordination_audit_records'::regclass")
	_, err := sealer.Verify(t.Context(), s.pool, sealer.VerifyConfig{Checkpoint: s.checkpoint(t), Verifier: s.verifier})
	if !errors.Is(err, sealer.ErrTampered) {
		t.Errorf("%v", err)
	}
}

// A database that says that its rows are on a cluster would have inserted records pass.
func TestFakedTriggerOfShardsIsRefused(t *testing.T) {
	t.Parallel()
	s := withHole(t)
	s.superuser(t, forged, uuid.New(), 301)
	s.superuser(t, "CREATE FUNCTION citus_truncate_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
	s.superuser(t, "CREATE TRIGGER pretend AFTER TRUNCATE ON coordination_audit_records FOR EACH STATEMENT EXECUTE FUNCTION citus_truncate_trigger()")
	s.superuser(t, "UPDATE pg_trigger SET tgisinternal = true WHERE tgname = 'pretend'")
	_, err := sealer.Verify(t.Context(), s.pool, sealer.VerifyConfig{Checkpoint: s.checkpoint(t), Verifier: s.verifier})
	if err == nil || !strings.Contains(err.Error(), "--cluster") {
		t.Errorf("%v", err)
	}
}

// A role whose search_path leads to a copy of the trail verifies the copy, and not what others read.
func TestCopyInAnotherSchemaIsNotChosen(t *testing.T) {
	t.Parallel()
	s := withHole(t)
	s.superuser(t, "CREATE SCHEMA shadow")
	for _, table := range []string{"records", "gaps", "statements", "seal_tiles", "seal_checkpoints", "seal_events"} {
		s.superuser(t, "CREATE TABLE shadow.coordination_audit_"+table+" (LIKE public.coordination_audit_"+table+" INCLUDING ALL)")
		s.superuser(t, "INSERT INTO shadow.coordination_audit_"+table+" OVERRIDING SYSTEM VALUE SELECT * FROM public.coordination_audit_"+table)
	}
	s.edit(t, 7)
	name := fixture.QueryText(t, s.pool, "SELECT current_database()")
	s.superuser(t, "ALTER DATABASE "+pgx.Identifier{name}.Sanitize()+" SET search_path = shadow, public")
	config := sealer.VerifyConfig{Checkpoint: s.checkpoint(t), Verifier: s.verifier}
	if _, err := sealer.Verify(t.Context(), s.pool, config); err == nil || !strings.Contains(err.Error(), `"public", "shadow"`) {
		t.Errorf("%v", err)
	}
	config.Schema = "public"
	if result, err := sealer.Verify(t.Context(), s.pool, config); err != nil || len(result.Findings) != 1 {
		t.Errorf("%+v, %v", result.Findings, err)
	}
	named := fixture.OpenPool(t, s.url, func(config *pgxpool.Config) { config.ConnConfig.RuntimeParams["search_path"] = "public" })
	config.Schema = ""
	if result, err := sealer.Verify(t.Context(), named, config); err != nil || len(result.Findings) != 1 {
		t.Errorf("%+v, %v", result.Findings, err)
	}
}

// A column that is computed when it is read can show each reader another value. PostgreSQL 18 has
// them. For others, the catalog says so here and nothing is computed.
func TestColumnThatIsComputedIsRefused(t *testing.T) {
	t.Parallel()
	s := withHole(t)
	s.superuser(t, "UPDATE pg_attribute SET attgenerated = 'v' WHERE attrelid = 'coordination_audit_gaps'::regclass AND attname = 'cause'")
	_, err := sealer.Verify(t.Context(), s.pool, sealer.VerifyConfig{Checkpoint: s.checkpoint(t), Verifier: s.verifier})
	if !errors.Is(err, sealer.ErrTampered) {
		t.Errorf("%v", err)
	}
}
