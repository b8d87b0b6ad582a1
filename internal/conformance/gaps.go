package conformance

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// A gap is put on record by the driver itself: the recorder, its only caller, makes
// one by losing records, which is shown elsewhere.
func gaps() []promise {
	return []promise{
		{"AGapIsReadAsItWasRecorded", aGapIsReadAsItWasRecorded},
		{"AGapRecordedTwiceIsOneRow", aGapRecordedTwiceIsOneRow},
		{"GapsCannotBeEdited", gapsCannotBeEdited},
		{"TheDatabaseRefusesGapsByNamedConstraints", theDatabaseRefusesGapsByNamedConstraints},
		{"GapsAreListedByTheTimeOfTheLoss", gapsAreListedByTheTimeOfTheLoss},
		{"GapsAreListedNewestFirstUpToTheirLimit", gapsAreListedNewestFirstUpToTheirLimit},
		{"BadGapQueriesAreRefusedByTheirFields", badGapQueriesAreRefusedByTheirFields},
		{"AGapThatCannotBeRecordedOrReadSaysWhy", aGapThatCannotBeRecordedOrReadSaysWhy},
		{"ReadingGapsNeedsSelectAlone", readingGapsNeedsSelectAlone},
	}
}

// lostAt is a moment at which records are lost.
func lostAt(minute int) time.Time {
	return time.Date(2026, 1, 2, 3, minute, 5, 678901000, time.UTC)
}

