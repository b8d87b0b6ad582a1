package reading

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// oddTimes are times that a timestamptz can hold, in their order: as PostgreSQL reads them, and as
// the library must return them.
func oddTimes() []oddTime {
	return []oddTime{
		{"-infinity", audit.InfinitePast()},
		{"4714-11-24 00:00:00+00 BC", time.Date(-4713, 11, 24, 0, 0, 0, 0, time.UTC)},
		{"0044-03-15 12:00:00.000001+00 BC", time.Date(-43, 3, 15, 12, 0, 0, 1000, time.UTC)},
		{"0001-01-01 00:00:00+00", time.Time{}},
		{"1890-01-02 03:04:05.678901+00", time.Date(1890, 1, 2, 3, 4, 5, 678901000, time.UTC)},
		{"2026-01-02 03:04:05.678901+00", time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)},
		{"9999-12-31 23:59:59.999999+00", time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)},
		{"10000-01-01 00:00:00+00", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"294276-12-31 23:59:59.999999+00", time.Date(294276, 12, 31, 23, 59, 59, 999999000, time.UTC)},
		{"infinity", audit.InfiniteFuture()},
	}
}

type oddTime struct {
	text string
	want time.Time
}

// dropChecks drops the CHECKs of a table. An adopted table may have rows that break them.
func dropChecks(t *testing.T, db frame.Database, table string) {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'c'", table)
	if err != nil {
		t.Fatal(err)
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		fixture.MustExec(t, db.Pool, statement)
	}
}

// fillOddly inserts all kinds of rows that the column types allow and returns the records that the
// library must read, in the total order.
func fillOddly(t *testing.T, db frame.Database) []audit.Record {
	t.Helper()
	dropChecks(t, db, "coordination_audit_records")
	// The texts below are UTF-8, and the sessions of the database may have another encoding.
	pool := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) { config.ConnConfig.RuntimeParams["client_encoding"] = "UTF8" })
	var recs []audit.Record
	for i, odd := range oddTimes() {
		for range 3 { // so that a page ends between two of the same time
			rec := varied(len(recs))
			rec.Seq, rec.DecisionTimestamp, rec.CreatedAt = int64(len(recs)+1), odd.want, oddTimes()[len(oddTimes())-1-i].want
			fixture.MustExec(t, pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at,
					conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id, target_subsystem, target_parameter)
				VALUES ($1, $2, $3, $4, $5, $6::text::timestamptz, $7::text::timestamptz, nullif($8, ''), nullif($9, ''), $10, nullif($11, ''), nullif($12, ''), nullif($13, ''))`,
				rec.AuditID, rec.EnvelopeID, string(rec.EnvelopeClass), string(rec.Decision), rec.Reason, odd.text, oddTimes()[len(oddTimes())-1-i].text,
				rec.ConflictingEnvelopeID, rec.PreemptingEnvelopeID, rec.ActiveEnvelopesCount, rec.TenantID, rec.TargetSubsystem, rec.TargetParameter)
			recs = append(recs, rec)
		}
	}
	for _, change := range oddContents() {
		rec := varied(len(recs))
		rec.Seq, rec.CreatedAt = int64(len(recs)+1), at(0)
		change(&rec)
		fixture.MustExec(t, pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at,
				conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id, target_subsystem, target_parameter, counterpart_class)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`, // with empty texts where ours are NULL
			rec.AuditID, rec.EnvelopeID, string(rec.EnvelopeClass), string(rec.Decision), rec.Reason, rec.DecisionTimestamp, rec.CreatedAt,
			rec.ConflictingEnvelopeID, rec.PreemptingEnvelopeID, rec.ActiveEnvelopesCount, rec.TenantID,
			rec.TargetSubsystem, rec.TargetParameter, string(rec.CounterpartClass))
		recs = append(recs, rec)
	}
	slices.SortFunc(recs, inTotalOrder)
	return recs
}

