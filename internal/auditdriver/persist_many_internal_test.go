package auditdriver

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Records that a batch has inserted stay inserted if the look at the others fails, unless their
// transaction is gone. Each of the others gets the error.
func TestFailedLookSparesInserted(t *testing.T) {
	t.Parallel()
	conflict := Item{Err: audit.ErrConflict}
	inserted := Item{Result: audit.Result{AuditID: uuid.New(), Outcome: audit.Persisted}}
	found := Item{Result: audit.Result{AuditID: uuid.New(), Outcome: audit.AlreadyPersisted}}
	lost := errors.New("lost")
	items, err := sent([]Item{inserted, {}, conflict}, lost)
	if err != nil || items[0] != inserted || !errors.Is(items[1].Err, lost) || !errors.Is(items[2].Err, audit.ErrConflict) {
		t.Errorf("%+v, %v", items, err)
	}
	for _, gone := range []error{audit.ErrTxLost, audit.ErrTxUnusable} {
		if items, err := sent([]Item{inserted, {}}, gone); !errors.Is(err, gone) || items[1].Err != nil {
			t.Errorf("%+v, %v; want the transaction's end", items, err)
		}
	}
	if items, err := sent(nil, lost); items != nil || !errors.Is(err, lost) {
		t.Errorf("%+v, %v; want the error of a batch of which nothing is known", items, err)
	}
	if items, err := sent([]Item{inserted, {}}, nil); err != nil || items[1].Err != nil {
		t.Errorf("%+v, %v without a failure", items, err)
	}
	if items := withoutTaken([]Item{inserted, found, conflict}); items[0] != inserted || items[1] != (Item{}) || items[2] != conflict {
		t.Errorf("%+v; want what was found alone undecided", items)
	}
}
