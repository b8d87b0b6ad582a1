package main

import (
	"context"
	"slices"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

// Up to here a report counts by the hour: a window of few days, in which few
// records have to be read to be counted.
const (
	hourlyWindow  = 72 * time.Hour
	hourlyRecords = 10_000
)

// collectReport asks for all that a report shows, part by part. What it asks for
// is bounded, however much the window holds.
func collectReport(ctx context.Context, store *coordaudit.Store, query audit.SignalQuery, made time.Time, latest int) (report.Data, error) {
	data := report.Data{Query: query, Made: made}
	var err error
	if data.Breakdown, err = store.Breakdown(ctx, audit.BreakdownQuery{Scope: query.Scope, Window: query.Window}); err != nil || data.Breakdown.Total == 0 {
		return data, err
	}
	if data.Signals, err = store.Signals(ctx, query); err != nil {
		return data, err
	}
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

// readLane reads the latest decisions about an oscillating envelope. Its id is its
// tenant's, so it is looked for there, also where all tenants are looked at.
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
