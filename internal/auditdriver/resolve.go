package auditdriver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

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

// plainError is an error of this package. Its text holds no values, so it is safe to log.
type plainError string

// Error implements error.
func (e plainError) Error() string { return string(e) }

const (
	// errAnsweredLate: a cancel request ends a commit's wait for its standby, and the commit
	// then answers with success.
	errAnsweredLate plainError = "the answer came after the time was up and a cancel request was sent, which may have ended the commit's wait for a standby"

	errNotReplicated plainError = "the commit's wait for a standby was cancelled, so it may not be replicated"
)

// ownConn is a connection of the pool on which each statement is its own transaction. A
// nil *ownConn stands for a caller's transaction, whose commit is the caller's.
type ownConn struct {
	conn    *pgxpool.Conn
	driver  *Driver
	session *session
	bound   context.Context //nolint:containedctx // only its end is checked; the statements run without it
}

// acknowledged is called directly after a statement's success. It returns nil if the
// success rests on a commit that was not cancelled: no cancel request of ours was on its
// way when the answer came, and the server did not warn that another one ended the commit's
// wait for a standby.
func (c *ownConn) acknowledged() error {
	switch {
	case c == nil:
		return nil
	case c.session.unreplicated.Load():
		return errNotReplicated
	case c.bound.Err() != nil:
		return errAnsweredLate
	}
	c.driver.lastAcknowledged.Store(time.Now().UnixMicro())
	return nil
}

// committedUnder is [ownConn.acknowledged] for a statement that returned the settings it
// was carried out under. Whoever used the connection before may have changed them. If they
// hide the warning of a cancelled wait, its absence proves nothing, and a second commit
// that would show the warning decides. It also decides if a trigger may have changed them for
// this commit alone, unless the settings found already promise no more. Nothing is found by a
// statement that stores its rows on shards.
func (d *Driver) committedUnder(ctx context.Context, db located, found string) error {
	if db.own == nil {
		return nil
	}
	if err := db.own.acknowledged(); err != nil {
		return err
	}
	if found == "" { // the settings would be the coordinator's, and the commit was a worker's
		return nil
	}
	s := db.own.session
	messages, commit, _ := strings.Cut(found, "/")
	if s.settings.clientMinMessages != messages || s.settings.synchronousCommit != commit {
		s.settings.clientMinMessages, s.settings.synchronousCommit = messages, commit
		d.observe(ctx, s)
	}
	changed := db.table.resets && !slices.Contains([]string{"off", "local"}, commit)
	if changed || s.listens && s.settings.hideWarnings() {
		return d.confirm(ctx, db)
	}
	return nil
}

// unconfirmedError says that a record is stored but may be less durable than a fresh
// commit.
type unconfirmedError struct{ cause error }

// Error names the cause.
func (e *unconfirmedError) Error() string {
	return "confirming that the stored record is durable: " + describe(e.cause)
}

// Unwrap returns the cause.
func (e *unconfirmedError) Unwrap() error { return e.cause }

// confirm makes what was found in the database as durable as a fresh commit. A row that is
// visible may come from a session whose wait for a standby was ended, or that does not wait
// at all. In a caller's transaction, the caller's commit does the waiting.
func (d *Driver) confirm(ctx context.Context, db located) error {
	if db.own == nil {
		_, err := d.queries.ConfirmDurable(ctx, db)
		return err
	}
	// Both statements are one transaction, so the server's warning is shown.
	_, err := db.own.conn.Exec(ctx, "SET LOCAL client_min_messages = warning; "+dbgen.ConfirmDurable)
	if err == nil {
		err = db.own.acknowledged()
	}
	if err != nil {
		return &unconfirmedError{err}
	}
	return nil
}

// unconfirmed is the failure of [Driver.confirm] outside a caller's transaction. The record
// stays in doubt, regardless of the server's answer to the confirming statement.
func unconfirmed(ctx context.Context, err *unconfirmedError) error {
	state := sqlState(err)
	return &StatementError{
		Kind:      audit.ErrOutcomeUnknown,
		SQLState:  state,
		Retryable: state == "" || retryable(state),
		cause:     withEnd(ctx, err),
	}
}
