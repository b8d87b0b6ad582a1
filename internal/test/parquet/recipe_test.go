//go:build cgo

package parquet_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	program "github.com/hoc-analytics/coordaudit/internal/cli/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// recipe is the SQL of the page, for files of this test.
func recipe(t *testing.T, lines, parquet string) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/exports.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```sql\n-- parquet.sql\n")
	text, _, closed := strings.Cut(rest, "```")
	if !found || !closed || strings.Count(text, "'trail.jsonl'") != 1 || strings.Count(text, "'trail.parquet'") != 1 {
		t.Fatal("docs/exports.md has no recipe of the form that this test knows")
	}
	return strings.NewReplacer("'trail.jsonl'", "'"+lines+"'", "'trail.parquet'", "'"+parquet+"'").Replace(text)
}

func openDuckDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// coordauditInto runs the program, with its standard output in a file.
func coordauditInto(t *testing.T, databaseURL, path string, args ...string) {
	t.Helper()
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	p := &cli.Program{
		Name: "coordaudit", Env: func(name string) string { return map[string]string{cli.URLVariable: databaseURL}[name] },
		Stdin: strings.NewReader(""), Stdout: out, Stderr: &errs,
	}
	if code := program.Run(t.Context(), p, args); code != cli.ExitDone {
		t.Fatalf("%v: exit code %d: %s", args, code, errs.String())
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// everyKind has records with all fields and with few, with texts that tempt a reader of JSON,
// and enough of them for several row groups' worth of guesses.
func everyKind() (recs []audit.Record) {
	texts := []string{
		"a, b; \"c\" 'd' \\ \\n", "line\r\nbreak\ttab", "\u202eback\u0007\u007f", "温度 🔥 e\u0301", "null", "NaN", "{}", "[1,2]", "2026-01-05", "1e400", "'; DROP TABLE x; --", strings.Repeat("long ", 3000),
	}
	at := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	for i := range 3000 {
		rec := fixture.NewRecord()
		if i > 2500 { // after what a reader would guess from
			rec = fixture.NewFullRecord()
			rec.Reason = texts[i%len(texts)]
			rec.Actor, rec.TargetSubsystem = texts[i%(len(texts)-1)], texts[(i+1)%(len(texts)-1)]
			rec.Details = audit.Details(fmt.Sprintf(`{"number": %d.5, "big": 9007199254740991, "text": "\u00e9 \" \\", "list": [1, null, {"x": []}]}`, i))
		}
		if i%3 == 0 {
			rec.TenantID = ""
		}
		rec.DecisionTimestamp = at.Add(time.Duration(i) * 1_000_001 * time.Microsecond)
		rec.ActiveEnvelopesCount = int32(i)
		recs = append(recs, rec)
	}
	recs[0].DecisionTimestamp = time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC)
	recs[1].DecisionTimestamp = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	recs[2].DecisionTimestamp = time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	return recs
}

// row is a record as Parquet has it. nil is NULL.
type row struct {
	AuditID, EnvelopeID, Class, Decision, Reason       string
	Micros                                             int64
	Conflicting, Preempting, Tenant                    *string
	Active                                             int32
	Subsystem, Parameter, Counterpart                  *string
	ReasonCode, PolicyVersion, Actor, Caused, Corrects *string
	Correlation, Trace, Span, Details, Source          *string
	SourceSeq, Seq, CreatedMicros                      *int64
}

func rowsIn(t *testing.T, db *sql.DB, parquet string) (rows []row) {
	t.Helper()
	found, err := db.QueryContext(t.Context(), `SELECT audit_id::VARCHAR, envelope_id, envelope_class, decision, reason, epoch_us(decision_timestamp),
		conflicting_envelope_id, preempting_envelope_id, tenant_id, active_envelopes_count, target_subsystem, target_parameter, counterpart_class,
		reason_code, policy_version, actor, caused_by::VARCHAR, corrects::VARCHAR, correlation_id, trace_id, span_id, details::VARCHAR, source_id::VARCHAR,
		source_seq, seq, epoch_us(created_at) FROM read_parquet('`+parquet+`') ORDER BY active_envelopes_count`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		var r row
		if err := found.Scan(&r.AuditID, &r.EnvelopeID, &r.Class, &r.Decision, &r.Reason, &r.Micros, &r.Conflicting, &r.Preempting, &r.Tenant, &r.Active,
			&r.Subsystem, &r.Parameter, &r.Counterpart, &r.ReasonCode, &r.PolicyVersion, &r.Actor, &r.Caused, &r.Corrects, &r.Correlation, &r.Trace, &r.Span,
			&r.Details, &r.Source, &r.SourceSeq, &r.Seq, &r.CreatedMicros); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func rowOf(rec audit.Record, stored bool) row {
	text := func(value string) *string {
		if value == "" {
			return nil
		}
		return &value
	}
	id := func(id uuid.UUID) *string {
		if id == uuid.Nil {
			return nil
		}
		return text(id.String())
	}
	r := row{
		AuditID: rec.AuditID.String(), EnvelopeID: rec.EnvelopeID, Class: string(rec.EnvelopeClass), Decision: string(rec.Decision), Reason: rec.Reason,
		Micros: rec.DecisionTimestamp.UnixMicro(), Conflicting: text(rec.ConflictingEnvelopeID), Preempting: text(rec.PreemptingEnvelopeID), Tenant: text(rec.TenantID),
		Active: rec.ActiveEnvelopesCount, Subsystem: text(rec.TargetSubsystem), Parameter: text(rec.TargetParameter), Counterpart: text(string(rec.CounterpartClass)),
		ReasonCode: text(rec.ReasonCode), PolicyVersion: text(rec.PolicyVersion), Actor: text(rec.Actor), Caused: id(rec.Links.CausedBy), Corrects: id(rec.Links.Corrects),
		Correlation: text(rec.Links.CorrelationID), Trace: text(rec.Origin.TraceID.String()), Span: text(rec.Origin.SpanID.String()),
		Details: text(string(rec.Details)), Source: id(rec.Origin.SourceID),
	}
	if rec.Origin.SourceSeq != 0 {
		r.SourceSeq = &rec.Origin.SourceSeq
	}
	if stored {
		created := rec.CreatedAt.UnixMicro()
		r.Seq, r.CreatedMicros = &rec.Seq, &created
	}
	return r
}

// compact compares details by what they say, to the digit.
func compact(t *testing.T, rows []row) []row {
	t.Helper()
	for i, r := range rows {
		if r.Details != nil {
			var text bytes.Buffer
			if err := json.Compact(&text, []byte(*r.Details)); err != nil {
				t.Fatalf("%q: %v", *r.Details, err)
			}
			said := text.String()
			rows[i].Details = &said
		}
	}
	return rows
}

// Every record comes out of the Parquet file as it is stored, and each column has its type.
func TestRecipe(t *testing.T) {
	t.Parallel()
	trail := testdb.New(t)
	store := coordaudit.New(trail.Pool, fixture.Quiet())
	recs := everyKind()
	for first := 0; first < len(recs); first += 1000 {
		if _, err := store.PersistMany(t.Context(), recs[first:first+1000]); err != nil {
			t.Fatal(err)
		}
	}
	var exported, followed []row
	for rec, err := range store.All(t.Context(), audit.Query{Scope: audit.AllTenants()}) {
		if err != nil {
			t.Fatal(err)
		}
		exported, followed = append(exported, rowOf(rec, false)), append(followed, rowOf(rec, true))
	}
	dir := t.TempDir()
	for name, test := range map[string]struct {
		args []string
		want []row
	}{
		"export": {[]string{"export", "--all-tenants"}, exported},
		"follow": {[]string{"follow", "--all-tenants", "--from", "beginning", "--once", "--format", "json"}, followed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := openDuckDB(t)
			lines, parquet := filepath.Join(dir, name+".jsonl"), filepath.Join(dir, name+".parquet")
			coordauditInto(t, trail.URL, lines, test.args...)
			if _, err := db.ExecContext(t.Context(), recipe(t, lines, parquet)); err != nil {
				t.Fatal(err)
			}
			byActive := cmp.Transformer("byActive", func(rows []row) map[int32]row {
				sorted := make(map[int32]row, len(rows))
				for _, r := range rows {
					sorted[r.Active] = r
				}
				return sorted
			})
			got := rowsIn(t, db, parquet)
			if diff := cmp.Diff(compact(t, test.want), compact(t, got), byActive); diff != "" || len(got) != len(recs) {
				t.Errorf("%d rows of %d (-want +got):\n%.2000s", len(got), len(recs), diff)
			}
			mustHaveTypes(t, db, parquet)
		})
	}
}

// mustHaveTypes reads the types in the file itself, as any other reader of Parquet does.
func mustHaveTypes(t *testing.T, db *sql.DB, parquet string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT name, type, coalesce(logical_type, converted_type, '') FROM parquet_schema('`+parquet+`') WHERE num_children IS NULL`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	types := make(map[string]string)
	for rows.Next() {
		var name, physical, logical string
		if err := rows.Scan(&name, &physical, &logical); err != nil {
			t.Fatal(err)
		}
		types[name] = physical + " " + logical
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if len(types) != 26 {
		t.Errorf("%d columns: %v", len(types), types)
	}
	for name, has := range types {
		want := "BYTE_ARRAY UTF8"
		switch name {
		case "audit_id", "caused_by", "corrects", "source_id":
			want = "FIXED_LEN_BYTE_ARRAY UUIDType()"
		case "decision_timestamp", "created_at":
			want = "INT64 TimestampType(isAdjustedToUTC=1, unit=TimeUnit(MILLIS=<null>, MICROS=MicroSeconds(), NANOS=<null>))"
		case "active_envelopes_count":
			want = "INT32 INT_32"
		case "source_seq", "seq":
			want = "INT64 INT_64"
		case "details":
			want = "BYTE_ARRAY JsonType()"
		}
		if has != want {
			t.Errorf("%s is %q, want %q", name, has, want)
		}
	}
}

// Odd times, which only adopted rows have, stay what they are: infinite ones, and those of
// years before 1 and beyond 9999.
func TestRecipeOfOddTimes(t *testing.T) {
	t.Parallel()
	trail := testdb.New(t)
	fixture.MustExec(t, trail.Pool, "ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_decision_timestamp_valid")
	for _, at := range []string{"-infinity", "infinity", "10000-01-01 00:00:00+00", "0044-03-15 12:00:00.000001+00 BC", "0001-12-31 23:59:59+00 BC", "294246-12-31 23:59:59+00"} {
		fixture.MustExec(t, trail.Pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, active_envelopes_count)
			VALUES (gen_random_uuid(), 'e', 'COST', 'APPLIED', 'adopted', $1::text::timestamptz, 1)`, at)
	}
	const micros = `string_agg(CASE WHEN isfinite(decision_timestamp) THEN MICROS ELSE decision_timestamp::TEXT END, ' ' ORDER BY decision_timestamp)`
	want := fixture.QueryText(t, trail.Pool, "SELECT "+strings.ReplaceAll(micros, "MICROS", "(extract(epoch FROM decision_timestamp) * 1000000)::bigint::text")+" FROM coordination_audit_records")
	db := openDuckDB(t)
	lines, parquet := filepath.Join(t.TempDir(), "odd.jsonl"), filepath.Join(t.TempDir(), "odd.parquet")
	coordauditInto(t, trail.URL, lines, "export", "--all-tenants")
	if _, err := db.ExecContext(t.Context(), recipe(t, lines, parquet)); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := db.QueryRowContext(t.Context(), "SELECT "+strings.ReplaceAll(micros, "MICROS", "epoch_us(decision_timestamp)::text")+" FROM read_parquet('"+parquet+"')").Scan(&got); err != nil || got != want {
		t.Errorf("%s, want %s, %v", got, want, err)
	}
}
