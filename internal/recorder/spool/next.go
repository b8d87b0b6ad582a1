package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/hoc-analytics/coordaudit/audit"
)

// batchBytes ends a batch, regardless of the number of its records.
const batchBytes = 8 << 20

// Batch holds records of one segment, oldest first. Pass it to [Directory.Done] in the end.
type Batch struct {
	// Records are in the order in which they were appended.
	Records []audit.Record

	// Bad are the lines that cannot be read as a record. They disappear with the segment
	// unless [Directory.RejectLine] keeps them.
	Bad []BadLine

	// Miscounted is the number of lines of each class that the segment holds beyond those
	// that [Found] and Append counted. It is negative if there are fewer. It is nil unless
	// someone changed the file, or the disk damaged it, after it was counted.
	Miscounted map[audit.EnvelopeClass]int64

	seg        *segment
	from, upto int64 // the range of the segment that it is filled from
	size       int64
	taken      bool
}

// BadLine is a line that cannot be read as a record.
type BadLine struct {
	// Class is the class that the line was counted as.
	Class audit.EnvelopeClass

	// Reason says what is wrong with it, without its values.
	Reason string

	newer bool // a newer release wrote it
	line  []byte
	size  int64 // more than len(line) if the line was too long; line is its beginning then
}

// Next takes the oldest records that were not taken yet: records of one segment, at most
// limit (no bound if it is not positive) and about 8 MiB of lines. It returns nil and no
// error if there are none.
//
// If a segment cannot be read, Next gives the records before the fault, then fails once with
// an [UnreadableError], and continues with the next segment. Any other error but
// [audit.ErrClosed] is temporary, and Next may be called again.
func (d *Directory) Next(limit int) (*Batch, error) {
	d.taking.Lock()
	defer d.taking.Unlock()
	return d.next(limit)
}

func (d *Directory) next(limit int) (*Batch, error) {
	batch, err := d.beginTaking()
	if err != nil {
		return nil, fmt.Errorf("reading spooled records: %w", err)
	}
	if batch == nil {
		return nil, nil
	}
	if err := checkFile(d.disk, batch.seg.path, batch.seg.info, 0); errors.Is(err, errReplaced) {
		if lost := d.readAgain(batch.seg, err); len(lost.Records) > 0 || len(lost.Again) > 0 {
			return nil, lost
		}
		return d.next(limit)
	}
	if err := d.read(batch, limit); err != nil && batch.size == 0 {
		return nil, d.unreadable(batch.seg, err)
	}
	d.endTaking(batch)
	return batch, nil
}

// beginTaking returns an empty batch, or nil if there is nothing to take.
func (d *Directory) beginTaking() (*Batch, error) {
	d.mu.Lock()
	if err := d.usable(); err != nil {
		d.mu.Unlock()
		return nil, err
	}
	at := slices.IndexFunc(d.segments, (*segment).hasMore)
	if at < 0 {
		d.mu.Unlock()
		return nil, nil
	}
	seg := d.segments[at]
	batch := &Batch{seg: seg, from: seg.read, upto: seg.size}
	unused := d.seal(seg) // it is removed once it is done, so nothing may be added
	d.mu.Unlock()
	_ = closeFile(unused) // its content was synced
	return batch, nil
}

// read fills the batch with lines of its range.
func (d *Directory) read(batch *Batch, limit int) (err error) {
	in, err := openRegular(d.disk, batch.seg.path, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	size := batch.upto - batch.from
	lines := newLineReader(io.NewSectionReader(in, batch.from, size))
	for batch.size < size && batch.size < batchBytes && (limit <= 0 || len(batch.Records)+len(batch.Bad) < limit) {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // it was longer when it was counted
		}
		if err == nil && line.tooLong() {
			// The batch holds only its beginning.
			_, err = setAside(d.disk, batch.seg.path, filepath.Join(d.path, tornName), batch.from+batch.size, line.size)
		}
		if err != nil {
			return err
		}
		batch.add(line)
	}
	return nil
}

func (b *Batch) add(line line) {
	b.size += line.size
	rec, err := parse(line, b.seg.checked)
	if err == nil {
		b.Records = append(b.Records, rec)
		return
	}
	b.Bad = append(b.Bad, BadLine{
		Class: classOf(line.text), Reason: err.Error(), newer: isNewer(err), line: slices.Clone(line.text), size: line.size - 1,
	})
}

