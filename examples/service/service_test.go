package envelopes_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/envelopes"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/audittest"
)

var requestedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newDB(t *testing.T) *audittest.DB {
	t.Helper()
	db := audittest.New(t)
	if err := envelopes.Migrate(t.Context(), db.Pool); err != nil {
		t.Fatal(err)
	}
	return db
}

// ask sends a request and returns the status and the answer.
func ask(t *testing.T, service http.Handler, key uuid.UUID, envelope, class string) string {
	t.Helper()
	body := fmt.Sprintf(`{"envelope_id": %q, "class": %q, "parameter": "pool_size", "requested_at": %q}`, envelope, class, requestedAt.Format(time.RFC3339))
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/envelopes", strings.NewReader(body))
	request.Header.Set("Idempotency-Key", key.String())
	answer := httptest.NewRecorder()
	service.ServeHTTP(answer, request)
	text, _ := io.ReadAll(answer.Body)
	return fmt.Sprintf("%d %s", answer.Code, strings.TrimSpace(string(text)))
}

func check(t *testing.T, got, want string) {
	t.Helper()
	if !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func applied(id uuid.UUID) audit.Record {
	return audit.Record{
		AuditID: id, EnvelopeID: "grow", EnvelopeClass: audit.Performance, Decision: audit.Applied,
		Reason: "parameter pool_size was free", DecisionTimestamp: requestedAt,
		ReasonCode: envelopes.ParameterFree, Actor: envelopes.Actor,
	}
}

func TestDecisionIsOnRecord(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	service := envelopes.New(db.Pool, db.Store)
	first, second := uuid.New(), uuid.New()
	check(t, ask(t, service, first, "grow", "performance"), `200 {"decision":"APPLIED","outcome":"persisted"}`)
	check(t, ask(t, service, second, "shrink", "cost"), `200 {"decision":"REJECTED","outcome":"persisted"}`)
	audittest.RequirePersisted(t, t.Context(), db.Pool, applied(first), audit.Record{
		AuditID: second, EnvelopeID: "shrink", EnvelopeClass: audit.Cost, Decision: audit.Rejected,
		Reason: "parameter pool_size is taken", DecisionTimestamp: requestedAt, ConflictingEnvelopeID: "grow",
		ReasonCode: envelopes.ParameterTaken, Actor: envelopes.Actor,
	})
}

func TestRefusedRequest(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	service := envelopes.New(db.Pool, db.Store)
	check(t, ask(t, service, uuid.New(), "grow", "speed"), "400 ")
	check(t, ask(t, service, uuid.New(), strings.Repeat("x", 101), "cost"), "400 ")
	check(t, ask(t, service, uuid.Nil, "grow", "cost"), "400 ")
	audittest.RequireNoRecords(t, t.Context(), db.Pool)
	requireActive(t, db.Pool)
}

func TestRepeatedRequest(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	service := envelopes.New(db.Pool, db.Store)
	key := uuid.New()
	check(t, ask(t, service, key, "grow", "performance"), `200 {"decision":"APPLIED","outcome":"persisted"}`)
	check(t, ask(t, service, key, "grow", "performance"), `200 {"decision":"APPLIED","outcome":"already_persisted"}`)
	check(t, ask(t, service, key, "shrink", "cost"), "409 ") // the key of another request
	audittest.RequirePersisted(t, t.Context(), db.Pool, applied(key))
}

// If anything keeps the record from being stored, the decision is rolled back and the
// client gets 503. When it sends the request again, it succeeds.
func TestNoRecordNoDecision(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]audittest.Fault{
		"the database refuses":   {Statement: audittest.AuditInsert, Kind: audittest.Refused, SQLState: "53100"},
		"the connection is lost": {Statement: audittest.AuditInsert, Kind: audittest.ConnectionLost},
		"it cannot be sent":      {Statement: audittest.AuditInsert, Kind: audittest.NotSent},
		"the commit fails":       {Statement: "commit", Kind: audittest.Refused, SQLState: "40001"},
		"our own table fails":    {Statement: "INSERT INTO active_envelopes", Kind: audittest.Refused, SQLState: "40P01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDB(t)
			fault.Times = 1
			pool := audittest.Faulty(t, db.Pool, fault)
			store := coordaudit.New(pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})
			service := envelopes.New(pool, store)
			key := uuid.New()
			check(t, ask(t, service, key, "grow", "performance"), "503 ")
			audittest.RequireNoRecords(t, t.Context(), db.Pool)
			requireActive(t, db.Pool)
			check(t, ask(t, service, key, "grow", "performance"), `200 {"decision":"APPLIED","outcome":"persisted"}`)
			audittest.RequirePersisted(t, t.Context(), db.Pool, applied(key))
			requireActive(t, db.Pool, "grow")
		})
	}
}

func requireActive(t *testing.T, pool *pgxpool.Pool, want ...string) {
	t.Helper()
	var got []string
	if err := pool.QueryRow(t.Context(), "SELECT coalesce(array_agg(envelope_id), '{}') FROM active_envelopes").Scan(&got); err != nil {
		t.Fatal(err)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("active envelopes %q, want %q", got, want)
	}
}
