package audittest_test

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/audittest"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance"
	"github.com/hoc-analytics/coordaudit/internal/test/race"
)

// Every guarantee of the library holds on the databases of this package.
func TestConformance(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a minute or two, and -short was given")
	}
	if race.Detector {
		t.Skip("it tests the databases: the root module runs the same suite with the race detector")
	}
	conformance.Run(t, func(t *testing.T) conformance.Database {
		t.Helper()
		db := audittest.New(t)
		return conformance.Database{URL: db.URL, Pool: db.Pool}
	})
}
