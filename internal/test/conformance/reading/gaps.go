package reading

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func readsAsRecorded(t *testing.T, db frame.Database) {
	for i, mode := range db.ExecModes() {
		pool := frame.PoolInMode(t, db, mode)
		want := frame.NewGap(frame.LostAt(i).In(time.FixedZone("", 3600)), frame.LostAt(i+1))
		if i == 0 {
			for n, class := range audit.EnvelopeClasses() {
				want.Dropped[class] = 1 << (10 * (n + 1))
			}
			want.Cause = strings.Repeat("ß", audit.MaxGapCauseCharacters)
		}
		if err := auditdriver.New(pool).PersistGap(t.Context(), &want); err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		found := frame.MustListGaps(t, coordaudit.New(pool, fixture.Quiet()), audit.GapQuery{Limit: 1})
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

func retryStoresOnce(t *testing.T, db frame.Database) {
	gap := frame.NewGap(frame.LostAt(0), frame.LostAt(1))
	frame.MustPersistGap(t, db, gap)
	before := frame.MustListGaps(t, frame.NewStore(db), audit.GapQuery{})
	again := gap
	again.Cause = "another cause"
	frame.MustPersistGap(t, db, gap)
	frame.MustPersistGap(t, db, again)
	if diff := cmp.Diff(before, frame.MustListGaps(t, frame.NewStore(db), audit.GapQuery{})); diff != "" || len(before) != 1 {
		t.Errorf("%d gaps at first (-at first +after):\n%s", len(before), diff)
	}
}

func refusesEdits(t *testing.T, db frame.Database) {
	frame.MustPersistGap(t, db, frame.NewGap(frame.LostAt(0), frame.LostAt(1)))
	before := frame.MustListGaps(t, frame.NewStore(db), audit.GapQuery{})
	edits := []string{
		"UPDATE coordination_audit_gaps SET cause = 'rewritten'",
		"UPDATE coordination_audit_gaps SET cause = cause",
		"DELETE FROM coordination_audit_gaps",
		"TRUNCATE coordination_audit_gaps",
		"TRUNCATE coordination_audit_gaps, coordination_audit_records",
		"INSERT INTO coordination_audit_gaps OVERRIDING SYSTEM VALUE SELECT * FROM coordination_audit_gaps ON CONFLICT (gap_id) DO UPDATE SET cause = 'rewritten'",
		"WITH gone AS (DELETE FROM coordination_audit_gaps RETURNING 1) SELECT count(*) FROM gone",
	}
	frame.MustRefuseEdits(t, db, edits)

	pool, owner := frame.PoolAsPlainRole(t, db)
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_gaps OWNER TO "+owner)
	t.Cleanup(func() { // or dropping the owner would drop the table
		_, _ = db.Pool.Exec(context.Background(), "ALTER TABLE coordination_audit_gaps OWNER TO CURRENT_USER")
	})
	for _, edit := range edits[:4] {
		_, err := pool.Exec(t.Context(), edit)
		frame.MustBeImmutable(t, "as the owner: "+edit, err)
	}
	if diff := cmp.Diff(before, frame.MustListGaps(t, frame.NewStore(db), audit.GapQuery{})); diff != "" {
		t.Errorf("the gap changed (-before +after):\n%s", diff)
	}
}

func constraintsNameFaults(t *testing.T, db frame.Database) {
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
	insertRow := func(row []any) error { // as text, because pgx does not know such times
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
		mustViolate(t, db, insertRow(with(values)), constraint)
	}
	for column := range 5 {
		mustViolate(t, db, insertRow(with(map[int]any{0: 1, column: -1})), "coordination_audit_gaps_dropped_not_negative")
		if err := insertRow(with(map[int]any{0: 0, column: 1})); err != nil {
			t.Errorf("one of class %d alone: %v", column, err)
		}
	}
	for _, at := range []string{"-infinity", "0001-01-01T00:00:00Z BC"} {
		mustViolate(t, db, insertRow(with(map[int]any{from: at})), "coordination_audit_gaps_lost_valid")
	}
	for _, at := range []string{"infinity", "10000-01-01T00:00:00Z"} {
		mustViolate(t, db, insertRow(with(map[int]any{until: at})), "coordination_audit_gaps_lost_valid")
	}
	for _, blank := range []string{"", " \t\n"} {
		mustViolate(t, db, insertRow(with(map[int]any{cause: blank})), "coordination_audit_gaps_cause_valid")
	}
}

func mustViolate(t *testing.T, db frame.Database, err error, constraint string) {
	t.Helper()
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pgErr.Code != "23514" || db.Constraint(pgErr) != constraint {
		t.Errorf("%v, want it refused by %s", err, constraint)
	}
}
