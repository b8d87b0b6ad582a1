package auditdriver

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// resolution decides on the records of a batch that was committed. A record that the server
// reported as inserted has its item. The others are looked up.
type resolution struct {
	recs  []audit.Record
	items []Item
	first map[uuid.UUID]int // of each id

	// verify also looks up the inserted records: the table may have changed them.
	verify bool

	inserted int64 // rows, as the server counts them
}

// resolve fills the items. Next to an error some of them are undecided.
func (d *Driver) resolve(ctx context.Context, db located, r *resolution) ([]Item, error) {
	asked := r.items
	if r.verify {
		asked = make([]Item, len(r.recs))
	}
	stored, err := d.lookUp(ctx, db, r.recs, asked)
	if err != nil {
		if r.verify { // stored, but with which content?
			clear(r.items)
			err = &unconfirmedError{err}
		}
		return r.items, err
	}

	missing, taken := r.match(stored)
	if len(missing) > 0 {
		err := d.notStored(ctx, db)
		_, answered := errors.AsType[*StatementError](err)
		switch {
		case !answered:
			return withoutTaken(r.items), err
		case len(missing) == len(r.recs) && errors.Is(err, errDiscarded):
			return nil, err // all records are affected, so none of them is at fault
		}
		for _, i := range missing {
			r.items[i] = Item{Err: err}
		}
	}
	if taken {
		return d.confirmAll(ctx, db, r.items)
	}
	return r.items, nil
}

// match compares the records with what is stored. It returns the indexes of the missing
// ones, and whether any record was stored before this batch.
func (r *resolution) match(stored map[uuid.UUID]storedRow) (missing []int, taken bool) {
	if int64(len(stored)) > r.inserted {
		r.doubtInserted()
	}
	for i := range r.recs {
		item := &r.items[i]
		if item.decided() && !r.verify {
			continue
		}
		rec := &r.recs[i]
		row, ok := stored[rec.AuditID]
		if !ok {
			*item = Item{}
			missing = append(missing, i)
			continue
		}
		inserted := item.Result.Outcome == audit.Persisted
		*item = row.compare(rec)
		switch {
		case item.Err != nil:
		case inserted:
			item.Result.Outcome = audit.Persisted
		default:
			// A record that occurs twice is as durable as its first occurrence, which this
			// batch inserted.
			taken = taken || r.items[r.first[rec.AuditID]].Result.Outcome != audit.Persisted
		}
	}
	return missing, taken
}

// doubtInserted is for when more rows are found than were inserted. Then the records that
// COPY counts as inserted may be those of an earlier call.
func (r *resolution) doubtInserted() {
	for i := range r.items {
		if r.items[i].Result.Seq == 0 {
			r.items[i] = Item{}
		}
	}
}

// lookUp reads the rows with the ids of the undecided records.
func (d *Driver) lookUp(ctx context.Context, db located, recs []audit.Record, items []Item) (map[uuid.UUID]storedRow, error) {
	ids := make([]pgtype.UUID, 0, len(recs))
	for i := range recs {
		if !items[i].decided() {
			ids = append(ids, toPG(recs[i].AuditID))
		}
	}
	rows, err := d.queries.GetAuditRecords(ctx, db, dbgen.GetAuditRecordsParams{AuditIDs: ids, AllTenants: true})
	if unreadable(err) {
		return d.lookUpEach(ctx, db, ids)
	}
	if err != nil {
		return nil, err
	}
	stored := make(map[uuid.UUID]storedRow, len(rows))
	for i := range rows {
		stored[rows[i].AuditID.Bytes] = storedRow{rec: fromRow(&rows[i])}
	}
	return stored, nil
}

// lookUpEach is lookUp one by one, for when one row cannot be read: it must not hide the
// others.
func (d *Driver) lookUpEach(ctx context.Context, db located, ids []pgtype.UUID) (map[uuid.UUID]storedRow, error) {
	stored := make(map[uuid.UUID]storedRow, len(ids))
	for _, id := range ids {
		row, found, err := d.storedUnder(ctx, db, id)
		if err != nil {
			return nil, err
		}
		if found {
			stored[id.Bytes] = row
		}
	}
	return stored, nil
}
