package auditmigrate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// insertOrigin stores a record with a value in each column of 00006.
const insertOrigin = `
	INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp,
		reason_code, policy_version, actor, caused_by, corrects, correlation_id, trace_id, span_id, details, source_id, source_seq)
	VALUES (gen_random_uuid(), 'envelope', 'COST', 'APPLIED', 'a reason', now(),
		'FITS', 'rules-7', 'coordinator-1', gen_random_uuid(), gen_random_uuid(), 'action-1',
		decode(repeat('1f', 16), 'hex'), decode(repeat('2e', 8), 'hex'), '{"a": 1}', gen_random_uuid(), 1)`

func TestOriginIsChecked(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	const (
		context = "coordination_audit_context_not_empty"
		links   = "coordination_audit_links_to_others"
		trace   = "coordination_audit_trace_valid"
		span    = "coordination_audit_span_valid"
		details = "coordination_audit_details_valid"
		source  = "coordination_audit_source_valid"
		traced  = "trace_id, span_id: decode(repeat('1f', 16), 'hex'), "
	)
	tests := map[string]struct{ values, refusedBy string }{ // columns: values
		"ReasonCode":         {"reason_code: 'FITS'", ""},
		"EmptyReasonCode":    {"reason_code: ''", context},
		"EmptyPolicyVersion": {"reason_code, policy_version: 'FITS', ''", context},
		"EmptyActor":         {"actor: ''", context},
		"EmptyCorrelation":   {"correlation_id: ''", context},
		"Links":              {"caused_by, corrects: gen_random_uuid(), gen_random_uuid()", ""},
		"CausesItself":       {"caused_by: id", links},
		"CorrectsItself":     {"caused_by, corrects: gen_random_uuid(), id", links},
		"TraceAlone":         {"trace_id: decode(repeat('1f', 16), 'hex')", ""},
		"TraceAndSpan":       {traced + "decode('0000000000000001', 'hex')", ""},
		"ShortTrace":         {"trace_id: decode(repeat('1f', 15), 'hex')", trace},
		"LongTrace":          {"trace_id: decode(repeat('1f', 17), 'hex')", trace},
		"ZeroTrace":          {"trace_id: decode(repeat('00', 16), 'hex')", trace},
		"ShortSpan":          {traced + "decode(repeat('2e', 7), 'hex')", span},
		"LongSpan":           {traced + "decode(repeat('2e', 9), 'hex')", span},
		"ZeroSpan":           {traced + "decode(repeat('00', 8), 'hex')", span},
		"SpanAlone":          {"span_id: decode(repeat('2e', 8), 'hex')", span},
		"EmptyDetails":       {"details: '{}'", ""},
		"LongestDetails":     {`details: jsonb_build_object('a', repeat('é', 8187) || 'x')`, ""},
		"TooLongDetails":     {`details: jsonb_build_object('a', repeat('é', 8187) || 'xx')`, details},
		"DetailsOfNull":      {"details: 'null'", details},
		"DetailsOfAList":     {"details: '[{}]'", details},
		"DetailsOfAText":     {`details: '"a"'`, details},
		"FirstOrdinal":       {"source_id, source_seq: gen_random_uuid(), 1", ""},
		"LastOrdinal":        {"source_id, source_seq: gen_random_uuid(), 9223372036854775806", ""},
		"OrdinalBeyond":      {"source_id, source_seq: gen_random_uuid(), 9223372036854775807", source},
		"ZeroOrdinal":        {"source_id, source_seq: gen_random_uuid(), 0", source},
		"SourceAlone":        {"source_id: gen_random_uuid()", source},
		"OrdinalAlone":       {"source_seq: 1", source},
	}
	for name, test := range tests {
		columns, values, _ := strings.Cut(test.values, ": ")
		_, err := db.Pool.Exec(t.Context(), `
			INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, `+columns+`)
			SELECT id, 'e', 'COST', 'APPLIED', 'r', now(), `+values+` FROM gen_random_uuid() AS id`)
		requireRefusedBy(t, name, err, test.refusedBy)
	}
}

// 00006 holds its lock only briefly, because it reads no row.
func TestOriginChecksLock(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	const notValid = `
		SELECT count(*)::text FROM pg_constraint
		WHERE NOT convalidated AND conname ~ '^coordination_audit_(context_not_empty|links_to_others|trace_valid|span_valid|details_valid|source_valid)$'`
	for _, step := range []struct {
		version int64
		want    string
	}{{6, "6"}, {7, "0"}} {
		upTo(t, db, step.version)
		if got := texts(t, db.Pool, notValid); got[0] != step.want {
			t.Errorf("at version %d %s CHECKs are NOT VALID, want %s", step.version, got[0], step.want)
		}
	}
}

