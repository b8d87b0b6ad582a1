package coordaudit_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

func quiet() coordaudit.Config {
	return coordaudit.Config{Logger: slog.New(slog.DiscardHandler)}
}

// openStore returns a quiet store with a pool of its own, closed when the test ends.
func openStore(t *testing.T, url string, config coordaudit.Config) *coordaudit.Store {
	t.Helper()
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	store, err := coordaudit.Open(t.Context(), url, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

func newRecord() audit.Record {
	return audit.Record{
		AuditID:              uuid.New(),
		EnvelopeID:           "retry-backoff-7",
		EnvelopeClass:        audit.Reliability,
		Decision:             audit.Applied,
		Reason:               "applied, nothing stood in its way",
		DecisionTimestamp:    time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC),
		ActiveEnvelopesCount: 1,
		TenantID:             "acme",
	}
}

func newRecords(n int) []audit.Record {
	recs := make([]audit.Record, n)
	for i := range recs {
		recs[i] = newRecord()
	}
	return recs
}

func queryInt(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var n int
	if err := pool.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}
