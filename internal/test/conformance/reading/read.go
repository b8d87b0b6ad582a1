package reading

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func getManyReportsMissing(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored := filled(t, store, 8)
	nowhere := uuid.New()
	ids := []uuid.UUID{stored[5].AuditID, nowhere, stored[1].AuditID, stored[5].AuditID, nowhere}
	for _, scope := range everyScope() {
		var want []audit.Record
		var gone []uuid.UUID
		for _, i := range []int{5, -1, 1} {
			switch {
			case i < 0:
				gone = append(gone, nowhere)
			case len(wanted(stored[i:i+1], audit.Query{Scope: scope})) == 0:
				gone = append(gone, stored[i].AuditID)
			default:
				want = append(want, stored[i])
			}
		}
		found, missing, err := store.GetMany(t.Context(), scope, ids)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("%s: found (-want +got):\n%s", scope, diff)
		}
		if diff := cmp.Diff(gone, missing); diff != "" {
			t.Errorf("%s: missing (-want +got):\n%s", scope, diff)
		}
	}
	if found, missing, err := store.GetMany(t.Context(), audit.AllTenants(), nil); found != nil || missing != nil || err != nil {
		t.Errorf("of no ids: %v, %v, %v", found, missing, err)
	}
	if _, _, err := store.GetMany(t.Context(), audit.AllTenants(), make([]uuid.UUID, coordaudit.MaxGetMany+1)); !errors.Is(err, audit.ErrInvalidQuery) {
		t.Errorf("of too many ids: %v, want ErrInvalidQuery", err)
	}
}

func holdsEachRecordOnce(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := filled(t, store, 200)
	// An envelope may conflict with itself, and one record may name an envelope twice.
	itself := frame.RejectedOver("envelope-1", "")
	itself.EnvelopeID = "envelope-1"
	twice := fixture.NewRecord()
	twice.Decision, twice.ConflictingEnvelopeID, twice.PreemptingEnvelopeID = audit.Preempted, "envelope-1", "envelope-1"
	for _, rec := range []audit.Record{itself, twice} {
		result := fixture.MustPersist(t, store, rec)
		rec.Seq, rec.CreatedAt = result.Seq, result.CreatedAt
		recs = append(recs, rec.Normalized())
	}
	for _, scope := range everyScope() {
		for _, window := range []audit.Window{{}, {Since: recs[40].DecisionTimestamp, Until: recs[90].DecisionTimestamp}} {
			var want []audit.TimelineEntry
			for _, rec := range wanted(recs, audit.Query{Scope: scope, Window: window, Order: audit.OldestFirst}) {
				if role := rec.RoleOf("envelope-1"); role != "" {
					want = append(want, audit.TimelineEntry{Record: rec, Role: role})
				}
			}
			for _, limit := range []int{1, 9, audit.MaxPageSize} {
				got := timelinePages(t, store, audit.TimelineQuery{Scope: scope, EnvelopeID: "envelope-1", Window: window, Limit: limit})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s, %v, pages of %d (-want +got):\n%s", scope, window, limit, diff)
				}
			}
		}
	}
}

func timelinePages(t *testing.T, store *coordaudit.Store, q audit.TimelineQuery) []audit.TimelineEntry {
	t.Helper()
	var entries []audit.TimelineEntry
	for range 20_000 {
		page, err := store.Timeline(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, page.Entries...)
		if page.Next == "" {
			return entries
		}
		q.After = page.Next
	}
	t.Fatalf("no last page after %d entries", len(entries))
	return nil
}

// everyRead makes each reading call once and returns the results.
func everyRead(t *testing.T, store *coordaudit.Store, scope audit.Scope) seen {
	t.Helper()
	var got seen
	var errs [6]error
	got.Page, errs[0] = store.List(t.Context(), audit.Query{Scope: scope, Limit: audit.MaxPageSize})
	got.Count, errs[1] = store.Count(t.Context(), audit.Query{Scope: scope})
	got.Timeline, errs[2] = store.Timeline(t.Context(), audit.TimelineQuery{Scope: scope, EnvelopeID: "envelope-1", Limit: audit.MaxPageSize})
	got.Breakdown, errs[3] = store.Breakdown(t.Context(), audit.BreakdownQuery{Scope: scope})
	got.Signals, errs[4] = store.Signals(t.Context(), audit.SignalQuery{Scope: scope, MinRecords: 1, MinCycles: 1, MinConflicts: 1, MinRejections: 1})
	got.Trend, errs[5] = store.Trend(t.Context(), audit.TrendQuery{Scope: scope, Window: audit.Window{Since: varied(0).DecisionTimestamp, Until: varied(40).DecisionTimestamp}})
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	for _, rec := range got.Page.Records[:min(len(got.Page.Records), 20)] {
		explained, err := store.Explain(t.Context(), scope, rec.AuditID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rec, explained.Record); diff != "" || explained.Cause == "" || explained.NextStep == "" {
			t.Errorf("explained as %q, next %q (-listed +explained):\n%s", explained.Cause, explained.NextStep, diff)
		}
	}
	return got
}

type seen struct {
	Page      audit.Page
	Count     int64
	Timeline  audit.Timeline
	Breakdown audit.Breakdown
	Signals   audit.Signals
	Trend     []audit.WindowRates
}

func emptyTrailReadsEmpty(t *testing.T, db frame.Database) {
	for _, scope := range everyScope() {
		got := everyRead(t, frame.NewStore(db), scope)
		if len(got.Page.Records) != 0 || got.Page.Next != "" || got.Count != 0 || len(got.Timeline.Entries) != 0 ||
			got.Breakdown.Total != 0 || !got.Breakdown.FirstSeen.IsZero() || got.Signals.SelfConflicts.Conflicts != 0 ||
			len(got.Signals.RejectionRates)+len(got.Signals.Oscillations)+len(got.Signals.Friction)+len(got.Signals.RepeatedRejections) != 0 ||
			len(got.Trend) != 2 || len(got.Trend[0].RejectionRates) != 0 {
			t.Errorf("%s: %+v", scope, got)
		}
	}
}

