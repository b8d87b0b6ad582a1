package coordaudit_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func startRecorder(t *testing.T, store *coordaudit.Store, config coordaudit.RecorderConfig) *coordaudit.Recorder {
	t.Helper()
	recorder, err := store.NewRecorder(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := recorder.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return recorder
}

// requireStored checks that the primary holds each record once and unchanged.
func requireStored(t *testing.T, p *testdb.Pair, recs []audit.Record) {
	t.Helper()
	store := fixture.OpenStore(t, p.Primary.URL(), fixture.Quiet())
	for part := range slices.Chunk(recs, audit.MaxPageSize) {
		ids := make([]uuid.UUID, len(part))
		want := make(map[uuid.UUID]audit.Record, len(part))
		for i, rec := range part {
			ids[i], want[rec.AuditID] = rec.AuditID, rec
		}
		got, missing, err := store.GetMany(t.Context(), audit.AllTenants(), ids)
		if err != nil {
			t.Fatal(err)
		}
		if len(missing) > 0 {
			t.Errorf("%d of %d acknowledged records are missing after the failover", len(missing), len(part))
		}
		for _, rec := range got {
			if fields := rec.DiffersIn(want[rec.AuditID]); len(fields) > 0 {
				t.Errorf("record %s differs in %v", rec.AuditID, fields)
			}
		}
	}
	const doubled = "SELECT count(*) - count(DISTINCT audit_id) FROM coordination_audit_records"
	if n := fixture.QueryInt(t, p.Open(t), doubled); n != 0 {
		t.Errorf("%d records are doubled", n)
	}
}

// way is one way to persist a record in a transaction of the store's own.
type way struct {
	name    string
	persist func(context.Context, *coordaudit.Store, audit.Record) (audit.Outcome, error)
}

func ownWays() []way {
	return []way{
		{"Persist", func(ctx context.Context, store *coordaudit.Store, rec audit.Record) (audit.Outcome, error) {
			result, err := store.Persist(ctx, rec)
			return result.Outcome, err
		}},
		{"PersistMany", func(ctx context.Context, store *coordaudit.Store, rec audit.Record) (audit.Outcome, error) {
			results, err := store.PersistMany(ctx, []audit.Record{rec})
			return results[0].Outcome, err
		}},
		{"PersistManyFast", func(ctx context.Context, store *coordaudit.Store, rec audit.Record) (audit.Outcome, error) {
			counts, err := store.PersistManyFast(ctx, []audit.Record{rec})
			switch {
			case counts.Persisted == 1:
				return audit.Persisted, err
			case counts.AlreadyPersisted == 1:
				return audit.AlreadyPersisted, err
			}
			return "", err
		}},
	}
}
