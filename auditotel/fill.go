package auditotel

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Fill sets the record's Origin.TraceID and Origin.SpanID to those of the span in ctx. It
// changes nothing if the record has a trace already, or if ctx has no valid span. A span
// that is not sampled counts.
//
// An [Observer] learns of a record when it is over, so it cannot do this. Call Fill where
// the record is made, before any persist call. Enqueue needs it most: it takes no context,
// and the recorder stores the record when the span has ended.
//
//	auditotel.Fill(ctx, &rec)
//	err := recorder.Enqueue(rec)
//
// The trace is part of the record's origin. The same record with another trace, as of a
// request that is sent again, is still the same record.
func Fill(ctx context.Context, rec *audit.Record) {
	if rec.Origin.TraceID != (audit.TraceID{}) {
		return
	}
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return
	}
	rec.Origin.TraceID, rec.Origin.SpanID = audit.TraceID(span.TraceID()), audit.SpanID(span.SpanID())
}
