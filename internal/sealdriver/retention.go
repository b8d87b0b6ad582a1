package sealdriver

import (
	"context"
	"crypto/md5" //nolint:gosec // it names an event, and proves nothing
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
	"github.com/hoc-analytics/coordaudit/seal"
)

// RefusedError is a refusal by one of the functions of migration 00011. Nothing was changed.
// Its text is that of the function, which names no content of a record.
type RefusedError struct{ SQLState, Text string }

// Error implements error.
func (e *RefusedError) Error() string { return e.Text + " (SQLSTATE " + e.SQLState + ")" }

// The SQLSTATEs of the functions.
const (
	StateTooYoung   = "UA001"
	StateHeld       = "UA002"
	StateCount      = "UA003"
	StateCheckpoint = "UA004"
	StateArguments  = "UA005"
	StateNoSuch     = "UA006"

	// StateForbidden is the server's: the role may not call the function.
	StateForbidden = "42501"
	stateFunctions = "UA"
)

// refused keeps what a function says.
func (c *Conn) refused(ctx context.Context, err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && strings.HasPrefix(pgErr.Code, stateFunctions) {
		return &RefusedError{SQLState: pgErr.Code, Text: pgErr.Message}
	}
	return c.readFailure(ctx, err)
}

// Retention is what expiry and erasure rest on.
type Retention struct {
	MinimumDays int32     // the youngest age of a record that may expire
	At          time.Time // the clock of the database
	Enabled     bool      // the role that the guards pass owns the functions
}

// Retention reads it.
func (c *Conn) Retention(ctx context.Context) (Retention, error) {
	row, err := c.queries.DescribeRetention(ctx, c.db)
	return Retention{MinimumDays: row.MinimumDays, At: row.At.Time, Enabled: row.Enabled}, c.readFailure(ctx, err)
}

// SetMinimumDays puts another minimum on record.
func (c *Conn) SetMinimumDays(ctx context.Context, body string) error {
	_, err := c.PersistEvent(ctx, "retention set", 1, body)
	return err
}

// Selection says which records expire: those of a tenant or of all, of some classes or of
// all, that the database stored before a moment.
type Selection struct {
	EveryTenant bool
	TenantID    string // "" is no tenant
	Classes     []string
	Before      time.Time
}

// Select makes a Selection. The order of the classes makes no difference.
func Select(scope audit.Scope, classes []audit.EnvelopeClass, before time.Time) Selection {
	s := Selection{EveryTenant: scope.IsAllTenants(), TenantID: scope.TenantID(), Before: before.UTC().Truncate(time.Microsecond)}
	for _, class := range classes {
		s.Classes = append(s.Classes, string(class))
	}
	slices.Sort(s.Classes)
	return s
}

// Fits reports whether a record is one of the selection, as the database decides it.
func (s Selection) Fits(rec audit.Record) bool {
	return rec.CreatedAt.Before(s.Before) && (s.EveryTenant || rec.TenantID == s.TenantID) &&
		(len(s.Classes) == 0 || slices.Contains(s.Classes, string(rec.EnvelopeClass)))
}

func (s Selection) tenant() *string {
	if s.EveryTenant || s.TenantID == "" {
		return nil
	}
	return &s.TenantID
}

func (s Selection) classes() []string { return append([]string{}, s.Classes...) }

func (s Selection) before() pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: s.Before, Valid: true}
}

// Planned counts the records of a selection.
type Planned struct {
	Records, Unsealed, Held   int64
	FirstSeq, LastSeq         int64
	FirstCreated, LastCreated time.Time // zero if there are none
}

// PlanExpiry counts. sealedThrough and awaited tell which records are sealed.
func (c *Conn) PlanExpiry(ctx context.Context, s Selection, sealedThrough int64, awaited completeness.Set) (Planned, error) {
	row, err := c.queries.PlanExpiry(ctx, c.db, dbgen.PlanExpiryParams{
		SealedThrough: sealedThrough, Awaited: awaited.String(),
		Before: s.before(), EveryTenant: s.EveryTenant, OnlyTenant: s.tenant(), OnlyClasses: s.classes(),
	})
	return Planned{
		Records: row.Records, Unsealed: row.Unsealed, Held: row.Held, FirstSeq: row.FirstSeq, LastSeq: row.LastSeq,
		FirstCreated: row.FirstCreated.Time, LastCreated: row.LastCreated.Time,
	}, c.readFailure(ctx, err)
}

