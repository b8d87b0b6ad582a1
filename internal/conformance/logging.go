package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

func logging() []promise {
	return []promise{
		{"EventsNameTheRecordAndKeepItsContentOut", eventsNameTheRecordAndKeepItsContentOut},
		{"ARefusedRecordsMegabytesStayOutOfTheLog", aRefusedRecordsMegabytesStayOutOfTheLog},
		{"TheTraceNamesStatementsAndHoldsNoArguments", theTraceNamesStatementsAndHoldsNoArguments},
		{"TheObserverSeesEveryRecordOnceAndTheCountsAddUp", theObserverSeesEveryRecordOnceAndTheCountsAddUp},
		{"NothingLoggedQuotesARowOrADetailAndTheErrorStillHoldsThem", nothingLoggedQuotesARowOrADetailAndTheErrorStillHoldsThem},
		{"NothingLoggedHoldsThePassword", nothingLoggedHoldsThePassword},
	}
}

// logged collects slog events as their JSON lines.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// events returns the events of one name, without their time and level.
func (l *logged) events(t *testing.T, name string) []map[string]any {
	t.Helper()
	var events []map[string]any
	for line := range strings.Lines(l.String()) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		if event["msg"] == name {
			delete(event, "time")
			events = append(events, event)
		}
	}
	return events
}

