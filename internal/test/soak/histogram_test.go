package soak_test

import (
	"math/bits"
	"time"
)

// histogram counts durations to a sixteenth of their size, in constant memory.
type histogram struct {
	counts  [64 * 16]int64
	total   int64
	longest time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.total++
	h.longest = max(h.longest, d)
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.longest = max(h.longest, other.longest)
}

// at is the duration that a share of them does not exceed, rounded up.
func (h *histogram) at(share float64) time.Duration {
	rank := int64(share * float64(h.total))
	for i, n := range h.counts {
		if rank -= n; rank < 0 {
			return min(h.longest, endOf(i))
		}
	}
	return h.longest
}

// bucketOf: below 16 ns one bucket a nanosecond, above 16 buckets for each doubling.
func bucketOf(d time.Duration) int {
	n := uint64(max(0, d))
	if n < 16 {
		return int(n)
	}
	shift := bits.Len64(n) - 5
	return shift*16 + int(n>>shift)
}

func endOf(bucket int) time.Duration {
	if bucket < 32 {
		return time.Duration(bucket)
	}
	shift := bucket/16 - 1
	return time.Duration(bucket-shift*16+1)<<shift - 1
}
