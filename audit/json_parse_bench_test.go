package audit_test

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
)

// The escaped line has a reason that encoding/json has to unquote.
func BenchmarkParseRecord(b *testing.B) {
	for name, line := range map[string]string{
		"Plain":   lineWith("reason", `"Same-parameter conflict: llm_router.temperature is held by fleet-steady-llmrouter-18"`),
		"Escaped": predecessorLine,
		"Context": contextLine,
	} {
		b.Run(name, func(b *testing.B) {
			data := []byte(line)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := audit.ParseRecord(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Details in normal form are looked at once more by every call that takes a record.
func BenchmarkNormalized(b *testing.B) {
	for name, details := range map[string]audit.Details{
		"None":     "",
		"Normal":   `{"mode": "canary", "limit": 3, "reason": "line\none", "weights": [0.25, 1000000, -7], "previous": {"limit": 2, "scope": null}}`,
		"Unsorted": `{"weights":[0.25,1e6,-7],"previous":{"scope":null,"limit":2},"reason":"line\none","mode":"canary","limit":3}`,
	} {
		b.Run(name, func(b *testing.B) {
			rec := validRecord()
			rec.Details = details
			b.ReportAllocs()
			for b.Loop() {
				if got := rec.Normalized(); len(got.Details) > audit.MaxDetailsBytes {
					b.Fatal("no normal form")
				}
			}
		})
	}
}