func oddContents() []func(*audit.Record) {
	return []func(*audit.Record){
		func(rec *audit.Record) { rec.EnvelopeID = "" },
		func(rec *audit.Record) { rec.EnvelopeClass = "LATENCY" },
		func(rec *audit.Record) { rec.EnvelopeClass = "" },
		func(rec *audit.Record) {
			rec.EnvelopeClass, rec.Decision, rec.ConflictingEnvelopeID = "", audit.Rejected, "x"
		},
		func(rec *audit.Record) { rec.EnvelopeClass = "safety" },
		func(rec *audit.Record) { rec.Decision = "EXPIRED" },
		func(rec *audit.Record) { rec.Decision = "" },
		func(rec *audit.Record) { rec.Reason = "" },
		func(rec *audit.Record) { rec.Reason = " \t\n" },
		func(rec *audit.Record) { rec.Reason = strings.Repeat("é", audit.MaxReasonBytes) },
		func(rec *audit.Record) { rec.Reason = "\x01\x1b[31m\u0085\u202e\ufeff\ufffd" },
		func(rec *audit.Record) { rec.ActiveEnvelopesCount = -1 },
		func(rec *audit.Record) { rec.ActiveEnvelopesCount = math.MinInt32 },
		func(rec *audit.Record) {
			rec.Decision, rec.ConflictingEnvelopeID, rec.PreemptingEnvelopeID = audit.Applied, "x", "y"
		},
		func(rec *audit.Record) { rec.Decision, rec.PreemptingEnvelopeID = audit.Preempted, "" },
		func(rec *audit.Record) { rec.CounterpartClass = "LATENCY" },
		func(rec *audit.Record) { rec.TargetSubsystem, rec.TargetParameter = "", "parameter-1" },
		func(rec *audit.Record) { rec.TargetSubsystem, rec.TargetParameter = "", "parameter-1" },
		func(rec *audit.Record) { rec.TenantID = "" },
		func(rec *audit.Record) { rec.AuditID = uuid.Nil },
	}
}

// No value of a row fails a read or is missing from it, in any format that the server sends.
func readShowsAnyRow(t *testing.T, db frame.Database) {
	stored := fillOddly(t, db)
	for _, mode := range db.ExecModes() {
		store := coordaudit.New(frame.PoolInMode(t, db, mode), fixture.Quiet())
		for _, q := range []audit.Query{
			{Scope: audit.AllTenants(), Limit: 2},
			{Scope: audit.AllTenants(), Limit: 50, Order: audit.OldestFirst},
			{Scope: audit.Tenant("acme"), Limit: 1, Order: audit.OldestFirst},
			{Scope: audit.NoTenant(), Limit: 1},
			{Scope: audit.AllTenants(), Limit: 2, Decisions: audit.Decisions()},
		} {
			mustList(t, store, stored, q)
		}
		for _, rec := range stored {
			found, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(rec, found); diff != "" {
				t.Errorf("%s (-want +got):\n%s", mode, diff)
			}
		}
		everyRead(t, store, audit.AllTenants())
	}
	// The server sends times before a zone's first offset in local mean time.
	kolkata := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) { config.ConnConfig.RuntimeParams["timezone"] = "Asia/Kolkata" })
	mustList(t, coordaudit.New(kolkata, fixture.Quiet()), stored, audit.Query{Scope: audit.AllTenants(), Limit: 3})
	mustWriteAndRefuse(t, stored)
}

// mustWriteAndRefuse checks that each record has a JSON form, and that ParseRecord refuses the form
// of a record that no caller could have persisted.
func mustWriteAndRefuse(t *testing.T, recs []audit.Record) {
	t.Helper()
	for _, rec := range recs {
		text, err := json.Marshal(rec)
		if err != nil {
			t.Errorf("writing %+v: %v", rec, err)
			continue
		}
		read, _, err := audit.ParseRecord(text)
		if year := rec.DecisionTimestamp.Year(); year < 1 || year > 9999 {
			if !errors.Is(err, audit.ErrInvalidRecord) || !strings.Contains(err.Error(), "decision_timestamp must lie in the years 1 to 9999 (UTC)") {
				t.Errorf("reading %s: %v, want it refused for its time", text, err)
			}
		}
		if err == nil && !strings.EqualFold(string(rec.EnvelopeClass.OrUnknown()), string(read.EnvelopeClass)) {
			t.Errorf("class %q is read back as %q", rec.EnvelopeClass, read.EnvelopeClass)
		}
		read.EnvelopeClass = rec.EnvelopeClass // ParseRecord accepts any case
		if err == nil && len(rec.DiffersIn(read)) > 0 {
			t.Errorf("%+v is read back as %+v", rec, read)
		}
	}
}

