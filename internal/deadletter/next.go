package deadletter

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

// batchBytes ends a batch, whatever the number of its records.
const batchBytes = 8 << 20

// Batch is what Next gave: records of one segment, oldest first. It ends in Done.
type Batch struct {
	// Records are in the order in which they were appended.
	Records []audit.Record

	// Bad are the lines that cannot be read as a record. They are gone with the
	// segment, unless [Directory.RejectLine] keeps them.
	Bad []BadLine

	// Miscounted says by how many lines of each class the segment holds more than
	// [Found] and Append counted, or fewer (negative). It is nil unless somebody wrote
	// to the file, or the disk damaged it, after it was counted.
	Miscounted map[audit.EnvelopeClass]int64

	seg   *segment
	size  int64
	taken bool
}

// BadLine is a line that cannot be read as a record.
type BadLine struct {
	// Class is what the line was counted under.
	Class audit.EnvelopeClass

	// Reason says what is wrong with it, without its values.
	Reason string

	line []byte
	size int64 // more than len(line) if it was too long; line is then its beginning
}

// Next takes the oldest records that were not taken yet, of one segment, at most most
// (no bound if it is not positive) and about 8 MiB of lines. It returns nil and no
// error if there are none.
//
// If a segment cannot be read, Next gives what comes before the fault, then fails once
// with an [UnreadableError], and goes on with the next segment. Any other error but
// [audit.ErrClosed] is passing, and Next may be called again.
func (d *Directory) Next(most int) (*Batch, error) {
	d.taking.Lock()
	defer d.taking.Unlock()
	batch, from, upto, err := d.beginTaking()
	if err != nil {
		return nil, fmt.Errorf("reading dead letters: %w", err)
	}
	if batch == nil {
		return nil, nil
	}
	if err := d.read(batch, from, upto, most); err != nil && batch.size == 0 {
		return nil, d.unreadable(batch.seg, err)
	}
	d.endTaking(batch)
	return batch, nil
}

// beginTaking returns an empty batch, and what to fill it from.
func (d *Directory) beginTaking() (batch *Batch, from, upto int64, err error) {
	d.mu.Lock()
	if err := d.usable(); err != nil {
		d.mu.Unlock()
		return nil, 0, 0, err
	}
	at := slices.IndexFunc(d.segments, (*segment).hasMore)
	if at < 0 {
		d.mu.Unlock()
		return nil, 0, 0, nil
	}
	seg := d.segments[at]
	from, upto = seg.read, seg.size
	unused := d.seal(seg) // it is removed once it is done, so nothing must be added
	d.mu.Unlock()
	_ = closeFile(unused) // all of it was synced
	return &Batch{seg: seg}, from, upto, nil
}

// read fills the batch with lines that lie between from and upto.
func (d *Directory) read(batch *Batch, from, upto int64, most int) (err error) {
	in, err := os.Open(batch.seg.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	lines := newLineReader(io.NewSectionReader(in, from, upto-from))
	for batch.size < upto-from && batch.size < batchBytes && (most <= 0 || len(batch.Records)+len(batch.Bad) < most) {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // it was longer when it was counted
		}
		if err == nil && line.tooLong() {
			// The batch holds its beginning only.
			_, err = keepAside(batch.seg.path, filepath.Join(d.path, tornName), from+batch.size, line.size)
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
	if rec, reason := parse(line); reason == "" {
		b.Records = append(b.Records, rec)
	} else {
		b.Bad = append(b.Bad, BadLine{Class: classOf(line.text), Reason: reason, line: slices.Clone(line.text), size: line.size - 1})
	}
}

func parse(line line) (rec audit.Record, reason string) {
	if line.tooLong() {
		return rec, fmt.Sprintf("is %d bytes long, at most %d are allowed; it is kept in the directory %s", line.size-1, maxLine, tornName)
	}
	rec, replay, err := audit.ParseRecord(line.text)
	switch {
	case err != nil:
		return rec, err.Error()
	case replay:
		return rec, "asks for a replay, which stores nothing"
	}
	return rec, ""
}

// endTaking books the batch as given.
func (d *Directory) endTaking(batch *Batch) {
	d.mu.Lock()
	defer d.mu.Unlock()
	seg := batch.seg
	batch.taken = true
	seg.out++
	seg.read += batch.size
	for i := range batch.Records {
		seg.given[batch.Records[i].EnvelopeClass]++
	}
	for _, bad := range batch.Bad {
		seg.given[bad.Class]++
	}
	if seg.read == seg.size {
		batch.Miscounted = seg.given.minus(seg.counted)
		seg.counted.add(batch.Miscounted) // said once
	}
}

// unreadable leaves a segment aside for good, unless the fault is the process's own.
func (d *Directory) unreadable(seg *segment, err error) error {
	if errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("reading dead letters: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	seg.skipped = true
	if errors.Is(err, fs.ErrNotExist) {
		d.bytes.Add(-seg.disk)
		seg.disk = 0
	}
	return &UnreadableError{Path: seg.path, Records: seg.notGiven(), Err: err}
}

// Done says that the batch's records need not be kept any longer. A segment whose
// batches are all done is removed, and the removal synced. An error says that it could
// not be: the batch is done all the same, later calls try the removal again, and if
// the process ends before, its records are given once more, which is harmless.
func (d *Directory) Done(b *Batch) error {
	d.mu.Lock()
	err := d.usable()
	if err == nil && b.taken {
		b.taken = false
		b.seg.out--
		d.settle(b.seg)
	}
	d.mu.Unlock()
	if err == nil {
		err = d.sweep()
	}
	if err != nil {
		return fmt.Errorf("removing dead letters that were stored: %w", err)
	}
	return nil
}

// sweep removes the finished segments, unless the directory was given up.
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

// removeFinished is called with sweeping held.
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
	return errors.Join(append(errs, syncDir(d.path))...)
}

func (d *Directory) remove(seg *segment) error {
	before := seg.disk
	if seg.torn {
		if _, err := d.cutOffTorn(seg); err != nil {
			return err
		}
		d.bytes.Add(seg.disk - before)
	}
	if err := os.Remove(seg.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	d.bytes.Add(-seg.disk)
	return nil
}
