package expiry_test

import (
	"errors"
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
)

// A hold that is placed while batches expire stops the next one. What has expired stays on record,
// and the rest goes on once the hold is released.
func TestHoldStopsExpiryAtWork(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 2000)
	tr.seal(t)
	dir, m := tr.archive(t, all())
	held := false
	_, err := expiry.Apply(t.Context(), tr.config(t), expiry.ApplyConfig{Dir: dir, Progress: func(done, _ int64) {
		if held || done < m.Records/2 {
			return
		}
		held = true
		if _, err := expiry.PlaceHold(t.Context(), tr.keeper, "", expiry.Hold{TenantID: "acme", Why: "case 4711"}); err != nil {
			t.Error(err)
		}
	}})
	if !held || !errors.Is(err, expiry.ErrHeld) || tr.count(t) == 2000-m.Records {
		t.Fatalf("%v; %d rows", err, tr.count(t))
	}
	checkBalance(t, tr, 2000)
	tr.seal(t)
	tr.mustVerify(t)
	holds, err := expiry.Holds(t.Context(), tr.keeper, "")
	if err != nil || len(holds) != 1 {
		t.Fatalf("%+v, %v", holds, err)
	}
	if _, err := expiry.ReleaseHold(t.Context(), tr.keeper, "", holds[0].ID, "closed"); err != nil {
		t.Fatal(err)
	}
	if applied := tr.mustApply(t, dir); applied.Before == 0 || applied.Expired == 0 {
		t.Errorf("%+v", applied)
	}
	if found, err := tr.store.Completeness(t.Context(), audit.CompletenessQuery{}); err != nil || !found.Complete() {
		t.Errorf("%+v, %v", found, err)
	}
}
