package completeness

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Range holds the ordinals from First to Last, both included.
type Range struct{ First, Last int64 }

// Set is a set of ordinals: ranges in ascending order that neither overlap nor touch. The zero
// value is empty.
type Set []Range

// SetOf returns the set of the given ordinals.
func SetOf(ordinals ...int64) Set {
	var s Set
	for _, ordinal := range ordinals {
		s.Add(ordinal, ordinal)
	}
	return s
}

// Span returns the set of the ordinals from first to last. It is empty if last is less.
func Span(first, last int64) Set {
	var s Set
	s.Add(first, last)
	return s
}

// Add adds the ordinals from first to last. It does nothing if last is less. Adding at the end
// takes constant time.
func (s *Set) Add(first, last int64) {
	if last < first {
		return
	}
	set := *s
	if n := len(set); n == 0 || set[n-1].Last < first-1 { // Last+1 might overflow
		*s = append(set, Range{first, last})
		return
	}
	// The ranges from i to j overlap the new one, or touch it.
	i := sort.Search(len(set), func(i int) bool { return set[i].Last >= first-1 })
	j := i
	for j < len(set) && set[j].First-1 <= last {
		first, last = min(first, set[j].First), max(last, set[j].Last)
		j++
	}
	*s = slices.Replace(set, i, j, Range{first, last})
}

// AddAll adds the ordinals of another set.
func (s *Set) AddAll(other Set) {
	for _, r := range other {
		s.Add(r.First, r.Last)
	}
}

// Count returns the number of ordinals.
func (s Set) Count() (n int64) {
	for _, r := range s {
		n += r.Last - r.First + 1
	}
	return n
}

// Bounds returns the first and the last ordinals of the ranges, for a query with two arrays.
func (s Set) Bounds() (firsts, lasts []int64) {
	firsts, lasts = make([]int64, len(s)), make([]int64, len(s))
	for i, r := range s {
		firsts[i], lasts[i] = r.First, r.Last
	}
	return firsts, lasts
}

// Max returns the highest ordinal, or 0 if there is none.
func (s Set) Max() int64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].Last
}

// Has reports whether the set holds an ordinal.
func (s Set) Has(ordinal int64) bool {
	i := sort.Search(len(s), func(i int) bool { return s[i].Last >= ordinal })
	return i < len(s) && s[i].First <= ordinal
}

// Minus returns the ordinals of s that are in none of the others.
func (s Set) Minus(others ...Set) Set {
	left := s
	for _, other := range others {
		left = left.minus(other)
	}
	return left
}

func (s Set) minus(other Set) (left Set) {
	j := 0
next:
	for _, r := range s {
		for j < len(other) && other[j].Last < r.First {
			j++
		}
		first := r.First
		for k := j; k < len(other) && other[k].First <= r.Last; k++ {
			left.Add(first, other[k].First-1)
			if other[k].Last >= r.Last {
				continue next
			}
			first = other[k].Last + 1
		}
		left.Add(first, r.Last)
	}
	return left
}

// Union returns the ordinals that are in any of the sets, however they are mixed.
func Union(sets ...Set) (all Set) {
	ranges := slices.Concat(sets...)
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.First, b.First) })
	for _, r := range ranges {
		all.Add(r.First, r.Last)
	}
	return all
}

// And returns the ordinals that are in both sets.
func (s Set) And(other Set) Set { return s.minus(s.minus(other)) }

// String writes the set as PostgreSQL writes an int8multirange: {[1,4),[7,8)}.
func (s Set) String() string {
	text := []byte{'{'}
	for i, r := range s {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, '[')
		text = strconv.AppendInt(text, r.First, 10)
		text = append(text, ',')
		text = strconv.AppendInt(text, r.Last+1, 10)
		text = append(text, ')')
	}
	return string(append(text, '}'))
}

// ParseSet reads what String and PostgreSQL write.
func ParseSet(text string) (Set, error) {
	inner, opened := strings.CutPrefix(text, "{")
	inner, closed := strings.CutSuffix(inner, "}")
	if !opened || !closed {
		return nil, errNoSet
	}
	if inner == "" {
		return nil, nil
	}
	var s Set
	for _, part := range strings.SplitAfter(inner, ")") {
		part = strings.TrimPrefix(part, ",")
		if part == "" {
			continue
		}
		var first, end int64
		if _, err := fmt.Sscanf(part, "[%d,%d)", &first, &end); err != nil || end <= first {
			return nil, errNoSet
		}
		s.Add(first, end-1)
	}
	return s, nil
}

var errNoSet = errors.New("is no set of ordinals, such as {[1,4),[7,8)}")
