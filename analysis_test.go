package coordaudit_test

import (
	"bufio"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// decisionsVariable names a file of real decisions, as JSON Lines that the import command reads. The
// repository has none, because real decisions must not be published.
const decisionsVariable = "COORDAUDIT_TEST_DECISIONS"

func TestAnalysisEqualsReference(t *testing.T) {
	t.Parallel()
	recs := slices.Collect(seed.Records(seed.Config{Records: 6_000, Seed: 7}))
	comparePlainly(t, recs)
}

func TestAnalysisOfRealDecisions(t *testing.T) {
	t.Parallel()
	path := os.Getenv(decisionsVariable)
	if path == "" {
		t.Skipf("no real decisions: name a file of them in %s", decisionsVariable)
	}
	comparePlainly(t, readDecisions(t, path))
}

func readDecisions(t *testing.T, path string) []audit.Record {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var recs []audit.Record
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		rec, _, err := audit.ParseRecord(lines.Bytes())
		if err != nil {
			t.Fatalf("line %d: %v", len(recs)+1, err)
		}
		recs = append(recs, rec)
	}
	if err := lines.Err(); err != nil || len(recs) == 0 {
		t.Fatalf("%d decisions, %v", len(recs), err)
	}
	return recs
}

// comparePlainly stores the records and compares the answers for a day, a week and a month, for all
// tenants and for each one.
func comparePlainly(t *testing.T, recs []audit.Record) {
	t.Helper()
	store := coordaudit.New(testdb.New(t).Pool, patientConfig())
	for batch := range slices.Chunk(recs, 5000) {
		if _, err := store.PersistMany(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	plain := newReference(recs)
	for _, window := range []audit.Window{
		{Since: january(30), Until: january(31)},
		{Since: january(24), Until: january(31)},
		{Since: january(1), Until: january(31)},
	} {
		for _, scope := range scopesOf(recs) {
			compareBreakdown(t, store, plain, scope, window)
			compareSignals(t, store, plain, audit.SignalQuery{Scope: scope, Window: window})
			compareTrend(t, store, plain, scope, window)
		}
	}
	middle := recs[len(recs)/2].DecisionTimestamp
	for _, window := range []audit.Window{{Until: middle}, {Since: middle}, {}} {
		compareBreakdown(t, store, plain, audit.AllTenants(), window)
		for _, query := range []audit.SignalQuery{
			{MinRecords: 1, MinCycles: 1, MinConflicts: 1, MinRejections: 1, MaxEvidence: 3},
			{MinRecords: 50, MinCycles: 10, MinConflicts: 40, MinRejections: 30, MaxEvidence: 1000},
		} {
			query.Scope, query.Window = audit.AllTenants(), window
			compareSignals(t, store, plain, query)
		}
	}
}

func compareBreakdown(t *testing.T, store *coordaudit.Store, plain reference, scope audit.Scope, window audit.Window) {
	t.Helper()
	breakdown, err := store.Breakdown(t.Context(), audit.BreakdownQuery{Scope: scope, Window: window})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plain.breakdown(scope, window), breakdown, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("breakdown for %s, %v (-plain +got):\n%s", scope, window, diff)
	}
}

func compareSignals(t *testing.T, store *coordaudit.Store, plain reference, query audit.SignalQuery) {
	t.Helper()
	signals, err := store.Signals(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plain.signals(query), signals, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("signals for %+v (-plain +got):\n%s", query, diff)
	}
}

func compareTrend(t *testing.T, store *coordaudit.Store, plain reference, scope audit.Scope, window audit.Window) {
	t.Helper()
	trend, err := store.Trend(t.Context(), audit.TrendQuery{Scope: scope, Window: window, Windows: 5})
	if err != nil {
		t.Fatal(err)
	}
	length := window.Until.Sub(window.Since)
	var want []audit.WindowRates
	for before := time.Duration(4); before >= 0; before-- {
		w := audit.Window{Since: window.Since.Add(-before * length), Until: window.Until.Add(-before * length)}
		want = append(want, audit.WindowRates{Window: w, RejectionRates: rejectionRates(plain.selected(scope, w), 3, 20)})
	}
	if diff := cmp.Diff(want, trend, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("trend for %s, %v (-plain +got):\n%s", scope, window, diff)
	}
}

// scopesOf returns every scope in which a trail can be read.
func scopesOf(recs []audit.Record) []audit.Scope {
	scopes := []audit.Scope{audit.AllTenants(), audit.NoTenant()}
	seen := map[string]bool{"": true}
	for _, rec := range recs {
		if !seen[rec.TenantID] {
			seen[rec.TenantID] = true
			scopes = append(scopes, audit.Tenant(rec.TenantID))
		}
	}
	return scopes
}

func january(day int) time.Time { return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC) }

// patientConfig has a long timeout. How long a statement takes on a busy machine is not tested here.
func patientConfig() coordaudit.Config {
	config := fixture.Quiet()
	config.Timeout = time.Minute
	return config
}
