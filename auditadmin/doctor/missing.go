package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

type gapSummary struct {
	Gaps    int64      `json:"gaps"`
	Dropped int64      `json:"dropped"`
	Safety  int64      `json:"safety"`
	Last    *time.Time `json:"last"`
	Age     *float64   `json:"age"` // of the last, in seconds
}

// checkGaps sums up what was dropped. Nothing brings it back, so an old gap is a notice.
func checkGaps(ctx context.Context, x *examination) ([]Finding, error) {
	if !x.has(gapsTable) {
		return nil, nil
	}
	var found gapSummary
	err := x.ask(ctx, &found, `
		SELECT pg_catalog.jsonb_build_object(
			'gaps', pg_catalog.count(*),
			'dropped', coalesce(pg_catalog.sum(g.dropped_safety + g.dropped_reliability + g.dropped_cost + g.dropped_performance + g.dropped_unknown), 0),
			'safety', coalesce(pg_catalog.sum(g.dropped_safety), 0),
			'last', pg_catalog.max(g.recorded_at),
			'age', extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.max(g.recorded_at))::float8
		)::text
		FROM `+x.table(gapsTable)+` AS g`)
	if err != nil || found.Gaps == 0 || found.Last == nil || found.Age == nil {
		return nil, err
	}
	f := Finding{
		Severity: Notice, Object: "table " + x.table(gapsTable),
		Evidence: fmt.Sprintf("%s on record, with %s dropped, %d of class SAFETY; the last one at %s",
			format.Plural(found.Gaps, "gap"), format.Plural(found.Dropped, "record"), found.Safety, format.Time(*found.Last)),
		Repair: "coordaudit gaps says when and why; nothing brings the records back: give the Recorder a SpoolDir on a disk with room",
	}
	if *found.Age < x.limits.recentGap.Seconds() {
		f.Severity = Warning
	}
	return []Finding{f}, nil
}

// account judges the sources once for all checks. It reads every record.
func (x *examination) account(ctx context.Context) ([]audit.SourceAccount, error) {
	if !x.accounted && x.has(recordsTable, statementsTable) {
		x.accounts, x.accountErr = x.judge(ctx)
		x.accounted = true
	}
	return x.accounts, x.accountErr
}

func (x *examination) judge(ctx context.Context) ([]audit.SourceAccount, error) {
	testimony, err := auditdriver.NewInSchema(x.pool, x.trail.Schema).Testify(ctx, audit.Window{}.Normalized())
	if err != nil {
		return nil, err
	}
	var accounts []audit.SourceAccount
	for id, source := range testimony.Sources {
		accounts = append(accounts, completeness.Judge(id, source.Statements, source.Rows))
	}
	slices.SortFunc(accounts, func(a, b audit.SourceAccount) int { return cmp.Compare(a.SourceID.String(), b.SourceID.String()) })
	x.at = testimony.At
	return accounts, nil
}

// checkOrdinals reports what is missing without an explanation, and what contradicts itself.
func checkOrdinals(ctx context.Context, x *examination) ([]Finding, error) {
	accounts, err := x.account(ctx)
	if err != nil {
		return nil, err
	}
	var missing, contradicting sourceList
	for i := range accounts {
		a := &accounts[i]
		if n := a.UnexplainedTotal(); n > 0 {
			missing.add(a, n)
		}
		if len(a.Findings) > 0 {
			contradicting.add(a, int64(len(a.Findings)))
		}
	}
	var list []Finding
	if missing.total > 0 {
		list = append(list, missing.finding(Error, format.Plural(missing.total, "ordinal")+" given, not stored and explained by nothing: lost, or removed"))
	}
	if contradicting.total > 0 {
		list = append(list, contradicting.finding(Error, format.Plural(contradicting.total, "contradiction")+" between statements and rows"))
	}
	return list, nil
}

// checkSources reports sources that ended without saying so, and what they had in hand.
func checkSources(ctx context.Context, x *examination) ([]Finding, error) {
	accounts, err := x.account(ctx)
	if err != nil {
		return nil, err
	}
	var open, waiting sourceList
	for i := range accounts {
		a := &accounts[i]
		if a.Imported || a.LastStatementAt.IsZero() || x.at.Sub(a.LastStatementAt) < x.limits.silence {
			continue
		}
		if a.Waiting > 0 {
			waiting.add(a, a.Waiting)
		}
		if !a.Closed {
			open.add(a, a.LastBlock)
		}
	}
	var list []Finding
	if len(waiting.names) > 0 {
		f := waiting.finding(Warning, fmt.Sprintf("%s in the spools of sources that have been silent for %s", format.Plural(waiting.total, "record"), format.Age(x.limits.silence)))
		f.Repair = "start a Recorder on the spool directory of each, or import it: coordaudit import DIR/*.jsonl"
		list = append(list, f)
	}
	if len(open.names) > 0 {
		f := open.finding(Warning, fmt.Sprintf("never closed, and silent for %s: killed, or cut off, with up to %s that no one can account for", format.Age(x.limits.silence), format.Plural(open.total, "record")))
		f.Repair = "start a Recorder on the spool directory of each, whose statements close the account; else it stays open: coordaudit completeness"
		list = append(list, f)
	}
	return list, nil
}

// sourceList is sources with a fault, of which a few are named.
type sourceList struct {
	names []string
	total int64
}

func (l *sourceList) add(a *audit.SourceAccount, n int64) {
	l.names = append(l.names, strings.TrimSpace(a.SourceID.String()+" "+a.Label))
	l.total += n
}

func (l *sourceList) finding(severity Severity, evidence string) Finding {
	const most = 3
	object := "source " + l.names[0]
	if n := len(l.names); n > 1 {
		object = "sources " + strings.Join(l.names[:min(n, most)], ", ")
		if n > most {
			object += fmt.Sprintf(" and %d more", n-most)
		}
	}
	return Finding{Severity: severity, Object: object, Evidence: evidence, Repair: "coordaudit completeness says which and since when; coordaudit verify says whether a sealed record was removed"}
}
