package reading

import (
	"errors"
	"testing"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// Each reading call sees the trail as the first one saw it, even if records are stored meanwhile.
func atOneMomentAddsUp(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored := filled(t, store, 8)
	query := audit.Query{Scope: audit.AllTenants(), Limit: 3}
	err := store.AtOneMoment(t.Context(), func(moment *coordaudit.Store) error {
		before, err := moment.Count(t.Context(), query)
		if err != nil {
			return err
		}
		late := stored[0]
		late.AuditID = fixture.NewRecord().AuditID
		if _, err := store.Persist(t.Context(), late); err != nil {
			return err
		}
		breakdown, err := moment.Breakdown(t.Context(), audit.BreakdownQuery{Scope: query.Scope})
		if err != nil {
			return err
		}
		var listed int64
		for _, err := range moment.All(t.Context(), query) {
			if err != nil {
				return err
			}
			listed++
		}
		if _, err := moment.Signals(t.Context(), audit.SignalQuery{Scope: query.Scope}); err != nil {
			return err
		}
		if _, err := moment.Gaps(t.Context(), audit.GapQuery{}); err != nil {
			return err
		}
		if before != int64(len(stored)) || breakdown.Total != before || listed != before {
			t.Errorf("%d stored before it: %d counted, %d in the breakdown, %d listed", len(stored), before, breakdown.Total, listed)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if now, err := store.Count(t.Context(), query); err != nil || now != int64(len(stored))+1 {
		t.Errorf("after it: %d, %v", now, err)
	}
	own := errors.New("the reader's own")
	if err := store.AtOneMoment(t.Context(), func(*coordaudit.Store) error { return own }); !errors.Is(err, own) || err.Error() != own.Error() {
		t.Errorf("the reader's error came back as %v", err)
	}
	if err := coordaudit.New(nil, coordaudit.Config{}).AtOneMoment(t.Context(), func(*coordaudit.Store) error { return nil }); !errors.Is(err, audit.ErrNoPool) {
		t.Errorf("without a pool: %v", err)
	}
}
