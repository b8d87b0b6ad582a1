package reporting

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// Row 8: the only event of a lost record did not name the record and held its content.
func eventsNameRecord(t *testing.T, db frame.Database) {
	log := &fixture.Log{}
	store := coordaudit.New(db.Pool, coordaudit.Config{Logger: log.Logger()})
	rec := fixture.NewRecord()
	rec.Reason = "hunter2"
	result := fixture.MustPersist(t, store, rec)
	if _, err := store.Replaying().Persist(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ADD CONSTRAINT dba_says_no CHECK (reason <> 'hunter2') NOT VALID")
	refused := rec
	refused.AuditID = fixture.NewRecord().AuditID
	if _, err := store.Persist(t.Context(), refused); !errors.Is(err, audit.ErrRefused) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Persist() = %v, want ErrRefused without the reason's text", err)
	}

	identity := map[string]any{"envelope_id": "retry-backoff-7", "decision": "APPLIED", "tenant_id": "acme"}
	with := func(name, level, id string, more map[string]any) []map[string]any {
		event := map[string]any{"msg": name, "level": level, "audit_id": id}
		for _, attrs := range []map[string]any{identity, more} {
			maps.Copy(event, attrs)
		}
		return []map[string]any{event}
	}
	want := map[string][]map[string]any{
		"audit_persisted":      with("audit_persisted", "DEBUG", rec.AuditID.String(), map[string]any{"outcome": "persisted", "seq": float64(result.Seq)}),
		"audit_skipped_replay": with("audit_skipped_replay", "DEBUG", rec.AuditID.String(), nil),
		"audit_persistence_failed": with("audit_persistence_failed", "ERROR", refused.AuditID.String(), map[string]any{
			"sqlstate": "23514", "attempt": float64(1),
			"error": `refused by the database: new row for relation "coordination_audit_records" violates check constraint "dba_says_no" (SQLSTATE 23514)`,
		}),
	}
	for name, events := range want {
		got := log.Events(t, name)
		for _, event := range got {
			if text, ok := event["error"].(string); ok {
				event["error"] = db.WithoutShards(text)
			}
		}
		if diff := cmp.Diff(events, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if strings.Contains(log.String(), "hunter2") {
		t.Errorf("the log holds the record's content:\n%s", log)
	}
}

func eventsStaySmall(t *testing.T, _ frame.Database) {
	log := &fixture.Log{}
	store := coordaudit.New(nil, coordaudit.Config{Logger: log.Logger()})
	rec := fixture.NewRecord()
	rec.EnvelopeID = strings.Repeat("x", 5<<20)
	if _, err := store.Persist(t.Context(), rec); !errors.Is(err, audit.ErrInvalidRecord) {
		t.Fatal(err)
	}
	if n := len(log.String()); n > 4096 {
		t.Errorf("%d bytes were logged for one record", n)
	}
}

func traceHidesArguments(t *testing.T, db frame.Database) {
	log := &fixture.Log{}
	pool := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) {
		config.ConnConfig.Tracer = coordaudit.NewTraceLogger(log.Logger())
	})
	store := coordaudit.New(pool, fixture.Quiet())
	rec := fixture.NewRecord()
	rec.Reason, rec.TenantID = "hunter2", "hunter2"
	fixture.MustPersist(t, store, rec)
	tx := frame.CallersTx(t, pool)
	for range 2 {
		if _, err := store.PersistTx(t.Context(), tx, rec); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Exec(t.Context(), "SELECT 'hunter2'::int"); err == nil {
		t.Fatal("a word was read as a number")
	}

	statements := map[string]bool{}
	for _, event := range log.Events(t, "audit_statement") {
		statement, _ := event["statement"].(string)
		statements[statement] = true
		if _, ok := event["duration"]; !ok {
			t.Errorf("event without duration: %v", event)
		}
	}
	for _, name := range []string{"PersistAuditRecord", "GetAuditRecord", "SAVEPOINT"} {
		if !statements[name] {
			t.Errorf("no event for %s in %v", name, statements)
		}
	}
	if !strings.Contains(log.String(), `"sqlstate":"22P02"`) || strings.Contains(log.String(), "hunter2") {
		t.Errorf("the trace must hold the SQLSTATE and no argument or literal:\n%s", log)
	}
}

// Row 9: no counter counted failures, and the log said persisted=True for each.
func observerSeesEachRecord(t *testing.T, db frame.Database) {
	observer := &frame.Observed{}
	config := fixture.Quiet()
	config.Observer = observer
	store := coordaudit.New(db.Pool, config)
	safety, bad, unknown := fixture.NewRecord(), fixture.NewRecord(), fixture.NewRecord()
	safety.EnvelopeClass, bad.EnvelopeClass, unknown.EnvelopeClass = audit.Safety, "?", ""
	fixture.MustPersist(t, store, safety)
	fixture.MustPersist(t, store, unknown)
	_, _ = store.Persist(t.Context(), bad)
	_, _ = store.PersistMany(t.Context(), []audit.Record{safety, bad, fixture.NewRecord()})
	_, _ = store.Replaying().Persist(t.Context(), safety)

	want := audit.Stats{
		audit.Safety:      {Attempts: 3, Persisted: 1, AlreadyPersisted: 1, Skipped: 1},
		audit.Reliability: {Attempts: 1, Persisted: 1},
		audit.Cost:        {},
		audit.Performance: {},
		audit.Unknown:     {Attempts: 3, Persisted: 1, Failed: 2},
	}
	if diff := cmp.Diff(want, store.Stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
	seen := map[audit.Outcome]int{}
	for _, observation := range observer.Observations() {
		seen[observation.Outcome]++
		if (observation.Err != nil) != (observation.Outcome == "") || observation.Duration <= 0 {
			t.Errorf("observation %+v", observation)
		}
	}
	if diff := cmp.Diff(map[audit.Outcome]int{audit.Persisted: 3, audit.AlreadyPersisted: 1, audit.Skipped: 1, "": 2}, seen); diff != "" {
		t.Errorf("observed outcomes (-want +got):\n%s", diff)
	}
}

func eventsQuoteNoRow(t *testing.T, db frame.Database) {
	frame.FailBySQLState(t, db)
	for _, state := range []string{"22000", "22P02", "P0001", "P0003"} {
		log := &fixture.Log{}
		store := coordaudit.New(db.Pool, coordaudit.Config{Logger: log.Logger()})
		tx := frame.CallersTx(t, db.Pool)
		for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
			rec := frame.FailingWith(state)
			rec.Reason, rec.TenantID = "hunter2", "acme"
			failed := c.WantFailure(t.Context(), t, rec, audit.ErrRefused)
			if strings.Contains(failed.Error(), "hunter2") || strings.Contains(failed.Error(), "in detail") || !strings.Contains(failed.Error(), state) {
				t.Errorf("%s() = %v, want SQLSTATE %s and no text of the row", c.Name, failed, state)
			}
			pgErr, ok := errors.AsType[*pgconn.PgError](failed)
			if !ok || pgErr.Message != "failed at hunter2" || pgErr.Detail != "in detail acme" {
				t.Errorf("%s(): the chain of %v lacks PostgreSQL's own error", c.Name, failed)
			}
		}
		frame.Commit(t, tx)
		if events := log.Events(t, "audit_persistence_failed"); len(events) != 4 || strings.Contains(log.String(), "hunter2") || strings.Contains(log.String(), "in detail") {
			t.Errorf("%s: want 4 events without the row's text:\n%s", state, log)
		}
	}
}

func eventsHidePassword(t *testing.T, _ frame.Database) {
	log := &fixture.Log{}
	store := fixture.OpenStore(t, "postgres://user:hunter2@127.0.0.1:1/db?sslmode=disable", coordaudit.Config{
		Logger: log.Logger(),
		Tracer: coordaudit.NewTraceLogger(log.Logger()),
	})
	for _, c := range frame.OwnCalls(store) {
		if failed := c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrUnavailable); strings.Contains(failed.Error(), "hunter2") {
			t.Errorf("%s() = %v, want no password", c.Name, failed)
		}
	}
	if len(log.Events(t, "audit_persistence_failed")) != 2 || strings.Contains(log.String(), "hunter2") {
		t.Errorf("want 2 events without the password:\n%s", log)
	}
}
