package auditotel_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestPersistSpan(t *testing.T) {
	t.Parallel()
	test := newTelemetry(t, auditotel.Config{})
	store := coordaudit.New(testdb.New(t).Pool, test.storeConfig())
	rec := newRecord(audit.Reliability)

	parent, children := test.inSpan(t.Context(), func(ctx context.Context) {
		if _, err := store.Persist(ctx, rec); err != nil {
			t.Error(err)
		}
	})

	if len(children) != 1 {
		t.Fatalf("the request has %d spans, want 1", len(children))
	}
	span := children[0]
	want := map[attribute.Key]string{
		"coordaudit.class":    "RELIABILITY",
		"coordaudit.outcome":  "persisted",
		"coordaudit.audit_id": rec.AuditID.String(),
		"coordaudit.attempts": "1",
	}
	if diff := cmp.Diff(want, attributesOf(span)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if span.Name() != "coordaudit.persist" || span.Status().Code != codes.Unset {
		t.Errorf("the span is %s, %v", span.Name(), span.Status())
	}
	if span.StartTime().Before(parent.StartTime()) || span.EndTime().After(parent.EndTime()) || !span.EndTime().After(span.StartTime()) {
		t.Errorf("the span lasts from %v to %v, its parent from %v to %v", span.StartTime(), span.EndTime(), parent.StartTime(), parent.EndTime())
	}
}

func TestFailedPersistSpan(t *testing.T) {
	t.Parallel()
	test := newTelemetry(t, auditotel.Config{})
	db := testdb.New(t)
	// The table's owner lets the database quote the row.
	if _, err := db.Pool.Exec(t.Context(), "ALTER TABLE coordination_audit_records ADD CONSTRAINT confidential CHECK (tenant_id <> '"+secretTenant+"')"); err != nil {
		t.Fatal(err)
	}
	store := coordaudit.New(db.Pool, test.storeConfig())
	rec := newRecord(audit.Cost)

	_, children := test.inSpan(t.Context(), func(ctx context.Context) {
		if _, err := store.Persist(ctx, rec); !errors.Is(err, audit.ErrRefused) {
			t.Errorf("persisting against the constraint: %v", err)
		}
	})

	if len(children) != 1 {
		t.Fatalf("the request has %d spans, want 1", len(children))
	}
	want := map[attribute.Key]string{
		"coordaudit.class":        "COST",
		"coordaudit.outcome":      "failed",
		"coordaudit.audit_id":     rec.AuditID.String(),
		"coordaudit.attempts":     "1",
		"error.type":              "refused",
		"db.response.status_code": "23514",
	}
	if diff := cmp.Diff(want, attributesOf(children[0])); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if got := children[0].Status(); got != (sdktrace.Status{Code: codes.Error, Description: "refused"}) {
		t.Errorf("status is %v", got)
	}
	if text := fmt.Sprint(children[0].Attributes(), children[0].Status(), children[0].Events()); strings.Contains(text, "confidential") {
		t.Errorf("the span holds confidential values: %s", text)
	}
}

func TestNoSpanWithoutParent(t *testing.T) {
	t.Parallel()
	unsampled := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	unsampledCtx, span := unsampled.Tracer("test").Start(t.Context(), "request")
	defer span.End()
	for name, ctx := range map[string]context.Context{"no parent": t.Context(), "a parent that is not sampled": unsampledCtx} {
		test := newTelemetry(t, auditotel.Config{})
		test.observer.ObservePersist(ctx, audit.Observation{EnvelopeClass: audit.Safety, Outcome: audit.Persisted})
		test.observer.ObservePersist(ctx, audit.Observation{EnvelopeClass: audit.Safety, Err: audit.ErrUnavailable})
		test.observer.ObserveFlush(ctx, audit.Flush{Records: 1})
		if started := test.spans.Started(); len(started) != 0 {
			t.Errorf("%s: %d spans", name, len(started))
		}
		if got := values(t, collect(t, test.reader)["coordination_audit_records"]); len(got) != 2 {
			t.Errorf("%s: the records are not counted: %v", name, got)
		}
	}
}

func TestBatchSpansAreSampled(t *testing.T) {
	t.Parallel()
	test := newTelemetry(t, auditotel.Config{SpansPerParent: 3})
	store := coordaudit.New(testdb.New(t).Pool, test.storeConfig())
	taken := newRecord(audit.Safety)
	if _, err := store.Persist(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	taken.Reason = "other"
	var batch []audit.Record
	for range 100 {
		batch = append(batch, newRecord(audit.Safety))
	}
	batch = append(batch, taken)

	_, children := test.inSpan(t.Context(), func(ctx context.Context) {
		if _, err := store.PersistMany(ctx, batch); !errors.Is(err, audit.ErrConflict) {
			t.Errorf("the batch with a taken id: %v", err)
		}
	})

	outcomes := map[string]int{}
	for _, span := range children {
		outcomes[attributesOf(span)["coordaudit.outcome"]]++
	}
	if diff := cmp.Diff(map[string]int{"persisted": 3, "failed": 1}, outcomes); diff != "" {
		t.Errorf("spans of the batch (-want +got):\n%s", diff)
	}
	_, children = test.inSpan(t.Context(), func(ctx context.Context) {
		if _, err := store.Persist(ctx, newRecord(audit.Safety)); err != nil {
			t.Error(err)
		}
	})
	if len(children) != 1 {
		t.Errorf("the next request has %d spans, want 1", len(children))
	}
}

func TestSpansPerParent(t *testing.T) {
	t.Parallel()
	test := newTelemetry(t, auditotel.Config{SpansPerParent: 2})
	const parents = 5000
	tracer := test.tracers.Tracer("test")
	var contexts []context.Context
	for range parents {
		ctx, span := tracer.Start(t.Context(), "request")
		defer span.End()
		contexts = append(contexts, ctx)
	}
	for _, ctx := range contexts {
		for range 5 {
			test.observer.ObservePersist(ctx, audit.Observation{AuditID: uuid.New(), EnvelopeClass: audit.Safety, Outcome: audit.Persisted})
		}
	}
	if got := len(test.spans.Ended()); got != 2*parents {
		t.Errorf("%d parents have %d spans, want %d", parents, got, 2*parents)
	}
}

func TestParentIsRemembered(t *testing.T) {
	t.Parallel()
	test := newTelemetry(t, auditotel.Config{SpansPerParent: 1})
	tracer := test.tracers.Tracer("test")
	observe := func(ctx context.Context) {
		test.observer.ObservePersist(ctx, audit.Observation{AuditID: uuid.New(), EnvelopeClass: audit.Safety, Outcome: audit.Persisted})
	}
	_, children := test.inSpan(t.Context(), func(ctx context.Context) {
		observe(ctx)
		for range 1500 {
			other, span := tracer.Start(t.Context(), "another request")
			observe(other)
			span.End()
		}
		observe(ctx)
	})
	if len(children) != 1 {
		t.Errorf("the request has %d spans, want 1", len(children))
	}
}

func TestSpansOff(t *testing.T) {
	t.Parallel()
	test := newTelemetry(t, auditotel.Config{SpansPerParent: -1})
	_, children := test.inSpan(t.Context(), func(ctx context.Context) {
		test.observer.ObservePersist(ctx, audit.Observation{EnvelopeClass: audit.Safety, Outcome: audit.Persisted})
		test.observer.ObservePersist(ctx, audit.Observation{EnvelopeClass: audit.Safety, Err: audit.ErrClosed})
	})
	if len(children) != 0 {
		t.Errorf("the request has %d spans, want none", len(children))
	}
}

func TestFlushTrace(t *testing.T) {
	t.Parallel()
	test := newTelemetry(t, auditotel.Config{FlushTraces: true})
	test.observer.ObserveFlush(context.Background(), audit.Flush{Records: 42, FromSpool: true, Duration: time.Second, Err: &audit.BatchError{
		Total:    42,
		Failures: []audit.BatchFailure{{Err: &audit.PersistError{SQLState: "57P01", Err: audit.ErrUnavailable}}},
	}})

	spans := test.spans.Ended()
	if len(spans) != 1 {
		t.Fatalf("the flush has %d spans, want 1", len(spans))
	}
	want := map[attribute.Key]string{
		"coordaudit.flush.source": "spool",
		"coordaudit.batch.size":   "42",
		"error.type":              "unavailable",
		"db.response.status_code": "57P01",
	}
	if diff := cmp.Diff(want, attributesOf(spans[0])); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if spans[0].Name() != "coordaudit.flush" || spans[0].Parent().IsValid() || spans[0].Status().Code != codes.Error {
		t.Errorf("the span is %s under %v, %v", spans[0].Name(), spans[0].Parent(), spans[0].Status())
	}
	if took := spans[0].EndTime().Sub(spans[0].StartTime()); took != time.Second {
		t.Errorf("the span took %v, want 1s", took)
	}
}

func attributesOf(span sdktrace.ReadOnlySpan) map[attribute.Key]string {
	attributes := map[attribute.Key]string{}
	for _, kv := range span.Attributes() {
		attributes[kv.Key] = kv.Value.String()
	}
	return attributes
}