func newGap(from, until time.Time) audit.Gap {
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

func mustPersistGap(t *testing.T, db Database, gap audit.Gap) {
	t.Helper()
	if err := auditdriver.New(db.Pool).PersistGap(t.Context(), &gap); err != nil {
		t.Fatal(err)
	}
}

func mustListGaps(t *testing.T, store *coordaudit.Store, q audit.GapQuery) []audit.Gap {
	t.Helper()
	found, err := store.Gaps(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func countGaps(t *testing.T, db Database) int {
	t.Helper()
	return queryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_gaps")
}

func aGapIsReadAsItWasRecorded(t *testing.T, db Database) {
	for i, mode := range execModes() {
		pool := poolInMode(t, db, mode)
		want := newGap(lostAt(i).In(time.FixedZone("", 3600)), lostAt(i+1))
		if i == 0 {
			for n, class := range audit.EnvelopeClasses() {
				want.Dropped[class] = 1 << (10 * (n + 1))
			}
			want.Cause = strings.Repeat("ß", audit.MaxGapCauseCharacters)
		}
		if err := auditdriver.New(pool).PersistGap(t.Context(), &want); err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		found := mustListGaps(t, coordaudit.New(pool, quiet()), audit.GapQuery{Limit: 1})
		want.From = want.From.UTC()
		if diff := cmp.Diff([]audit.Gap{want}, found, cmpopts.IgnoreFields(audit.Gap{}, "RecordedAt")); diff != "" {
			t.Errorf("%s (-recorded +read):\n%s", mode, diff)
		}
		if at := found[0].RecordedAt; time.Since(at).Abs() > time.Minute || at.Location() != time.UTC {
			t.Errorf("%s: recorded at %v, now is %v", mode, at, time.Now().UTC())
		}
		if found[0].Total() != want.Total() {
			t.Errorf("%s: %d lost, want %d", mode, found[0].Total(), want.Total())
		}
	}
}

func aGapRecordedTwiceIsOneRow(t *testing.T, db Database) {
	gap := newGap(lostAt(0), lostAt(1))
	mustPersistGap(t, db, gap)
	before := mustListGaps(t, newStore(db), audit.GapQuery{})
	again := gap
	again.Cause = "another, told of the same id"
	mustPersistGap(t, db, gap)
	mustPersistGap(t, db, again)
	if diff := cmp.Diff(before, mustListGaps(t, newStore(db), audit.GapQuery{})); diff != "" || len(before) != 1 {
		t.Errorf("%d gaps at first (-at first +after):\n%s", len(before), diff)
	}
}

func gapsCannotBeEdited(t *testing.T, db Database) {
	mustPersistGap(t, db, newGap(lostAt(0), lostAt(1)))
	before := mustListGaps(t, newStore(db), audit.GapQuery{})
	edits := []string{
		"UPDATE coordination_audit_gaps SET cause = 'rewritten'",
		"UPDATE coordination_audit_gaps SET cause = cause",
		"DELETE FROM coordination_audit_gaps",
		"TRUNCATE coordination_audit_gaps",
		"TRUNCATE coordination_audit_gaps, coordination_audit_records",
		"INSERT INTO coordination_audit_gaps OVERRIDING SYSTEM VALUE SELECT * FROM coordination_audit_gaps ON CONFLICT (gap_id) DO UPDATE SET cause = 'rewritten'",
		"WITH gone AS (DELETE FROM coordination_audit_gaps RETURNING 1) SELECT count(*) FROM gone",
	}
	mustRefuseEdits(t, db, edits)

	pool, owner := poolAsPlainRole(t, db)
	mustExec(t, db.Pool, "ALTER TABLE coordination_audit_gaps OWNER TO "+owner)
	t.Cleanup(func() { // else the table goes with its owner
		_, _ = db.Pool.Exec(context.Background(), "ALTER TABLE coordination_audit_gaps OWNER TO CURRENT_USER")
	})
	for _, edit := range edits[:4] {
		_, err := pool.Exec(t.Context(), edit)
		mustBeImmutable(t, "as the owner: "+edit, err)
	}
	if diff := cmp.Diff(before, mustListGaps(t, newStore(db), audit.GapQuery{})); diff != "" {
		t.Errorf("the gap changed (-before +after):\n%s", diff)
	}
}

func theDatabaseRefusesGapsByNamedConstraints(t *testing.T, db Database) {
	const insert = `INSERT INTO coordination_audit_gaps
		(gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause)
		VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, gen_random_uuid(), gen_random_uuid(), $6::timestamptz, $7::timestamptz, $8)`
	good := []any{1, 0, 0, 0, 0, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "why"}
	const from, until, cause = 5, 6, 7
	with := func(values map[int]any) []any {
		row := append([]any(nil), good...)
		for column, value := range values {
			row[column] = value
		}
		return row
	}
	insertRow := func(row []any) error { // as text, since pgx would have to know such times
		_, err := db.Pool.Exec(t.Context(), insert, append([]any{pgx.QueryExecModeExec}, row...)...)
		return err
	}
	if err := insertRow(good); err != nil {
		t.Fatal(err)
	}
	tests := map[string]map[int]any{
		"coordination_audit_gaps_dropped_something": {0: 0},
		"coordination_audit_gaps_lost_valid":        {until: "2025-12-31T23:59:59.999999Z"},
		"coordination_audit_gaps_cause_valid":       {cause: strings.Repeat("ß", audit.MaxGapCauseCharacters+1)},
	}
	for constraint, values := range tests {
		mustViolate(t, insertRow(with(values)), constraint)
	}
	for column := range 5 {
		mustViolate(t, insertRow(with(map[int]any{0: 1, column: -1})), "coordination_audit_gaps_dropped_not_negative")
		if err := insertRow(with(map[int]any{0: 0, column: 1})); err != nil {
			t.Errorf("one of class %d alone: %v", column, err)
		}
	}
	for _, at := range []string{"-infinity", "0001-01-01T00:00:00Z BC"} {
		mustViolate(t, insertRow(with(map[int]any{from: at})), "coordination_audit_gaps_lost_valid")
	}
	for _, at := range []string{"infinity", "10000-01-01T00:00:00Z"} {
		mustViolate(t, insertRow(with(map[int]any{until: at})), "coordination_audit_gaps_lost_valid")
	}
	for _, blank := range []string{"", " \t\n"} {
		mustViolate(t, insertRow(with(map[int]any{cause: blank})), "coordination_audit_gaps_cause_valid")
	}
}

func mustViolate(t *testing.T, err error, constraint string) {
	t.Helper()
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pgErr.Code != "23514" || pgErr.ConstraintName != constraint {
		t.Errorf("%v, want it refused by %s", err, constraint)
	}
}
