package auditotel_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"os"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/auditotel"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// The process that seals a trail exports the state of its sealer.
func ExampleRegisterSealer() {
	ctx := context.Background()
	db, drop, err := testdb.ForExample(ctx) // your process has its pool
	if err != nil {
		log.Fatal(err)
	}
	defer drop()
	dir, err := os.MkdirTemp("", "checkpoints") // yours is not on the database's server
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	private, _, err := seal.GenerateKey(rand.Reader, "audit.example.com") // yours comes from seal.LoadSigner
	if err != nil {
		log.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		log.Fatal(err)
	}
	sealing, err := sealer.New(db.Pool, sealer.Config{Signer: signer, Export: sealer.Directory(dir)})
	if err != nil {
		log.Fatal(err)
	}

	reader := sdkmetric.NewManualReader() // your process has an exporter
	registration, err := auditotel.RegisterSealer(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), sealing)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = registration.Unregister() }() // the sealer has stopped
	if _, err := sealing.Once(ctx); err != nil {     // your process calls Run
		log.Fatal(err)
	}

	var collected metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &collected); err != nil {
		log.Fatal(err)
	}
	for _, metric := range collected.ScopeMetrics[0].Metrics {
		if metric.Name == "coordaudit.sealer.unsealed.age" {
			fmt.Println(metric.Name, metric.Data.(metricdata.Gauge[float64]).DataPoints[0].Value)
		}
	}
	// Output:
	// coordaudit.sealer.unsealed.age 0
}
