package follow

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/fence"
)

var anyState = cmp.AllowUnexported(State{}, anchor{})

// randomState has everything that a cursor can hold.
func randomState(random *rand.Rand) State {
	s := State{
		system: int64(random.Uint64()), database: random.Int64N(math.MaxUint32), timeline: "0000000A",
		place: auditdriver.SeqID{Seq: random.Int64(), AuditID: uuid.New()}, fence: random.Int64(),
		reading: random.IntN(2) == 0, standby: random.IntN(2) == 0, late: random.IntN(2) == 0,
		repeatedThrough: random.Int64(), current: time.UnixMilli(random.Int64N(1 << 44)),
	}
	for range random.IntN(3) {
		set := fence.Set{Through: random.Int64(), Since: time.UnixMilli(random.Int64N(1 << 44)), By: map[string]int32{}}
		for range random.IntN(4) {
			set.By[uuid.NewString()] = random.Int32()
		}
		s.around = append(s.around, set)
	}
	seq := int64(0)
	for range random.IntN(maxAnchors + 2) {
		seq += 1 + random.Int64N(1<<40)
		s.anchors = append(s.anchors, anchor{seq, hashOf(uuid.New())})
	}
	seq = 0
	for range random.IntN(50) {
		first := seq + 2 + random.Int64N(1<<30)
		seq = first + random.Int64N(3)
		s.holes.Add(first, seq)
	}
	return s
}

func TestCursorHoldsTheWholeState(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	of := Fingerprint{1, 2, 3}
	for range 2000 {
		state := randomState(random)
		got, err := Decode(state.Encode(of), of)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(state, got, anyState); diff != "" {
			t.Fatalf("the state differs (-want +got):\n%s", diff)
		}
	}
}

// A cursor of any text is refused or read, and never anything else. The checksum is made good,
// so that what it guards is read as well.
func FuzzDecodeCursor(f *testing.F) {
	random := rand.New(rand.NewPCG(3, 4))
	of := Fingerprint{}
	f.Add([]byte{})
	for range 20 {
		state := randomState(random)
		bytes, err := base64.RawURLEncoding.DecodeString(string(state.Encode(of)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes[:len(bytes)-checksumLength])
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		raw := audit.Cursor(bytes)
		if _, err := Decode(raw, of); err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) && !errors.Is(err, ErrAnotherQuery) {
			t.Errorf("Decode = %v, want one of its errors", err)
		}
		sealed := binary.BigEndian.AppendUint32(slices.Clip(bytes), crc32.ChecksumIEEE(bytes))
		state, err := Decode(audit.Cursor(base64.RawURLEncoding.EncodeToString(sealed)), of)
		if err != nil {
			return
		}
		again, err := Decode(state.Encode(of), of)
		if err != nil {
			t.Fatalf("a cursor that was read is refused when it is written again: %v", err)
		}
		if diff := cmp.Diff(state, again, anyState); diff != "" {
			t.Errorf("the state differs when it is written again (-first +second):\n%s", diff)
		}
	})
}

// What is too much for a stored cursor is given up from the oldest hole on, and marked.
func TestStoredCursorFallsBackToTheFirstHole(t *testing.T) {
	t.Parallel()
	of := Fingerprint{}
	state := State{system: 1, place: auditdriver.SeqID{Seq: 1_000_000, AuditID: uuid.New()}, fence: 2_000_000, reading: true}
	for seq := int64(10_001); len(state.holes) <= MaxStoredHoles/2; seq += 2 { // two bytes each
		state.holes = append(state.holes, completeness.Range{First: seq, Last: seq})
	}
	exact, err := Decode(state.Encode(of), of)
	if err != nil || len(exact.holes) != len(state.holes) {
		t.Errorf("the exact cursor has %d holes and %v, want %d", len(exact.holes), err, len(state.holes))
	}
	stored, err := Decode(state.EncodeStored(of), of)
	if err != nil {
		t.Fatal(err)
	}
	if stored.place.Seq != 10_000 || stored.repeatedThrough != 1_000_000 || len(stored.holes) > 0 || stored.reading {
		t.Errorf("it goes on after %d and repeats through %d, want 10000 and 1000000", stored.place.Seq, stored.repeatedThrough)
	}
}

// Each distance from the newest anchor has one near it, however long the trail is.
func TestAnchorsAreFewAndReachBack(t *testing.T) {
	t.Parallel()
	var anchors []anchor
	for seq := int64(1); seq <= 100_000; seq++ {
		anchors = withAnchor(anchors, anchor{seq: seq})
	}
	if len(anchors) > maxAnchors+1 {
		t.Errorf("%d anchors, want at most %d", len(anchors), maxAnchors+1)
	}
	for distance := int64(1); distance < 100_000; distance *= 16 {
		near := false
		for _, a := range anchors {
			if d := 100_000 - a.seq; d >= distance/16 && d <= distance*16 {
				near = true
			}
		}
		if !near {
			t.Errorf("no anchor is about %d before the newest: %v", distance, anchors)
		}
	}
}
