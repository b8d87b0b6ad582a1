package auditdriver

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cycles"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Signals looks for the signals of a normalized, valid query with its defaults set.
func (d *Driver) Signals(ctx context.Context, q *audit.SignalQuery) (audit.Signals, error) {
	found := signals{queries: d.queries, query: q, in: selectionOf(q.Scope, q.Window), slices: slicesOf(q.Window)}
	found.Window = q.Window
	err := d.readUnder(ctx, windowSettings,
		found.rejectionRates, found.oscillations, found.friction, found.repeatedRejections, found.repeatedParameterRejections,
		found.preemptionCycles, found.preemptionEvidence)
	if err != nil {
		return audit.Signals{}, err
	}
	return found.Signals, nil
}

// Trend returns the rejection rates between rising bounds, in microseconds. Window i is
// [bounds[i], bounds[i+1]).
func (d *Driver) Trend(ctx context.Context, q *audit.TrendQuery, bounds []time.Time) (rates [][]audit.RejectionRate, err error) {
	windows := len(bounds) - 1
	starts := make([]pgtype.Timestamptz, windows)
	var slices []pgtype.Timestamptz
	for i := range starts {
		starts[i] = toPGTime(bounds[i])
		slices = append(slices, slicesOf(audit.Window{Since: bounds[i], Until: bounds[i+1]})...)
	}
	err = d.readUnder(ctx, windowSettings, func(ctx context.Context, db dbgen.DBTX) error {
		rates, err = rejectionRates(ctx, db, d.queries, dbgen.ListRejectionRatesParams{
			Starts:      starts,
			Slices:      slices,
			AllTenants:  q.Scope.IsAllTenants(),
			TenantID:    q.Scope.TenantID(),
			Since:       starts[0],
			Last:        toPGTime(bounds[windows].Add(-time.Microsecond)),
			MinRecords:  int64(q.MinRecords),
			MaxEvidence: int32(q.MaxEvidence),
		})
		return err
	})
	return rates, err
}

// rejectionRates returns one list per window.
func rejectionRates(ctx context.Context, db dbgen.DBTX, queries *dbgen.Queries, params dbgen.ListRejectionRatesParams) ([][]audit.RejectionRate, error) {
	rows, err := queries.ListRejectionRates(ctx, db, params)
	windows := make([][]audit.RejectionRate, len(params.Starts))
	for _, row := range rows {
		i := row.WindowNumber - 1
		windows[i] = append(windows[i], audit.RejectionRate{
			EnvelopeClass: audit.EnvelopeClass(row.EnvelopeClass),
			Rejected:      row.Rejected,
			Total:         row.Records,
			FirstSeen:     fromPGTime(row.FirstSeen),
			LastSeen:      fromPGTime(row.LastSeen),
			Evidence:      audit.Evidence{AuditIDs: allFromPG(row.Evidence), Records: row.Rejected},
			TopReasonCode: audit.TopReasonCode{ReasonCode: row.TopReasonCode, Records: row.TopReasonCodeRecords},
		})
	}
	return windows, err
}

// signals is a Signals that is being computed.
type signals struct {
	audit.Signals
	queries *dbgen.Queries
	query   *audit.SignalQuery
	in      selection
	slices  []pgtype.Timestamptz
}

func (s *signals) rejectionRates(ctx context.Context, db dbgen.DBTX) error {
	windows, err := rejectionRates(ctx, db, s.queries, dbgen.ListRejectionRatesParams{
		Starts:      []pgtype.Timestamptz{s.in.Since},
		Slices:      s.slices,
		AllTenants:  s.in.AllTenants,
		TenantID:    s.in.TenantID,
		Since:       s.in.Since,
		Last:        s.in.Last,
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
		Last:        s.in.Last,
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
			FirstPreempted:      fromPGTime(row.FirstPreempted),
			LastReapplied:       fromPGTime(row.LastReapplied),
			Evidence:            audit.Evidence{AuditIDs: allFromPG(row.Evidence), Records: 2 * row.Cycles},
		})
	}
	return err
}

// classLookback is how long before a window friction looks for the classes of all envelopes at
// once. Those without a record there are few, and are looked up at any age.
const classLookback = 24 * time.Hour

func (s *signals) friction(ctx context.Context, db dbgen.DBTX) error {
	since, _ := bounds(s.query.Window)
	rows, err := s.queries.ListFriction(ctx, db, dbgen.ListFrictionParams{
		AllTenants:   s.in.AllTenants,
		TenantID:     s.in.TenantID,
		Since:        s.in.Since,
		Last:         s.in.Last,
		KnownSince:   toPGTime(since.Add(-classLookback)),
		Slices:       s.slices,
		MinConflicts: int64(s.query.MinConflicts),
		MaxEvidence:  int32(s.query.MaxEvidence),
	})
	for _, row := range rows {
		evidence := audit.Evidence{AuditIDs: allFromPG(row.Evidence), Records: row.Conflicts}
		code := audit.TopReasonCode{ReasonCode: row.TopReasonCode, Records: row.TopReasonCodeRecords}
		if row.IsSelf {
			s.SelfConflicts = audit.SelfConflicts{Conflicts: row.Conflicts, Evidence: evidence, TopReasonCode: code}
			continue
		}
		s.Friction = append(s.Friction, audit.Friction{
			EnvelopeClass:    audit.EnvelopeClass(row.EnvelopeClass),
			CounterpartClass: audit.EnvelopeClass(row.CounterpartClass),
			Conflicts:        row.Conflicts,
			Rejected:         row.Rejected,
			Preempted:        row.Preempted,
			Evidence:         evidence,
			TopReasonCode:    code,
		})
	}
	return err
}

