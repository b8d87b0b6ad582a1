package auditdriver

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// inBuckets returns what the server says of ordinals, of which each may occur several times.
func inBuckets(source uuid.UUID, ordinals []int64) dbgen.GatherOrdinalsRow {
	row := dbgen.GatherOrdinalsRow{SourceID: toPG(source), Records: int64(len(ordinals))}
	bits, counts := map[int64]uint64{}, map[int64]int64{}
	for _, ordinal := range ordinals {
		bits[ordinal/bucketSize] |= 1 << (ordinal % bucketSize)
		counts[ordinal/bucketSize]++
	}
	var full completeness.Set
	for bucket, present := range bits { // in any order
		if present == ^uint64(0) && counts[bucket] == bucketSize {
			full.Add(bucket, bucket)
			continue
		}
		row.OtherBuckets = append(row.OtherBuckets, bucket)
		row.OtherOrdinals = append(row.OtherOrdinals, int64(present))
		row.OtherRecords = append(row.OtherRecords, counts[bucket])
	}
	row.FullBuckets = full.String()
	return row
}

// What the server counts in buckets are the ordinals of the rows, all of them and no others.
func TestBucketsHoldTheirOrdinals(t *testing.T) {
	t.Parallel()
	source := uuid.New()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 7))
		var ordinals, repeated []int64
		var want completeness.Set
		for ordinal := int64(1); ordinal < 1000; ordinal += 1 + random.Int64N(3)*random.Int64N(2) {
			if ordinal/bucketSize%3 == 1 && random.IntN(2) == 0 || ordinal > 500 && ordinal < 640 {
				continue
			}
			want.Add(ordinal, ordinal)
			ordinals = append(ordinals, ordinal)
			if random.IntN(200) == 0 {
				ordinals = append(ordinals, ordinal)
				if bucket := ordinal / bucketSize; !slices.Contains(repeated, bucket) {
					repeated = append(repeated, bucket)
				}
			}
		}
		all, err := gather([]dbgen.GatherOrdinalsRow{inBuckets(source, ordinals)})
		if err != nil {
			t.Fatal(err)
		}
		of := all.sources[source]
		if diff := cmp.Diff(want, of.rows.Present); diff != "" {
			t.Fatalf("seed %d: present (-want +got):\n%s", seed, diff)
		}
		if !slices.Equal(repeated, of.repeated) {
			t.Errorf("seed %d: ordinals are repeated in the buckets %v, want %v", seed, of.repeated, repeated)
		}
	}
}

// Full buckets next to each other, at the beginning and at the end count as all that they hold.
func TestFullBucketsAreRuns(t *testing.T) {
	t.Parallel()
	source := uuid.New()
	var ordinals []int64
	for ordinal := int64(bucketSize); ordinal < 6*bucketSize; ordinal++ {
		if ordinal != 3*bucketSize+7 {
			ordinals = append(ordinals, ordinal)
		}
	}
	none := dbgen.GatherOrdinalsRow{Records: 12, FullBuckets: "{}"}
	all, err := gather([]dbgen.GatherOrdinalsRow{none, inBuckets(source, ordinals)})
	if err != nil {
		t.Fatal(err)
	}
	want := completeness.Set{{First: bucketSize, Last: 3*bucketSize + 6}, {First: 3*bucketSize + 8, Last: 6*bucketSize - 1}}
	if diff := cmp.Diff(want, all.sources[source].rows.Present); diff != "" || all.unnumbered != 12 || len(all.sources) != 1 {
		t.Errorf("%d unnumbered, present (-want +got):\n%s", all.unnumbered, diff)
	}
	if _, err := gather([]dbgen.GatherOrdinalsRow{{SourceID: toPG(source), FullBuckets: "?"}}); err == nil {
		t.Error("a set that cannot be read is read")
	}
}

// A window asks for the sources whose rows were inserted in it, its ends included. Those that
// made a statement in it are asked for anyway, and what they said stays.
func TestWindowSelectsSources(t *testing.T) {
	t.Parallel()
	at := func(hour int) time.Time { return time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC) }
	ids := map[string]uuid.UUID{}
	all := gathered{sources: map[uuid.UUID]*sourceRows{}}
	for name, hours := range map[string][2]int{"Before": {1, 2}, "ItsBegin": {1, 3}, "Within": {4, 4}, "Around": {1, 9}, "ItsEnd": {5, 9}, "After": {6, 9}} {
		ids[name] = uuid.New()
		all.sources[ids[name]] = &sourceRows{
			rows:  completeness.Rows{Present: completeness.SetOf(int64(hours[0]))},
			first: at(hours[0]), last: at(hours[1]),
		}
	}
	asked := all.between(at(3), at(5))
	for name, want := range map[string]bool{"Before": false, "ItsBegin": true, "Within": true, "Around": true, "ItsEnd": true, "After": false} {
		if slices.Contains(asked, ids[name]) != want {
			t.Errorf("%s is asked for: %t, want %t", name, !want, want)
		}
	}
	testimony := Testimony{Sources: map[uuid.UUID]Source{}}
	silent := uuid.New() // without rows
	statements := []completeness.Statement{{Number: 1}}
	for _, id := range []uuid.UUID{ids["Before"], ids["Within"], silent} {
		testimony.Sources[id] = Source{Statements: statements, Rows: completeness.Rows{Expired: completeness.SetOf(9)}}
	}
	testimony.addRows(all, at(3), at(5))
	if len(testimony.Sources) != 6 {
		t.Errorf("%d sources are testified of, want the four of the window and two that made statements", len(testimony.Sources))
	}
	for name, want := range map[string]Source{
		"Before": {Statements: statements, Rows: completeness.Rows{Present: completeness.SetOf(1), Expired: completeness.SetOf(9)}},
		"Within": {Statements: statements, Rows: completeness.Rows{Present: completeness.SetOf(4), Expired: completeness.SetOf(9)}},
		"ItsEnd": {Rows: completeness.Rows{Present: completeness.SetOf(5)}},
	} {
		if diff := cmp.Diff(want, testimony.Sources[ids[name]]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := testimony.Sources[silent]; len(got.Statements) != 1 || len(got.Rows.Present) != 0 || len(got.Rows.Expired) != 1 {
		t.Errorf("without rows: %+v", got)
	}
}