// SelectedRows is [Conn.LateRows] for those of a selection that are not held.
func (c *Conn) SelectedRows(ctx context.Context, s Selection, seqs completeness.Set, each func(values [][]byte) error) error {
	return c.stream(ctx, seal.Record, dbgen.ListRecordsToArchive, each, seqs.String(), s.before(), s.EveryTenant, s.tenant(), s.classes())
}

// CheckBatch counts the records of a selection among some seqs, and those of them that are held.
func (c *Conn) CheckBatch(ctx context.Context, s Selection, seqs completeness.Set) (records, held int64, err error) {
	firsts, lasts := seqs.Bounds()
	row, err := c.queries.CheckExpiryBatch(ctx, c.db, dbgen.CheckExpiryBatchParams{
		Firsts: firsts, Lasts: lasts, Before: s.before(), EveryTenant: s.EveryTenant, OnlyTenant: s.tenant(), OnlyClasses: s.classes(),
	})
	return row.Records, row.Held, c.readFailure(ctx, err)
}

// Batch is a part of an archive that expires in one transaction.
type Batch struct {
	Archive    string // the digest, in hexadecimal
	Number, Of int32  // from 1
	Epoch      int64
	Size       int64 // of the checkpoint, like Root
	Root       seal.Hash
	Selection  Selection
	Seqs       completeness.Set
	Records    int64
}

// eventID names the event of a batch, as the function does.
func (b *Batch) eventID() uuid.UUID {
	return md5.Sum(fmt.Appendf(nil, "coordaudit expired %s %d", b.Archive, b.Number)) //nolint:gosec // see the import
}

// Expire puts a batch on record and takes its records out of the table, in one transaction.
// It returns the seq of the event. A [RefusedError] says that nothing was changed.
func (c *Conn) Expire(ctx context.Context, b *Batch) (event int64, err error) {
	firsts, lasts := b.Seqs.Bounds()
	err = c.commit(ctx, func(db dbgen.DBTX) error {
		event, err = c.queries.ExpireBatch(ctx, db, dbgen.ExpireBatchParams{
			Archive: b.Archive, Batch: b.Number, Batches: b.Of, LogEpoch: b.Epoch, LogSize: b.Size, LogRoot: b.Root[:],
			EveryTenant: b.Selection.EveryTenant, OnlyTenant: b.Selection.tenant(), OnlyClasses: b.Selection.classes(),
			Before: b.Selection.before(), Firsts: firsts, Lasts: lasts, Expected: b.Records,
		})
		return c.refused(ctx, err)
	})
	return event, err
}

// OnRecord tells which batches have an event. The batch of each is true if the event names its seqs.
func (c *Conn) OnRecord(ctx context.Context, batches []Batch) (map[int32]bool, error) {
	of, ids := map[uuid.UUID]*Batch{}, make([]pgtype.UUID, len(batches))
	for i := range batches {
		id := batches[i].eventID()
		ids[i] = pgtype.UUID{Bytes: id, Valid: true}
		of[id] = &batches[i]
	}
	known, err := c.queries.ListKnownEvents(ctx, c.db, dbgen.ListKnownEventsParams{EventIDs: ids, Kind: "expired"})
	if err != nil {
		return nil, c.readFailure(ctx, err)
	}
	done := map[int32]bool{}
	for _, event := range known {
		batch := of[event.EventID.Bytes]
		done[batch.Number] = event.Seqs == batch.Seqs.String()
	}
	return done, nil
}

// Expiry is a batch that is on record as expired.
type Expiry struct {
	Event             int64 // the seq
	Archive           string
	FirstSeq, LastSeq int64
	Records           int64
}

// Expiries lists the expired batches.
func (c *Conn) Expiries(ctx context.Context) ([]Expiry, error) {
	rows, err := c.queries.ListExpiries(ctx, c.db)
	if err != nil {
		return nil, c.readFailure(ctx, err)
	}
	list := make([]Expiry, len(rows))
	for i, row := range rows {
		list[i] = Expiry{Event: row.Seq, Archive: row.Archive, FirstSeq: row.FirstSeq, LastSeq: row.LastSeq, Records: row.Records}
	}
	return list, nil
}

// ExpiredSeqs returns the seqs of the records that events say are expired.
func (c *Conn) ExpiredSeqs(ctx context.Context, events []int64) (seqs completeness.Set, err error) {
	if len(events) == 0 {
		return nil, nil
	}
	rows, err := c.queries.ListExpiredSeqs(ctx, c.db, dbgen.ListExpiredSeqsParams{Events: events})
	if err != nil {
		return nil, c.readFailure(ctx, err)
	}
	sets := make([]completeness.Set, len(rows))
	for i, row := range rows {
		if sets[i], err = completeness.ParseSet(row.Seqs); err != nil {
			return nil, fmt.Errorf("reading the event with seq %d: it %w", row.Seq, err)
		}
	}
	return completeness.Union(sets...), nil
}

