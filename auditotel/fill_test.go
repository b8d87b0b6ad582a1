package auditotel_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func spanContext(traceID trace.TraceID, spanID trace.SpanID) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID})
}

func TestFill(t *testing.T) {
	t.Parallel()
	valid := spanContext(trace.TraceID{1, 15: 2}, trace.SpanID{3, 7: 4})
	own := audit.Origin{TraceID: audit.TraceID{9}, SpanID: audit.SpanID{8}}
	tests := map[string]struct {
		span      trace.SpanContext
		has, want audit.Origin
	}{
		"ValidSpan":          {valid, audit.Origin{}, audit.Origin{TraceID: audit.TraceID{1, 15: 2}, SpanID: audit.SpanID{3, 7: 4}}},
		"RecordHasTrace":     {valid, own, own},
		"RecordHasTraceOnly": {valid, audit.Origin{TraceID: audit.TraceID{9}}, audit.Origin{TraceID: audit.TraceID{9}}},
		"RecordHasSource":    {valid, audit.Origin{SourceSeq: 7}, audit.Origin{TraceID: audit.TraceID{1, 15: 2}, SpanID: audit.SpanID{3, 7: 4}, SourceSeq: 7}},
		"InvalidSpan":        {trace.SpanContext{}, audit.Origin{}, audit.Origin{}},
		"NoSpanID":           {spanContext(trace.TraceID{1}, trace.SpanID{}), audit.Origin{}, audit.Origin{}},
		"NoTraceID":          {spanContext(trace.TraceID{}, trace.SpanID{1}), audit.Origin{}, audit.Origin{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := newRecord(audit.Safety)
			want := rec
			rec.Origin, want.Origin = test.has, test.want
			auditotel.Fill(trace.ContextWithSpanContext(t.Context(), test.span), &rec)
			if diff := cmp.Diff(want, rec); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFillWithoutSpan(t *testing.T) {
	t.Parallel()
	rec := newRecord(audit.Safety)
	want := rec
	auditotel.Fill(t.Context(), &rec)
	if diff := cmp.Diff(want, rec); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFillUnsampledSpan(t *testing.T) {
	t.Parallel()
	unsampled := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	ctx, span := unsampled.Tracer("test").Start(t.Context(), "request")
	defer span.End()
	rec := newRecord(audit.Safety)
	auditotel.Fill(ctx, &rec)
	if got, want := rec.Origin.TraceID.String(), span.SpanContext().TraceID().String(); got != want {
		t.Errorf("trace %s, want %s", got, want)
	}
}

func TestFilledRecordIsStored(t *testing.T) {
	t.Parallel()
	test := newTelemetry(t, auditotel.Config{})
	store := coordaudit.New(testdb.New(t).Pool, test.storeConfig())
	rec := newRecord(audit.Safety)
	parent, _ := test.inSpan(t.Context(), func(ctx context.Context) {
		auditotel.Fill(ctx, &rec)
		if _, err := store.Persist(ctx, rec); err != nil {
			t.Error(err)
		}
	})
	stored, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := stored.Origin.TraceID.String(), parent.SpanContext().TraceID().String(); got != want {
		t.Errorf("stored trace %q, want %q", got, want)
	}
	if got, want := stored.Origin.SpanID.String(), parent.SpanContext().SpanID().String(); got != want {
		t.Errorf("stored span %q, want %q", got, want)
	}

	// The same record in another span is the same record.
	rec.Origin = audit.Origin{}
	test.inSpan(t.Context(), func(ctx context.Context) {
		auditotel.Fill(ctx, &rec)
		if result, err := store.Persist(ctx, rec); err != nil || result.Outcome != audit.AlreadyPersisted {
			t.Errorf("again: %s, %v", result.Outcome, err)
		}
	})
}
