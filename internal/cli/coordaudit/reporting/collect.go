package reporting

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

// Within these bounds a report counts by the hour: few days, and few records to read.
const (
	hourlyWindow  = 72 * time.Hour
	hourlyRecords = 10_000
)

// CollectReport reads everything that a report shows but what is missing, part by part, from a
// store that reads at one moment. What it reads is bounded, also for a large window.
func CollectReport(ctx context.Context, store *coordaudit.Store, query audit.SignalQuery, made time.Time, latest int, step func(doing string)) (report.Data, error) {
	data := report.Data{Query: query, Made: made}
	var err error
	step("counting the records")
	if data.Later, err = store.Count(ctx, audit.Query{Scope: query.Scope, Window: audit.Window{Since: query.Window.Until}}); err != nil {
		return data, err
	}
	if data.Breakdown, err = store.Breakdown(ctx, audit.BreakdownQuery{Scope: query.Scope, Window: query.Window}); err != nil || data.Breakdown.Total == 0 {
		return data, err
	}
	step("looking for signals")
	if data.Signals, err = store.Signals(ctx, query); err != nil {
		return data, err
	}
	step("listing records and oscillations")
	page, err := store.List(ctx, audit.Query{Scope: query.Scope, Window: query.Window, Limit: latest})
	if err != nil {
		return data, err
	}
	data.Latest = page.Records
	if isHourly(query.Window, made, data.Breakdown) {
		if data.Hours, err = countHours(ctx, store, query); err != nil {
			return data, err
		}
	}
	oscillations := data.Signals.Oscillations
	for _, oscillation := range oscillations[:min(len(oscillations), report.MaxLanes)] {
		lane, err := readLane(ctx, store, query.Window, oscillation)
		if err != nil {
			return data, err
		}
		data.Lanes = append(data.Lanes, lane)
	}
	return data, nil
}

// collectGaps reads the gaps of a window, unless the role may not.
func collectGaps(ctx context.Context, store *coordaudit.Store, window audit.Window) (gaps []audit.Gap, unread bool, err error) {
	gaps, err = store.Gaps(ctx, audit.GapQuery{Window: window, Limit: report.MaxGaps + 1})
	if errors.Is(err, audit.ErrRefused) {
		return nil, true, nil
	}
	return gaps, false, err
}

func isHourly(window audit.Window, made time.Time, found audit.Breakdown) bool {
	since, until := window.Since, window.Until
	if since.IsZero() {
		since = found.FirstSeen
	}
	if until.IsZero() {
		until = made
		if found.LastSeen.After(made) {
			until = found.LastSeen
		}
	}
	return until.Sub(since) < hourlyWindow && found.Total <= hourlyRecords
}

func countHours(ctx context.Context, store *coordaudit.Store, query audit.SignalQuery) ([]report.HourCount, error) {
	counts := make(map[time.Time]map[audit.EnvelopeClass]int64)
	for rec, err := range store.All(ctx, audit.Query{Scope: query.Scope, Window: query.Window}) {
		if err != nil {
			return nil, err
		}
		hour := rec.DecisionTimestamp.UTC().Truncate(time.Hour)
		if counts[hour] == nil {
			counts[hour] = make(map[audit.EnvelopeClass]int64)
		}
		counts[hour][rec.EnvelopeClass]++
	}
	hours := make([]report.HourCount, 0, len(counts))
	for hour, byClass := range counts {
		hours = append(hours, report.HourCount{Hour: hour, ByClass: byClass})
	}
	slices.SortFunc(hours, func(a, b report.HourCount) int { return a.Hour.Compare(b.Hour) })
	return hours, nil
}

// readLane reads the latest decisions about an oscillating envelope. An envelope's id
// belongs to its tenant, so readLane looks in that tenant, also in a report on all.
func readLane(ctx context.Context, store *coordaudit.Store, window audit.Window, oscillation audit.Oscillation) (report.Lane, error) {
	scope := audit.NoTenant()
	if oscillation.TenantID != "" {
		scope = audit.Tenant(oscillation.TenantID)
	}
	page, err := store.List(ctx, audit.Query{
		Scope:       scope,
		Window:      window,
		EnvelopeIDs: []string{oscillation.EnvelopeID},
		Limit:       report.MaxLaneRecords,
	})
	slices.Reverse(page.Records)
	return report.Lane{Oscillation: oscillation, Records: page.Records, More: page.Next != ""}, err
}

const guardsTimeout = 30 * time.Second

// readGuards finds out for the head of the report whether the guards of the trail were in
// place at the moment. If it cannot, the report is written all the same.
func readGuards(ctx context.Context, db *shared.Database, at moment) report.Guards {
	ctx, cancel := context.WithTimeout(ctx, guardsTimeout)
	defer cancel()
	found, err := checkGuards(ctx, db, at)
	if err != nil {
		return report.Guards{}
	}
	guards := report.Guards{Checked: true}
	for _, d := range found {
		switch d.Severity {
		case auditadmin.Error:
			guards.Differences = append(guards.Differences, d.Object)
		case auditadmin.Unchecked:
			guards.Unchecked = append(guards.Unchecked, d.Object)
		default: // it harms nothing
		}
	}
	return guards
}

func checkGuards(ctx context.Context, db *shared.Database, at moment) ([]auditadmin.Difference, error) {
	migrator, err := auditmigrate.Open(db.URL, auditmigrate.Config{})
	if err != nil {
		return nil, err
	}
	conn, err := migrator.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it only read
	tx, err := at.begin(ctx, conn)
	if err != nil {
		return nil, err
	}
	return auditadmin.CheckTx(ctx, tx)
}
