// Package suppression_test hides records from a trail in every way that there is, and requires
// that each one is reported.
package suppression_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// recordsVariable sets the number of records. The goal is 200,000, a tenth is the default.
const recordsVariable = "COORDAUDIT_SUPPRESSION"

// scene is a primary with an asynchronous standby, and the processes that write to it.
type scene struct {
	t       *testing.T
	pair    *testdb.Pair
	url     string // finds the server that accepts writes
	dir     string
	records int
	lives   []*life
	hidden  map[string]int // rows deleted by a superuser, by source
}

// A twentieth of all records is hidden: dropped at a full queue, rejected, lost with a segment
// of the spool or with a killed process, swallowed for a while by a foreign trigger, lost in an
// asynchronous failover, deleted by a superuser. Each is reported by source and ordinal, or
// lies in the last block of a process that was killed. Nothing else is reported.
func TestSuppressedRecordsAreFound(t *testing.T) {
	t.Parallel()
	s := &scene{t: t, pair: testdb.StartPair(t, false), dir: t.TempDir(), records: 20_000, hidden: map[string]int{}}
	if text := os.Getenv(recordsVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		s.records = n
	}
	s.url = s.pair.URLOfBoth()

	s.drop()
	s.removeSegment()
	s.reject()
	s.swallow()
	s.failOver()
	clean := s.start("clean", s.usual("clean", 25))
	clean.end(t)
	pool := s.pair.Open(t)
	s.deleteRows(pool)
	s.verify(pool)
}

// usual is a process with its share of the records, in percent.
func (s *scene) usual(dir string, percent int) childConfig {
	return childConfig{
		SpoolDir: filepath.Join(s.dir, dir), Records: s.records * percent / 100, Pause: 4 * time.Millisecond,
		Queue: 65_536, SpoolBytes: 1 << 30, SegmentBytes: 16 << 20, Close: true,
	}
}

// drop leaves neither the queue nor the spool room for what comes during an outage.
func (s *scene) drop() {
	s.t.Helper()
	config := s.usual("full", 15)
	config.Queue, config.SpoolBytes = 100, 50_000
	l := s.start("full", config)
	l.awaitGiven(s.t, config.Records/4)
	s.outage(func() { l.awaitGiven(s.t, config.Records/2) })
	l.end(s.t)
}

func (s *scene) outage(during func()) {
	s.t.Helper()
	if err := s.pair.Primary.ShutDown(); err != nil {
		s.t.Fatal(err)
	}
	during()
	if err := s.pair.Primary.Restart(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// removeSegment kills a process in an outage and removes a file of its spool. The next process
// on the directory stores the others.
func (s *scene) removeSegment() {
	s.t.Helper()
	config := s.usual("removed", 10)
	config.SegmentBytes, config.Close = 20_000, false
	l := s.start("killed", config)
	l.awaitGiven(s.t, config.Records/4)
	s.outage(func() {
		l.awaitGiven(s.t, config.Records)
		segments := func() []string {
			found, err := filepath.Glob(filepath.Join(config.SpoolDir, "0*.jsonl"))
			if err != nil {
				s.t.Fatal(err)
			}
			return found
		}
		fixture.EventuallyWithin(s.t, time.Minute, func() bool { return len(segments()) > 1 })
		l.kill(s.t)
		if err := os.Remove(slices.Min(segments())); err != nil {
			s.t.Fatal(err)
		}
	})
	heir := s.start("heir", s.usual("removed", 10))
	heir.end(s.t)
}

func (s *scene) reject() {
	s.t.Helper()
	s.exec("ALTER TABLE coordination_audit_records ADD CONSTRAINT dba_says_no CHECK (envelope_id <> 'poison')")
	config := s.usual("poisoned", 10)
	config.PoisonEvery = 20
	l := s.start("poisoned", config)
	l.end(s.t)
	s.exec("ALTER TABLE coordination_audit_records DROP CONSTRAINT dba_says_no")
}

// swallow has a foreign trigger that discards each row. The Recorder notices, and keeps its
// records until the trigger is gone.
func (s *scene) swallow() {
	s.t.Helper()
	config := s.usual("swallowed", 10)
	l := s.start("swallowed", config)
	l.awaitGiven(s.t, config.Records/4)
	s.exec("CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; " +
		"CREATE TRIGGER swallow BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION swallow()")
	l.awaitGiven(s.t, config.Records/2)
	s.exec("DROP TRIGGER swallow ON coordination_audit_records")
	l.end(s.t)
}

// failOver loses what the standby has not received.
func (s *scene) failOver() {
	s.t.Helper()
	config := s.usual("failed over", 20)
	l := s.start("failed over", config)
	l.awaitGiven(s.t, config.Records/3)
	if err := s.pair.Standby.Freeze(); err != nil {
		s.t.Fatal(err)
	}
	s.exec("CREATE TABLE bulk AS SELECT repeat('x', 1000) AS text FROM generate_series(1, 20000)") // no buffer holds the rest
	l.awaitGiven(s.t, config.Records*2/3)
	s.pair.FailOver(s.t)
	l.end(s.t)
}

func (s *scene) exec(sql string) {
	s.t.Helper()
	pool := s.pair.Open(s.t)
	fixture.MustExec(s.t, pool, sql)
	pool.Close()
}

// deleteRows hides, as a superuser, as many rows as are missing to a twentieth of all.
func (s *scene) deleteRows(pool *pgxpool.Pool) {
	s.t.Helper()
	given := 0
	for _, l := range s.lives {
		given += len(l.given(s.t))
	}
	want := max(given/20-(given-fixture.CountRecords(s.t, pool)), given/100)
	fixture.MustExec(s.t, pool, "ALTER TABLE coordination_audit_records DISABLE TRIGGER USER")
	rows, err := pool.Query(s.t.Context(), fmt.Sprintf(`WITH chosen AS (SELECT audit_id FROM coordination_audit_records ORDER BY random() LIMIT %d)
		DELETE FROM coordination_audit_records USING chosen WHERE coordination_audit_records.audit_id = chosen.audit_id
		RETURNING source_id::text`, want))
	if err != nil {
		s.t.Fatal(err)
	}
	for rows.Next() {
		var source string
		if err := rows.Scan(&source); err != nil {
			s.t.Fatal(err)
		}
		s.hidden[strings.ToLower(source)]++
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
}