// Hold stops the expiry and the erasure of what it names.
type Hold struct {
	ID uuid.UUID
	HoldParams
	By                      string
	PlacedAt                time.Time
	ReleasedAt              time.Time // zero if it is not released
	ReleasedWhy, ReleasedBy string
}

// Holds lists all holds that were ever placed.
func (c *Conn) Holds(ctx context.Context) ([]Hold, error) {
	rows, err := c.queries.ListHolds(ctx, c.db)
	if err != nil {
		return nil, c.readFailure(ctx, err)
	}
	list := make([]Hold, len(rows))
	for i, row := range rows {
		list[i] = Hold{
			ID: row.HoldID.Bytes, By: row.PlacedBy, PlacedAt: row.PlacedAt.Time,
			HoldParams: HoldParams{
				TenantID: row.TenantID, EnvelopeID: row.EnvelopeID, Class: row.EnvelopeClass, Since: row.Since.Time, Until: row.Until.Time, Why: row.Why,
			},
			ReleasedAt: row.ReleasedAt.Time, ReleasedWhy: row.ReleasedWhy, ReleasedBy: row.ReleasedBy,
		}
	}
	return list, nil
}

// HoldParams is what a hold names. What is empty limits nothing.
type HoldParams struct {
	TenantID, EnvelopeID, Class string
	Since, Until                time.Time
	Why                         string
}

// PlaceHold puts a hold on record.
func (c *Conn) PlaceHold(ctx context.Context, p HoldParams) (id uuid.UUID, err error) {
	err = c.commit(ctx, func(db dbgen.DBTX) error {
		placed, err := c.queries.PlaceHold(ctx, db, dbgen.PlaceHoldParams{
			TenantID: stated(p.TenantID), EnvelopeID: stated(p.EnvelopeID), EnvelopeClass: stated(p.Class),
			Since: statedTime(p.Since), Until: statedTime(p.Until), Why: p.Why,
		})
		id = placed.Bytes
		return c.refused(ctx, err)
	})
	return id, err
}

func stated(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func statedTime(at time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: at, Valid: !at.IsZero()}
}

// ReleaseHold puts the release of a hold on record. It is false if that was on record before.
func (c *Conn) ReleaseHold(ctx context.Context, id uuid.UUID, why string) (released bool, err error) {
	err = c.commit(ctx, func(db dbgen.DBTX) error {
		released, err = c.queries.ReleaseHold(ctx, db, dbgen.ReleaseHoldParams{HoldID: pgtype.UUID{Bytes: id, Valid: true}, Why: why})
		return c.refused(ctx, err)
	})
	return released, err
}

// Erase replaces a text of a record by its digest, and puts that on record.
func (c *Conn) Erase(ctx context.Context, id uuid.UUID, which string, at Checkpoint, why string) (event int64, err error) {
	err = c.commit(ctx, func(db dbgen.DBTX) error {
		event, err = c.queries.EraseText(ctx, db, dbgen.EraseTextParams{
			AuditID: pgtype.UUID{Bytes: id, Valid: true}, Which: which,
			LogEpoch: at.Epoch, LogSize: at.Size, LogRoot: at.Root[:], Why: why,
		})
		return c.refused(ctx, err)
	})
	return event, err
}

// erasureID names the event of an erasure, as the function does.
func erasureID(id uuid.UUID, seq int64, which string) uuid.UUID {
	return md5.Sum(fmt.Appendf(nil, "coordaudit erased %s %s %d", which, id, seq)) //nolint:gosec // see the import
}

// ErasedOnRecord reports whether an event says that a text of a record was erased. The seq tells it
// from the same record that was stored again once it had expired.
func (c *Conn) ErasedOnRecord(ctx context.Context, id uuid.UUID, seq int64, which string) (bool, error) {
	known, err := c.queries.ListKnownEvents(ctx, c.db, dbgen.ListKnownEventsParams{
		EventIDs: []pgtype.UUID{{Bytes: erasureID(id, seq, which), Valid: true}}, Kind: "erased",
	})
	return len(known) > 0, c.readFailure(ctx, err)
}

// Forbidden reports whether the server refused a statement because of the role's rights.
func Forbidden(err error) bool {
	failed, ok := errors.AsType[*auditdriver.StatementError](err)
	return ok && failed.SQLState == StateForbidden
}
