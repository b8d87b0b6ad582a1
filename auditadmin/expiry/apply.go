package expiry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/internal/wait"
)

// ApplyConfig says which archive to apply.
type ApplyConfig struct {
	// Dir is the directory of the archive.
	Dir string

	// Pause is the time between two batches, for those who write meanwhile. Defaults to none.
	Pause time.Duration

	// Checked is called now and then while the archive is checked, and Progress after each
	// batch, with the records done and those that the archive holds. Each may be nil.
	Checked, Progress func(done, records int64)
}

// Applied is what [Apply] did.
type Applied struct {
	Manifest Manifest
	Expired  int64 // records that this call took out of the table
	Before   int64 // records that earlier calls took
}

// Apply takes the records of an archive out of the table.
//
// First it checks everything: the archive, that its checkpoint and the given one are those of
// this log, the minimum age, the holds, and that the table holds each archived record. Until
// then nothing is changed. Then each batch expires in a transaction of its own, with the event
// that says so. After a crash, or an error in between, call it again: it goes on with the
// batches that are not on record.
func Apply(ctx context.Context, config Config, a ApplyConfig) (Applied, error) {
	applied, err := apply(ctx, config, a)
	if err != nil {
		err = explained(err)
		if applied.Expired > 0 {
			err = fmt.Errorf("after %d of %d records, run it again once the cause is repaired: %w", applied.Before+applied.Expired, applied.Manifest.Records, err)
		}
		return applied, fmt.Errorf("applying the archive %s: %w", audit.Printable(a.Dir), err)
	}
	return applied, nil
}

func apply(ctx context.Context, config Config, a ApplyConfig) (applied Applied, err error) {
	s, err := open(ctx, config, sealdriver.Expirer)
	if err != nil {
		return applied, err
	}
	defer s.close(ctx)
	c, err := checkArchive(ctx, a.Dir, config.Verifier, a.Checked)
	if err != nil {
		return applied, err
	}
	applied.Manifest = *c.manifest
	batches, err := s.prepare(ctx, c)
	if err != nil {
		return applied, err
	}
	pending, err := s.checkPending(ctx, batches)
	if err != nil {
		return applied, err
	}
	applied.Before = c.manifest.Records - recordsOf(pending)
	for i := range pending {
		if !wait.For(ctx, a.Pause) {
			return applied, context.Cause(ctx)
		}
		if _, err := s.conn.Expire(ctx, &pending[i]); err != nil {
			return applied, err
		}
		applied.Expired += pending[i].Records
		if a.Progress != nil {
			a.Progress(applied.Before+applied.Expired, c.manifest.Records)
		}
	}
	return applied, nil
}

// prepare refuses an archive that this trail cannot answer for.
func (s *session) prepare(ctx context.Context, c *checked) ([]sealdriver.Batch, error) {
	at, err := s.stored(ctx, c.checkpoint)
	if err != nil {
		return nil, fmt.Errorf("the checkpoint of the archive: %w", err)
	}
	if at.Epoch != s.at.Epoch || at.Size > s.at.Size {
		return nil, fmt.Errorf("%w: the archive was made under epoch %d and size %d, and the given checkpoint is of epoch %d and size %d: give the one that it was made under, or a later one of that epoch",
			ErrCheckpoint, at.Epoch, at.Size, s.at.Epoch, s.at.Size)
	}
	selection, err := c.manifest.selection()
	if err != nil {
		return nil, err
	}
	retention, err := s.oldEnough(ctx, selection.Before)
	if err != nil {
		return nil, err
	}
	if err := enabled(retention, "expirer"); err != nil {
		return nil, err
	}
	batches := make([]sealdriver.Batch, len(c.batches))
	for i, seqs := range c.batches {
		batches[i] = sealdriver.Batch{
			Archive: c.manifest.Digest(), Number: int32(i + 1), Of: int32(len(c.batches)), Epoch: at.Epoch, Size: at.Size, Root: at.Root,
			Selection: selection, Seqs: seqs, Records: c.manifest.Batches[i],
		}
	}
	return batches, nil
}

// mostEvents are read at a time: each has up to 64 KiB.
const mostEvents = 100

