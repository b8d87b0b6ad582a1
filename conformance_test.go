package coordaudit_test

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/conformance"
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(t *testing.T) conformance.Database {
		t.Helper()
		db := testdb.New(t)
		return conformance.Database{URL: db.URL, Pool: db.Pool}
	})
}
