package spool

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Check finds out whether someone has removed, replaced or shortened a segment's file while
// it was in use. Each error has the maximum number of lost records, by class. Next gives the
// records that are left in the file.
//
// It also takes the lock again if its file is gone. If another Recorder was faster, the next
// Append fails.
func (d *Directory) Check() (lost []*UnreadableError) {
	if d.writing.TryLock() { // otherwise an Append looks
		_ = d.stillLocked()
		d.writing.Unlock()
	}
	for _, seg := range d.damaged() {
		d.writing.Lock()
		d.taking.Lock()
		if err := d.inspect(seg); err != nil {
			if gone := d.readAgain(seg, err); len(gone.Records) > 0 || len(gone.Again) > 0 {
				lost = append(lost, gone)
			}
		}
		d.taking.Unlock()
		d.writing.Unlock()
	}
	return lost
}

// damaged returns the segments whose files have changed. An Append checks the segment that it
// is writing to.
func (d *Directory) damaged() (damaged []*segment) {
	d.mu.Lock()
	var open []*segment
	if !d.closed {
		open = slices.DeleteFunc(slices.Clone(d.segments), func(seg *segment) bool { return seg.appending || seg.skipped })
	}
	d.mu.Unlock()
	for _, seg := range open {
		if d.inspect(seg) != nil {
			damaged = append(damaged, seg)
		}
	}
	return damaged
}

// inspect fails if the segment's file is certain to be gone, replaced or shortened.
func (d *Directory) inspect(seg *segment) error {
	d.mu.Lock()
	size, removed := seg.size, !slices.Contains(d.segments, seg)
	d.mu.Unlock()
	if removed {
		return nil // it was done in the meantime
	}
	err := checkFile(d.disk, seg.path, seg.info, size)
	if errors.Is(err, errReplaced) || errors.Is(err, errShortened) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// readAgain replaces a segment by the file that now has its name, and returns what is lost.
// The caller holds taking.
func (d *Directory) readAgain(seg *segment, cause error) *UnreadableError {
	d.mu.Lock()
	unused := d.seal(seg)
	d.mu.Unlock()
	_ = closeFile(unused) // what was synced to it is gone

	now, err := d.scanSegment(seg.path) // the removal of the segment sets a torn end aside
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes.Add(-seg.disk)
	at := slices.Index(d.segments, seg)
	left, rest := classCounts{}, ordinals{}
	if err != nil {
		d.segments = slices.Delete(d.segments, at, at+1)
	} else {
		left, rest = now.counted, now.ordinals
		d.bytes.Add(now.disk)
		d.segments[at] = now
		d.retire(now)
	}
	lost, again := seg.missing(left)
	return &UnreadableError{
		Path: seg.path, Records: lost, Again: again, Gone: true,
		FirstAuditID: seg.ids.first, LastAuditID: seg.ids.last, Ordinals: seg.ordinals.minus(seg.taken).minus(rest), Err: cause,
	}
}

// missing compares what Next has not given of a segment with what is left in its file. It is
// not known which records are left, so missing assumes first that they are those that were
// given. lost is the maximum that can be missing. again is the number of records in the file
// that Next will give beyond those that were expected.
func (s *segment) missing(left classCounts) (lost, again classCounts) {
	waiting := s.notGiven()
	for _, class := range audit.EnvelopeClasses() {
		kept := min(waiting[class], max(0, left[class]-s.given[class]))
		if n := waiting[class] - kept; n > 0 {
			lost = lost.with(class, n)
		}
		if n := left[class] - kept; n > 0 {
			again = again.with(class, n)
		}
	}
	return lost, again
}