// pending leaves out the batches that are on record. It refuses an archive in whose name other records
// were taken: the function cannot see which ones an archive holds.
func (s *session) pending(ctx context.Context, batches []sealdriver.Batch) (pending []sealdriver.Batch, err error) {
	for some := range slices.Chunk(batches, mostEvents) {
		done, err := s.conn.OnRecord(ctx, some)
		if err != nil {
			return nil, err
		}
		for _, batch := range some {
			switch same, known := done[batch.Number]; {
			case !known:
				pending = append(pending, batch)
			case !same:
				return nil, fmt.Errorf("%w: an event says that batch %d expired, and names other records than the archive holds: someone called the function by hand, or forged the event: run coordaudit verify, and archive what is left again",
					ErrArchive, batch.Number)
			}
		}
	}
	return pending, nil
}

// checkPending returns the batches that are not on record, once the table holds their records. Another
// program may apply them meanwhile: then fewer are left, and the table is compared with those.
func (s *session) checkPending(ctx context.Context, batches []sealdriver.Batch) ([]sealdriver.Batch, error) {
	pending, err := s.pending(ctx, batches)
	for err == nil {
		differs := s.checkTable(ctx, pending)
		if !errors.Is(differs, ErrCount) {
			return pending, differs
		}
		var left []sealdriver.Batch
		if left, err = s.pending(ctx, batches); err == nil && len(left) == len(pending) {
			return pending, differs
		}
		pending = left
	}
	return nil, err
}

func recordsOf(batches []sealdriver.Batch) (records int64) {
	for i := range batches {
		records += batches[i].Records
	}
	return records
}

// checkTable requires that the table holds each record of the batches, and that none is held.
func (s *session) checkTable(ctx context.Context, batches []sealdriver.Batch) error {
	var records, held int64
	var seqs completeness.Set
	for i := range batches {
		there, stopped, err := s.conn.CheckBatch(ctx, batches[i].Selection, batches[i].Seqs)
		if err != nil {
			return err
		}
		records += there
		held += stopped
		if there != batches[i].Records && seqs == nil {
			seqs = batches[i].Seqs
		}
	}
	switch want := recordsOf(batches); {
	case records != want || seqs != nil:
		return fmt.Errorf("%w: the archive holds %d, the table held %d: nothing is dropped; the first batch that differs has seqs %d to %d: run coordaudit verify",
			ErrCount, want, records, seqs[0].First, seqs.Max())
	case held > 0:
		return fmt.Errorf("%w: %d of %d: nothing is dropped; release the hold, or archive again without them", ErrHeld, held, want)
	}
	return nil
}

// Recorded is what the database says about an archive.
type Recorded struct {
	Batches, Records int64 // that are on record as expired
}

// OnRecord compares a checked archive, whose manifest [CheckArchive] returned, with the events of
// the database. The error matches [ErrArchive] if they name other records than those of the archive.
func OnRecord(ctx context.Context, config Config, m Manifest) (Recorded, error) {
	recorded, err := onRecord(ctx, config, m)
	if err != nil {
		return recorded, fmt.Errorf("comparing the archive with the trail: %w", explained(err))
	}
	return recorded, nil
}

func onRecord(ctx context.Context, config Config, m Manifest) (recorded Recorded, err error) {
	if m.seqs == nil {
		return recorded, errors.New("the archive is not checked: take the manifest that CheckArchive returns")
	}
	var sets []completeness.Set
	err = with(ctx, config.Pool, config.Schema, sealdriver.Reader, func(conn *sealdriver.Conn) error {
		expiries, err := conn.Expiries(ctx)
		if err != nil {
			return err
		}
		var events []int64
		for _, of := range expiries {
			if of.Archive == m.Digest() {
				events = append(events, of.Event)
				recorded.Batches++
				recorded.Records += of.Records
			}
		}
		for some := range slices.Chunk(events, mostEvents) {
			seqs, err := conn.ExpiredSeqs(ctx, some)
			if err != nil {
				return err
			}
			sets = append(sets, seqs)
		}
		return nil
	})
	if err != nil {
		return recorded, err
	}
	named := completeness.Union(sets...)
	if others := named.Minus(m.seqs); len(others) > 0 {
		return recorded, fmt.Errorf("%w: %d records are on record as moved to the archive %s, which does not hold them, the first with seq %d: they were removed under its name: run coordaudit verify, and ask who did it",
			ErrArchive, others.Count(), audit.Printable(m.Digest()), others[0].First)
	}
	if named.Count() != recorded.Records || recorded.Batches > int64(len(m.Batches)) {
		return recorded, fmt.Errorf("%w: %d records are on record as moved to the archive %s, by %d events that name %d of its %d: an event is forged: run coordaudit verify",
			ErrArchive, recorded.Records, audit.Printable(m.Digest()), recorded.Batches, named.Count(), m.Records)
	}
	return recorded, nil
}
