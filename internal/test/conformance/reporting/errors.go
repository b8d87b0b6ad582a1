package reporting

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// evil would start a line of its own, clear a screen and reverse the reading direction.
const evil = "x\n2026-01-02 level=ERROR msg=forged\r\x1b[2J\u009b31m\u202e\u2028\u0085"

func textsArePrintable(t *testing.T, db frame.Database) {
	fixture.MustExec(t, db.Pool, `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION '%', NEW.reason USING ERRCODE = 'ZZ001'; END $$`)
	fixture.MustExec(t, db.Pool, "CREATE TRIGGER fail BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION fail()")
	events := &rawEvents{}
	store := coordaudit.New(db.Pool, coordaudit.Config{Logger: slog.New(events)})
	rec := fixture.NewRecord()
	rec.Reason, rec.TenantID, rec.EnvelopeID = "a reason "+evil, "tenant "+evil[:20], "envelope "+evil[:20]
	invalid := rec
	invalid.Decision = audit.Decision(evil)
	tx := frame.CallersTx(t, db.Pool)
	var errs []error
	for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
		for _, rec := range []audit.Record{rec, invalid} {
			_, err := c.Persist(t.Context(), rec)
			errs = append(errs, err)
		}
	}
	frame.Commit(t, tx)

	reading := coordaudit.New(fixture.OpenPool(t, fixture.WithSetting(db.URL, "search_path=pg_temp"), nil), fixture.Quiet())
	scope := audit.Tenant(evil)
	_, err := reading.Get(t.Context(), scope, uuid.New())
	errs = append(errs, err)
	_, err = reading.List(t.Context(), audit.Query{Scope: scope})
	errs = append(errs, err)
	_, err = reading.Timeline(t.Context(), audit.TimelineQuery{Scope: scope, EnvelopeID: evil})
	errs = append(errs, err)
	_, err = reading.Breakdown(t.Context(), audit.BreakdownQuery{Scope: scope})
	errs = append(errs, err)
	for _, err := range errs {
		if err == nil || audit.Printable(err.Error()) != err.Error() {
			t.Errorf("the error %q holds unprintable characters", err)
		}
	}
	if len(events.texts) == 0 {
		t.Error("no events")
	}
	for _, text := range events.texts {
		if audit.Printable(text) != text {
			t.Errorf("the event's text %q holds unprintable characters", text)
		}
	}
}

// rawEvents keeps the unescaped texts of events, as a handler gets them.
type rawEvents struct{ texts []string }

func (*rawEvents) Enabled(context.Context, slog.Level) bool { return true }

func (e *rawEvents) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(attr slog.Attr) bool {
		e.texts = append(e.texts, attr.Value.String())
		return true
	})
	return nil
}

func (e *rawEvents) WithAttrs([]slog.Attr) slog.Handler { return e }

func (e *rawEvents) WithGroup(string) slog.Handler { return e }

func missingRightIsNamed(t *testing.T, db frame.Database) {
	pool, _ := frame.PoolAsPlainRole(t, db, "INSERT ON coordination_audit_records", "INSERT ON coordination_audit_gaps", "INSERT ON coordination_audit_statements")
	store := coordaudit.New(pool, fixture.Quiet())
	_, record := store.Get(t.Context(), audit.AllTenants(), uuid.New())
	_, counted := store.Breakdown(t.Context(), audit.BreakdownQuery{Scope: audit.AllTenants()})
	_, gaps := store.Gaps(t.Context(), audit.GapQuery{})
	reader, _ := frame.PoolAsPlainRole(t, db, "SELECT ON coordination_audit_records", "INSERT ON coordination_audit_statements")
	_, statements := coordaudit.New(reader, fixture.Quiet()).Completeness(t.Context(), audit.CompletenessQuery{})
	for table, err := range map[string]error{
		"coordination_audit_records": errors.Join(record, counted), "coordination_audit_gaps": gaps, "coordination_audit_statements": statements,
	} {
		if !errors.Is(err, audit.ErrRefused) || strings.Contains(err.Error(), "INSERT") || !strings.Contains(err.Error(), "grant this role SELECT on "+table) {
			t.Errorf("%v, want SELECT on %s and no other right", err, table)
		}
	}
}