func readRefusesBadQueries(t *testing.T, db frame.Database) {
	for name, test := range badQueries(t, frame.NewStore(db)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.call()
			invalid, ok := errors.AsType[*audit.InvalidQueryError](err)
			if !ok || !errors.Is(err, audit.ErrInvalidQuery) {
				t.Fatalf("error %v, want an InvalidQueryError", err)
			}
			var fields []string
			for _, fault := range invalid.Faults {
				fields = append(fields, fault.Field)
			}
			if diff := cmp.Diff(test.want, fields); diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

type badQuery struct {
	call func() error
	want []string // the fields at fault
}

func badQueries(t *testing.T, store *coordaudit.Store) map[string]badQuery {
	t.Helper()
	later, earlier := varied(40).DecisionTimestamp, varied(0).DecisionTimestamp
	list := func(q audit.Query) func() error {
		return func() error {
			q.Scope = audit.AllTenants()
			_, listErr := store.List(t.Context(), q)
			q.Limit, q.After, q.Order = 0, "", audit.NewestFirst
			if _, err := store.Count(t.Context(), q); listErr == nil && err != nil {
				return err
			}
			return listErr
		}
	}
	timeline := func(q audit.TimelineQuery) func() error {
		return func() error { q.Scope = audit.AllTenants(); _, err := store.Timeline(t.Context(), q); return err }
	}
	breakdown := func(q audit.BreakdownQuery) func() error {
		return func() error { q.Scope = audit.AllTenants(); _, err := store.Breakdown(t.Context(), q); return err }
	}
	signals := func(q audit.SignalQuery) func() error {
		return func() error { q.Scope = audit.AllTenants(); _, err := store.Signals(t.Context(), q); return err }
	}
	trend := func(q audit.TrendQuery) func() error {
		return func() error { q.Scope = audit.AllTenants(); _, err := store.Trend(t.Context(), q); return err }
	}
	window, long := audit.Window{Since: later, Until: earlier}, strings.Repeat("x", audit.MaxIDCharacters+1)
	return map[string]badQuery{
		"a negative limit":               {list(audit.Query{Limit: -1}), []string{"limit"}},
		"a limit of 5,000":               {list(audit.Query{Limit: 5000}), []string{"limit"}},
		"since after until":              {list(audit.Query{Window: window}), []string{"since"}},
		"a year beyond 9999":             {list(audit.Query{Window: audit.Window{Until: earlier.AddDate(9000, 0, 0)}}), []string{"until"}},
		"an unknown class":               {list(audit.Query{EnvelopeClasses: []audit.EnvelopeClass{audit.Cost, "LATENCY"}}), []string{"envelope_classes[1]"}},
		"no class":                       {list(audit.Query{EnvelopeClasses: []audit.EnvelopeClass{""}}), []string{"envelope_classes[0]"}},
		"an unknown decision":            {list(audit.Query{Decisions: []audit.Decision{"EXPIRED"}}), []string{"decisions[0]"}},
		"an empty envelope id":           {list(audit.Query{EnvelopeIDs: []string{"a", ""}}), []string{"envelope_ids[1]"}},
		"too many envelope ids":          {list(audit.Query{EnvelopeIDs: strings.Split(strings.Repeat("a,", 1000)+"a", ",")}), []string{"envelope_ids"}},
		"texts that cannot be stored":    {list(audit.Query{ConflictingEnvelopeID: "\x00", ReasonContains: "\xff"}), []string{"conflicting_envelope_id", "reason_contains"}},
		"texts that are too long":        {list(audit.Query{ReasonCode: long, PolicyVersion: long, Actor: long, CorrelationID: long}), []string{"reason_code", "policy_version", "actor", "correlation_id"}},
		"an unknown order":               {list(audit.Query{Order: 7}), []string{"order"}},
		"a truncated cursor":             {list(audit.Query{After: "AQIDBA"}), []string{"after"}},
		"a cursor that is none":          {list(audit.Query{After: "page 2"}), []string{"after"}},
		"a cursor of a newer version":    {list(audit.Query{After: "AgIDBAUGBw"}), []string{"after"}},
		"no envelope":                    {timeline(audit.TimelineQuery{Limit: 1001}), []string{"envelope_id", "limit"}},
		"a breakdown of the year 10000":  {breakdown(audit.BreakdownQuery{Window: audit.Window{Since: earlier.AddDate(8000, 0, 0)}}), []string{"since"}},
		"a negative threshold":           {signals(audit.SignalQuery{MinCycles: -1}), []string{"min_cycles"}},
		"too much evidence":              {signals(audit.SignalQuery{MaxEvidence: 1001, Window: window}), []string{"since", "max_evidence"}},
		"a trend without bounds":         {trend(audit.TrendQuery{}), []string{"since", "until"}},
		"a trend of nothing":             {trend(audit.TrendQuery{Window: audit.Window{Since: later, Until: later}}), []string{"since"}},
		"a trend of too many windows":    {trend(audit.TrendQuery{Window: audit.Window{Since: earlier, Until: later}, Windows: 1001}), []string{"windows"}},
		"a trend from before the year 1": {trend(audit.TrendQuery{Window: audit.Window{Since: earlier.AddDate(-1500, 0, 0), Until: later}, Windows: 3}), []string{"windows"}},
	}
}
