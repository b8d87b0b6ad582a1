package deadletter

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Found is what an earlier process left in the directory.
type Found struct {
	// Records counts the lines that Next will give, by class. Classes without any are
	// left out.
	Records map[audit.EnvelopeClass]int64

	// Torn are the ends of segments that a crash cut off. No Append that returned nil
	// wrote them. They are kept aside and not given.
	Torn []Torn

	// Gaps are those of [Directory.SaveGap] that were not forgotten.
	Gaps []audit.Gap

	// Unreadable says what could not be read or mended, and is left as it is: each an
	// [UnreadableError]. Its lines are not counted in Records and not given.
	Unreadable []error
}

// Torn is the end of a segment that a crash cut off, line end and all.
type Torn struct {
	// Path is the file in which it is kept.
	Path string

	// Bytes is its size. A file system that lost power may have filled it with zeros.
	Bytes int64
}

// UnreadableError says which file could not be read or mended.
type UnreadableError struct {
	Path string

	// Records counts the lines, by class, that Found or Append counted and Next will
	// not give. They are left in the file, if that is still there: the next Open tries
	// them again.
	Records map[audit.EnvelopeClass]int64

	// Err is the cause.
	Err error
}

// Error names the file and the cause.
func (e *UnreadableError) Error() string {
	return fmt.Sprintf("reading dead letters of %s: %v", filepath.Base(e.Path), e.Err)
}

// Unwrap returns the cause.
func (e *UnreadableError) Unwrap() error { return e.Err }

func (f *Found) unreadable(path string, err error) {
	f.Unreadable = append(f.Unreadable, &UnreadableError{Path: path, Err: err})
}

// scan looks at all that is there. It runs alone.
func (d *Directory) scan() (Found, error) {
	found := Found{Records: map[audit.EnvelopeClass]int64{}}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return Found{}, err
	}
	for _, entry := range entries {
		number, ok := numberOf(entry.Name())
		if !ok {
			continue
		}
		d.number = max(d.number, number)
		path := filepath.Join(d.path, entry.Name())
		seg, err := d.scanSegment(path, number, entry)
		if err != nil {
			found.unreadable(path, err)
			continue
		}
		d.mend(seg, &found)
		d.segments = append(d.segments, seg)
		d.bytes.Add(seg.disk)
		classCounts(found.Records).add(seg.counted)
	}
	slices.SortFunc(d.segments, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	d.scanTorn(&found)
	d.number++
	d.rejects.scan(&found)
	d.gaps.scan(&found)
	for _, seg := range slices.Clone(d.segments) {
		d.settle(seg) // one without a line
	}
	_ = d.sweep() // is tried again
	return found, nil
}

// scanSegment counts the lines. A file that cannot be read counts as disk space all
// the same.
func (d *Directory) scanSegment(path string, number int64, entry fs.DirEntry) (*segment, error) {
	if !entry.Type().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	seg := &segment{number: number, path: path, counted: classCounts{}, given: classCounts{}, sealed: true}
	err := seg.scan()
	if err != nil {
		if info, infoErr := entry.Info(); infoErr == nil {
			d.bytes.Add(info.Size())
		}
		return nil, err
	}
	return seg, nil
}

func (s *segment) scan() (err error) {
	in, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	lines := newLineReader(in)
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			s.disk = lines.read
			s.torn = s.disk > s.size
			return nil
		}
		if err != nil {
			return err
		}
		s.size += line.size
		s.counted[classOf(line.text)]++
	}
}

// mend keeps a torn end aside. Where that fails, as on a full disk, the end is left
// where it is and not read, and mending is tried again before the segment is removed.
func (d *Directory) mend(seg *segment, found *Found) {
	if !seg.torn {
		return
	}
	size := seg.disk - seg.size
	path, err := d.cutOffTorn(seg)
	if err != nil {
		found.unreadable(seg.path, fmt.Errorf("keeping its torn end aside: %w", err))
		return
	}
	found.Torn = append(found.Torn, Torn{Path: path, Bytes: size})
}

func (d *Directory) cutOffTorn(seg *segment) (path string, err error) {
	path, err = keepAside(seg.path, filepath.Join(d.path, tornName), seg.size, seg.disk-seg.size)
	if err == nil {
		err = cutOff(seg.path, seg.size)
	}
	if err != nil {
		return "", err
	}
	seg.torn, seg.disk = false, seg.size
	return path, nil
}

// scanTorn has numbers begin beyond those in torn, so that what an earlier segment
// left there is not overwritten by a later one of the same number.
func (d *Directory) scanTorn(found *Found) {
	dir := filepath.Join(d.path, tornName)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		found.unreadable(dir, err)
	}
	for _, entry := range entries {
		segment, _, _ := strings.Cut(entry.Name(), "-")
		if number, ok := numberOf(segment + lineFileSuffix); ok {
			d.number = max(d.number, number)
		}
	}
}
