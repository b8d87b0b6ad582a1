package auditdriver

import (
	"cmp"
	"context"
	"slices"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Breakdown counts the records of a normalized, valid query.
func (d *Driver) Breakdown(ctx context.Context, q *audit.BreakdownQuery) (audit.Breakdown, error) {
	counted := breakdown{queries: d.queries, in: selectionOf(q.Scope, q.Window)}
	counted.Window = q.Window
	err := d.readUnder(ctx, searchSettings,
		counted.byClassAndDecision, counted.byTenant, counted.byDay, counted.byReason, counted.byReasonCode, counted.byParameter)
	if err != nil {
		return audit.Breakdown{}, err
	}
	return counted.Breakdown, nil
}

// selection is the part that the queries over a window have in common. Each query's
// parameters begin with it or equal it.
type selection = dbgen.CountByTenantParams

func selectionOf(scope audit.Scope, window audit.Window) selection {
	since, last := bounds(window)
	return selection{AllTenants: scope.IsAllTenants(), TenantID: scope.TenantID(), Since: toPGTime(since), Last: toPGTime(last)}
}

// breakdown is a Breakdown that is being computed.
type breakdown struct {
	audit.Breakdown
	queries *dbgen.Queries
	in      selection
}

func (b *breakdown) byClassAndDecision(ctx context.Context, db dbgen.DBTX) error {
	rows, err := b.queries.CountByClassAndDecision(ctx, db, dbgen.CountByClassAndDecisionParams(b.in))
	b.ByClassDecision = make(map[audit.EnvelopeClass]map[audit.Decision]int64)
	for _, row := range rows {
		if b.ByClassDecision[row.EnvelopeClass] == nil {
			b.ByClassDecision[row.EnvelopeClass] = make(map[audit.Decision]int64)
		}
		b.ByClassDecision[row.EnvelopeClass][row.Decision] = row.Records
		if first := fromPGTime(row.FirstSeen); b.Total == 0 || first.Before(b.FirstSeen) {
			b.FirstSeen = first
		}
		if last := fromPGTime(row.LastSeen); b.Total == 0 || last.After(b.LastSeen) {
			b.LastSeen = last
		}
		b.MaxActiveEnvelopes = max(b.MaxActiveEnvelopes, row.MaxActiveEnvelopes)
		b.Total += row.Records
	}
	return err
}

func (b *breakdown) byTenant(ctx context.Context, db dbgen.DBTX) error {
	rows, err := b.queries.CountByTenant(ctx, db, b.in)
	b.ByTenant = make(map[string]int64, len(rows))
	for _, row := range rows {
		b.ByTenant[row.TenantID] = row.Records
	}
	return err
}

func (b *breakdown) byDay(ctx context.Context, db dbgen.DBTX) error {
	rows, err := b.queries.CountByDayAndClass(ctx, db, dbgen.CountByDayAndClassParams(b.in))
	for _, row := range rows {
		day := fromPGTime(row.Day)
		if last := len(b.ByDay) - 1; last < 0 || !b.ByDay[last].Day.Equal(day) {
			b.ByDay = append(b.ByDay, audit.DayCount{Day: day, ByClass: make(map[audit.EnvelopeClass]int64)})
		}
		b.ByDay[len(b.ByDay)-1].ByClass[row.EnvelopeClass] = row.Records
	}
	return err
}

// byReason comes after the total, from which it subtracts.
func (b *breakdown) byReason(ctx context.Context, db dbgen.DBTX) error {
	rows, err := b.queries.CountByReason(ctx, db, dbgen.CountByReasonParams{
		AllTenants: b.in.AllTenants,
		TenantID:   b.in.TenantID,
		Since:      b.in.Since,
		Last:       b.in.Last,
		MaxReasons: audit.MaxReasons,
	})
	b.ByReason, b.OtherReasons = make(map[string]int64, len(rows)), b.Total
	for _, row := range rows {
		b.ByReason[row.Reason] = row.Records
		b.OtherReasons -= row.Records
	}
	return err
}

func (b *breakdown) byReasonCode(ctx context.Context, db dbgen.DBTX) error {
	rows, err := b.queries.CountByReasonCode(ctx, db, dbgen.CountByReasonCodeParams{
		AllTenants:     b.in.AllTenants,
		TenantID:       b.in.TenantID,
		Since:          b.in.Since,
		Last:           b.in.Last,
		MaxReasonCodes: audit.MaxReasonCodes,
	})
	b.ByReasonCode = make(map[string]map[audit.Decision]int64)
	for i, row := range rows {
		if i == 0 {
			b.OtherReasonCodes = row.AllRecords
		}
		if b.ByReasonCode[row.ReasonCode] == nil {
			b.ByReasonCode[row.ReasonCode] = make(map[audit.Decision]int64)
		}
		b.ByReasonCode[row.ReasonCode][audit.Decision(row.Decision)] = row.Records
		b.OtherReasonCodes -= row.Records
	}
	return err
}

func (b *breakdown) byParameter(ctx context.Context, db dbgen.DBTX) error {
	rows, err := b.queries.CountByParameter(ctx, db, dbgen.CountByParameterParams(b.in))
	slices.SortFunc(rows, func(x, y dbgen.CountByParameterRow) int {
		return cmp.Or(
			cmp.Compare(x.EnvelopeClass, y.EnvelopeClass),
			cmp.Compare(x.TargetSubsystem, y.TargetSubsystem),
			cmp.Compare(x.TargetParameter, y.TargetParameter),
		)
	})
	for _, row := range rows {
		last := len(b.ByParameter) - 1
		if last < 0 || b.ByParameter[last].EnvelopeClass != row.EnvelopeClass ||
			b.ByParameter[last].TargetSubsystem != row.TargetSubsystem || b.ByParameter[last].TargetParameter != row.TargetParameter {
			b.ByParameter = append(b.ByParameter, audit.ParameterCount{
				EnvelopeClass:   row.EnvelopeClass,
				TargetSubsystem: row.TargetSubsystem,
				TargetParameter: row.TargetParameter,
				ByDecision:      make(map[audit.Decision]int64),
			})
			last++
		}
		// NULL and '' are two groups in SQL and one in the result.
		b.ByParameter[last].ByDecision[row.Decision] += row.Records
	}
	return err
}
