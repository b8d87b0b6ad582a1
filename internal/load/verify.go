package load

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

// Verify holds what was told against what is there. The producers are stopped and
// the recorder is closed by then.
func (l *Load) Verify(tb testing.TB, pool *pgxpool.Pool, deadLetterDir string) {
	tb.Helper()
	stored := StoredIDs(tb, pool)
	kept := KeptIDs(tb, deadLetterDir)
	rejected := RejectedIDs(tb, deadLetterDir)

	l.mu.Lock()
	defer l.mu.Unlock()
	lost := map[Told]int{}
	for id, told := range l.told {
		safe := stored[id]
		if told == Accepted {
			safe = safe || kept[id] > 0 || rejected[id] > 0
		}
		if !safe && (told == Stored || told == Accepted) {
			lost[told]++
		}
	}
	if len(lost) > 0 {
		tb.Errorf("of %d records that were told stored %d are not, and %d that were accepted are nowhere", len(l.told), lost[Stored], lost[Accepted])
	}
	for id := range stored {
		if _, ok := l.told[id]; !ok {
			tb.Errorf("record %s is stored and was never handed in", id)
		}
	}
	l.verifyCounts(tb, len(stored), len(rejected))
}

func (l *Load) verifyCounts(tb testing.TB, stored, rejected int) {
	tb.Helper()
	stats := l.recorder.Stats()
	for class, counts := range stats.ByClass {
		if counts.Accepted != counts.AccountedFor() {
			tb.Errorf("%s does not add up: %+v", class, counts)
		}
	}
	var told [Refused + 1]int64
	for _, t := range l.told {
		told[t]++
	}
	total := stats.Total()
	tb.Logf("identity: accepted %d = %d, %+v; %d offered, told %d stored, %d accepted, %d dropped, %d refused; %d rows",
		total.Accepted, total.AccountedFor(), total, l.Offered(), told[Stored], told[Accepted], told[Dropped], told[Refused], stored)
	if total.Queued != 0 {
		tb.Errorf("%d records are queued after the close", total.Queued)
	}
	if got := total.Persisted + total.AlreadyPersisted; got != int64(stored) {
		// A batch whose answer was lost is in the database, and may be in the directory too.
		if got > int64(stored) || got+total.DeadLettered < int64(stored) {
			tb.Errorf("%d persisted + %d already persisted, but %d rows", total.Persisted, total.AlreadyPersisted, stored)
		}
	}
	if total.Rejected != int64(rejected) {
		tb.Errorf("%d counted as rejected, %d in the directory", total.Rejected, rejected)
	}
	// Who was told "accepted" may have been dropped at the close, and who gave up
	// waiting may have been rejected since: both are counted, neither is refused.
	if total.Dropped < told[Dropped] {
		tb.Errorf("%d counted as dropped, %d told so", total.Dropped, told[Dropped])
	}
	if handedIn := told[Stored] + told[Accepted] + told[Dropped] + told[Refused]; total.Accepted+stats.Refused != handedIn {
		tb.Errorf("%d accepted and %d refused, but %d handed in", total.Accepted, stats.Refused, handedIn)
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

// KeptIDs counts the lines of each record in a dead-letter directory's segments.
func KeptIDs(tb testing.TB, deadLetterDir string) map[uuid.UUID]int {
	tb.Helper()
	return lines(tb, filepath.Join(deadLetterDir, "*.jsonl"), func(line []byte) uuid.UUID {
		rec, _, err := audit.ParseRecord(line)
		if err != nil {
			tb.Errorf("a dead letter cannot be read: %v", err)
		}
		return rec.AuditID
	})
}

// RejectedIDs counts the lines of each record in the directory rejected.
func RejectedIDs(tb testing.TB, deadLetterDir string) map[uuid.UUID]int {
	tb.Helper()
	return lines(tb, filepath.Join(deadLetterDir, "rejected", "*.jsonl"), func(line []byte) uuid.UUID {
		var of struct{ Record audit.Record }
		if err := json.Unmarshal(line, &of); err != nil {
			tb.Errorf("a rejected record cannot be read: %v", err)
		}
		return of.Record.AuditID
	})
}

// lines counts the files' lines by the id of each.
func lines(tb testing.TB, pattern string, idOf func([]byte) uuid.UUID) map[uuid.UUID]int {
	tb.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		tb.Fatal(err)
	}
	ids := map[uuid.UUID]int{}
	for _, path := range paths {
		if filepath.Base(path) == "gaps.jsonl" {
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
		_ = file.Close() // it was read
	}
	return ids
}
