package audittest_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/audittest"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func TestDatabasePerTest(t *testing.T) {
	t.Parallel()
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			db := audittest.New(t)
			t.Logf("a database after %v", time.Since(start))
			audittest.RequireNoRecords(t, t.Context(), db.Pool)
			if _, err := db.Store.Persist(t.Context(), newRecord()); err != nil {
				t.Fatal(err)
			}
			audittest.RequirePersisted(t, t.Context(), db.Pool, newRecord())
			conn, err := pgx.Connect(t.Context(), db.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close(t.Context()) }()
			audittest.RequirePersisted(t, t.Context(), conn, newRecord())
		})
	}
}

func TestDatabaseIsDropped(t *testing.T) {
	t.Parallel()
	db := audittest.New(t)
	var name string
	t.Run("inner", func(t *testing.T) { // not parallel, because it must have ended below
		if err := audittest.New(t).Pool.QueryRow(t.Context(), "SELECT current_database()::text").Scan(&name); err != nil {
			t.Fatal(err)
		}
	})
	var left bool
	if err := db.Pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&left); err != nil || left {
		t.Errorf("database %s is left: %t, %v", name, left, err)
	}
}

func TestRequirePersisted(t *testing.T) {
	t.Parallel()
	db := audittest.New(t)
	first, second, third := newRecord(), newRecord(), newRecord()
	first.AuditID = uuid.New()
	second.EnvelopeClass, second.TenantID = "", ""
	third.Decision, third.PreemptingEnvelopeID = audit.Preempted, "safety-1"
	for _, rec := range []audit.Record{first, second, third} {
		if _, err := db.Store.Persist(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	audittest.RequirePersisted(t, t.Context(), db.Pool, third, second, first)
	first.AuditID = uuid.Nil
	audittest.RequirePersisted(t, t.Context(), db.Pool, first, second, third)

	other := third
	other.Reason = "another story"
	for name, test := range map[string]struct {
		want []audit.Record
		say  []string
		not  string
	}{
		"one field":  {[]audit.Record{first, second, other}, []string{"-", "+", "another story"}, "UNKNOWN"},
		"missing":    {[]audit.Record{first, second, third, first}, []string{"-", "retry-backoff-7"}, "safety-1"},
		"unexpected": {[]audit.Record{first, second}, []string{"+", "safety-1"}, "UNKNOWN"},
		"none":       {nil, []string{"+", "safety-1", "UNKNOWN"}, "another story"},
	} {
		text := failedTest(t, func(tb testing.TB) { tb.Helper(); audittest.RequirePersisted(tb, tb.Context(), db.Pool, test.want...) })
		for _, part := range test.say {
			if !strings.Contains(text, part) {
				t.Errorf("%s: %q is not in the failure:\n%s", name, part, text)
			}
		}
		if strings.Contains(text, test.not) {
			t.Errorf("%s: %q is in the failure:\n%s", name, test.not, text)
		}
	}
}

// Records reads what a Store reads, in every column.
func TestRecordsHaveEveryField(t *testing.T) {
	t.Parallel()
	db := audittest.New(t)
	full := fixture.NewFullRecord()
	traced := fixture.NewRecord()
	traced.Origin.TraceID, traced.Origin.SpanID = full.Origin.TraceID, full.Origin.SpanID
	for _, rec := range []audit.Record{full, traced, fixture.NewRecord()} {
		if _, err := db.Store.Persist(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	var want []audit.Record
	for _, rec := range audittest.Records(t, t.Context(), db.Pool) {
		read, err := db.Store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, read)
	}
	if diff := cmp.Diff(want, audittest.Records(t, t.Context(), db.Pool)); diff != "" || want[0].DiffersIn(full) != nil || want[0].Origin != full.Origin {
		t.Errorf("records (-of the store +of Records):\n%s", diff)
	}
}

// What a test cannot know matches any, and what it states is compared.
func TestRequirePersistedComparesContext(t *testing.T) {
	t.Parallel()
	db := audittest.New(t)
	full := fixture.NewFullRecord()
	recorder, err := db.Store.NewRecorder(coordaudit.RecorderConfig{SpoolDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	traced, plain := full, full
	traced.AuditID, plain.AuditID = uuid.New(), uuid.New()
	plain.Origin.TraceID, plain.Origin.SpanID = audit.TraceID{}, audit.SpanID{}
	for _, rec := range []audit.Record{plain, traced} {
		if _, err := recorder.Record(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	anyID := func(rec audit.Record) audit.Record {
		rec.AuditID, rec.Origin.SourceID, rec.Origin.SourceSeq = uuid.Nil, uuid.Nil, 0
		return rec
	}
	require := func(want ...audit.Record) func(tb testing.TB) {
		return func(tb testing.TB) { tb.Helper(); audittest.RequirePersisted(tb, tb.Context(), db.Pool, want...) }
	}
	stored := audittest.Records(t, t.Context(), db.Pool)
	for name, want := range map[string][]audit.Record{
		"all of it":  stored,
		"traces":     {anyID(traced), anyID(plain)},
		"any origin": {anyID(plain), anyID(traced)},
		"one source": {anyID(plain), stored[0]},
		"no trace":   {anyID(plain), anyID(plain)},
	} {
		if text := failedTest(t, require(want...)); text != "" {
			t.Errorf("%s: %s", name, text)
		}
	}
	for field, change := range map[string]func(rec *audit.Record){
		"ReasonCode":    func(rec *audit.Record) { rec.ReasonCode = "ANOTHER" },
		"PolicyVersion": func(rec *audit.Record) { rec.PolicyVersion = "" },
		"Actor":         func(rec *audit.Record) { rec.Actor = "another" },
		"CausedBy":      func(rec *audit.Record) { rec.Links.CausedBy = uuid.New() },
		"Corrects":      func(rec *audit.Record) { rec.Links.Corrects = uuid.Nil },
		"CorrelationID": func(rec *audit.Record) { rec.Links.CorrelationID = "" },
		"Details":       func(rec *audit.Record) { rec.Details = `{"rank": 2}` },
		"SpanID":        func(rec *audit.Record) { rec.Origin.SpanID[0]++ },
		"SourceSeq":     func(rec *audit.Record) { rec.Origin.SourceID, rec.Origin.SourceSeq = stored[0].Origin.SourceID, 77 },
	} {
		other := anyID(traced)
		change(&other)
		if text := failedTest(t, require(other, anyID(plain))); !strings.Contains(text, field+":") {
			t.Errorf("%s is not in the failure:\n%s", field, text)
		}
	}
}

// The predecessor's table accepts infinite times, and adoption keeps them.
func TestRecordsInfiniteTimes(t *testing.T) {
	t.Parallel()
	db := audittest.Legacy(t)
	if _, err := db.Pool.Exec(t.Context(), `
		INSERT INTO coordination_audit_records (envelope_id, envelope_class, decision, reason, decision_timestamp, created_at)
		VALUES ('future', 'COST', 'APPLIED', 'r', 'infinity', '-infinity'), ('past', 'COST', 'APPLIED', 'r', '-infinity', 'infinity')`); err != nil {
		t.Fatal(err)
	}
	migrate(t, db)
	got := map[string][2]time.Time{}
	for _, rec := range audittest.Records(t, t.Context(), db.Pool) {
		if rec.EnvelopeID == "future" || rec.EnvelopeID == "past" {
			got[rec.EnvelopeID] = [2]time.Time{rec.DecisionTimestamp, rec.CreatedAt}
			read, err := db.Store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
			if err != nil || read != rec {
				t.Errorf("the store reads %+v, %v; Records %+v", read, err, rec)
			}
		}
	}
	want := map[string][2]time.Time{
		"future": {audit.InfiniteFuture(), audit.InfinitePast()},
		"past":   {audit.InfinitePast(), audit.InfiniteFuture()},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decision and creation times (-want +got):\n%s", diff)
	}
}

func migrate(t *testing.T, db *audittest.DB) {
	t.Helper()
	migrator, err := auditmigrate.Open(db.URL, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrator.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestLegacy(t *testing.T) {
	t.Parallel()
	db := audittest.Legacy(t)
	if _, err := db.Store.Persist(t.Context(), newRecord()); err == nil {
		t.Error("a record was stored before the migrations")
	}
	migrate(t, db)
	if _, err := db.Store.Persist(t.Context(), newRecord()); err != nil {
		t.Error(err)
	}
	if n := len(audittest.Records(t, t.Context(), db.Pool)); n != 13 {
		t.Errorf("%d records, want the predecessor's 12 and a new one", n)
	}

	ddl := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, statements, _ := strings.Cut(string(text), "CREATE TABLE")
		statements, _, _ = strings.Cut(statements, "generate_series")
		return statements
	}
	if ddl("predecessor.sql") != ddl("../auditmigrate/testdata/predecessor.sql") {
		t.Error("predecessor.sql is not the table that auditmigrate is tested on")
	}
}
