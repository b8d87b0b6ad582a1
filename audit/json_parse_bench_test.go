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