// parse reads a line. checked means that the lines of its file have checksums.
func parse(line line, checked bool) (rec audit.Record, err error) {
	if line.tooLong() {
		return rec, fmt.Errorf("is %d bytes long, at most %d are allowed; it is kept in the directory %s", line.size-1, maxLine, tornName)
	}
	text, had, intact := cutChecksum(line.text)
	if !intact {
		return rec, errDamaged
	}
	rec, replay, err := audit.ParseRecord(text)
	switch {
	case err == nil && checked && !had:
		return rec, errUnchecked
	case err != nil:
		return rec, err
	case replay:
		return rec, errReplay
	}
	return rec, nil
}

var (
	errUnchecked = errors.New("has no checksum, and other lines of its file have one")
	errReplay    = errors.New("asks for a replay, which stores nothing")
)

// endTaking counts the batch as given.
func (d *Directory) endTaking(batch *Batch) {
	d.mu.Lock()
	defer d.mu.Unlock()
	seg := batch.seg
	batch.taken = true
	seg.out++
	seg.read += batch.size
	seg.taken.addAll(ordinalsOf(batch.Records))
	for i := range batch.Records {
		seg.given[batch.Records[i].EnvelopeClass]++
	}
	for _, bad := range batch.Bad {
		seg.given[bad.Class]++
	}
	if seg.read == seg.size {
		batch.Miscounted = seg.given.minus(seg.counted)
		seg.counted.add(batch.Miscounted) // reported once
	}
}

// unreadable skips a segment from now on, unless the fault is the process's own.
func (d *Directory) unreadable(seg *segment, err error) error {
	if errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("reading spooled records: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	seg.skipped = true
	gone := errors.Is(err, fs.ErrNotExist)
	if gone {
		d.bytes.Add(-seg.disk)
		seg.disk = 0 // Check, which may have seen it missing too, must not count it again
	}
	return &UnreadableError{
		Path: seg.path, Records: seg.notGiven(), Gone: gone || errors.Is(err, io.ErrUnexpectedEOF),
		FirstAuditID: seg.ids.first, LastAuditID: seg.ids.last, Ordinals: seg.ordinals.minus(seg.taken), Err: err,
	}
}

// Done releases the batch: its records need not be kept any longer. When all batches of a
// segment are done, Done removes the segment and syncs the removal. An error means that the
// removal failed. The batch is done nevertheless, and later calls try the removal again. If
// the process ends first, the next one gives the records again, which is harmless.
func (d *Directory) Done(b *Batch) error {
	d.mu.Lock()
	err := d.usable()
	if err == nil && b.taken {
		b.taken = false
		b.seg.out--
		d.retire(b.seg)
	}
	d.mu.Unlock()
	if err == nil {
		err = d.sweep()
	}
	if err != nil {
		return fmt.Errorf("removing spooled records that were stored: %w", err)
	}
	return nil
}

// Stale reports whether [Directory.Check] or [Directory.Next] has noticed that the batch's
// file was removed or replaced. The batch's records are then only in memory: append them
// again.
func (d *Directory) Stale(b *Batch) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !slices.Contains(d.segments, b.seg)
}

// sweep removes the finished segments, unless the directory is closed.
func (d *Directory) sweep() error {
	d.sweeping.Lock()
	defer d.sweeping.Unlock()
	d.mu.Lock()
	closed := d.closed
	d.mu.Unlock()
	if closed {
		return nil // Close removes them
	}
	return d.removeFinished()
}

// removeFinished removes the finished segments. The caller holds sweeping.
func (d *Directory) removeFinished() error {
	d.mu.Lock()
	finished := d.finished
	d.finished = nil
	d.mu.Unlock()
	if len(finished) == 0 {
		return nil
	}
	var left []*segment
	var errs []error
	for _, seg := range finished {
		if err := d.remove(seg); err != nil {
			left, errs = append(left, seg), append(errs, err)
		}
	}
	d.mu.Lock()
	d.finished = append(d.finished, left...)
	d.mu.Unlock()
	return errors.Join(append(errs, d.disk.SyncDir(d.path))...)
}

func (d *Directory) remove(seg *segment) error {
	before := seg.disk
	if seg.torn {
		if _, err := d.cutOffTorn(seg); err != nil {
			return err
		}
		d.bytes.Add(seg.disk - before)
	}
	if err := d.disk.Remove(seg.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	d.bytes.Add(-seg.disk)
	return nil
}
