package loadgen

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Places are the audit ids of all records, by the place that has them.
type Places struct {
	Stored   map[uuid.UUID]bool // rows
	Spooled  map[uuid.UUID]int  // lines
	Rejected map[uuid.UUID]int  // lines
}

// Find reads all places.
func Find(tb testing.TB, pool *pgxpool.Pool, spoolDir string) Places {
	tb.Helper()
	return Places{Stored: StoredIDs(tb, pool), Spooled: SpooledIDs(tb, spoolDir), Rejected: RejectedIDs(tb, spoolDir)}
}

// Broken returns what is wrong with an answer, "" if it is kept. dropped means that the
// record was reported as dropped later.
func (p Places) Broken(id uuid.UUID, answer Answer, dropped bool) string {
	stored, rejected := p.Stored[id], p.Rejected[id] > 0
	switch answer {
	case NoAnswer:
		return "a call that did not return"
	case Stored:
		return unless(stored, "answered as stored, and it is not")
	case Accepted:
		return unless(stored || rejected || dropped || p.Spooled[id] > 0, "answered as accepted, and it is nowhere")
	case Refused:
		return unless(rejected, "answered as refused, and it is not in rejected")
	case Dropped, Closed, No:
	}
	return ""
}

func unless(kept bool, fault string) string {
	if kept {
		return ""
	}
	return fault
}

// Verify checks the answers and the counts against the places. Stop the producers and close
// the recorder first.
func (l *Load) Verify(tb testing.TB, pool *pgxpool.Pool, spoolDir string) {
	tb.Helper()
	places := Find(tb, pool, spoolDir)
	l.mu.Lock()
	defer l.mu.Unlock()
	broken := map[string]int{}
	for id, answer := range l.answers {
		if fault := places.Broken(id, answer, false); fault != "" {
			broken[fault]++
		}
	}
	for fault, n := range broken {
		tb.Errorf("%d of %d records: %s", n, len(l.answers), fault)
	}
	for id := range places.Stored {
		if _, ok := l.answers[id]; !ok {
			tb.Errorf("record %s is stored and was never submitted", id)
		}
	}
	l.verifyCounts(tb, len(places.Stored), len(places.Rejected))
}

func (l *Load) verifyCounts(tb testing.TB, stored, rejected int) {
	tb.Helper()
	stats := l.recorder.Stats()
	for class, counts := range stats.ByClass {
		if counts.Accepted != counts.AccountedFor() {
			tb.Errorf("%s does not add up: %+v", class, counts)
		}
	}
	var answers [No + 1]int64
	for _, answer := range l.answers {
		answers[answer]++
	}
	total := stats.Total()
	tb.Logf("identity: accepted %d = %d, %+v; %d offered, answers: %d stored, %d accepted, %d dropped, %d refused, %d closed; %d rows",
		total.Accepted, total.AccountedFor(), total, l.Offered(), answers[Stored], answers[Accepted], answers[Dropped], answers[Refused], answers[Closed], stored)
	if total.Queued != 0 {
		tb.Errorf("%d records are queued after the close", total.Queued)
	}
	if got := total.Persisted + total.AlreadyPersisted; got != int64(stored) {
		// A batch whose answer was lost is in the database, and may be in the spool too.
		if got > int64(stored) || got+total.Spooled < int64(stored) {
			tb.Errorf("%d persisted + %d already persisted, but %d rows", total.Persisted, total.AlreadyPersisted, stored)
		}
	}
	if total.Rejected != int64(rejected) {
		tb.Errorf("%d counted as rejected, %d in the directory", total.Rejected, rejected)
	}
	// An accepted record may be dropped at the close, and a pending one may be rejected later.
	// Both are counted, and neither is refused.
	if total.Dropped < answers[Dropped] {
		tb.Errorf("%d counted as dropped, %d answered as dropped", total.Dropped, answers[Dropped])
	}
	if total.Accepted+stats.Refused != int64(len(l.answers)) {
		tb.Errorf("%d accepted and %d refused, but %d submitted", total.Accepted, stats.Refused, len(l.answers))
	}
}

// StoredIDs returns the ids of all rows.
func StoredIDs(tb testing.TB, pool *pgxpool.Pool) map[uuid.UUID]bool {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rows, err := pool.Query(ctx, "SELECT audit_id FROM coordination_audit_records")
	if err != nil {
		tb.Fatal(err)
	}
	ids := map[uuid.UUID]bool{}
	var id uuid.UUID
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error { ids[id] = true; return nil }); err != nil {
		tb.Fatal(err)
	}
	return ids
}

// SpooledIDs counts the lines of each record in a spool's segments.
func SpooledIDs(tb testing.TB, spoolDir string) map[uuid.UUID]int {
	tb.Helper()
	return lines(tb, filepath.Join(spoolDir, "*.jsonl"), func(line []byte) uuid.UUID {
		rec, _, err := audit.ParseRecord(line)
		if err != nil {
			tb.Errorf("a spooled record cannot be read: %v", err)
		}
		return rec.AuditID
	})
}

// RejectedIDs counts the lines of each record in the directory rejected.
func RejectedIDs(tb testing.TB, spoolDir string) map[uuid.UUID]int {
	tb.Helper()
	return lines(tb, filepath.Join(spoolDir, "rejected", "*.jsonl"), func(line []byte) uuid.UUID {
		var rejected struct{ Record audit.Record }
		if err := json.Unmarshal(line, &rejected); err != nil {
			tb.Errorf("a rejected record cannot be read: %v", err)
		}
		return rejected.Record.AuditID
	})
}

// lines counts the files' lines by their ids.
func lines(tb testing.TB, pattern string, idOf func([]byte) uuid.UUID) map[uuid.UUID]int {
	tb.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		tb.Fatal(err)
	}
	ids := map[uuid.UUID]int{}
	for _, path := range paths {
		if base := filepath.Base(path); base == "gaps.jsonl" || base == "statements.jsonl" {
			continue
		}
		file, err := os.Open(path)
		if err != nil {
			tb.Fatal(err)
		}
		scanner := bufio.NewScanner(file)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			ids[idOf(scanner.Bytes())]++
		}
		if err := scanner.Err(); err != nil {
			tb.Error(err)
		}
		_ = file.Close() // it was only read
	}
	return ids
}
