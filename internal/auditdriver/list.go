package auditdriver

import (
	"context"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// List reads size records of a normalized, valid query, beyond a position of its
// order or, without one, from its beginning.
func (d *Driver) List(ctx context.Context, q *audit.Query, from *Position, size int) (recs []audit.Record, err error) {
	page := pageOf(q, from, size)
	list, read := d.listTenant, d.read
	switch {
	case isFiltered(q):
		list, read = d.listFiltered, d.readPlanned
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
		q.TargetSubsystem != "" || q.TargetParameter != "" || q.ReasonContains != ""
}

// page is what all listings take: from a position to the window's far end.
type page = dbgen.ListAllRecordsNewestFirstParams

func pageOf(q *audit.Query, from *Position, size int) page {
	since, until := bounds(q.Window)
	// Seq begins at 1, so both of these lie before every record at their time.
	begin, end := Position{DecisionTimestamp: since}, until
	if q.Order == audit.NewestFirst {
		begin, end = Position{DecisionTimestamp: until}, since
	}
	if from != nil {
		begin = *from
	}
	return page{EndTimestamp: end, FromTimestamp: begin.DecisionTimestamp, FromSeq: begin.Seq, PageSize: int32(size)}
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
		EndTimestamp:          page.EndTimestamp,
		FromTimestamp:         page.FromTimestamp,
		FromSeq:               page.FromSeq,
		PageSize:              page.PageSize,
	}
	if q.Order == audit.NewestFirst {
		return d.queries.ListFilteredRecordsNewestFirst(ctx, db, params)
	}
	return d.queries.ListFilteredRecordsOldestFirst(ctx, db, dbgen.ListFilteredRecordsOldestFirstParams(params))
}

// Count counts the records of a normalized, valid query.
func (d *Driver) Count(ctx context.Context, q *audit.Query) (n int64, err error) {
	since, until := bounds(q.Window)
	err = d.readPlanned(ctx, func(db dbgen.DBTX) error {
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
			Since:                 since,
			Until:                 until,
		})
		return err
	})
	return n, err
}
