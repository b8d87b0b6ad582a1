package auditdriver

import (
	"context"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Signals looks for the signals of a normalized, valid query with its defaults set.
func (d *Driver) Signals(ctx context.Context, q *audit.SignalQuery) (audit.Signals, error) {
	found := signals{queries: d.queries, query: q, in: selectionOf(q.Scope, q.Window)}
	found.Window = q.Window
	err := d.readMoment(ctx,
		found.rejectionRates, found.oscillations, found.friction, found.repeatedRejections, found.repeatedParameterRejections)
	if err != nil {
		return audit.Signals{}, err
	}
	return found.Signals, nil
}

// Trend returns the rejection rates between bounds that rise: those of window i
// lie in [bounds[i], bounds[i+1]).
func (d *Driver) Trend(ctx context.Context, q *audit.TrendQuery, bounds []time.Time) (rates [][]audit.RejectionRate, err error) {
	err = d.readMoment(ctx, func(ctx context.Context, db dbgen.DBTX) error {
		rates, err = rejectionRates(ctx, db, d.queries, dbgen.ListRejectionRatesParams{
			Bounds:      bounds,
			AllTenants:  q.Scope.IsAllTenants(),
			TenantID:    q.Scope.TenantID(),
			Since:       bounds[0],
			Until:       bounds[len(bounds)-1],
			MinRecords:  int64(q.MinRecords),
			MaxEvidence: int32(q.MaxEvidence),
		})
		return err
	})
	return rates, err
}

// rejectionRates returns a list for each window between the bounds.
func rejectionRates(ctx context.Context, db dbgen.DBTX, queries *dbgen.Queries, params dbgen.ListRejectionRatesParams) ([][]audit.RejectionRate, error) {
	rows, err := queries.ListRejectionRates(ctx, db, params)
	windows := make([][]audit.RejectionRate, len(params.Bounds)-1)
	for _, row := range rows {
		i := row.WindowNumber - 1
		windows[i] = append(windows[i], audit.RejectionRate{
			EnvelopeClass: audit.EnvelopeClass(row.EnvelopeClass),
			Rejected:      row.Rejected,
			Total:         row.Records,
			FirstSeen:     row.FirstSeen.UTC(),
			LastSeen:      row.LastSeen.UTC(),
			Evidence:      audit.Evidence{AuditIDs: allFromPG(row.Evidence), Records: row.Rejected},
		})
	}
	return windows, err
}

// signals are Signals in the making.
type signals struct {
	audit.Signals
	queries *dbgen.Queries
	query   *audit.SignalQuery
	in      selection
}

func (s *signals) rejectionRates(ctx context.Context, db dbgen.DBTX) error {
	windows, err := rejectionRates(ctx, db, s.queries, dbgen.ListRejectionRatesParams{
		Bounds:      []time.Time{s.in.Since, s.in.Until},
		AllTenants:  s.in.AllTenants,
		TenantID:    s.in.TenantID,
		Since:       s.in.Since,
		Until:       s.in.Until,
		MinRecords:  int64(s.query.MinRecords),
		MaxEvidence: int32(s.query.MaxEvidence),
	})
	s.RejectionRates = windows[0]
	return err
}

func (s *signals) oscillations(ctx context.Context, db dbgen.DBTX) error {
	rows, err := s.queries.ListOscillations(ctx, db, dbgen.ListOscillationsParams{
		AllTenants:  s.in.AllTenants,
		TenantID:    s.in.TenantID,
		Since:       s.in.Since,
		Until:       s.in.Until,
		MinCycles:   int64(s.query.MinCycles),
		MaxEvidence: int32(s.query.MaxEvidence),
	})
	for _, row := range rows {
		preempting := make(map[string]int64, len(row.PreemptingEnvelopeIDs))
		for i, id := range row.PreemptingEnvelopeIDs {
			preempting[id] = row.PreemptingCounts[i]
		}
		s.Oscillations = append(s.Oscillations, audit.Oscillation{
			TenantID:            row.TenantID,
			EnvelopeID:          row.EnvelopeID,
			Cycles:              row.Cycles,
			PreemptingEnvelopes: preempting,
			FirstPreempted:      row.FirstPreempted.UTC(),
			LastReapplied:       row.LastReapplied.UTC(),
			Evidence:            audit.Evidence{AuditIDs: allFromPG(row.Evidence), Records: 2 * row.Cycles},
		})
	}
	return err
}

func (s *signals) friction(ctx context.Context, db dbgen.DBTX) error {
	rows, err := s.queries.ListFriction(ctx, db, dbgen.ListFrictionParams{
		AllTenants:   s.in.AllTenants,
		TenantID:     s.in.TenantID,
		Since:        s.in.Since,
		Until:        s.in.Until,
		MinConflicts: int64(s.query.MinConflicts),
		MaxEvidence:  int32(s.query.MaxEvidence),
	})
	for _, row := range rows {
		evidence := audit.Evidence{AuditIDs: allFromPG(row.Evidence), Records: row.Conflicts}
		if row.EnvelopeClass == "" {
			s.SelfConflicts = audit.SelfConflicts{Conflicts: row.Conflicts, Evidence: evidence}
			continue
		}
		s.Friction = append(s.Friction, audit.Friction{
			EnvelopeClass:    audit.EnvelopeClass(row.EnvelopeClass),
			CounterpartClass: audit.EnvelopeClass(row.CounterpartClass),
			Conflicts:        row.Conflicts,
			Rejected:         row.Rejected,
			Preempted:        row.Preempted,
			Evidence:         evidence,
		})
	}
	return err
}

func (s *signals) repeatedRejections(ctx context.Context, db dbgen.DBTX) error {
	rows, err := s.queries.ListRepeatedRejections(ctx, db, s.repeated())
	for _, row := range rows {
		s.RepeatedRejections = append(s.RepeatedRejections, audit.RepeatedRejection{
			TenantID:   row.TenantID,
			EnvelopeID: row.EnvelopeID,
			Rejections: row.Rejections,
			FirstSeen:  row.FirstSeen.UTC(),
			LastSeen:   row.LastSeen.UTC(),
			Evidence:   audit.Evidence{AuditIDs: allFromPG(row.Evidence), Records: row.Rejections},
		})
	}
	return err
}

func (s *signals) repeatedParameterRejections(ctx context.Context, db dbgen.DBTX) error {
	rows, err := s.queries.ListRepeatedParameterRejections(ctx, db, dbgen.ListRepeatedParameterRejectionsParams(s.repeated()))
	for _, row := range rows {
		classes := make(map[audit.EnvelopeClass]int64)
		for class, n := range map[audit.EnvelopeClass]int64{
			audit.Safety: row.BySafety, audit.Reliability: row.ByReliability, audit.Cost: row.ByCost,
			audit.Performance: row.ByPerformance, audit.Unknown: row.ByUnknown,
		} {
			if n > 0 {
				classes[class] = n
			}
		}
		s.RepeatedParameterRejections = append(s.RepeatedParameterRejections, audit.RepeatedParameterRejection{
			TenantID:           row.TenantID,
			TargetSubsystem:    row.TargetSubsystem,
			TargetParameter:    row.TargetParameter,
			Rejections:         row.Rejections,
			CounterpartClasses: classes,
			FirstSeen:          row.FirstSeen.UTC(),
			LastSeen:           row.LastSeen.UTC(),
			Evidence:           audit.Evidence{AuditIDs: allFromPG(row.Evidence), Records: row.Rejections},
		})
	}
	return err
}

// repeated is what both lists of repeated rejections are asked for by.
func (s *signals) repeated() dbgen.ListRepeatedRejectionsParams {
	return dbgen.ListRepeatedRejectionsParams{
		AllTenants:    s.in.AllTenants,
		TenantID:      s.in.TenantID,
		Since:         s.in.Since,
		Until:         s.in.Until,
		MinRejections: int64(s.query.MinRejections),
		MaxEvidence:   int32(s.query.MaxEvidence),
	}
}
