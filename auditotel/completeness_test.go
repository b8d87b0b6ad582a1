package auditotel_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
)

// newAccount has a value for each metric, and sources that do not count as stale.
func newAccount() audit.Completeness {
	at := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	old := at.Add(-time.Hour)
	return audit.Completeness{At: at, Sources: []audit.SourceAccount{
		{OpenedAt: old, LastStatementAt: old, Closed: true, Waiting: 4},
		{OpenedAt: old, LastStatementAt: old, Imported: true},
		{OpenedAt: old, LastStatementAt: at.Add(-auditotel.StaleAfter), LastBlock: 5},
		{OpenedAt: old, LastStatementAt: at.Add(-auditotel.StaleAfter - 1), LastBlock: 1},
		{OpenedAt: old, LastStatementAt: old, Unexplained: []audit.OrdinalRange{{First: 3, Last: 4}, {First: 9, Last: 9}}},
		{Findings: []audit.Finding{{Kind: audit.NoStatements}, {Kind: audit.RepeatedOrdinal}, {Kind: audit.UnexpectedRow}, {Kind: audit.UnexpectedRow}}},
	}}
}

// recordEmptyAccount makes all metrics of an account.
func recordEmptyAccount(t *testing.T, provider metric.MeterProvider) {
	t.Helper()
	account, err := auditotel.NewCompleteness(provider)
	if err != nil {
		t.Fatal(err)
	}
	account.Record(t.Context(), audit.Completeness{})
}

func recordAccount(t *testing.T, found []audit.Completeness, attributes ...attribute.KeyValue) map[string]map[string]int64 {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	account, err := auditotel.NewCompleteness(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), attributes...)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range found {
		account.Record(t.Context(), one)
	}
	got := map[string]map[string]int64{}
	for name, of := range collect(t, reader) {
		got[name] = values(t, of)
	}
	return got
}

func TestCompletenessMetrics(t *testing.T) {
	t.Parallel()
	got := recordAccount(t, []audit.Completeness{newAccount()}, attribute.String("region", "eu"))
	want := map[string]map[string]int64{
		"coordaudit.completeness.unexplained.records": {"eu": 3},
		"coordaudit.completeness.findings":            {"eu": 4},
		"coordaudit.completeness.waiting.records":     {"eu": 4},
		"coordaudit.completeness.last_block.ordinals": {"eu": 6},
		"coordaudit.completeness.stale.sources":       {"eu": 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An answer replaces the one before, also with zeros.
func TestCompletenessMetricsAreReplaced(t *testing.T) {
	t.Parallel()
	got := recordAccount(t, []audit.Completeness{newAccount(), {At: time.Now()}})
	for name, of := range got {
		if len(of) != 0 {
			t.Errorf("%s is %v, want 0", name, of)
		}
	}
	if len(got) != 5 {
		t.Errorf("%d metrics, want 5", len(got))
	}
}
