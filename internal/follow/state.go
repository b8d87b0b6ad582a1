package follow

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math/bits"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/fence"
)

// State is where a follower is. It holds all that a follower knows. The zero value begins with
// the first record.
type State struct {
	system, database int64
	timeline         string // hexadecimal; empty if it was only read on a standby

	epoch   int64             // of the log by which it follows a trail on a cluster; else 0
	place   auditdriver.SeqID // the last row that was passed
	fence   int64             // the seq up to which this round reads
	reading bool              // the round is not over
	standby bool              // it was made on a standby
	late    bool              // the round has not read all holes yet
	around  []fence.Set
	holes   completeness.Set

	// repeatedThrough is a seq up to which records may have been delivered before.
	repeatedThrough int64

	anchors []anchor  // oldest first; the last one is the newest row that was passed
	current time.Time // when nothing was behind
}

// clone copies what a step changes in place.
func (s State) clone() State {
	s.around = slices.Clone(s.around)
	for i := range s.around {
		s.around[i].By = maps.Clone(s.around[i].By)
	}
	s.holes = slices.Clone(s.holes)
	s.anchors = slices.Clone(s.anchors)
	return s
}

// renew ends a round before its end. The next one looks again at which transactions are open.
func (s *State) renew() {
	s.reading, s.fence = false, s.place.Seq
}

// Renew is for a state that a look has failed after: the server may have been restarted.
func (s *State) Renew() { s.renew() }

// endOf is a place behind every row with a seq.
func endOf(seq int64) auditdriver.SeqID {
	return auditdriver.SeqID{Seq: seq, AuditID: uuid.Max}
}

// pass moves the place to a row.
func (s *State) pass(row auditdriver.SeqID) {
	s.place = row
	if row.Seq >= s.repeatedThrough {
		s.repeatedThrough = 0
	}
	s.anchors = withAnchor(s.anchors, anchor{row.Seq, hashOf(row.AuditID)})
}

// anchor is a row that was passed. A hash of its id is enough to know it again, and tells a
// holder of the cursor nothing about records outside its scope.
type anchor struct {
	seq  int64
	hash idHash
}

type idHash [8]byte

func hashOf(id uuid.UUID) (hash idHash) {
	sum := sha256.Sum256(id[:])
	copy(hash[:], sum[:])
	return hash
}

// maxAnchors bounds the anchors. Their distances from the newest one grow by a factor of
// about four.
const maxAnchors = 16

// withAnchor adds the newest anchor, and keeps the oldest one of each power of four of the
// distance from it.
func withAnchor(anchors []anchor, newest anchor) []anchor {
	kept := make([]anchor, 0, maxAnchors+1)
	last := -1
	for _, a := range anchors {
		distance := newest.seq - a.seq
		if distance <= 0 {
			continue // it is read again after a fall back, or has the same seq
		}
		bucket := min(bits.Len64(uint64(distance))/2, maxAnchors-2)
		if bucket != last {
			kept, last = append(kept, a), bucket
		}
	}
	return append(kept, newest)
}

func (s *State) newestAnchor() (anchor, bool) {
	if len(s.anchors) == 0 {
		return anchor{}, false
	}
	return s.anchors[len(s.anchors)-1], true
}

// stands reports whether one of some rows is an anchor.
func (a anchor) stands(rows []uuid.UUID) bool {
	return slices.ContainsFunc(rows, func(id uuid.UUID) bool { return hashOf(id) == a.hash })
}

// clockOf and timeOf are for times in a cursor, to the millisecond.
func clockOf(at time.Time) uint64 { return uint64(max(at.UnixMilli(), 0)) }

func timeOf(clock uint64) time.Time { return time.UnixMilli(int64(clock & (1<<62 - 1))) }

func appendText(bytes []byte, text string) []byte {
	bytes = binary.AppendUvarint(bytes, uint64(len(text)))
	return append(bytes, text...)
}
