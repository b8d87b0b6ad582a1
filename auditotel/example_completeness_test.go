package auditotel_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// One process asks now and then what is missing from the trail.
func ExampleNewCompleteness() {
	ctx := context.Background()
	db, drop, err := testdb.ForExample(ctx) // your process has its pool
	if err != nil {
		log.Fatal(err)
	}
	defer drop()
	reader := sdkmetric.NewManualReader() // your process has an exporter
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	store := coordaudit.New(db.Pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})

	account, err := auditotel.NewCompleteness(provider)
	if err != nil {
		log.Fatal(err)
	}
	since := time.Now().Add(-24 * time.Hour)
	found, err := store.Completeness(ctx, audit.CompletenessQuery{Window: audit.Window{Since: since}})
	if err != nil {
		log.Fatal(err)
	}
	account.Record(ctx, found)

	var collected metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &collected); err != nil {
		log.Fatal(err)
	}
	unexplained := collected.ScopeMetrics[0].Metrics[0]
	fmt.Println(unexplained.Name, unexplained.Data.(metricdata.Gauge[int64]).DataPoints[0].Value)
	// Output:
	// coordaudit.completeness.unexplained.records 0
}
