package auditotel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/hoc-analytics/coordaudit/audit"
)

// The names of the spans.
const (
	persistSpan = "coordaudit.persist"
	flushSpan   = "coordaudit.flush"
)

func (o *Observer) tracePersist(ctx context.Context, observation audit.Observation, end ending) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() || !o.budget.take(parent.SpanContext(), end.errorType != "") {
		return
	}
	attributes := make([]attribute.KeyValue, 0, len(end.attributes)+3)
	attributes = append(attributes, end.attributes...)
	attributes = append(attributes,
		auditIDKey.String(observation.AuditID.String()),
		attemptsKey.Int(observation.Attempts))
	o.trace(ctx, persistSpan, finished{
		duration:   observation.Duration,
		err:        observation.Err,
		errorType:  end.errorType,
		attributes: attributes,
	})
}

func (o *Observer) traceFlush(ctx context.Context, flush audit.Flush, set flushSet) {
	if !o.flushTraces && !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	attributes := make([]attribute.KeyValue, 0, len(set.attributes)+2)
	attributes = append(attributes, set.attributes...)
	attributes = append(attributes, batchSizeKey.Int(flush.Records))
	o.trace(ctx, flushSpan, finished{
		duration:   flush.Duration,
		err:        flush.Err,
		errorType:  set.errorType,
		attributes: attributes,
	})
}

// finished is an operation that has just ended.
type finished struct {
	duration   time.Duration
	err        error
	errorType  string
	attributes []attribute.KeyValue
}

// trace creates the span of an operation that is over. For an error it has the kind
// and the SQLSTATE only, because the text may quote values.
func (o *Observer) trace(ctx context.Context, name string, what finished) {
	end := time.Now()
	if state := sqlState(what.err); state != "" {
		what.attributes = append(what.attributes, semconv.DBResponseStatusCode(state))
	}
	_, span := o.tracer.Start(ctx, name,
		trace.WithTimestamp(end.Add(-what.duration)),
		trace.WithAttributes(what.attributes...))
	if what.errorType != "" {
		span.SetStatus(codes.Error, what.errorType)
	}
	span.End(trace.WithTimestamp(end))
}
