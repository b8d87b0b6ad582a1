package deadletter

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
)

// classCounts counts lines by class. Classes without any are left out.
type classCounts map[audit.EnvelopeClass]int64

func (c classCounts) add(other classCounts) {
	for class, n := range other {
		c[class] += n
	}
}

// minus returns the differences that are not 0; nil if there are none.
func (c classCounts) minus(other classCounts) classCounts {
	var difference classCounts
	for _, class := range audit.EnvelopeClasses() {
		if n := c[class] - other[class]; n != 0 {
			if difference == nil {
				difference = classCounts{}
			}
			difference[class] = n
		}
	}
	return difference
}

// segment is one file of records. The directory's mu guards all that changes but what
// lines points to, which belongs to Append while appending is set.
type segment struct {
	number int64
	path   string
	lines  *lineFile // nil once nothing is written to it any more

	size      int64 // of what may be read: whole lines, written and synced
	disk      int64 // the file's own size, which a failed write can leave larger
	torn      bool  // what is beyond size is still to be kept aside
	counted   classCounts
	appending bool // an Append is under way
	sealed    bool // no other Append will begin

	read    int64 // up to where Next has given lines
	given   classCounts
	out     int  // batches taken and not done
	skipped bool // cannot be read
}

func (s *segment) hasMore() bool { return !s.skipped && s.read < s.size }

func (s *segment) isFinished() bool {
	return s.sealed && !s.appending && !s.skipped && s.out == 0 && s.read == s.size
}

// notGiven counts the lines that Next has not come to.
func (s *segment) notGiven() map[audit.EnvelopeClass]int64 {
	left := maps.Clone(s.counted)
	for class, n := range s.given {
		if left[class] -= n; left[class] <= 0 {
			delete(left, class)
		}
	}
	return left
}

// seal ends the appending to a segment and returns the file to close, if it is not
// an Append's, which then closes it itself. mu is held.
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

// settle hands a segment to sweep if nothing of it is left to do. mu is held.
func (d *Directory) settle(seg *segment) (finished bool) {
	at := slices.Index(d.segments, seg)
	if at < 0 || !seg.isFinished() {
		return false
	}
	d.segments = slices.Delete(d.segments, at, at+1)
	d.finished = append(d.finished, seg)
	return true
}

const lineFileSuffix = ".jsonl"

func numberedName(number int64) string { return fmt.Sprintf("%010d"+lineFileSuffix, number) }

// numberOf reads a name that numberedName wrote.
func numberOf(name string) (number int64, ok bool) {
	digits, ok := strings.CutSuffix(name, lineFileSuffix)
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseInt(digits, 10, 64)
	// The next numbers must be numbers, too.
	if err != nil || number < 1 || number > math.MaxInt64/2 || numberedName(number) != name {
		return 0, false
	}
	return number, true
}