// Row 8: the one event of a lost record did not name it, and held its content.
func eventsNameTheRecordAndKeepItsContentOut(t *testing.T, db Database) {
	log := &logged{}
	store := coordaudit.New(db.Pool, coordaudit.Config{Logger: log.logger()})
	rec := newRecord()
	rec.Reason = "hunter2"
	receipt := mustPersist(t, store, rec)
	if _, err := store.Replaying().Persist(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ADD CONSTRAINT dba_says_no CHECK (reason <> 'hunter2') NOT VALID")
	refused := rec
	refused.AuditID = newRecord().AuditID
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
		"audit_persisted":      with("audit_persisted", "DEBUG", rec.AuditID.String(), map[string]any{"outcome": "persisted", "seq": float64(receipt.Seq)}),
		"audit_skipped_replay": with("audit_skipped_replay", "DEBUG", rec.AuditID.String(), nil),
		"audit_persistence_failed": with("audit_persistence_failed", "ERROR", refused.AuditID.String(), map[string]any{
			"sqlstate": "23514", "attempt": float64(1),
			"error": `refused by the database: new row for relation "coordination_audit_records" violates check constraint "dba_says_no" (SQLSTATE 23514)`,
		}),
	}
	for name, events := range want {
		if diff := cmp.Diff(events, log.events(t, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if strings.Contains(log.String(), "hunter2") {
		t.Errorf("the log holds the record's content:\n%s", log)
	}
}

func aRefusedRecordsMegabytesStayOutOfTheLog(t *testing.T, _ Database) {
	log := &logged{}
	store := coordaudit.New(nil, coordaudit.Config{Logger: log.logger()})
	rec := newRecord()
	rec.EnvelopeID = strings.Repeat("x", 5<<20)
	if _, err := store.Persist(t.Context(), rec); !errors.Is(err, audit.ErrInvalidRecord) {
		t.Fatal(err)
	}
	if n := len(log.String()); n > 4096 {
		t.Errorf("%d bytes were logged for one record", n)
	}
}

func theTraceNamesStatementsAndHoldsNoArguments(t *testing.T, db Database) {
	log := &logged{}
	pool := openPool(t, db.URL, func(config *pgxpool.Config) {
		config.ConnConfig.Tracer = coordaudit.NewTraceLogger(log.logger())
	})
	store := coordaudit.New(pool, quiet())
	rec := newRecord()
	rec.Reason, rec.TenantID = "hunter2", "hunter2"
	mustPersist(t, store, rec)
	tx := callersTx(t, pool)
	for range 2 {
		if _, err := store.PersistTx(t.Context(), tx, rec); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Exec(t.Context(), "SELECT 'hunter2'::int"); err == nil {
		t.Fatal("a word was taken for a number")
	}

	statements := map[string]bool{}
	for _, event := range log.events(t, "audit_statement") {
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

type observed struct {
	mu           sync.Mutex
	observations []audit.Observation
}

func (o *observed) ObservePersist(_ context.Context, observation audit.Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.observations = append(o.observations, observation)
}

// Row 9: nothing counted failures, and the log said persisted=True of each.
func theObserverSeesEveryRecordOnceAndTheCountsAddUp(t *testing.T, db Database) {
	observer := &observed{}
	config := quiet()
	config.Observer = observer
	store := coordaudit.New(db.Pool, config)
	safety, bad, unknown := newRecord(), newRecord(), newRecord()
	safety.EnvelopeClass, bad.EnvelopeClass, unknown.EnvelopeClass = audit.Safety, "?", ""
	mustPersist(t, store, safety)
	mustPersist(t, store, unknown)
	_, _ = store.Persist(t.Context(), bad)
	_, _ = store.PersistMany(t.Context(), []audit.Record{safety, bad, newRecord()})
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
	for _, observation := range observer.observations {
		seen[observation.Outcome]++
		if (observation.Err != nil) != (observation.Outcome == "") || observation.Duration <= 0 {
			t.Errorf("observation %+v", observation)
		}
	}
	if diff := cmp.Diff(map[audit.Outcome]int{audit.Persisted: 3, audit.AlreadyPersisted: 1, audit.Skipped: 1, "": 2}, seen); diff != "" {
		t.Errorf("observed outcomes (-want +got):\n%s", diff)
	}
}

func nothingLoggedQuotesARowOrADetailAndTheErrorStillHoldsThem(t *testing.T, db Database) {
	failBySQLState(t, db)
	for _, state := range []string{"22000", "22P02", "P0001", "P0003"} {
		log := &logged{}
		store := coordaudit.New(db.Pool, coordaudit.Config{Logger: log.logger()})
		tx := callersTx(t, db.Pool)
		for _, c := range append(ownCalls(store), txCalls(store, tx)...) {
			rec := failingWith(state)
			rec.Reason, rec.TenantID = "hunter2", "acme"
			failed := c.wantFailure(t.Context(), t, rec, audit.ErrRefused)
			if strings.Contains(failed.Error(), "hunter2") || strings.Contains(failed.Error(), "in detail") || !strings.Contains(failed.Error(), state) {
				t.Errorf("%s() = %v, want SQLSTATE %s and no text of the row", c.name, failed, state)
			}
			pgErr, ok := errors.AsType[*pgconn.PgError](failed)
			if !ok || pgErr.Message != "failed at hunter2" || pgErr.Detail != "in detail acme" {
				t.Errorf("%s(): the chain of %v lacks PostgreSQL's own error", c.name, failed)
			}
		}
		commit(t, tx)
		if events := log.events(t, "audit_persistence_failed"); len(events) != 4 || strings.Contains(log.String(), "hunter2") || strings.Contains(log.String(), "in detail") {
			t.Errorf("%s: want 4 events without the row's text:\n%s", state, log)
		}
	}
}

func nothingLoggedHoldsThePassword(t *testing.T, _ Database) {
	log := &logged{}
	store := openStore(t, "postgres://user:hunter2@127.0.0.1:1/db?sslmode=disable", coordaudit.Config{
		Logger: log.logger(),
		Tracer: coordaudit.NewTraceLogger(log.logger()),
	})
	for _, c := range ownCalls(store) {
		if failed := c.wantFailure(t.Context(), t, newRecord(), audit.ErrUnavailable); strings.Contains(failed.Error(), "hunter2") {
			t.Errorf("%s() = %v, want no password", c.name, failed)
		}
	}
	if len(log.events(t, "audit_persistence_failed")) != 2 || strings.Contains(log.String(), "hunter2") {
		t.Errorf("want 2 events without the password:\n%s", log)
	}
}
