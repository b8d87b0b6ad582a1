package deadletter

import (
	"bytes"
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Append writes the records to the end of the directory, with one write and one
// fsync: when it returns nil, all of them are on disk. They must be valid and have
// their ids; one that is not will be given back as a [BadLine].
//
// If it fails, none of them will be given by this Directory. After a crash some may
// be, where the failed write could not be cut off; storing such a record is harmless,
// since its id makes it idempotent. The error matches [ErrFull] if there is no room
// left by [Config].MaxBytes. A later Append may succeed: it goes on in the same
// segment, or in a new one if an fsync failed.
func (d *Directory) Append(recs []audit.Record) error {
	if len(recs) == 0 {
		return nil
	}
	lines, counted, err := encode(recs)
	if err == nil {
		err = d.appendLines(lines, counted)
	}
	if err != nil {
		return fmt.Errorf("writing dead letters: %w", err)
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
		lines.Write(line)
		lines.WriteByte('\n')
	}
	return lines.Bytes(), counted, nil
}

func (d *Directory) appendLines(lines []byte, counted classCounts) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	seg, err := d.beginAppend(int64(len(lines)))
	if err != nil {
		return err
	}
	err = seg.lines.append(lines, d.path)
	d.endAppend(seg, counted, err == nil)
	return err
}

// beginAppend returns the segment to write to, with appending set.
func (d *Directory) beginAppend(size int64) (*segment, error) {
	d.mu.Lock()
	if err := d.usable(); err != nil {
		d.mu.Unlock()
		return nil, err
	}
	if most := d.config.MaxBytes; most > 0 && d.bytes.Load()+size > most {
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
	_ = closeFile(unused) // all of it was synced
	return d.beginSegment()
}

func (d *Directory) beginSegment() (*segment, error) {
	made, path, next, err := createNumbered(d.create, d.path, d.number)
	d.number = next
	if err != nil {
		return nil, err
	}
	seg := &segment{number: next - 1, path: path, lines: &lineFile{file: made, path: path}, counted: classCounts{}, given: classCounts{}, appending: true}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.segments = append(d.segments, seg)
	d.active = seg
	return seg, nil
}

func (d *Directory) endAppend(seg *segment, counted classCounts, written bool) {
	d.mu.Lock()
	seg.appending = false
	if written {
		seg.size = seg.lines.size
		seg.counted.add(counted)
	}
	grown := seg.lines.size + seg.lines.left - seg.disk
	seg.disk += grown
	d.bytes.Add(grown)
	var unused file
	if seg.lines.broken || seg.sealed {
		unused = d.seal(seg)
	}
	finished := d.settle(seg)
	d.mu.Unlock()
	_ = closeFile(unused) // all that counts was synced
	if finished {
		_ = d.sweep() // what cannot be removed is tried again, by Done, which says so
	}
}
