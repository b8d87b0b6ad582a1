package console_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// How long each page takes with its default window. COORDAUDIT_CONSOLE_RECORDS is the number of
// records, 100,000 by default, of the last thirty days. It needs a quiet machine:
//
//	COORDAUDIT_CONSOLE_RECORDS=20000000 go test -run '^$' -bench Pages -benchtime 10x -timeout 0 ./internal/console
func BenchmarkPages(b *testing.B) {
	db := testdb.New(b)
	const month = 30 * 24 * time.Hour
	records := seed.Records(seed.Config{Records: fixture.Size(b, "COORDAUDIT_CONSOLE_RECORDS", 100_000), Start: time.Now().Add(-month), Span: month})
	if _, err := seed.Copy(b.Context(), db.Pool, records); err != nil {
		b.Fatal(err)
	}
	s := openOn(b, db.Pool, nil)
	page, err := s.store.List(b.Context(), audit.Query{Scope: audit.AllTenants(), Decisions: []audit.Decision{audit.Preempted}, Limit: 1})
	if err != nil || len(page.Records) == 0 {
		b.Fatalf("%d records, %v", len(page.Records), err)
	}
	rec := page.Records[0]
	for name, path := range map[string]string{
		"Records": "/records", "Filtered": "/records?class=COST&decision=PREEMPTED", "Text": "/records?reason=none+has+this", "Code": "/records?reason-code=NONE",
		"Record": "/records/" + rec.AuditID.String(), "Timeline": "/timeline?" + url.Values{"envelope": {rec.EnvelopeID}}.Encode(),
		"Signals": "/signals", "Completeness": "/completeness", "Seal": "/seal", "Live": "/live",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s.get(b, path).must(b, http.StatusOK)
			}
		})
	}
}
