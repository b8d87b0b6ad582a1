package frame

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// LostAt is a time at which records are lost.
func LostAt(minute int) time.Time {
	return time.Date(2026, 1, 2, 3, minute, 5, 678901000, time.UTC)
}

// NewGap returns a valid gap with an id of its own.
func NewGap(from, until time.Time) audit.Gap {
	return audit.Gap{
		GapID:        uuid.New(),
		Dropped:      map[audit.EnvelopeClass]int64{audit.Cost: 3, audit.Unknown: 1},
		FirstAuditID: uuid.New(),
		LastAuditID:  uuid.New(),
		From:         from,
		Until:        until,
		Cause:        "no space left on device",
	}
}

// MustPersistGap stores a gap with the driver itself. The Recorder is its only caller, and
// makes a gap by losing records.
func MustPersistGap(t *testing.T, db Database, gap audit.Gap) {
	t.Helper()
	if err := auditdriver.New(db.Pool).PersistGap(t.Context(), &gap); err != nil {
		t.Fatal(err)
	}
}

// MustListGaps returns the gaps that a query finds.
func MustListGaps(t *testing.T, store *coordaudit.Store, q audit.GapQuery) []audit.Gap {
	t.Helper()
	found, err := store.Gaps(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// CountGaps counts all gaps without the store.
func CountGaps(t *testing.T, db Database) int {
	t.Helper()
	return fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_gaps")
}

// GapIDs returns the ids of gaps in their order.
func GapIDs(list []audit.Gap) []uuid.UUID {
	var ids []uuid.UUID
	for _, gap := range list {
		ids = append(ids, gap.GapID)
	}
	return ids
}
