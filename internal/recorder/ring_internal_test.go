package recorder

import (
	"slices"
	"testing"
)

// Both owners return what they took, in any order. The queue keeps the order of acceptance.
func TestRingPutBack(t *testing.T) {
	t.Parallel()
	entries := make([]*entry, 9)
	for i := range entries {
		entries[i] = &entry{ticket: int64(i)}
	}
	var r ring
	for _, e := range entries[6:] {
		r.pushBack(e)
	}
	r.putBack(entries[3:5])
	r.putBack([]*entry{entries[0], entries[2], entries[5]})
	r.putBack(nil)
	r.putBack(entries[1:2])
	var got []int64
	for r.len() > 0 {
		got = append(got, r.front().ticket)
		r.popFront()
	}
	if !slices.Equal(got, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("tickets %v", got)
	}
}
