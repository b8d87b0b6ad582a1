package auditotel

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/hoc-analytics/coordaudit/audit"
)

// completenessNamespace is the prefix of all metrics of an account.
const completenessNamespace = "coordaudit.completeness."

// StaleAfter is how long ago the last statement of a stale source was made. A source makes
// one in each minute in which something changes.
const StaleAfter = 10 * time.Minute

// Completeness exports the answers of a store's Completeness call as metrics. That call reads
// the whole table, so one process asks now and then and records each answer. It is safe for
// concurrent use and needs no closing.
type Completeness struct {
	unexplained, findings, waiting, lastBlock, stale metric.Int64Gauge

	attributes metric.RecordOption
}

// NewCompleteness returns the metrics of one trail. A nil provider means
// otel.GetMeterProvider(). Several trails need attributes that distinguish them. It returns an
// error if the provider refuses an instrument.
func NewCompleteness(provider metric.MeterProvider, attributes ...attribute.KeyValue) (*Completeness, error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	meter := provider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
	made := &Completeness{attributes: metric.WithAttributeSet(attribute.NewSet(attributes...))}
	for _, gauge := range []struct {
		made                    *metric.Int64Gauge
		name, unit, description string
	}{
		{&made.unexplained, "unexplained.records", "{record}", "Records that a source accepted, that are not stored, and that nothing explains."},
		{&made.findings, "findings", "{finding}", "Contradictions between statements and rows."},
		{&made.waiting, "waiting.records", "{record}", "Records that waited in a source's memory or spool when it made its last statement."},
		{&made.lastBlock, "last_block.ordinals", "{ordinal}", "Ordinals in the last blocks of sources that have not closed. They may never have been given."},
		{&made.stale, "stale.sources", "{source}", "Sources that have not closed and made their last statement more than 10 minutes before the account."},
	} {
		var err error
		if *gauge.made, err = meter.Int64Gauge(completenessNamespace+gauge.name, metric.WithUnit(gauge.unit), metric.WithDescription(gauge.description)); err != nil {
			return nil, fmt.Errorf("making the metrics of an account: %w", err)
		}
	}
	return made, nil
}

// Record sets the metrics to an answer. They keep it until the next one.
func (c *Completeness) Record(ctx context.Context, found audit.Completeness) {
	var unexplained, findings, waiting, lastBlock, stale int64
	for i := range found.Sources {
		source := &found.Sources[i]
		unexplained += source.UnexplainedTotal()
		findings += int64(len(source.Findings))
		waiting += source.Waiting
		lastBlock += source.LastBlock
		if isStale(source, found.At) {
			stale++
		}
	}
	c.unexplained.Record(ctx, unexplained, c.attributes)
	c.findings.Record(ctx, findings, c.attributes)
	c.waiting.Record(ctx, waiting, c.attributes)
	c.lastBlock.Record(ctx, lastBlock, c.attributes)
	c.stale.Record(ctx, stale, c.attributes)
}

// isStale reports a source that was killed, or that has had nothing to say for a while. One
// without statements is a finding.
func isStale(source *audit.SourceAccount, at time.Time) bool {
	return !source.Closed && !source.Imported && !source.LastStatementAt.IsZero() && at.Sub(source.LastStatementAt) > StaleAfter
}