func (s *signals) repeatedRejections(ctx context.Context, db dbgen.DBTX) error {
	rows, err := s.queries.ListRepeatedRejections(ctx, db, s.repeated())
	for _, row := range rows {
		s.RepeatedRejections = append(s.RepeatedRejections, audit.RepeatedRejection{
			TenantID:      row.TenantID,
			EnvelopeID:    row.EnvelopeID,
			Rejections:    row.Rejections,
			FirstSeen:     fromPGTime(row.FirstSeen),
			LastSeen:      fromPGTime(row.LastSeen),
			Evidence:      audit.Evidence{AuditIDs: allFromPG(row.Evidence), Records: row.Rejections},
			TopReasonCode: audit.TopReasonCode{ReasonCode: row.TopReasonCode, Records: row.TopReasonCodeRecords},
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
			FirstSeen:          fromPGTime(row.FirstSeen),
			LastSeen:           fromPGTime(row.LastSeen),
			Evidence:           audit.Evidence{AuditIDs: allFromPG(row.Evidence), Records: row.Rejections},
			TopReasonCode:      audit.TopReasonCode{ReasonCode: row.TopReasonCode, Records: row.TopReasonCodeRecords},
		})
	}
	return err
}

// preemptionCycles finds the cycles in all preemptions that can be part of one.
func (s *signals) preemptionCycles(ctx context.Context, db dbgen.DBTX) error {
	rows, err := s.queries.ListPreemptionEdges(ctx, db, dbgen.ListPreemptionEdgesParams{
		AllTenants: s.in.AllTenants,
		TenantID:   s.in.TenantID,
		Since:      s.in.Since,
		Last:       s.in.Last,
		MaxEdges:   audit.MaxPreemptionEdges + 1,
	})
	if err != nil {
		return err
	}
	more := len(rows) > audit.MaxPreemptionEdges
	rows = rows[:min(len(rows), audit.MaxPreemptionEdges)]
	edges := make([]cycles.Edge, len(rows))
	for i, row := range rows {
		edges[i] = cycles.Edge{Tenant: row.TenantID, Envelope: row.EnvelopeID, Preemptor: row.PreemptingEnvelopeID, Preemptions: row.Preemptions}
	}
	found, err := cycles.Find(ctx, edges, audit.MaxPreemptionCycles)
	s.PreemptionCycles.Total, s.PreemptionCycles.AtLeast = found.Total, found.AtLeast || more
	for _, c := range found.Heaviest {
		cycle := audit.PreemptionCycle{TenantID: c.Tenant, Turns: c.Turns}
		for i, envelope := range c.Envelopes {
			cycle.Steps = append(cycle.Steps, audit.PreemptionStep{EnvelopeID: envelope, Preemptions: c.Counts[i]})
		}
		s.PreemptionCycles.Heaviest = append(s.PreemptionCycles.Heaviest, cycle)
	}
	return err
}

// preemptionEvidence reads the preemptions of the cycles that were found.
func (s *signals) preemptionEvidence(ctx context.Context, db dbgen.DBTX) error {
	if len(s.PreemptionCycles.Heaviest) == 0 {
		return nil
	}
	var ids []string
	for _, cycle := range s.PreemptionCycles.Heaviest {
		for _, step := range cycle.Steps {
			ids = append(ids, step.EnvelopeID)
		}
	}
	slices.Sort(ids)
	rows, err := s.queries.ListPreemptionEvidence(ctx, db, dbgen.ListPreemptionEvidenceParams{
		AllTenants:  s.in.AllTenants,
		TenantID:    s.in.TenantID,
		Since:       s.in.Since,
		Last:        s.in.Last,
		EnvelopeIDs: slices.Compact(ids),
		MaxEvidence: int32(s.query.MaxEvidence),
	})
	type pair struct{ tenant, envelope, preemptor string }
	of := make(map[pair]*dbgen.ListPreemptionEvidenceRow, len(rows))
	for i, row := range rows {
		of[pair{row.TenantID, row.EnvelopeID, row.PreemptingEnvelopeID}] = &rows[i]
	}
	for _, cycle := range s.PreemptionCycles.Heaviest {
		for i := range cycle.Steps {
			step, next := &cycle.Steps[i], cycle.Steps[(i+1)%len(cycle.Steps)]
			if row := of[pair{cycle.TenantID, step.EnvelopeID, next.EnvelopeID}]; row != nil {
				step.FirstSeen, step.LastSeen = fromPGTime(row.FirstSeen), fromPGTime(row.LastSeen)
				step.Evidence = audit.Evidence{AuditIDs: allFromPG(row.Evidence), Records: step.Preemptions}
			}
		}
	}
	return err
}

// repeated returns the parameters of both lists of repeated rejections.
func (s *signals) repeated() dbgen.ListRepeatedRejectionsParams {
	return dbgen.ListRepeatedRejectionsParams{
		AllTenants:    s.in.AllTenants,
		TenantID:      s.in.TenantID,
		Since:         s.in.Since,
		Last:          s.in.Last,
		Slices:        s.slices,
		MinRejections: int64(s.query.MinRejections),
		MaxEvidence:   int32(s.query.MaxEvidence),
	}
}
