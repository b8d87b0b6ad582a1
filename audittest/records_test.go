package audittest_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/audittest"
)

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
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

func TestADatabaseIsDroppedWhenItsTestEnds(t *testing.T) {
	t.Parallel()
	db := audittest.New(t)
	var name string
	t.Run("inner", func(t *testing.T) { // in sequence: it must have ended below
		if err := audittest.New(t).Pool.QueryRow(t.Context(), "SELECT current_database()::text").Scan(&name); err != nil {
			t.Fatal(err)
		}
	})
	var left bool
	if err := db.Pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&left); err != nil || left {
		t.Errorf("database %s is left: %t, %v", name, left, err)
	}
}

func TestRequirePersistedComparesWhatIsStored(t *testing.T) {
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

func TestLegacyIsThePredecessorsTable(t *testing.T) {
	t.Parallel()
	db := audittest.Legacy(t)
	if _, err := db.Store.Persist(t.Context(), newRecord()); err == nil {
		t.Error("a record was stored before the migrations")
	}
	migrator, err := auditmigrate.Open(db.URL, auditmigrate.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrator.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
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
