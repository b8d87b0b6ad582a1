package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/durable"
)

// Append writes the records to the end of the spool, with one write and one fsync. When it
// returns nil, all of them are on disk. They must be valid and have their ids. An invalid
// record will come back as a [BadLine].
//
// If Append fails, this Directory returns none of the records. After a crash the next one
// may return some of them, if the failed write could not be cut off. Storing such a record
// is harmless, because its id makes it idempotent. The error matches [ErrFull] if
// [Config].MaxBytes leaves no room. A later Append may succeed: it continues in the same
// segment, or in a new one if an fsync failed.
func (d *Directory) Append(recs []audit.Record) error {
	if len(recs) == 0 {
		return nil
	}
	lines, counted, err := encode(recs)
	if err == nil {
		err = d.appendLines(lines, appended{counted, ordinalsOf(recs), idRange{first: recs[0].AuditID, last: recs[len(recs)-1].AuditID}})
	}
	if err != nil {
		return fmt.Errorf("writing spooled records: %w", err)
	}
	return nil
}

func encode(recs []audit.Record) ([]byte, classCounts, error) {
	var lines bytes.Buffer
	counted := classCounts{}
	for i := range recs {
		line, err := recs[i].MarshalJSON()
		if err != nil {
			return nil, nil, err
		}
		counted[classOf(line)]++
		begin := lines.Len()
		lines.Write(line)
		appendChecksum(&lines, begin)
		lines.WriteByte('\n')
	}
	return lines.Bytes(), counted, nil
}

// appended is what a segment knows of its lines.
type appended struct {
	counted  classCounts
	ordinals ordinals
	ids      idRange
}

func (d *Directory) appendLines(lines []byte, what appended) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := d.stillLocked(); err != nil {
		return err
	}
	seg, err := d.beginAppend(int64(len(lines)))
	if err != nil {
		return err
	}
	err = seg.lines.append(lines)
	d.endAppend(seg, what, err == nil)
	return err
}

// beginAppend returns the segment to write to, and sets its appending.
func (d *Directory) beginAppend(size int64) (*segment, error) {
	d.mu.Lock()
	if bound := d.config.MaxBytes; bound > 0 && d.bytes.Load()+size > bound {
		d.mu.Unlock()
		return nil, ErrFull
	}
	var unused file
	if seg := d.active; seg != nil {
		if seg.size == 0 || seg.size+size <= d.config.SegmentBytes {
			seg.appending = true
			d.mu.Unlock()
			return seg, nil
		}
		unused = d.seal(seg)
	}
	d.mu.Unlock()
	_ = closeFile(unused) // its content was synced
	return d.beginSegment()
}

func (d *Directory) beginSegment() (*segment, error) {
	if err := d.checkPlace(); err != nil {
		return nil, err
	}
	made, next, err := createNumbered(d.disk, d.path, d.number)
	d.number = next
	if err != nil {
		return nil, err
	}
	info, err := made.file.Stat()
	if err != nil {
		return nil, errors.Join(err, made.file.Close(), d.disk.Remove(made.path))
	}
	seg := &segment{path: made.path, lines: made, info: info, checked: true, counted: classCounts{}, given: classCounts{}, ordinals: ordinals{}, taken: ordinals{}, appending: true}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.segments = append(d.segments, seg)
	d.active = seg
	return seg, nil
}

// checkPlace locks the directory again if someone has replaced it, or removed its lock. The
// old lock is in the directory that is gone.
func (d *Directory) checkPlace() error {
	info, err := os.Stat(d.path)
	if err != nil {
		return err
	}
	if err := d.keepLock(); err != nil || os.SameFile(info, d.place) {
		return err
	}
	if err := durable.SyncAbove(d.disk, d.path); err != nil {
		return err
	}
	d.place = info
	return nil
}

func (d *Directory) endAppend(seg *segment, what appended, written bool) {
	d.mu.Lock()
	seg.appending = false
	if written {
		seg.size = seg.lines.size
		seg.counted.add(what.counted)
		seg.ordinals.addAll(what.ordinals)
		seg.ids.add(what.ids.first)
		seg.ids.add(what.ids.last)
	}
	grown := seg.lines.size + seg.lines.left - seg.disk
	seg.disk += grown
	d.bytes.Add(grown)
	var unused file
	if seg.lines.broken || seg.sealed {
		unused = d.seal(seg)
	}
	finished := d.retire(seg)
	d.mu.Unlock()
	_ = closeFile(unused) // what was acknowledged was synced
	if finished {
		_ = d.sweep() // Done tries again, and returns the error
	}
}
