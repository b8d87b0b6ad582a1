package conformance

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

func gapsAreListedByTheTimeOfTheLoss(t *testing.T, db Database) {
	store := newStore(db)
	if found := mustListGaps(t, store, audit.GapQuery{}); len(found) != 0 {
		t.Errorf("where nothing was lost: %v", found)
	}
	moment, span := newGap(lostAt(10), lostAt(10)), newGap(lostAt(20), lostAt(30))
	mustPersistGap(t, db, moment)
	mustPersistGap(t, db, span)
	const nanosecond, microsecond = time.Nanosecond, time.Microsecond
	tests := map[string]struct {
		since, until time.Time
		want         []uuid.UUID
	}{
		"all of time":                        {want: []uuid.UUID{span.GapID, moment.GapID}},
		"since the moment":                   {since: lostAt(10), want: []uuid.UUID{span.GapID, moment.GapID}},
		"since a nanosecond after it":        {since: lostAt(10).Add(nanosecond), want: []uuid.UUID{span.GapID}},
		"until the moment":                   {until: lostAt(10)},
		"until a nanosecond after it":        {until: lostAt(10).Add(nanosecond), want: []uuid.UUID{moment.GapID}},
		"in the midst of the span":           {since: lostAt(24), until: lostAt(25), want: []uuid.UUID{span.GapID}},
		"up to the span's begin":             {since: lostAt(11), until: lostAt(20)},
		"up to a microsecond into the span":  {since: lostAt(11), until: lostAt(20).Add(microsecond), want: []uuid.UUID{span.GapID}},
		"from the span's end":                {since: lostAt(30), want: []uuid.UUID{span.GapID}},
		"from a microsecond after the span":  {since: lostAt(30).Add(microsecond)},
		"between the two":                    {since: lostAt(11), until: lostAt(19)},
		"no time at all, in the midst of it": {since: lostAt(25), until: lostAt(25)},
		"the years 1 to 9999":                {since: time.Time{}.Add(microsecond), until: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), want: []uuid.UUID{span.GapID, moment.GapID}},
	}
	for name, test := range tests {
		found := mustListGaps(t, store, audit.GapQuery{Window: audit.Window{Since: test.since, Until: test.until}})
		if diff := cmp.Diff(test.want, gapIDs(found)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func gapIDs(list []audit.Gap) []uuid.UUID {
	var ids []uuid.UUID
	for _, gap := range list {
		ids = append(ids, gap.GapID)
	}
	return ids
}

func gapsAreListedNewestFirstUpToTheirLimit(t *testing.T, db Database) {
	var want []uuid.UUID
	for n := range audit.DefaultPageSize + 1 {
		gap := newGap(lostAt(n/3), lostAt(59)) // three begin at a time, and come last in, first out
		mustPersistGap(t, db, gap)
		want = append([]uuid.UUID{gap.GapID}, want...)
	}
	for limit, n := range map[int]int{0: audit.DefaultPageSize, 1: 1, 7: 7, audit.MaxPageSize: len(want)} {
		found := mustListGaps(t, newStore(db), audit.GapQuery{Limit: limit})
		if diff := cmp.Diff(want[:n], gapIDs(found)); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
}

func badGapQueriesAreRefusedByTheirFields(t *testing.T, db Database) {
	store := newStore(db)
	tests := map[string]struct {
		query audit.GapQuery
		want  []string // the fields at fault
	}{
		"a negative limit":   {audit.GapQuery{Limit: -1}, []string{"limit"}},
		"a limit of 1,001":   {audit.GapQuery{Limit: audit.MaxPageSize + 1}, []string{"limit"}},
		"since after until":  {audit.GapQuery{Window: audit.Window{Since: lostAt(1), Until: lostAt(0)}}, []string{"since"}},
		"a year beyond 9999": {audit.GapQuery{Window: audit.Window{Until: lostAt(0).AddDate(9000, 0, 0)}}, []string{"until"}},
		"several faults":     {audit.GapQuery{Window: audit.Window{Since: lostAt(1), Until: lostAt(0)}, Limit: -1}, []string{"since", "limit"}},
	}
	for name, test := range tests {
		_, err := store.Gaps(t.Context(), test.query)
		invalid, ok := errors.AsType[*audit.InvalidQueryError](err)
		if !ok || !errors.Is(err, audit.ErrInvalidQuery) || !strings.HasPrefix(err.Error(), "listing audit gaps: ") {
			t.Errorf("%s: %v, want an InvalidQueryError", name, err)
			continue
		}
		var fields []string
		for _, fault := range invalid.Faults {
			fields = append(fields, fault.Field)
		}
		if diff := cmp.Diff(test.want, fields); diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func aGapThatCannotBeRecordedOrReadSaysWhy(t *testing.T, db Database) {
	closed := openStore(t, db.URL, quiet())
	closed.Close()
	if _, err := closed.Gaps(t.Context(), audit.GapQuery{}); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("reading from a closed store: %v, want ErrClosed", err)
	}
	unmigrated := openPool(t, withSetting(db.URL, "search_path=pg_temp"), nothing)
	away := openPool(t, "postgres://user:hunter2@127.0.0.1:1/db", nothing)
	unprivileged, _ := poolAsPlainRole(t, db, "SELECT, INSERT ON coordination_audit_records")
	wrong := newGap(lostAt(0), lostAt(1))
	wrong.Cause = "hunter2" + strings.Repeat("x", audit.MaxGapCauseCharacters)
	for name, test := range map[string]struct {
		driver *auditdriver.Driver
		gap    audit.Gap
		reads  bool
		want   error
		says   string
	}{
		"without a pool": {auditdriver.New(nil), newGap(lostAt(0), lostAt(1)), true, audit.ErrNoPool, ""},
		"database away":  {auditdriver.New(away), newGap(lostAt(0), lostAt(1)), true, audit.ErrUnavailable, ""},
		"no table":       {auditdriver.New(unmigrated), newGap(lostAt(0), lostAt(1)), true, audit.ErrRefused, "run the migrations (migrate up)"},
		"no rights":      {auditdriver.New(unprivileged), newGap(lostAt(0), lostAt(1)), true, audit.ErrRefused, "INSERT and SELECT on coordination_audit_records and coordination_audit_gaps"},
		"a gap too wide": {auditdriver.New(db.Pool), wrong, false, audit.ErrRefused, "coordination_audit_gaps_cause_valid"},
	} {
		calls := map[string]func() error{"recording": func() error { return test.driver.PersistGap(t.Context(), &test.gap) }}
		if test.reads {
			calls["reading"] = func() error { _, err := test.driver.ListGaps(t.Context(), &audit.GapQuery{Limit: 1}); return err }
		}
		for call, do := range calls {
			if err := do(); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s, %s: %v, want %v: %s", name, call, err, test.want, test.says)
			}
		}
	}
	if n := countGaps(t, db); n != 0 {
		t.Errorf("%d gaps, want none", n)
	}
}

func readingGapsNeedsSelectAlone(t *testing.T, db Database) {
	gap := newGap(lostAt(0), lostAt(1))
	mustPersistGap(t, db, gap)
	reader, _ := poolAsPlainRole(t, db, "SELECT ON coordination_audit_gaps")
	standby := openStore(t, withSetting(db.URL, "default_transaction_read_only=on"), quiet())
	for name, store := range map[string]*coordaudit.Store{"a reader": coordaudit.New(reader, quiet()), "a standby": standby} {
		if diff := cmp.Diff([]uuid.UUID{gap.GapID}, gapIDs(mustListGaps(t, store, audit.GapQuery{}))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
