package reading

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
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func windowSelectsLosses(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	if found := frame.MustListGaps(t, store, audit.GapQuery{}); len(found) != 0 {
		t.Errorf("where nothing was lost: %v", found)
	}
	moment, span := frame.NewGap(frame.LostAt(10), frame.LostAt(10)), frame.NewGap(frame.LostAt(20), frame.LostAt(30))
	frame.MustPersistGap(t, db, moment)
	frame.MustPersistGap(t, db, span)
	const nanosecond, microsecond = time.Nanosecond, time.Microsecond
	tests := map[string]struct {
		since, until time.Time
		want         []uuid.UUID
	}{
		"all of time":                        {want: []uuid.UUID{span.GapID, moment.GapID}},
		"since the moment":                   {since: frame.LostAt(10), want: []uuid.UUID{span.GapID, moment.GapID}},
		"since a nanosecond after it":        {since: frame.LostAt(10).Add(nanosecond), want: []uuid.UUID{span.GapID}},
		"until the moment":                   {until: frame.LostAt(10)},
		"until a nanosecond after it":        {until: frame.LostAt(10).Add(nanosecond), want: []uuid.UUID{moment.GapID}},
		"in the midst of the span":           {since: frame.LostAt(24), until: frame.LostAt(25), want: []uuid.UUID{span.GapID}},
		"up to the span's begin":             {since: frame.LostAt(11), until: frame.LostAt(20)},
		"up to a microsecond into the span":  {since: frame.LostAt(11), until: frame.LostAt(20).Add(microsecond), want: []uuid.UUID{span.GapID}},
		"from the span's end":                {since: frame.LostAt(30), want: []uuid.UUID{span.GapID}},
		"from a microsecond after the span":  {since: frame.LostAt(30).Add(microsecond)},
		"between the two":                    {since: frame.LostAt(11), until: frame.LostAt(19)},
		"no time at all, in the midst of it": {since: frame.LostAt(25), until: frame.LostAt(25)},
		"the years 1 to 9999":                {since: time.Time{}.Add(microsecond), until: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), want: []uuid.UUID{span.GapID, moment.GapID}},
	}
	for name, test := range tests {
		found := frame.MustListGaps(t, store, audit.GapQuery{Window: audit.Window{Since: test.since, Until: test.until}})
		if diff := cmp.Diff(test.want, frame.GapIDs(found)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func listsNewestFirst(t *testing.T, db frame.Database) {
	var want []uuid.UUID
	for n := range audit.DefaultPageSize + 1 {
		gap := frame.NewGap(frame.LostAt(n/3), frame.LostAt(59)) // three begin at the same time, and the last stored is listed first
		frame.MustPersistGap(t, db, gap)
		want = append([]uuid.UUID{gap.GapID}, want...)
	}
	for limit, n := range map[int]int{0: audit.DefaultPageSize, 1: 1, 7: 7, audit.MaxPageSize: len(want)} {
		found := frame.MustListGaps(t, frame.NewStore(db), audit.GapQuery{Limit: limit})
		if diff := cmp.Diff(want[:n], frame.GapIDs(found)); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
}

func gapsRefusesBadQueries(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	tests := map[string]struct {
		query audit.GapQuery
		want  []string // the fields at fault
	}{
		"a negative limit":   {audit.GapQuery{Limit: -1}, []string{"limit"}},
		"a limit of 1,001":   {audit.GapQuery{Limit: audit.MaxPageSize + 1}, []string{"limit"}},
		"since after until":  {audit.GapQuery{Window: audit.Window{Since: frame.LostAt(1), Until: frame.LostAt(0)}}, []string{"since"}},
		"a year beyond 9999": {audit.GapQuery{Window: audit.Window{Until: frame.LostAt(0).AddDate(9000, 0, 0)}}, []string{"until"}},
		"several faults":     {audit.GapQuery{Window: audit.Window{Since: frame.LostAt(1), Until: frame.LostAt(0)}, Limit: -1}, []string{"since", "limit"}},
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

func gapsFailsAsDocumented(t *testing.T, db frame.Database) {
	closed := fixture.OpenStore(t, db.URL, fixture.Quiet())
	closed.Close()
	if _, err := closed.Gaps(t.Context(), audit.GapQuery{}); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("reading from a closed store: %v, want ErrClosed", err)
	}
	unmigrated := fixture.OpenPool(t, fixture.WithSetting(db.URL, "search_path=pg_temp"), nil)
	away := fixture.OpenPool(t, "postgres://user:hunter2@127.0.0.1:1/db", nil)
	unprivileged, _ := frame.PoolAsPlainRole(t, db, "SELECT, INSERT ON coordination_audit_records")
	wrong := frame.NewGap(frame.LostAt(0), frame.LostAt(1))
	wrong.Cause = "hunter2" + strings.Repeat("x", audit.MaxGapCauseCharacters)
	for name, test := range map[string]struct {
		driver *auditdriver.Driver
		gap    audit.Gap
		reads  bool
		want   error
		says   string
		toRead string // if a reader gets another text
	}{
		"without a pool": {auditdriver.New(nil), frame.NewGap(frame.LostAt(0), frame.LostAt(1)), true, audit.ErrNoPool, "", ""},
		"database away":  {auditdriver.New(away), frame.NewGap(frame.LostAt(0), frame.LostAt(1)), true, audit.ErrUnavailable, "", ""},
		"no table":       {auditdriver.New(unmigrated), frame.NewGap(frame.LostAt(0), frame.LostAt(1)), true, audit.ErrRefused, "run the migrations (migrate up)", ""},
		"no rights":      {auditdriver.New(unprivileged), frame.NewGap(frame.LostAt(0), frame.LostAt(1)), true, audit.ErrRefused, "grant this role INSERT and SELECT on coordination_audit_gaps (migrate grants --writer ROLE --apply)", "grant this role SELECT on coordination_audit_gaps"},
		"a gap too wide": {auditdriver.New(db.Pool), wrong, false, audit.ErrRefused, "coordination_audit_gaps_cause_valid", ""},
	} {
		calls := map[string]func() error{"recording": func() error { return test.driver.PersistGap(t.Context(), &test.gap) }}
		if test.reads {
			calls["reading"] = func() error { _, err := test.driver.ListGaps(t.Context(), &audit.GapQuery{Limit: 1}); return err }
		}
		for call, do := range calls {
			says := test.says
			if call == "reading" && test.toRead != "" {
				says = test.toRead
			}
			if err := do(); !errors.Is(err, test.want) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s, %s: %v, want %v: %s", name, call, err, test.want, says)
			}
		}
	}
	if n := frame.CountGaps(t, db); n != 0 {
		t.Errorf("%d gaps, want none", n)
	}
}

func gapsNeedsSelectOnly(t *testing.T, db frame.Database) {
	gap := frame.NewGap(frame.LostAt(0), frame.LostAt(1))
	frame.MustPersistGap(t, db, gap)
	reader, _ := frame.PoolAsPlainRole(t, db, "SELECT ON coordination_audit_gaps")
	standby := fixture.OpenStore(t, fixture.WithSetting(db.URL, "default_transaction_read_only=on"), fixture.Quiet())
	for name, store := range map[string]*coordaudit.Store{"a reader": coordaudit.New(reader, fixture.Quiet()), "a standby": standby} {
		if diff := cmp.Diff([]uuid.UUID{gap.GapID}, frame.GapIDs(frame.MustListGaps(t, store, audit.GapQuery{}))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