func limitIsNoOutage(t *testing.T, db frame.Database) {
	fixture.MustPersist(t, frame.NewStore(db), fixture.NewRecord())
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records RENAME TO behind")
	fixture.MustExec(t, db.Pool, `CREATE FUNCTION slow() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(20); RETURN true; END $$;
		CREATE FUNCTION big() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'temporary file size exceeds temp_file_limit' USING ERRCODE = '53400'; END $$`)
	fixture.MustExec(t, db.Pool, "ALTER TABLE behind RENAME TO coordination_audit_records")
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ENABLE ROW LEVEL SECURITY")
	fixture.MustExec(t, db.Pool, "CREATE POLICY slow ON coordination_audit_records FOR SELECT USING (CASE WHEN current_setting('statement_timeout') = '0' THEN big() ELSE slow() END)")
	for name, limit := range map[string]struct{ set, says string }{
		"statement_timeout": {"SET statement_timeout TO '200ms'", "statement_timeout"},
		"temp_file_limit":   {"SET statement_timeout TO 0", "temp_file_limit"},
	} {
		pool, _ := frame.PoolAsPlainRole(t, db, "SELECT ON coordination_audit_records")
		config := pool.Config()
		connect := config.AfterConnect
		limited := fixture.OpenPool(t, db.URL, func(c *pgxpool.Config) {
			c.MaxConns = 1
			c.AfterConnect = connect
		})
		fixture.MustExec(t, limited, limit.set)
		store := coordaudit.New(limited, fixture.Quiet())
		_, err := store.Count(t.Context(), audit.Query{Scope: audit.AllTenants()})
		if !errors.Is(err, audit.ErrLimit) || !errors.Is(err, audit.ErrUnavailable) || !strings.Contains(err.Error(), limit.says) || strings.Contains(err.Error(), audit.ErrUnavailable.Error()) {
			t.Errorf("%s: %v, want ErrLimit, its name, and not that the database is unavailable", name, err)
		}
	}

	away := coordaudit.New(fixture.OpenPool(t, "postgres://user@127.0.0.1:1/db", nil), fixture.Quiet())
	if _, err := away.Count(t.Context(), audit.Query{Scope: audit.AllTenants()}); !errors.Is(err, audit.ErrUnavailable) || errors.Is(err, audit.ErrLimit) {
		t.Errorf("an absent database: %v, want ErrUnavailable alone", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := frame.NewStore(db).Count(ended, audit.Query{Scope: audit.AllTenants()}); !errors.Is(err, audit.ErrUnavailable) || errors.Is(err, audit.ErrLimit) {
		t.Errorf("an ended context: %v, want ErrUnavailable alone", err)
	}
}

// Several attempts fail alike: with TLS and without, and for each address of a name.
func connectionErrorIsShort(t *testing.T, _ frame.Database) {
	for name, url := range map[string]string{
		"refused":        "postgres://user:hunter2@127.0.0.1:1/db?sslmode=prefer",
		"several hosts":  "postgres://user:hunter2@127.0.0.1:1,127.0.0.1:1,127.0.0.1:1/db?sslmode=prefer",
		"a long address": "postgres://user:hunter2@" + strings.Repeat("127.0.0.1:1,", 20) + "127.0.0.1:2/" + strings.Repeat("d", 300),
	} {
		store := coordaudit.New(fixture.OpenPool(t, url, nil), fixture.Quiet())
		_, err := store.Count(t.Context(), audit.Query{Scope: audit.AllTenants()})
		if !errors.Is(err, audit.ErrUnavailable) {
			t.Fatalf("%s: %v, want ErrUnavailable", name, err)
		}
		text := err.Error()
		if strings.ContainsAny(text, "\n\t") || strings.Contains(text, "hunter2") || len([]rune(text)) > 450 {
			t.Errorf("%s: %d characters: %q", name, len(text), text)
		}
		if strings.Count(text, "127.0.0.1:1 ") > 1 || !strings.Contains(text, "failed to connect") {
			t.Errorf("%s: %q, want each attempt once", name, text)
		}
	}
}

// An error of this process is named as well, without the values of the row.
func clientErrorNamesCause(t *testing.T, db frame.Database) {
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ALTER COLUMN active_envelopes_count TYPE smallint")
	rec := fixture.NewRecord()
	rec.ActiveEnvelopesCount = 71_234
	store := frame.NewStore(db)
	tx := frame.CallersTx(t, db.Pool)
	for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
		failed := c.WantFailure(t.Context(), t, rec, audit.ErrRefused)
		// A batch casts its counts to integer, so the server refuses them there.
		says := strings.Contains(failed.Error(), "argument 8") || failed.SQLState == "22003"
		if strings.Contains(failed.Error(), "71234") || strings.Contains(failed.Error(), "joinError") || !says {
			t.Errorf("%s() = %v, want the argument named and not its value", c.Name, failed)
		}
	}
	frame.Commit(t, tx)

	frame.Unguarded(t, db.Pool, "ALTER TABLE coordination_audit_records ALTER COLUMN reason DROP NOT NULL", "ALTER TABLE coordination_audit_records ALTER COLUMN active_envelopes_count TYPE integer")
	stored := fixture.NewRecord()
	fixture.MustPersist(t, frame.NewStore(db), stored)
	fixture.MustExec(t, db.Pool, "UPDATE coordination_audit_records SET reason = NULL")
	tx = frame.CallersTx(t, db.Pool)
	for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
		_, err := c.Persist(t.Context(), stored)
		if !errors.Is(err, audit.ErrRefused) || !strings.Contains(err.Error(), "column reason") {
			t.Errorf("%s() = %v, want the column named that cannot be read", c.Name, err)
		}
	}
	frame.Commit(t, tx)
	_, err := store.Get(t.Context(), audit.AllTenants(), stored.AuditID)
	if !errors.Is(err, audit.ErrRefused) || !strings.Contains(err.Error(), "column reason") {
		t.Errorf("Get() = %v, want the column named that cannot be read", err)
	}
}