func TestForeignOriginRefused(t *testing.T) {
	t.Parallel()
	const shape = "has columns of these names already, and of another shape: "
	tests := map[string]struct{ column, fault string }{
		"OtherType":        {"details json", shape + "details must be jsonb and take NULL"},
		"Wider":            {"actor varchar(200)", shape + "actor must be character varying(100) and take NULL"},
		"NotNull":          {"source_seq bigint NOT NULL DEFAULT 1", shape + "source_seq must be bigint and take NULL"},
		"Generated":        {"source_seq bigint GENERATED ALWAYS AS (seq + 1) STORED", "has columns that the trail cannot live with: column source_seq, which the server generates"},
		"Nondeterministic": {"actor varchar(100) COLLATE lax", "has columns that the trail cannot live with: column actor, whose collation lax takes different texts for equal"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			upTo(t, db, 5)
			execute(t, db.Pool, insertRecord)
			execute(t, db.Pool, "CREATE COLLATION lax (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
			execute(t, db.Pool, "ALTER TABLE coordination_audit_records ADD COLUMN "+test.column)
			before := catalog(t, db.Pool)

			changes, err := open(t, db.URL, quiet()).Up(t.Context())
			if err == nil || len(changes) > 0 {
				t.Fatalf("changes %v, error %v; want a refusal", changes, err)
			}
			want := "migrating up: applying " + originName + ": ERROR: coordination_audit_records " + test.fault + " (SQLSTATE P0001): rename them, and migrate again"
			if err.Error() != want {
				t.Errorf("error is\n%q, want\n%q", err, want)
			}
			if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
				t.Errorf("the table has changed:\n%s", diff)
			}

			column, _, _ := strings.Cut(test.column, " ")
			execute(t, db.Pool, "ALTER TABLE coordination_audit_records RENAME COLUMN "+column+" TO theirs")
			up(t, db)
		})
	}
}

func TestDownRefusesOrigin(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]string{
		"Reason": "reason_code: 'FITS'", "Policy": "policy_version: 'rules-7'", "Actor": "actor: 'me'", "Cause": "caused_by: gen_random_uuid()",
		"Correction": "corrects: gen_random_uuid()", "Correlation": "correlation_id: 'action-1'", "Details": "details: '{}'",
		"Trace": "trace_id: decode(repeat('1f', 16), 'hex')", "Source": "source_id, source_seq: gen_random_uuid(), 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			upTo(t, db, 6)
			columns, values, _ := strings.Cut(values, ": ")
			execute(t, db.Pool, `
				INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, `+columns+`)
				VALUES (gen_random_uuid(), 'e', 'COST', 'APPLIED', 'r', now(), `+values+")")
			standing, rows := catalog(t, db.Pool), texts(t, db.Pool, statedRows)
			changes, err := open(t, db.URL, quiet()).Down(t.Context())
			want := "migrating down: reverting " + originName +
				": ERROR: coordination_audit_records holds records with reasons, links or an origin, dropping their columns would destroy that (SQLSTATE 23001)" +
				": to drop them all the same, pass --allow-data-loss (Config.AllowDataLoss)"
			if !errors.Is(err, auditmigrate.ErrDataLoss) || err.Error() != want || len(changes) > 0 {
				t.Errorf("changes %v, error is\n%q, want\n%q", changes, err, want)
			}
			if diff := cmp.Diff(standing, catalog(t, db.Pool)); diff != "" {
				t.Errorf("a refused down has changed:\n%s", diff)
			}
			if diff := cmp.Diff(rows, texts(t, db.Pool, statedRows)); diff != "" {
				t.Errorf("records (-before +after):\n%s", diff)
			}
		})
	}
}

func TestDownDropsOrigin(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	upTo(t, db, 5)
	execute(t, db.Pool, insertContext)
	before, rows := catalog(t, db.Pool), texts(t, db.Pool, wholeRows)
	up(t, db)
	migrator := open(t, db.URL, auditmigrate.Config{AllowDataLoss: true})
	if _, err := migrator.DownTo(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
		t.Errorf("up and down again (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(rows, texts(t, db.Pool, wholeRows)); diff != "" {
		t.Errorf("records (-before +after):\n%s", diff)
	}
	up(t, db)
	execute(t, db.Pool, insertOrigin)
	if _, err := migrator.DownTo(t.Context(), 5); err != nil {
		t.Errorf("permitted to drop what a record holds: %v", err)
	}
}
