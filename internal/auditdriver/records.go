package auditdriver

import (
	"context"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Get reads one record if it is in the scope. Otherwise it returns [audit.ErrNotFound].
func (d *Driver) Get(ctx context.Context, scope audit.Scope, id uuid.UUID) (rec audit.Record, err error) {
	err = d.read(ctx, func(db dbgen.DBTX) error {
		row, err := d.queries.GetAuditRecord(ctx, db, dbgen.GetAuditRecordParams{
			AuditID:    toPG(id),
			AllTenants: scope.IsAllTenants(),
			TenantID:   scope.TenantID(),
		})
		rec = fromRow(&row)
		return err
	})
	return rec, err
}

// GetMany reads the records that are in the scope, in no particular order.
func (d *Driver) GetMany(ctx context.Context, scope audit.Scope, ids []uuid.UUID) (recs []audit.Record, err error) {
	err = d.read(ctx, func(db dbgen.DBTX) error {
		rows, err := d.queries.GetAuditRecords(ctx, db, dbgen.GetAuditRecordsParams{
			AuditIDs:   allToPG(ids),
			AllTenants: scope.IsAllTenants(),
			TenantID:   scope.TenantID(),
		})
		recs = fromRows(rows)
		return err
	})
	return recs, err
}

// List reads size records of a normalized, valid query. It begins after a position or, if
// that is nil, at the start.
func (d *Driver) List(ctx context.Context, q *audit.Query, from *Position, size int) (recs []audit.Record, err error) {
	page := pageOf(q, from, size)
	list, read := d.listTenant, d.read
	switch {
	case isFiltered(q):
		list, read = d.listFiltered, d.search
	case q.Scope.IsAllTenants():
		list = d.listAll
	}
	err = read(ctx, func(db dbgen.DBTX) error {
		rows, err := list(ctx, db, q, page)
		recs = fromRows(rows)
		return err
	})
	return recs, err
}

// isFiltered reports whether the query sets more than a scope, a window and an order.
func isFiltered(q *audit.Query) bool {
	return len(q.EnvelopeIDs) > 0 || len(q.EnvelopeClasses) > 0 || len(q.Decisions) > 0 ||
		q.ConflictingEnvelopeID != "" || q.PreemptingEnvelopeID != "" ||
		q.TargetSubsystem != "" || q.TargetParameter != "" || q.ReasonContains != "" ||
		q.ReasonCode != "" || q.PolicyVersion != "" || q.Actor != "" ||
		q.CausedBy != uuid.Nil || q.Corrects != uuid.Nil || q.CorrelationID != "" || q.TraceID != audit.TraceID{}
}

// traceFilter returns no bytes for no filter. They are not nil, which pgx would send as NULL.
func traceFilter(id audit.TraceID) []byte {
	if id == (audit.TraceID{}) {
		return []byte{}
	}
	return id[:]
}

// page is the parameters of all listings: from a position to the window's far end.
type page = dbgen.ListAllRecordsNewestFirstParams

func pageOf(q *audit.Query, from *Position, size int) page {
	since, last := bounds(q.Window)
	begin, end := firstPlace(since, last, q.Order), last
	if q.Order == audit.NewestFirst {
		end = since
	}
	if from != nil {
		begin = from.behind(q.Order)
	}
	return page{
		EndTimestamp:  toPGTime(end),
		FromTimestamp: toPGTime(begin.DecisionTimestamp),
		FromSeq:       begin.Seq,
		FromAuditID:   toPG(begin.AuditID),
		PageSize:      int32(size),
	}
}

func (d *Driver) listAll(ctx context.Context, db dbgen.DBTX, q *audit.Query, page page) ([]dbgen.AuditRecord, error) {
	if q.Order == audit.NewestFirst {
		return d.queries.ListAllRecordsNewestFirst(ctx, db, page)
	}
	return d.queries.ListAllRecordsOldestFirst(ctx, db, dbgen.ListAllRecordsOldestFirstParams(page))
}

func (d *Driver) listTenant(ctx context.Context, db dbgen.DBTX, q *audit.Query, page page) ([]dbgen.AuditRecord, error) {
	params := dbgen.ListTenantRecordsNewestFirstParams{
		TenantID:      q.Scope.TenantID(),
		EndTimestamp:  page.EndTimestamp,
		FromTimestamp: page.FromTimestamp,
		FromSeq:       page.FromSeq,
		FromAuditID:   page.FromAuditID,
		PageSize:      page.PageSize,
	}
	if q.Order == audit.NewestFirst {
		return d.queries.ListTenantRecordsNewestFirst(ctx, db, params)
	}
	return d.queries.ListTenantRecordsOldestFirst(ctx, db, dbgen.ListTenantRecordsOldestFirstParams(params))
}

func (d *Driver) listFiltered(ctx context.Context, db dbgen.DBTX, q *audit.Query, page page) ([]dbgen.AuditRecord, error) {
	params := dbgen.ListFilteredRecordsNewestFirstParams{
		AllTenants:            q.Scope.IsAllTenants(),
		TenantID:              q.Scope.TenantID(),
		EnvelopeIDs:           texts(q.EnvelopeIDs),
		EnvelopeClasses:       texts(q.EnvelopeClasses),
		Decisions:             texts(q.Decisions),
		ConflictingEnvelopeID: q.ConflictingEnvelopeID,
		PreemptingEnvelopeID:  q.PreemptingEnvelopeID,
		TargetSubsystem:       q.TargetSubsystem,
		TargetParameter:       q.TargetParameter,
		ReasonContains:        q.ReasonContains,
		ReasonCode:            q.ReasonCode,
		PolicyVersion:         q.PolicyVersion,
		Actor:                 q.Actor,
		CausedBy:              toPG(q.CausedBy),
		Corrects:              toPG(q.Corrects),
		CorrelationID:         q.CorrelationID,
		TraceID:               traceFilter(q.TraceID),
		EndTimestamp:          page.EndTimestamp,
		FromTimestamp:         page.FromTimestamp,
		FromSeq:               page.FromSeq,
		FromAuditID:           page.FromAuditID,
		PageSize:              page.PageSize,
	}
	if q.Order == audit.NewestFirst {
		return d.queries.ListFilteredRecordsNewestFirst(ctx, db, params)
	}
	return d.queries.ListFilteredRecordsOldestFirst(ctx, db, dbgen.ListFilteredRecordsOldestFirstParams(params))
}

// Count counts the records of a normalized, valid query.
func (d *Driver) Count(ctx context.Context, q *audit.Query) (n int64, err error) {
	since, last := bounds(q.Window)
	err = d.search(ctx, func(db dbgen.DBTX) error {
		n, err = d.queries.CountFilteredRecords(ctx, db, dbgen.CountFilteredRecordsParams{
			AllTenants:            q.Scope.IsAllTenants(),
			TenantID:              q.Scope.TenantID(),
			EnvelopeIDs:           texts(q.EnvelopeIDs),
			EnvelopeClasses:       texts(q.EnvelopeClasses),
			Decisions:             texts(q.Decisions),
			ConflictingEnvelopeID: q.ConflictingEnvelopeID,
			PreemptingEnvelopeID:  q.PreemptingEnvelopeID,
			TargetSubsystem:       q.TargetSubsystem,
			TargetParameter:       q.TargetParameter,
			ReasonContains:        q.ReasonContains,
			ReasonCode:            q.ReasonCode,
			PolicyVersion:         q.PolicyVersion,
			Actor:                 q.Actor,
			CausedBy:              toPG(q.CausedBy),
			Corrects:              toPG(q.Corrects),
			CorrelationID:         q.CorrelationID,
			TraceID:               traceFilter(q.TraceID),
			Since:                 toPGTime(since),
			Last:                  toPGTime(last),
		})
		return err
	})
	return n, err
}

// Timeline reads size records of a normalized, valid query. It begins after a position or, if
// that is nil, at the start.
func (d *Driver) Timeline(ctx context.Context, q *audit.TimelineQuery, from *Position, size int) (recs []audit.Record, err error) {
	since, last := bounds(q.Window)
	begin := firstPlace(since, last, audit.OldestFirst)
	if from != nil {
		begin = from.behind(audit.OldestFirst)
	}
	err = d.readPlanned(ctx, func(db dbgen.DBTX) error {
		rows, err := d.queries.ListTimeline(ctx, db, dbgen.ListTimelineParams{
			EnvelopeID:    q.EnvelopeID,
			AllTenants:    q.Scope.IsAllTenants(),
			TenantID:      q.Scope.TenantID(),
			Last:          toPGTime(last),
			FromTimestamp: toPGTime(begin.DecisionTimestamp),
			FromSeq:       begin.Seq,
			FromAuditID:   toPG(begin.AuditID),
			PageSize:      int32(size),
		})
		recs = fromRows(rows)
		return err
	})
	return recs, err
}

// Position is a record's place in the total order. seq is not unique if a sequence was set
// back, so the id is part of it.
type Position struct {
	DecisionTimestamp time.Time
	Seq               int64
	AuditID           uuid.UUID
}

// firstPlace is where an order begins between two moments, before any row with that time.
func firstPlace(since, last time.Time, order audit.Order) Position {
	if order == audit.NewestFirst {
		return Position{DecisionTimestamp: last, Seq: math.MaxInt64, AuditID: uuid.Max}
	}
	return Position{DecisionTimestamp: since, Seq: math.MinInt64, AuditID: uuid.Nil}
}

// behind is the place right after p in an order. Listings include the place where they
// begin.
func (p Position) behind(order audit.Order) Position {
	if order == audit.NewestFirst {
		return p.before()
	}
	return p.after()
}

func (p Position) after() Position {
	for i := len(p.AuditID) - 1; i >= 0; i-- {
		p.AuditID[i]++
		if p.AuditID[i] != 0 {
			return p
		}
	}
	if p.Seq++; p.Seq == math.MinInt64 {
		p.DecisionTimestamp = p.DecisionTimestamp.Add(time.Microsecond)
	}
	return p
}

func (p Position) before() Position {
	for i := len(p.AuditID) - 1; i >= 0; i-- {
		p.AuditID[i]--
		if p.AuditID[i] != math.MaxUint8 {
			return p
		}
	}
	if p.Seq--; p.Seq == math.MaxInt64 {
		p.DecisionTimestamp = p.DecisionTimestamp.Add(-time.Microsecond)
	}
	return p
}
