package auditotel_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
)

// documented returns the metrics of README.md's tables: name, name for Prometheus,
// kind, unit.
func documented(t *testing.T) (rows, prometheusNames []string) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `(coord[a-z._]+)` \\| `(coord[a-z_]+)` \\| ([a-z -]+?)(?:: [^|]+)? \\| (\\S+) \\|")
	for _, match := range row.FindAllStringSubmatch(string(readme), -1) {
		rows = append(rows, strings.Join([]string{match[1], match[3], match[4]}, " | "))
		prometheusNames = append(prometheusNames, match[2])
	}
	slices.Sort(rows)
	slices.Sort(prometheusNames)
	return rows, prometheusNames
}

func TestReadmeMetrics(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	observer, err := auditotel.NewObserver(auditotel.Config{MeterProvider: provider})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auditotel.RegisterRecorder(provider, newCounting()); err != nil {
		t.Fatal(err)
	}
	if _, err := auditotel.RegisterSealer(provider, newSealing()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := auditotel.RegisterFollower(provider); err != nil {
		t.Fatal(err)
	}
	observer.ObservePersist(t.Context(), audit.Observation{Outcome: audit.Persisted})
	observer.ObserveFlush(t.Context(), audit.Flush{Records: 1})
	recordEmptyAccount(t, provider)
	var made []string
	for _, of := range collect(t, reader) {
		unit := of.Unit
		if unit == "" {
			unit = "–"
		}
		made = append(made, strings.Join([]string{of.Name, kindOf(t, of), unit}, " | "))
	}
	slices.Sort(made)
	rows, _ := documented(t)
	if diff := cmp.Diff(made, rows); diff != "" {
		t.Errorf("README.md (-made +documented):\n%s", diff)
	}
}

func kindOf(t *testing.T, of metricdata.Metrics) string {
	t.Helper()
	sum := map[bool]string{true: "counter", false: "up-down counter"}
	switch data := of.Data.(type) {
	case metricdata.Sum[int64]:
		return sum[data.IsMonotonic]
	case metricdata.Sum[float64]:
		return sum[data.IsMonotonic]
	case metricdata.Gauge[int64], metricdata.Gauge[float64]:
		return "gauge"
	case metricdata.Histogram[int64], metricdata.Histogram[float64]:
		return "histogram"
	}
	t.Fatalf("%s is a %T", of.Name, of.Data)
	return ""
}

func TestReadmePrometheusNames(t *testing.T) {
	t.Parallel()
	var got []string
	for name := range exported(t) {
		base, isHistogram := strings.CutSuffix(name, "_bucket")
		if isHistogram || !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") {
			got = append(got, base)
		}
	}
	// The exporter adds this one.
	got = slices.DeleteFunc(got, func(name string) bool { return name == "target_info" })
	slices.Sort(got)
	_, names := documented(t)
	if diff := cmp.Diff(got, names); diff != "" {
		t.Errorf("README.md (-exported +documented):\n%s", diff)
	}
}
