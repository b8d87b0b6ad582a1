package spool

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
)

// idRange holds the audit ids of the first and the last record, zero if they cannot be read.
type idRange struct{ first, last [16]byte }

func (r *idRange) add(id [16]byte) {
	if r.first == ([16]byte{}) {
		r.first = id
	}
	r.last = id
}

// classCounts counts lines by class. It leaves out classes that have none.
type classCounts map[audit.EnvelopeClass]int64

func (c classCounts) add(other classCounts) {
	for class, n := range other {
		c[class] += n
	}
}

// minus returns the differences that are not 0, or nil if there are none.
func (c classCounts) minus(other classCounts) classCounts {
	var difference classCounts
	for _, class := range audit.EnvelopeClasses() {
		if n := c[class] - other[class]; n != 0 {
			difference = difference.with(class, n)
		}
	}
	return difference
}

// with sets the count of a class. It makes the map if it is nil.
func (c classCounts) with(class audit.EnvelopeClass, n int64) classCounts {
	if c == nil {
		c = classCounts{}
	}
	c[class] = n
	return c
}

// segment is one file of records. The directory's mu guards everything that changes, except
// for the target of lines, which belongs to Append while appending is set.
type segment struct {
	path  string
	lines *lineFile // nil once nothing more is written to it

	size      int64 // of the whole lines that were written and synced, and may be read
	disk      int64 // the file's own size, which a failed write can leave larger
	torn      bool  // what is beyond size must still be set aside
	checked   bool  // its lines have checksums
	info      fs.FileInfo
	ids       idRange
	counted   classCounts
	ordinals  ordinals // of all its lines
	appending bool     // an Append is in progress
	sealed    bool     // no other Append will begin

	read    int64 // offset up to which Next has given lines
	given   classCounts
	taken   ordinals // given by Next
	out     int      // batches taken and not done
	skipped bool     // cannot be read
}

func (s *segment) hasMore() bool { return !s.skipped && s.read < s.size }

func (s *segment) isFinished() bool {
	return s.sealed && !s.appending && s.out == 0 && s.read == s.size
}

// nextNumber returns the first number from next on that follows number. It ignores a number
// that is not ours.
func nextNumber(next, number int64) int64 {
	if number > maxCounted {
		return next
	}
	return max(next, number+1)
}

// notGiven counts the lines that Next has not given.
func (s *segment) notGiven() map[audit.EnvelopeClass]int64 {
	left := maps.Clone(s.counted)
	for class, n := range s.given {
		if left[class] -= n; left[class] <= 0 {
			delete(left, class)
		}
	}
	return left
}

// seal ends the appending to a segment and returns the file to close. It returns nil while an
// Append uses the file, which then closes it itself. The caller holds mu.
func (d *Directory) seal(seg *segment) file {
	seg.sealed = true
	if d.active == seg {
		d.active = nil
	}
	if seg.appending || seg.lines == nil {
		return nil
	}
	unused := seg.lines.file
	seg.lines = nil
	return unused
}

// retire leaves a segment to sweep if all of it is done. A segment whose file was replaced is
// no longer among the segments, and the new file stays. The caller holds mu.
func (d *Directory) retire(seg *segment) (finished bool) {
	at := slices.Index(d.segments, seg)
	if at < 0 || !seg.isFinished() {
		return false
	}
	d.segments = slices.Delete(d.segments, at, at+1)
	d.finished = append(d.finished, seg)
	return true
}

const (
	lineFileSuffix = ".jsonl"

	// maxNumber has as many digits as a name, so that names sort like numbers.
	maxNumber = 9_999_999_999

	// maxCounted is the highest number that the next one follows. A file with a higher number
	// is read but is not ours, and must not use up the numbers.
	maxCounted = 9_000_000_000
)

func numberedName(number int64) string { return fmt.Sprintf("%010d"+lineFileSuffix, number) }

// numberOf parses a name that numberedName made.
func numberOf(name string) (number int64, ok bool) {
	digits, ok := strings.CutSuffix(name, lineFileSuffix)
	if !ok {
		return 0, false
	}
	number, _ = strconv.ParseInt(digits, 10, 64) // 0 or the largest of all if it is no number
	if number < 1 || number > maxNumber || numberedName(number) != name {
		return 0, false
	}
	return number, true
}
