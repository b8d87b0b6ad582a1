package follow

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/fence"
)

// A cursor is URL-safe base64. It holds the version, the fingerprint of its query, the state,
// and a checksum of all that. Every version begins with its number and ends with the checksum,
// so a cursor of another version is not mistaken for a damaged one. The numbers are not those
// of a listing's cursors.
const (
	cursorVersion  = 65
	checksumLength = 4

	// MaxStoredHoles bounds the holes in the form that is stored, in bytes.
	MaxStoredHoles = 64 << 10
)

// Fingerprint identifies a query without its limit and its start.
type Fingerprint [12]byte

// Errors of [Decode].
var (
	ErrDamaged      = errors.New("is damaged: pass the cursor as it was returned, or begin again without one")
	ErrVersion      = errors.New("was made by another version of coordaudit: begin again without it, or use that version")
	ErrAnotherQuery = errors.New("belongs to another query: scope, filters and window must be those of the query that it came from")
)

const (
	flagReading = 1 << iota
	flagLate
	flagStandby
	flagCluster
	flagKnown = flagReading | flagLate | flagStandby | flagCluster
)

// Encode returns the exact cursor.
func (s *State) Encode(of Fingerprint) audit.Cursor {
	return s.encode(of, s.appendHoles(nil))
}

// EncodeStored returns the cursor in the form that is stored. If it has too many holes, it
// falls back to the place before the first of them.
func (s *State) EncodeStored(of Fingerprint) audit.Cursor {
	holes := s.appendHoles(nil)
	if len(holes) <= MaxStoredHoles {
		return s.encode(of, holes)
	}
	back := *s
	back.repeatedThrough = max(s.repeatedThrough, s.place.Seq)
	back.place = endOf(s.holes[0].First - 1)
	back.holes = nil
	back.renew()
	return back.encode(of, back.appendHoles(nil))
}

func (s *State) encode(of Fingerprint, holes []byte) audit.Cursor {
	bytes := make([]byte, 0, 256+len(holes))
	bytes = append(bytes, cursorVersion)
	bytes = append(bytes, of[:]...)
	bytes = binary.BigEndian.AppendUint64(bytes, uint64(s.system))
	bytes = binary.AppendUvarint(bytes, uint64(s.database))
	bytes = appendText(bytes, s.timeline)
	flags := byte(0)
	if s.reading {
		flags |= flagReading
	}
	if s.late {
		flags |= flagLate
	}
	if s.standby {
		flags |= flagStandby
	}
	if s.epoch != 0 {
		flags |= flagCluster
	}
	bytes = append(bytes, flags)
	if s.epoch != 0 {
		bytes = binary.AppendUvarint(bytes, uint64(s.epoch))
	}
	bytes = binary.AppendUvarint(bytes, uint64(s.place.Seq))
	bytes = append(bytes, s.place.AuditID[:]...)
	bytes = binary.AppendUvarint(bytes, uint64(s.fence))
	bytes = binary.AppendUvarint(bytes, uint64(s.repeatedThrough))
	bytes = binary.AppendUvarint(bytes, clockOf(s.current))
	bytes = s.appendSets(bytes)
	bytes = s.appendAnchors(bytes)
	bytes = append(bytes, holes...)
	bytes = binary.BigEndian.AppendUint32(bytes, crc32.ChecksumIEEE(bytes))
	return audit.Cursor(base64.RawURLEncoding.EncodeToString(bytes))
}

func (s *State) appendSets(bytes []byte) []byte {
	bytes = append(bytes, byte(len(s.around)))
	for _, set := range s.around {
		bytes = binary.AppendUvarint(bytes, uint64(set.Through))
		bytes = binary.AppendUvarint(bytes, clockOf(set.Since))
		bytes = binary.AppendUvarint(bytes, uint64(len(set.By)))
		transactions := make([]string, 0, len(set.By))
		for transaction := range set.By {
			transactions = append(transactions, transaction)
		}
		slices.Sort(transactions) // the same state is the same cursor
		for _, transaction := range transactions {
			bytes = appendText(bytes, transaction)
			bytes = binary.AppendUvarint(bytes, uint64(set.By[transaction]))
		}
	}
	return bytes
}

func (s *State) appendAnchors(bytes []byte) []byte {
	bytes = append(bytes, byte(len(s.anchors)))
	before := int64(0)
	for _, a := range s.anchors {
		bytes = binary.AppendUvarint(bytes, uint64(a.seq-before))
		bytes = append(bytes, a.hash[:]...)
		before = a.seq
	}
	return bytes
}

