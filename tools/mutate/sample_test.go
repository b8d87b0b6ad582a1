package main

import (
	"slices"
	"strconv"
	"testing"
)

func TestSample(t *testing.T) {
	t.Parallel()
	all := make([]*mutant, 1000)
	for i := range all {
		all[i] = &mutant{file: "f.go", function: strconv.Itoa(i / 4), before: strconv.Itoa(i / 2), line: i}
	}
	first := sample(all, 50, 1)
	if len(first) != 50 || !slices.IsSortedFunc(first, func(a, b *mutant) int { return a.line - b.line }) {
		t.Errorf("%d mutants, or not in their order", len(first))
	}
	if !slices.Equal(first, sample(all, 50, 1)) {
		t.Error("the same seed gives another sample")
	}
	if slices.Equal(first, sample(all, 50, 2)) {
		t.Error("another seed gives the same sample")
	}
	if fewer := sample(all[10:], 50, 1); common(first, fewer) < 45 {
		t.Errorf("only %d of 50 are left after 10 of 1000 mutants are gone", common(first, fewer))
	}
	if got := sample(all, 0, 1); len(got) != len(all) {
		t.Errorf("no sample: %d mutants, want all", len(got))
	}
}

func common(a, b []*mutant) (n int) {
	for _, m := range a {
		if slices.Contains(b, m) {
			n++
		}
	}
	return n
}