func openWindowHoldsInfinity(t *testing.T, db frame.Database) {
	stored := fillOddly(t, db)
	store := frame.NewStore(db)
	middle := stored[len(stored)/2].DecisionTimestamp
	for _, window := range []audit.Window{
		{},
		{Since: middle},
		{Until: middle},
		{Since: time.Time{}.Add(time.Microsecond), Until: time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)}, // neither infinity
	} {
		for _, order := range []audit.Order{audit.NewestFirst, audit.OldestFirst} {
			mustList(t, store, stored, audit.Query{Scope: audit.AllTenants(), Window: window, Order: order, Limit: 2})
		}
		want := int64(len(wanted(stored, audit.Query{Scope: audit.AllTenants(), Window: window})))
		breakdown, err := store.Breakdown(t.Context(), audit.BreakdownQuery{Scope: audit.AllTenants(), Window: window})
		if err != nil || breakdown.Total != want {
			t.Errorf("%v: breakdown of %d records, %v; want %d", window, breakdown.Total, err, want)
		}
		found := mustFind(t, store, audit.SignalQuery{Window: window, MinRecords: 1, MinConflicts: 1})
		var rated int64
		for _, rate := range found.RejectionRates {
			rated += rate.Total
		}
		if rated != want {
			t.Errorf("%v: rejection rates of %d records, want %d", window, rated, want)
		}
	}
}

func breakdownCountsAnyRow(t *testing.T, db frame.Database) {
	stored := fillOddly(t, db)
	b := mustAddUp(t, frame.NewStore(db), audit.AllTenants())
	if b.Total != int64(len(stored)) || !b.FirstSeen.Equal(audit.InfinitePast()) || !b.LastSeen.Equal(audit.InfiniteFuture()) {
		t.Errorf("%d records from %v to %v, want %d of all times", b.Total, b.FirstSeen, b.LastSeen, len(stored))
	}
	// An infinite time is a day of its own, the first or the last one.
	first, last := b.ByDay[0], b.ByDay[len(b.ByDay)-1]
	if !first.Day.Equal(audit.InfinitePast()) || first.Total() != 3 || !last.Day.Equal(audit.InfiniteFuture()) || last.Total() != 3 {
		t.Errorf("the days begin with %+v and end with %+v, want 3 records at each infinity", first, last)
	}
	var targeted, want int64
	for _, parameter := range b.ByParameter {
		for _, n := range parameter.ByDecision {
			targeted += n
		}
	}
	want = int64(fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_records WHERE target_parameter IS NOT NULL"))
	if targeted != want {
		t.Errorf("%d records by parameter, want %d", targeted, want)
	}
}

func gapsShowsAnyRow(t *testing.T, db frame.Database) {
	dropChecks(t, db, "coordination_audit_gaps")
	var want []audit.Gap
	for _, odd := range oddTimes() {
		gap := frame.NewGap(odd.want, odd.want)
		gap.RecordedAt, gap.Cause, gap.Dropped = odd.want, "", map[audit.EnvelopeClass]int64{audit.Safety: -5, audit.Cost: math.MaxInt64}
		fixture.MustExec(t, db.Pool, `INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance,
				dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause, recorded_at)
			VALUES ($1, -5, 0, $2, 0, 0, $3, $4, $5::text::timestamptz, $5::text::timestamptz, '', $5::text::timestamptz)`,
			gap.GapID, int64(math.MaxInt64), gap.FirstAuditID, gap.LastAuditID, odd.text)
		want = append([]audit.Gap{gap}, want...)
	}
	for _, mode := range db.ExecModes() {
		store := coordaudit.New(frame.PoolInMode(t, db, mode), fixture.Quiet())
		if diff := cmp.Diff(want, frame.MustListGaps(t, store, audit.GapQuery{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", mode, diff)
		}
		since := frame.MustListGaps(t, store, audit.GapQuery{Window: audit.Window{Since: frame.LostAt(0)}})
		if diff := cmp.Diff(frame.GapIDs(want[:5]), frame.GapIDs(since)); diff != "" {
			t.Errorf("%s, since 2026 (-want +got):\n%s", mode, diff)
		}
	}
}
