package seal_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/seal"
)

// randomRow takes few and short values, so that rows are nearly equal.
func randomRow(next func(n int) int) seal.Row {
	row := emptyRow(seal.Kind(1 + next(4)))
	for i, column := range seal.Columns(row.Kind, 1) {
		if next(3) == 0 {
			row.Values[i] = nil
			if i == 0 || row.Kind == seal.Record && i == 1 {
				row.Values[i] = make([]byte, 8*(i+1))
			}
			continue
		}
		width := next(3)
		switch column.Type {
		case seal.UUID:
			width = 16
		case seal.Timestamptz, seal.Int8:
			width = 8
		case seal.Int4:
			width = 4
		case seal.Bool:
			width = 1
		default: // the length varies
		}
		value := make([]byte, width)
		for j := range value {
			value[j] = []byte{0, 1, 0xff, 'a'}[next(4)]
		}
		if column.Type == seal.JSONB {
			value = jsonbValue(string(value))
		}
		row.Values[i] = value
	}
	return row
}

// moved moves the last byte of a value to the next one, the usual fault of an encoding.
func moved(row seal.Row, next func(n int) int) seal.Row {
	other := row
	other.Values = append([][]byte(nil), row.Values...)
	i := next(len(row.Values)-2) + 1
	a, b := other.Values[i], other.Values[i+1]
	switch next(4) {
	case 0:
		other.Values[i], other.Values[i+1] = b, a
	case 1:
		if len(a) > 0 {
			other.Values[i], other.Values[i+1] = a[:len(a)-1], append([]byte{a[len(a)-1]}, b...)
		}
	case 2:
		if a == nil {
			other.Values[i] = []byte{}
		} else if len(a) == 0 {
			other.Values[i] = nil
		}
	case 3:
		if len(a) > 0 {
			other.Values[i] = append([]byte(nil), a...)
			other.Values[i][next(len(a))] ^= 1 << next(8)
		}
	}
	return other
}

func sameRow(a, b seal.Row) bool {
	if a.Kind != b.Kind || a.Version != b.Version || len(a.Values) != len(b.Values) {
		return false
	}
	for i := range a.Values {
		if (a.Values[i] == nil) != (b.Values[i] == nil) || !bytes.Equal(a.Values[i], b.Values[i]) {
			return false
		}
	}
	return true
}

// checkPair reports whether both rows were well formed.
func checkPair(tb testing.TB, a, b seal.Row, bufA, bufB []byte) bool {
	tb.Helper()
	leafA, errA := a.AppendLeaf(bufA)
	leafB, errB := b.AppendLeaf(bufB)
	if errA != nil || errB != nil {
		return false
	}
	if bytes.Equal(leafA, leafB) != sameRow(a, b) {
		tb.Fatalf("rows %x and %x have the leaves %x and %x", a.Values, b.Values, leafA, leafB)
	}
	return true
}

// COORDAUDIT_LEAVES=1000000 runs a million pairs.
func TestLeafIsInjective(t *testing.T) {
	t.Parallel()
	pairs := fixture.Size(t, "COORDAUDIT_LEAVES", 20_000)
	random := rand.New(rand.NewPCG(1, 2))
	bufA, bufB := make([]byte, 0, 4096), make([]byte, 0, 4096)
	seen, checked := map[string]seal.Row{}, 0
	for n := 0; checked < pairs; n++ {
		a := randomRow(random.IntN)
		if checkPair(t, a, moved(a, random.IntN), bufA, bufB) {
			checked++
		}
		if n > 200_000 {
			continue // enough in memory
		}
		leaf, err := a.AppendLeaf(bufA)
		if err != nil {
			t.Fatal(err)
		}
		if other, found := seen[string(leaf)]; found && !sameRow(a, other) {
			t.Fatalf("rows %x and %x have the leaf %x", a.Values, other.Values, leaf)
		}
		seen[string(leaf)] = a
	}
}

func FuzzLeafInjective(f *testing.F) {
	f.Add([]byte("seed"), []byte("seed"))
	f.Add(bytes.Repeat([]byte{1}, 100), bytes.Repeat([]byte{2}, 100))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		a, b := randomRow(choices(first)), randomRow(choices(second))
		checkPair(t, a, b, nil, nil)
		checkPair(t, a, moved(a, choices(second)), nil, nil)
	})
}

// choices takes numbers from the fuzzer's bytes, and zeros afterwards.
func choices(data []byte) func(n int) int {
	return func(n int) int {
		if len(data) == 0 {
			return 0
		}
		c := int(data[0]) % n
		data = data[1:]
		return c
	}
}
