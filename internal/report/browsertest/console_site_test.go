package browsertest_test

import (
	"bufio"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/console"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// site is a console of 20,000 records that all tests share. They read, and those that write do
// so for a tenant of their own.
type site struct {
	once        sync.Once
	err         error
	stop        func()
	url         string
	databaseURL string
	store       *coordaudit.Store
	story       story
}

// story are records with a known story, among all others.
type story struct{ applied, preempted, preemptor, hostile audit.Record }

var served site

func startConsole(t *testing.T) *site {
	t.Helper()
	findBrowser(t)
	served.once.Do(func() { served.err = served.start() })
	if served.err != nil {
		t.Fatal(served.err)
	}
	return &served
}

// decisionsVariable names a file of real decisions, as for the tests of the library.
const decisionsVariable = "COORDAUDIT_TEST_DECISIONS"

const siteRecords = 20_000

func (s *site) start() error {
	ctx := context.Background()
	db, drop, err := testdb.ForExample(ctx)
	if err != nil {
		return err
	}
	s.databaseURL = db.URL
	quiet := slog.New(slog.DiscardHandler)
	s.store = coordaudit.New(db.Pool, coordaudit.Config{Logger: quiet, Timeout: time.Minute})
	recs, err := siteDecisions()
	if err != nil {
		return err
	}
	s.story = newStory()
	recs = append(recs, s.story.applied, s.story.preemptor, s.story.preempted, s.story.hostile)
	for begin := 0; begin < len(recs); begin += coordaudit.MaxBatch {
		if _, err := s.store.PersistManyFast(ctx, recs[begin:min(begin+coordaudit.MaxBatch, len(recs))]); err != nil {
			return err
		}
	}
	if _, err := db.Pool.Exec(ctx, "ANALYZE"); err != nil {
		return err
	}
	opened, err := console.New(ctx, console.Config{
		Store: s.store, Pool: db.Pool, Scope: audit.AllTenants(), Logger: quiet, Loopback: true,
		RequestRate: 10_000, RequestBurst: 10_000, Poll: 50 * time.Millisecond, QueryTimeout: time.Minute, MaxQueries: 50,
	})
	if err != nil {
		return err
	}
	server := httptest.NewServer(opened.Handler())
	s.url = server.URL
	s.stop = func() {
		opened.EndTails()
		server.CloseClientConnections()
		server.Close()
		opened.Close()
		drop()
	}
	return nil
}

// siteDecisions are real ones if a file names them, and else those of a made-up fleet. They
// end now, since the pages look back from now.
func siteDecisions() (recs []audit.Record, err error) {
	path := os.Getenv(decisionsVariable)
	if path == "" {
		week := 7 * 24 * time.Hour
		for rec := range seed.Records(seed.Config{Records: siteRecords, Start: time.Now().Add(-week), Span: week - time.Hour}) {
			recs = append(recs, rec)
		}
		return recs, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was read
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() && len(recs) < siteRecords {
		rec, _, err := audit.ParseRecord(lines.Bytes())
		if err != nil {
			return nil, err
		}
		recs = append(recs, rec)
	}
	if n := len(recs); n > 0 {
		late := time.Since(recs[n-1].DecisionTimestamp) - time.Hour
		for i := range recs {
			recs[i].DecisionTimestamp = recs[i].DecisionTimestamp.Add(late)
		}
	}
	return recs, lines.Err()
}

// newStory is a PREEMPTED envelope and its preemptor, and a record that tries to be more than
// text.
func newStory() story {
	at := time.Now().Add(-30 * time.Minute).UTC()
	make := func(after time.Duration, envelope string, class audit.EnvelopeClass, decision audit.Decision, reason string) audit.Record {
		return audit.Record{
			AuditID: uuid.New(), TenantID: "acme", EnvelopeID: envelope, EnvelopeClass: class, Decision: decision, Reason: reason, DecisionTimestamp: at.Add(after),
			TargetSubsystem: "gateway", TargetParameter: "retry_backoff_ms", PolicyVersion: "2026-11", Actor: "coordinator-1", ActiveEnvelopesCount: 7,
		}
	}
	s := story{
		applied:   make(0, "spot-saver", audit.Cost, audit.Applied, "applied, nothing stood in its way"),
		preemptor: make(12*time.Minute, "retry-backoff-guard", audit.Safety, audit.Applied, "error rate above 2 %"),
		preempted: make(12*time.Minute, "spot-saver", audit.Cost, audit.Preempted, "retry-backoff-guard holds retry_backoff_ms of the gateway"),
		hostile:   make(20*time.Minute, `<img src=x onerror="window.hacked=1">`+"\u202e", audit.Performance, audit.Rejected, `<script>window.hacked = true</script>`+"\u202e\x1b"+strings.Repeat("w", 3000)),
	}
	s.preempted.PreemptingEnvelopeID, s.preempted.CounterpartClass, s.preempted.ReasonCode = "retry-backoff-guard", audit.Safety, "OUTRANKED"
	s.preempted.Links = audit.Links{CausedBy: s.preemptor.AuditID, CorrelationID: "action-4711"}
	s.preempted.Details = `{"own_rank": 3, "rank_of_the_other": 1}`
	s.preemptor.Links.CorrelationID = "action-4711"
	s.hostile.ConflictingEnvelopeID, s.hostile.CounterpartClass, s.hostile.TenantID = strings.Repeat("w", 100), audit.Cost, strings.Repeat("t", 100)
	return s
}
