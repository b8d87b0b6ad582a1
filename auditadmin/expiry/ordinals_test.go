package expiry_test

import (
	"math"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// A record may have any ordinal that its CHECK takes, and so its event must take each of them: one
// that it refuses would keep a whole batch in the table forever.
func TestEveryOrdinalExpires(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	for _, ordinal := range []int64{1, 999_999_999_999_999_998, 999_999_999_999_999_999, 1_000_000_000_000_000_000, math.MaxInt64 - 1} {
		rec := fixture.NewRecord()
		rec.Origin = audit.Origin{SourceID: uuid.New(), SourceSeq: ordinal}
		if _, err := tr.store.Persist(t.Context(), rec); err != nil {
			t.Fatalf("ordinal %d: %v", ordinal, err)
		}
	}
	tr.fill(t, 600)
	tr.seal(t)
	dir, m := tr.archive(t, all())
	if applied := tr.mustApply(t, dir); applied.Expired != m.Records {
		t.Errorf("%d of %d records expired", applied.Expired, m.Records)
	}
	tr.mustVerify(t)
	if _, err := tr.store.Completeness(t.Context(), audit.CompletenessQuery{}); err != nil {
		t.Error(err)
	}
}
