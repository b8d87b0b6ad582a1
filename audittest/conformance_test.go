package audittest_test

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/audittest"
	"github.com/hoc-analytics/coordaudit/internal/conformance"
)

// Every promise of the library holds on the databases that this package gives.
func TestEveryPromiseHoldsHere(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a minute or two, and -short was given")
	}
	conformance.Run(t, func(t *testing.T) conformance.Database {
		t.Helper()
		db := audittest.New(t)
		return conformance.Database{URL: db.URL, Pool: db.Pool}
	})
}
