package sealer_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// A hundred random places of each kind of change are all found and named, and no other.
// COORDAUDIT_SEALED=1000000 gives the number of records.
func TestHundredOfHundredAreNamed(t *testing.T) {
	t.Parallel()
	records, places := 5000, 20
	if text := os.Getenv("COORDAUDIT_SEALED"); text != "" {
		var err error
		if records, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		places = 100
	}
	s := newSealed(t)
	s.seed(t, records)
	s.once(t)
	s.mustVerify(t, int64(records))
	s.dropChecks(t)

	// Each row is changed once, so that what is found can be counted.
	untouched := rand.Perm(records)
	take := func(n int) (seqs []int64) {
		for _, at := range untouched[:n] {
			seqs = append(seqs, int64(at+1)*2-1)
		}
		untouched = untouched[n:]
		return seqs
	}
	want := map[string]bool{}
	check := func(what string) {
		t.Helper()
		found := map[string]bool{}
		for _, f := range s.verify(t).Findings {
			found[fmt.Sprintf("%s %d", f.Fault, f.Seq)] = true
		}
		for key := range want {
			if !found[key] {
				t.Errorf("%s: %s is not found", what, key)
			}
		}
		for key := range found {
			if !want[key] {
				t.Errorf("%s: %s is a false alarm", what, key)
			}
		}
	}
	expect := func(fault sealer.Fault, seqs ...int64) {
		for _, seq := range seqs {
			want[fmt.Sprintf("%s %d", fault, seq)] = true
		}
	}

	columns := edits()
	for _, column := range slices.Sorted(maps.Keys(columns)) {
		seqs := take(places)
		s.superuser(t, "UPDATE coordination_audit_records SET "+column+" = "+columns[column]+" WHERE seq = ANY ($1)", seqs)
		expect(sealer.Edited, seqs...)
	}
	check("edited")

	seqs := take(places)
	s.superuser(t, "DELETE FROM coordination_audit_records WHERE seq = ANY ($1)", seqs)
	expect(sealer.Missing, seqs...)
	check("deleted")

	for i := range places {
		seq := int64(1+rand.IntN(records-1)) * 2 // a hole
		if i%2 == 0 {
			seq = take(1)[0] // a place that is taken
		}
		if want[fmt.Sprintf("%s %d", sealer.Inserted, seq)] {
			continue
		}
		s.superuser(t, "INSERT INTO coordination_audit_records (audit_id, seq, envelope_id, envelope_class, decision, reason, decision_timestamp) "+
			"OVERRIDING SYSTEM VALUE VALUES ($1, $2, 'forged', 'COST', 'APPLIED', 'forged', now())", uuid.New(), seq)
		expect(sealer.Inserted, seq)
	}
	check("inserted")

	for range places {
		pair := take(2)
		s.superuser(t, "UPDATE coordination_audit_records SET tenant_id = (SELECT other.tenant_id FROM coordination_audit_records AS other "+
			"WHERE other.seq = $1 + $2 - coordination_audit_records.seq) WHERE seq IN ($1, $2)", pair[0], pair[1])
		expect(sealer.Edited, pair...)
	}
	check("swapped")
}

// seed stores records whose seqs are the odd numbers, each with a tenant of its own.
func (s *sealed) seed(tb testing.TB, records int) {
	tb.Helper()
	s.superuser(tb, `INSERT INTO coordination_audit_records (audit_id, seq, envelope_id, envelope_class, decision, reason, decision_timestamp, tenant_id)
		OVERRIDING SYSTEM VALUE
		SELECT gen_random_uuid(), 2 * n - 1, 'envelope-' || n % 1000, 'COST', 'APPLIED', 'applied: nothing stood in its way', now(), 'tenant-' || n
		FROM generate_series(1, $1::bigint) AS n`, records)
	s.superuser(tb, "SELECT setval('coordination_audit_records_seq_seq', 2 * $1::bigint)", records)
	if n := fixture.CountRecords(tb, s.pool); n != records {
		tb.Fatalf("%d records", n)
	}
}
