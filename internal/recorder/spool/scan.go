package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/durable"
)

// Found is what an earlier process left in the directory.
type Found struct {
	// Records counts the lines that Next will give, by class, without classes that have none.
	Records map[audit.EnvelopeClass]int64

	// Torn are the ends of segments that a crash cut off. No Append that returned nil wrote
	// them. They are set aside, and Next does not give them.
	Torn []Torn

	// Gaps are the gaps that [Directory.SaveGap] saved and that were not forgotten.
	Gaps []audit.Gap

	// Statements are those that [Directory.SaveStatements] saved and that were not forgotten.
	Statements []completeness.Statement

	// Ordinals are those of the lines that Next will give, by their source.
	Ordinals map[uuid.UUID]completeness.Set

	// Foreign are the names of files that look like segments and are not. They are left alone.
	Foreign []string

	// Unreadable has an [UnreadableError] for each file that could not be read or repaired,
	// and is unchanged. Records does not count its lines, and Next does not give them.
	Unreadable []error
}

// Torn is the end of a segment that a crash cut off.
type Torn struct {
	// Path is the file that keeps it.
	Path string

	// Bytes is its size. A file system that lost power may have filled it with zeros.
	Bytes int64
}

// UnreadableError names a file that could not be read or repaired.
type UnreadableError struct {
	Path string

	// Records counts, by class, the lines that Found or Append counted and that Next will not
	// give. They stay in the file if it still exists, and the next Open tries them again.
	Records map[audit.EnvelopeClass]int64

	// Again counts, by class, the lines of a Gone file's successor that Next will give beyond
	// those that were counted, for example records that it has given before.
	Again map[audit.EnvelopeClass]int64

	// Gone means that the records are no longer in the file. FirstAuditID and LastAuditID are
	// those of the file's first and last record, zero if they are not known.
	Gone                      bool
	FirstAuditID, LastAuditID [16]byte

	// Ordinals are those of the records that are no longer in a Gone file, by their source.
	Ordinals map[uuid.UUID]completeness.Set

	// Err is the cause.
	Err error
}

// Error returns the file's name and the cause.
func (e *UnreadableError) Error() string {
	return fmt.Sprintf("reading spooled records of %s: %v", filepath.Base(e.Path), e.Err)
}

// Unwrap returns the cause.
func (e *UnreadableError) Unwrap() error { return e.Err }

func (f *Found) unreadable(path string, err error) {
	f.Unreadable = append(f.Unreadable, &UnreadableError{Path: path, Err: err})
}

// scan reads everything that an earlier process left, in the order of the names. Nothing else
// runs meanwhile.
func (d *Directory) scan() (Found, error) {
	found := Found{Records: map[audit.EnvelopeClass]int64{}}
	d.number = 1
	entries, err := d.disk.ReadDir(d.path)
	if err != nil {
		return Found{}, err
	}
	for _, entry := range entries {
		number, ok := numberOf(entry.Name())
		if !ok {
			if name := entry.Name(); strings.HasSuffix(name, lineFileSuffix) && name != gapsName && name != statementsName {
				found.Foreign = append(found.Foreign, name)
			}
			continue
		}
		d.number = nextNumber(d.number, number)
		d.takeUp(filepath.Join(d.path, entry.Name()), &found)
	}
	d.scanTorn(&found)
	d.takeUpLater(&found)
	d.rejects.scan(&found)
	d.scanGaps(&found)
	d.scanStatements(&found)
	found.Ordinals = d.Ordinals()
	for _, seg := range slices.Clone(d.segments) {
		d.retire(seg) // if it has no line
	}
	_ = d.sweep() // later calls try again
	return found, nil
}

// takeUp adds a file to the segments.
func (d *Directory) takeUp(path string, found *Found) {
	seg, err := d.scanSegment(path)
	if err != nil {
		found.unreadable(path, err)
		return
	}
	d.setTornAside(seg, found)
	d.segments = append(d.segments, seg)
	d.bytes.Add(seg.disk)
	classCounts(found.Records).add(seg.counted)
}

// scanSegment counts the lines of a segment. A file that cannot be read still counts as disk
// space.
func (d *Directory) scanSegment(path string) (*segment, error) {
	seg := &segment{path: path, counted: classCounts{}, given: classCounts{}, ordinals: ordinals{}, taken: ordinals{}, sealed: true}
	err := seg.scan(d.disk)
	if err != nil {
		if info, infoErr := d.disk.Lstat(path); infoErr == nil && info.Mode().IsRegular() {
			d.bytes.Add(info.Size())
		}
		return nil, err
	}
	return seg, nil
}

// scan counts the lines, and syncs them: a killed process may have written lines that it did
// not sync.
func (s *segment) scan(d disk) (err error) {
	in, err := openRegular(d, s.path, readingFlag())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if s.info, err = in.Stat(); err != nil {
		return err
	}
	if err := s.count(newLineReader(in)); err != nil {
		return err
	}
	return durable.SyncFile(in)
}

func (s *segment) count(lines *lineReader) error {
	var first, last []byte
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			s.disk = lines.read
			s.torn = s.disk > s.size
			break
		}
		if err != nil {
			return err
		}
		s.size += line.size
		s.counted[classOf(line.text)]++
		text, had, intact := cutChecksum(line.text)
		if had {
			s.checked = true
		}
		if intact {
			s.ordinals.add(originOf(text))
		}
		if last = append(last[:0], line.text...); first == nil {
			first = slices.Clone(last)
		}
	}
	for _, text := range [][]byte{first, last} {
		if rec, _, err := audit.ParseRecord(text); err == nil {
			s.ids.add(rec.AuditID)
		}
	}
	return nil
}

// setTornAside sets a torn end aside. If that fails, for example on a full disk, the end stays
// where it is and is not read, and the removal of the segment tries again.
func (d *Directory) setTornAside(seg *segment, found *Found) {
	if !seg.torn {
		return
	}
	size := seg.disk - seg.size
	path, err := d.cutOffTorn(seg)
	if err != nil {
		found.unreadable(seg.path, fmt.Errorf("setting its torn end aside: %w", err))
		return
	}
	found.Torn = append(found.Torn, Torn{Path: path, Bytes: size})
}

func (d *Directory) cutOffTorn(seg *segment) (path string, err error) {
	path, err = setAside(d.disk, seg.path, filepath.Join(d.path, tornName), seg.size, seg.disk-seg.size)
	if err == nil {
		err = cutOff(d.disk, seg.path, seg.size)
	}
	if err != nil {
		return "", err
	}
	seg.torn, seg.disk = false, seg.size
	return path, nil
}

// scanTorn makes numbers begin beyond those in torn, so that no later segment of the same
// number overwrites what an earlier one left there.
func (d *Directory) scanTorn(found *Found) {
	dir := filepath.Join(d.path, tornName)
	entries, err := d.disk.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		found.unreadable(dir, err)
	}
	for _, entry := range entries {
		segment, _, _ := strings.Cut(entry.Name(), "-")
		if number, ok := numberOf(segment + lineFileSuffix); ok {
			d.number = nextNumber(d.number, number)
		}
	}
}