func (s *State) appendHoles(bytes []byte) []byte {
	bytes = binary.AppendUvarint(bytes, uint64(len(s.holes)))
	before := int64(0)
	for _, r := range s.holes {
		bytes = binary.AppendUvarint(bytes, uint64(r.First-before))
		bytes = binary.AppendUvarint(bytes, uint64(r.Last-r.First))
		before = r.Last
	}
	return bytes
}

// Decode reads a cursor that belongs to a query.
func Decode(cursor audit.Cursor, of Fingerprint) (State, error) {
	bytes, err := base64.RawURLEncoding.Strict().DecodeString(string(cursor))
	end := len(bytes) - checksumLength
	switch {
	case err != nil || end <= 0 || strings.ContainsAny(string(cursor), "\r\n"): // decoding skips line breaks
		return State{}, ErrDamaged
	case crc32.ChecksumIEEE(bytes[:end]) != binary.BigEndian.Uint32(bytes[end:]):
		return State{}, ErrDamaged
	case bytes[0] != cursorVersion:
		return State{}, ErrVersion
	case end < 1+len(of):
		return State{}, ErrDamaged
	case Fingerprint(bytes[1:1+len(of)]) != of:
		return State{}, ErrAnotherQuery
	}
	r := reader{left: bytes[1+len(of) : end]}
	s := r.state()
	if r.failed || len(r.left) > 0 {
		return State{}, ErrDamaged
	}
	return s, nil
}

// reader reads the parts of a cursor. After a fault it reads zeros.
type reader struct {
	left   []byte
	failed bool
}

func (r *reader) state() (s State) {
	if system := r.bytes(8); !r.failed {
		s.system = int64(binary.BigEndian.Uint64(system))
	}
	s.database = r.number()
	s.timeline = r.text()
	flags := r.byte()
	if flags&^flagKnown != 0 {
		r.failed = true
	}
	s.reading, s.late, s.standby = flags&flagReading != 0, flags&flagLate != 0, flags&flagStandby != 0
	if flags&flagCluster != 0 {
		if s.epoch = r.number(); s.epoch == 0 {
			r.failed = true
		}
	}
	s.place.Seq = r.number()
	if id := r.bytes(len(uuid.UUID{})); !r.failed {
		s.place.AuditID = uuid.UUID(id)
	}
	s.fence = r.number()
	s.repeatedThrough = r.number()
	s.current = timeOf(uint64(r.number()))
	s.around = r.sets()
	s.anchors = r.anchors()
	s.holes = r.holes()
	return s
}

func (r *reader) sets() (sets []fence.Set) {
	for range r.count(2, int64(r.byte())) {
		set := fence.Set{Through: r.number(), Since: timeOf(uint64(r.number())), By: map[string]int32{}}
		for range r.count(int64(len(r.left)), r.number()) {
			transaction := r.text()
			set.By[transaction] = int32(min(r.number(), math.MaxInt32))
		}
		sets = append(sets, set)
	}
	return sets
}

func (r *reader) anchors() (anchors []anchor) {
	before := int64(0)
	for range r.count(maxAnchors+1, int64(r.byte())) {
		a := anchor{seq: r.after(before, 1)}
		if hash := r.bytes(len(a.hash)); !r.failed {
			a.hash = idHash(hash)
		}
		anchors, before = append(anchors, a), a.seq
	}
	return anchors
}

func (r *reader) holes() (holes completeness.Set) {
	before := int64(0)
	for range r.count(int64(len(r.left)), r.number()) {
		first := r.after(before, 1)
		last := r.after(first, 0)
		if r.failed {
			return nil
		}
		holes.Add(first, last)
		before = last
	}
	return holes
}

// count returns a number of things, of which there may be at most some.
func (r *reader) count(most, n int64) int64 {
	if n > most {
		r.failed = true
	}
	if r.failed {
		return 0
	}
	return n
}

// after reads a number as its distance from one before it.
func (r *reader) after(before, least int64) int64 {
	distance := r.number()
	if distance < least || distance > math.MaxInt64-1-before {
		r.failed = true
		return 0
	}
	return before + distance
}

func (r *reader) number() int64 {
	n, size := binary.Uvarint(r.left)
	if r.failed || size <= 0 || n > math.MaxInt64 {
		r.failed = true
		return 0
	}
	r.left = r.left[size:]
	return int64(n)
}

func (r *reader) bytes(n int) []byte {
	if r.failed || n > len(r.left) {
		r.failed = true
		return nil
	}
	bytes := r.left[:n]
	r.left = r.left[n:]
	return bytes
}

func (r *reader) byte() byte {
	if one := r.bytes(1); len(one) == 1 {
		return one[0]
	}
	return 0
}

func (r *reader) text() string {
	return string(r.bytes(int(r.count(int64(len(r.left)), r.number()))))
}
