package completeness_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

// Sets of up to 64 ordinals are compared with bit sets, which cannot be wrong in the same way.
func TestSetAgreesWithBits(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) // the same inputs each time
	for range 2000 {
		a, bitsA := randomSet(random)
		b, bitsB := randomSet(random)
		union := append(completeness.Set(nil), a...)
		union.AddAll(b)
		for name, c := range map[string]struct {
			set  completeness.Set
			bits uint64
		}{
			"a": {a, bitsA}, "union": {union, bitsA | bitsB}, "minus": {a.Minus(b), bitsA &^ bitsB}, "and": {a.And(b), bitsA & bitsB},
		} {
			if got := bitsOf(t, c.set); got != c.bits {
				t.Fatalf("%s of %s and %s is %s: %064b, want %064b", name, a, b, c.set, got, c.bits)
			}
		}
	}
}

func randomSet(random *rand.Rand) (set completeness.Set, bits uint64) {
	for range random.IntN(12) {
		first := 1 + random.Int64N(60)
		last := min(63, first+random.Int64N(9)-2)
		set.Add(first, last)
		for i := first; i <= last; i++ {
			bits |= 1 << i
		}
	}
	return set, bits
}

// bitsOf also checks that the ranges ascend, and neither overlap nor touch.
func bitsOf(t *testing.T, set completeness.Set) (bits uint64) {
	t.Helper()
	var end, count int64
	for i, r := range set {
		if r.Last < r.First || i > 0 && r.First <= end+1 {
			t.Fatalf("%s is in no order", set)
		}
		end = r.Last
		for o := r.First; o <= r.Last; o++ {
			bits |= 1 << o
			count++
			if !set.Has(o) {
				t.Fatalf("%s does not have %d", set, o)
			}
		}
	}
	if set.Count() != count || set.Max() != end {
		t.Fatalf("%s counts %d up to %d, want %d up to %d", set, set.Count(), set.Max(), count, end)
	}
	return bits
}

func TestSetText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{}", "{[1,2)}", "{[1,4),[7,8)}", "{[9223372036854775806,9223372036854775807)}"} {
		set, err := completeness.ParseSet(text)
		if err != nil || set.String() != text {
			t.Errorf("ParseSet(%s) = %s, %v", text, set, err)
		}
	}
	for _, text := range []string{"", "{", "[1,2)", "{[1,1)}", "{[2,1)}", "{(1,2)}", "{[1,2]}", "{[a,b)}", "{[1,)}"} {
		if set, err := completeness.ParseSet(text); err == nil {
			t.Errorf("ParseSet(%q) = %s, want an error", text, set)
		}
	}
	if diff := cmp.Diff(completeness.Set{{First: 1, Last: 5}, {First: 8, Last: 8}}, completeness.SetOf(5, 1, 3, 8, 2, 4)); diff != "" {
		t.Errorf("SetOf (-want +got):\n%s", diff)
	}
}

func TestUnion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		sets []completeness.Set
		want string
	}{
		{nil, "{}"},
		{[]completeness.Set{nil, completeness.SetOf(3)}, "{[3,4)}"},
		{[]completeness.Set{completeness.SetOf(1, 5, 9), completeness.SetOf(2, 6), completeness.Span(4, 7)}, "{[1,3),[4,8),[9,10)}"},
		{[]completeness.Set{completeness.Span(1, 10), completeness.Span(2, 3)}, "{[1,11)}"},
	} {
		if got := completeness.Union(test.sets...).String(); got != test.want {
			t.Errorf("union of %v is %s, want %s", test.sets, got, test.want)
		}
	}
}
