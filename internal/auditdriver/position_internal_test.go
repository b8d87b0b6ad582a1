package auditdriver

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// A page begins right after the place where the last one ended.
func TestPositionsAreAdjacent(t *testing.T) {
	t.Parallel()
	moment := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	id := func(bytes ...byte) (id uuid.UUID) {
		copy(id[16-len(bytes):], bytes)
		return id
	}
	for name, test := range map[string]struct{ earlier, later Position }{
		"another id":            {Position{moment, 7, id(1)}, Position{moment, 7, id(2)}},
		"a carry":               {Position{moment, 7, id(1, 0xff, 0xff)}, Position{moment, 7, id(2, 0, 0)}},
		"another seq":           {Position{moment, -1, uuid.Max}, Position{moment, 0, uuid.Nil}},
		"another time":          {Position{moment, math.MaxInt64, uuid.Max}, Position{moment.Add(time.Microsecond), math.MinInt64, uuid.Nil}},
		"from the infinite":     {Position{audit.InfinitePast(), math.MaxInt64, uuid.Max}, Position{time.Date(-4713, 11, 24, 0, 0, 0, 0, time.UTC), math.MinInt64, uuid.Nil}},
		"to the infinite":       {Position{time.Date(294276, 12, 31, 23, 59, 59, 999999000, time.UTC), math.MaxInt64, uuid.Max}, Position{audit.InfiniteFuture(), math.MinInt64, uuid.Nil}},
		"within infinite times": {Position{audit.InfiniteFuture(), 7, id(1)}, Position{audit.InfiniteFuture(), 7, id(2)}},
	} {
		if diff := cmp.Diff(test.later, test.earlier.behind(audit.OldestFirst)); diff != "" {
			t.Errorf("%s, oldest first (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(test.earlier, test.later.behind(audit.NewestFirst)); diff != "" {
			t.Errorf("%s, newest first (-want +got):\n%s", name, diff)
		}
	}
}
