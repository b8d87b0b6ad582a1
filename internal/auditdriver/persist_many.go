package auditdriver

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Item is the outcome of one record of a batch: a result, or the error of this record alone.
type Item struct {
	Result audit.Result
	Err    error

	// Elsewhere says that the stored row carries another source or ordinal than the record
	// that was sent: the number that its source gave it will never be a row.
	Elsewhere bool

	// InDoubt says that an attempt before this answer may have stored the record.
	InDoubt bool
}

// decided reports whether the record's outcome is known.
func (r *Item) decided() bool { return r.Result.Outcome != "" || r.Err != nil }

// persistMany sends each id once, with its first record, and compares all other records of
// a taken id with what is stored. Items that are not nil next to an error say that the
// records were sent, and what is known of them.
func (d *Driver) persistMany(ctx context.Context, db located, recs []audit.Record) ([]Item, error) {
	db, err := d.storingIn(ctx, db) // before the statement: if this fails, nothing is in doubt
	if err != nil {
		return nil, err
	}
	first := firstOfEachID(recs)
	rows, err := d.queries.PersistAuditRecords(ctx, storing{db}, persistManyParams(recs, first))
	if err != nil {
		return nil, err
	}
	if len(rows) > 0 {
		err = d.committedUnder(ctx, db, rows[0].Session)
	} else {
		err = db.own.acknowledged() // what is found stored is confirmed
	}
	if err != nil {
		return nil, err
	}

	r := resolution{recs: recs, items: make([]Item, len(recs)), first: first, verify: db.table.rewrites}
	inserted := 0
	for _, row := range rows {
		if i, ours := first[row.AuditID.Bytes]; ours { // a trigger may have changed the id
			r.items[i].Result = audit.Result{AuditID: row.AuditID.Bytes, Outcome: audit.Persisted, Seq: row.Seq, CreatedAt: fromPGTime(row.CreatedAt)}
			inserted++
		}
	}
	if r.inserted = int64(inserted); inserted == len(recs) && !r.verify {
		return r.items, nil
	}
	return d.resolve(ctx, db, &r)
}

// firstOfEachID maps each id to the index of its first record.
func firstOfEachID(recs []audit.Record) map[uuid.UUID]int {
	first := make(map[uuid.UUID]int, len(recs))
	for i := range recs {
		if _, ok := first[recs[i].AuditID]; !ok {
			first[recs[i].AuditID] = i
		}
	}
	return first
}

// PersistMissing is [Driver.PersistMany] for a batch whose ids are probably stored already.
// It first looks which ids are stored and inserts the others, so the stored ones use up no
// numbers of the sequence.
func (d *Driver) PersistMissing(ctx context.Context, recs []audit.Record) ([]Item, error) {
	var items []Item
	err := d.onPool(ctx, func(ctx context.Context, db located) (err error) {
		items, err = d.persistMissing(ctx, db, recs)
		return err
	})
	return sent(items, err)
}

func (d *Driver) persistMissing(ctx context.Context, db located, recs []audit.Record) ([]Item, error) {
	db, err := d.storingIn(ctx, db)
	if err != nil {
		return nil, err
	}
	items := make([]Item, len(recs))
	stored, err := d.lookUp(ctx, db, recs, items)
	if err != nil {
		return nil, err
	}
	var missing []audit.Record
	var places []int
	for i := range recs {
		if row, ok := stored[recs[i].AuditID]; ok {
			items[i] = row.compare(&recs[i])
			continue
		}
		missing = append(missing, recs[i])
		places = append(places, i)
	}
	if len(missing) == 0 {
		return d.confirmAll(ctx, db, items)
	}

	inserted, err := d.persistMany(ctx, db, missing)
	if inserted == nil {
		return nil, err
	}
	committed := false
	for from, to := range places {
		items[to] = inserted[from]
		committed = committed || inserted[from].Result.Outcome == audit.Persisted
	}
	switch {
	case committed: // this came after the lookup, so what was found is as durable
		return items, err
	case err != nil:
		return withoutTaken(items), err
	default:
		return d.confirmAll(ctx, db, items)
	}
}

// confirmAll confirms the records that were found stored, or leaves them undecided.
func (d *Driver) confirmAll(ctx context.Context, db located, items []Item) ([]Item, error) {
	if err := d.confirm(ctx, db); err != nil {
		return withoutTaken(items), err
	}
	return items, nil
}

// withoutTaken makes undecided what was found stored and could not be confirmed.
func withoutTaken(items []Item) []Item {
	for i := range items {
		if items[i].Result.Outcome == audit.AlreadyPersisted {
			items[i] = Item{}
		}
	}
	return items
}

// sent gives the error of looking up taken ids to the records that it leaves undecided. The
// others are inserted, and stay so unless their transaction is gone.
func sent(items []Item, err error) ([]Item, error) {
	gone := errors.Is(err, audit.ErrTxLost) || errors.Is(err, audit.ErrTxUnusable)
	if err == nil || items == nil || gone {
		return items, err
	}
	for i := range items {
		if !items[i].decided() {
			items[i].Err = err
		}
	}
	return items, nil
}
