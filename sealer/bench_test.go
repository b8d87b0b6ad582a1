package sealer_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// BenchmarkSealing seals, verifies and proves a trail of COORDAUDIT_SEALED records, 10,000 by
// default. Run it with -benchtime 1x.
func BenchmarkSealing(b *testing.B) {
	records := fixture.Size(b, sealedVariable, 10_000)
	s := newSealed(b)
	s.seed(b, records)
	perRecord := func(b *testing.B, work func()) {
		b.Helper()
		started := time.Now()
		work()
		b.ReportMetric(float64(records)/time.Since(started).Seconds(), "records/s")
		b.ReportMetric(0, "ns/op")
	}
	b.Run("Seal", func(b *testing.B) { perRecord(b, func() { s.once(b) }) })
	b.Run("Verify", func(b *testing.B) { perRecord(b, func() { s.mustVerify(b, int64(records)) }) })
	b.Run("Prove", func(b *testing.B) {
		id := uuid.MustParse(fixture.QueryText(b, s.pool, "SELECT audit_id::text FROM coordination_audit_records WHERE seq = $1", records/2*2+1))
		opened := time.Now()
		prover, err := sealer.OpenProver(b.Context(), s.pool, "")
		if err != nil {
			b.Fatal(err)
		}
		defer prover.Close(b.Context())
		b.ReportMetric(float64(time.Since(opened).Microseconds()), "µs/open")
		started, proofs := time.Now(), 100
		for range proofs {
			if _, err := prover.Prove(b.Context(), id); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(time.Since(started).Microseconds())/float64(proofs), "µs/proof")
		b.ReportMetric(0, "ns/op")
	})
	b.Run("Size", func(b *testing.B) {
		bytes := fixture.QueryInt(b, s.pool, "SELECT pg_total_relation_size('coordination_audit_seal_tiles')")
		b.ReportMetric(float64(bytes)/float64(records), "bytes/record")
		b.ReportMetric(0, "ns/op")
	})
}
