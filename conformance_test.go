package coordaudit_test

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/test/conformance"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// TestConformance states the guarantees of docs/guarantees.md.
func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(t *testing.T) conformance.Database {
		t.Helper()
		db := testdb.New(t)
		return conformance.Database{URL: db.URL, Pool: db.Pool}
	})
}

// TestConformanceOnACluster states them on a trail that is distributed, where
// COORDAUDIT_TEST_CITUS_URL names a cluster.
func TestConformanceOnACluster(t *testing.T) {
	t.Parallel()
	testdb.NeedsCluster(t)
	conformance.RunDistributed(t, func(t *testing.T) conformance.Database {
		t.Helper()
		db := testdb.New(t)
		return conformance.Database{URL: db.URL, Pool: db.Pool, Distributed: db.Distributed}
	})
}

// TestConformanceInHostileDatabases states them again where sessions have foreign settings.
func TestConformanceInHostileDatabases(t *testing.T) {
	t.Parallel()
	conformance.RunHostile(t, func(t *testing.T) conformance.Database {
		t.Helper()
		db := testdb.New(t)
		return conformance.Database{URL: db.URL, Pool: db.Pool}
	})
}
