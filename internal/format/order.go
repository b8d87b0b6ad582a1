package format

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hoc-analytics/coordaudit/audit"
)

// ClassRank is the place of a class by priority. Those that are not ours come last.
func ClassRank(class audit.EnvelopeClass) int { return rank(class, audit.EnvelopeClasses()) }

// Classes are the keys of a map, ours in their order and then the others by name.
func Classes[V any](of map[audit.EnvelopeClass]V) []audit.EnvelopeClass {
	return inOrder(of, audit.EnvelopeClasses())
}

// Decisions is the same for decisions.
func Decisions[V any](of map[audit.Decision]V) []audit.Decision {
	return inOrder(of, audit.Decisions())
}

// ByCount are the keys of counts, the most frequent first.
func ByCount[K ~string](counts map[K]int64) []K {
	return slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
}

func inOrder[K ~string, V any](of map[K]V, known []K) []K {
	return slices.SortedFunc(maps.Keys(of), func(a, b K) int {
		return cmp.Or(cmp.Compare(rank(a, known), rank(b, known)), cmp.Compare(a, b))
	})
}

func rank[K comparable](key K, known []K) int {
	if i := slices.Index(known, key); i >= 0 {
		return i
	}
	return len(known)
}
