package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// account is the section on completeness, and its line in the head.
type account struct {
	Verdict string
	Unread  string // why there is nothing else

	Counts  []tile
	Sources []sourceRow // those worth a look
	Nothing string      // said if there are none
	Faults  []faultRow

	// MoreSources and MoreFaults are how many are not shown.
	MoreSources, MoreFaults int64
}

type sourceRow struct {
	audit.SourceAccount
	State string
}

// faultRow is an unexplained range or a finding.
type faultRow struct {
	SourceID      string
	What          string
	Records       int64 // 0 for a finding
	After, Before time.Time
}

func newAccount(data Data) account {
	found := data.Completeness
	if found == nil {
		return account{Verdict: "not known", Unread: cmp.Or(data.CompletenessUnread, "the account was not read.")}
	}
	view := account{Verdict: format.Verdict(*found), Counts: accountCounts(found), Nothing: "All of these sources are complete and closed."}
	if len(found.Sources) == 0 {
		view.Nothing = "No source was at work since the window began."
	}
	sources := slices.DeleteFunc(slices.Clone(found.Sources), audit.SourceAccount.Finished)
	slices.SortStableFunc(sources, func(a, b audit.SourceAccount) int { return cmp.Compare(faultsOf(b), faultsOf(a)) })
	for _, source := range sources {
		view.Sources = append(view.Sources, sourceRow{source, format.SourceState(source)})
		for _, r := range source.Unexplained {
			view.Faults = append(view.Faults, faultRow{source.SourceID.String(), "unexplained " + format.Ordinals(r.First, r.Last), r.Total(), r.After, r.Before})
		}
		for _, f := range source.Findings {
			view.Faults = append(view.Faults, faultRow{SourceID: source.SourceID.String(), What: format.Finding(f)})
		}
	}
	view.MoreSources, view.MoreFaults = int64(max(0, len(view.Sources)-MaxSources)), int64(max(0, len(view.Faults)-MaxFaults))
	view.Sources, view.Faults = view.Sources[:min(len(view.Sources), MaxSources)], view.Faults[:min(len(view.Faults), MaxFaults)]
	return view
}

// faultsOf is 1 for a source with a fault, which comes first.
func faultsOf(a audit.SourceAccount) int { return min(1, len(a.Unexplained)+len(a.Findings)) }

func accountCounts(found *audit.Completeness) []tile {
	var finished, present, explained, waiting, lastBlock, unexplained, findings int64
	for i := range found.Sources {
		source := &found.Sources[i]
		if source.Finished() {
			finished++
		}
		present += source.Present
		explained += source.Explained.Total()
		waiting += source.Waiting
		lastBlock += source.LastBlock
		unexplained += source.UnexplainedTotal()
		findings += int64(len(source.Findings))
	}
	return []tile{
		{Name: "sources", Value: format.Thousands(int64(len(found.Sources))), Note: format.Thousands(finished) + " complete and closed"},
		{Name: "records present", Value: format.Thousands(present)},
		{Name: "dropped, rejected or stored elsewhere", Value: format.Thousands(explained)},
		{Name: "waiting", Value: format.Thousands(waiting)},
		{Name: "in last blocks", Value: format.Thousands(lastBlock), Note: "perhaps never given"},
		{Name: "unexplained", Value: format.Thousands(unexplained)},
		{Name: "findings", Value: format.Thousands(findings)},
		{Name: "records without a number", Value: format.Thousands(found.Unnumbered), Note: "of all times"},
	}
}
