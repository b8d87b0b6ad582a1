package auditotel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestObserverMatchesStore(t *testing.T) {
	t.Parallel()
	test := metricsOnly(t)
	db := testdb.New(t)
	store := coordaudit.New(db.Pool, test.storeConfig())
	persist := func(store *coordaudit.Store, rec audit.Record) {
		_, _ = store.Persist(t.Context(), rec)
	}

	safety, cost := newRecord(audit.Safety), newRecord(audit.Cost)
	persist(store, safety)
	persist(store, safety)
	persist(store, cost)
	persist(store.Replaying(), newRecord(audit.Performance))
	persist(store, newRecord(""))
	persist(store, newRecord("made up by a caller"))
	changed := cost
	changed.Reason = "other"
	batch := []audit.Record{newRecord(audit.Reliability), newRecord(audit.Reliability), changed, safety}
	if _, err := store.PersistMany(t.Context(), batch); !errors.Is(err, audit.ErrConflict) {
		t.Fatalf("the batch with a taken id: %v", err)
	}

	metrics := collect(t, test.reader)
	want := map[string]int64{
		"SAFETY persisted":         1,
		"SAFETY already_persisted": 2,
		"COST persisted":           1,
		"COST failed":              1,
		"PERFORMANCE skipped":      1,
		"UNKNOWN persisted":        1,
		"UNKNOWN failed":           1,
		"RELIABILITY persisted":    2,
	}
	if diff := cmp.Diff(want, values(t, metrics["coordination_audit_records"])); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(countedByTheStore(store), values(t, metrics["coordination_audit_records"])); diff != "" {
		t.Errorf("the store counts otherwise (-store +metric):\n%s", diff)
	}
	wantFailures := map[string]int64{"COST conflict": 1, "UNKNOWN invalid_record": 1}
	if diff := cmp.Diff(wantFailures, values(t, metrics["coordination_audit_failures"])); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	var measured int64
	for _, n := range values(t, metrics["coordaudit.persist.duration"]) {
		measured += n
	}
	if measured != store.Stats().Total().Attempts {
		t.Errorf("%d durations are measured of %d records", measured, store.Stats().Total().Attempts)
	}
}

func countedByTheStore(store *coordaudit.Store) map[string]int64 {
	counted := map[string]int64{}
	for class, counts := range store.Stats() {
		for outcome, n := range map[string]int64{
			"persisted": counts.Persisted, "already_persisted": counts.AlreadyPersisted,
			"skipped": counts.Skipped, "failed": counts.Failed,
		} {
			if n != 0 {
				counted[string(class)+" "+outcome] = n
			}
		}
	}
	return counted
}

// Prometheus takes a series that appears with 1 for one that has always been 1.
func TestCountersStartAtZero(t *testing.T) {
	t.Parallel()
	test := metricsOnly(t)
	metrics := collect(t, test.reader)
	for name, want := range map[string]int{"coordination_audit_records": 5 * 4, "coordination_audit_failures": 5 * 12} {
		series, _ := metrics[name].Data.(metricdata.Sum[int64])
		if len(series.DataPoints) != want || len(values(t, metrics[name])) != 0 {
			t.Errorf("%s starts with %d series, of which %v are not zero; want %d", name, len(series.DataPoints), values(t, metrics[name]), want)
		}
	}
}

func TestCallerValuesBounded(t *testing.T) {
	t.Parallel()
	test := metricsOnly(t)
	for i := range 1000 {
		test.observer.ObservePersist(t.Context(), audit.Observation{
			EnvelopeClass: audit.EnvelopeClass(fmt.Sprint("class ", i)),
			Err:           fmt.Errorf("error %d", i),
		})
		test.observer.ObservePersist(t.Context(), audit.Observation{
			EnvelopeClass: audit.Cost, Outcome: audit.Outcome(fmt.Sprint("outcome ", i)),
		})
	}
	metrics := collect(t, test.reader)
	wantRecords := map[string]int64{"UNKNOWN failed": 1000, "COST failed": 1000}
	if diff := cmp.Diff(wantRecords, values(t, metrics["coordination_audit_records"])); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	wantFailures := map[string]int64{"UNKNOWN _OTHER": 1000, "COST _OTHER": 1000}
	if diff := cmp.Diff(wantFailures, values(t, metrics["coordination_audit_failures"])); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

func TestFlushMetrics(t *testing.T) {
	t.Parallel()
	test := metricsOnly(t)
	failure := &audit.PersistError{Err: audit.ErrUnavailable}
	test.observer.ObserveFlush(t.Context(), audit.Flush{Records: 300, Duration: 20 * time.Millisecond})
	test.observer.ObserveFlush(t.Context(), audit.Flush{Records: 200, Duration: 30 * time.Millisecond})
	test.observer.ObserveFlush(t.Context(), audit.Flush{Records: 7, FromSpool: true, Duration: time.Second})
	test.observer.ObserveFlush(t.Context(), audit.Flush{
		Records: 1, Duration: 2 * time.Second,
		Err: &audit.BatchError{Total: 1, Failures: []audit.BatchFailure{{Err: failure}}},
	})
	test.observer.ObserveFlush(t.Context(), audit.Flush{Records: 1, Err: context.Canceled})

	metrics := collect(t, test.reader)
	want := map[string]int64{"queue": 2, "spool": 1, "queue unavailable": 1, "queue _OTHER": 1}
	got := map[string]int64{}
	var seconds float64
	for _, point := range metrics["coordaudit.flush.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
		source, _ := point.Attributes.Value("coordaudit.flush.source")
		kind, failed := point.Attributes.Value("error.type")
		key := source.AsString()
		if failed {
			key += " " + kind.AsString()
		}
		got[key] = int64(point.Count)
		seconds += point.Sum
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flushes (-want +got):\n%s", diff)
	}
	if seconds < 3.04 || seconds > 3.06 {
		t.Errorf("the flushes took %v s, want 3.05", seconds)
	}
	var records int64
	for _, point := range metrics["coordaudit.flush.records"].Data.(metricdata.Histogram[int64]).DataPoints {
		records += point.Sum
	}
	if records != 509 {
		t.Errorf("the flushes held %d records, want 509", records)
	}
	if counted := values(t, metrics["coordination_audit_records"]); len(counted) != 0 {
		t.Errorf("a flush counted records, which are observed one by one: %v", counted)
	}
}
