package recorder

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// accounts are the statements of a Recorder that sends no records, on a real database and disk.
type accounts struct {
	*statements
	source   uuid.UUID
	queue    *queue
	spool    *spool.Directory
	path     string
	db       *testdb.DB
	database *auditdriver.Driver
	log      *strings.Builder
}

func newAccounts(t *testing.T, db *testdb.DB, source uuid.UUID, path string) *accounts {
	t.Helper()
	dir, found, err := spool.Open(spool.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	a := &accounts{source: source, spool: dir, path: path, db: db, database: auditdriver.New(db.Pool), log: &strings.Builder{}}
	config := Config{Source: source, Label: "a label", AttemptTimeout: 40 * time.Second, MaxDelay: time.Hour}
	a.queue = newQueue(100, plenty, &ledger{}, source)
	last := lastStatements(found)
	book := newBook(config, a.queue, last, found.Ordinals)
	a.statements = newStatements(config, book, a.queue, a.database, dir, found.Statements, last, slog.New(slog.NewTextHandler(a.log, nil)))
	return a
}

func (a *accounts) latest(t *testing.T, source uuid.UUID) completeness.Statement {
	t.Helper()
	s, _, err := a.database.LatestStatement(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// savedLines is the number of statements on disk.
func (a *accounts) savedLines(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(a.path, "statements.jsonl"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

func (a *accounts) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := a.db.Pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func (a *accounts) covers(t *testing.T, through int64) {
	t.Helper()
	if err := a.cover(t.Context(), through); err != nil {
		t.Errorf("cover(%d) = %v", through, err)
	}
}

// The database knows which ordinals to expect before it gets the first of them. What it knows
// already is not asked again.
func TestStatementPrecedesItsRecords(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, testdb.New(t), uuid.New(), t.TempDir())
	pushed(t, a.queue, 1)
	a.covers(t, 1)
	first := a.latest(t, a.source)
	if first.Number != 1 || first.Kind != completeness.Opened || first.ReservedThrough != 1+block || first.Label != "a label" {
		t.Errorf("the first statement is %+v", first)
	}
	a.covers(t, first.ReservedThrough)
	if latest := a.latest(t, a.source); latest.Number != 1 {
		t.Errorf("statement %d says what the first one does", latest.Number)
	}
	a.queue.mu.Lock()
	a.queue.lastTicket = first.ReservedThrough + 1
	a.queue.mu.Unlock()
	a.covers(t, first.ReservedThrough+1)
	if second := a.latest(t, a.source); second.Number != 2 || second.Kind != completeness.Periodic || second.ReservedThrough <= first.ReservedThrough+1 {
		t.Errorf("the second statement is %+v", second)
	}
	reserved := a.book.own.Reserved()
	a.db.Pool.Close()
	a.covers(t, reserved) // without the database
	if err := a.cover(t.Context(), reserved+1); err == nil {
		t.Error("ordinals that no statement reserves are covered without a database")
	}
}

// A server that takes no statement is reported once for each time that it begins to, and asked
// again after a pause. It holds up no record.
func TestRefusedStatementWaits(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, testdb.New(t), uuid.New(), t.TempDir())
	const hide, show = "ALTER TABLE coordination_audit_statements RENAME TO hidden", "ALTER TABLE hidden RENAME TO coordination_audit_statements"
	for round := 1; round <= 2; round++ {
		a.exec(t, hide)
		through := a.book.own.Reserved() + 1
		a.queue.mu.Lock()
		a.queue.lastTicket = through
		a.queue.mu.Unlock()
		a.maxDelay = 0
		for range 3 {
			a.covers(t, through)
		}
		if n := strings.Count(a.log.String(), "level=ERROR msg=audit_statement_not_recorded"); n != round {
			t.Errorf("reported %d times in round %d:\n%s", n, round, a.log)
		}
		a.maxDelay = time.Hour
		a.covers(t, through) // refused, so that the next attempt waits
		a.exec(t, show)
		a.covers(t, through)
		if latest := a.latest(t, a.source); latest.Number >= int64(round) {
			t.Errorf("statement %d was sent before the pause was over", latest.Number)
		}
		a.notBefore = time.Time{} // an hour later
		a.covers(t, through)
		if latest := a.latest(t, a.source); latest.Number != int64(round) || latest.ReservedThrough < through {
			t.Errorf("%+v is stored after the pause, want statement %d", latest, round)
		}
	}
}

// A copy of the spool speaks for the same source. Whoever comes second takes the next number, and
// no statement is lost.
func TestTakenNumberIsFollowed(t *testing.T) {
	t.Parallel()
	db, source := testdb.New(t), uuid.New()
	first, second := newAccounts(t, db, source, t.TempDir()), newAccounts(t, db, source, t.TempDir())
	pushed(t, first.queue, 1)
	first.covers(t, 1)
	pushed(t, second.queue, 2)
	second.keep(t.Context())
	second.covers(t, 2)
	if latest := second.latest(t, source); latest.Number != 2 || latest.AcceptedThrough != 2 {
		t.Errorf("the latest is %+v, want the second one's", latest)
	}
	second.state(second.book.own, completeness.Periodic)
	second.save(t.Context())
	if err := second.storeAll(t.Context(), 0, time.Second); err != nil {
		t.Fatal(err)
	}
	if latest := second.latest(t, source); latest.Number != 3 {
		t.Errorf("the next number is %d, want 3", latest.Number)
	}
	if err := second.spool.Close(); err != nil {
		t.Fatal(err)
	}
	_, found, err := spool.Open(spool.Config{Path: second.path})
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int64
	for _, s := range found.Statements {
		numbers = append(numbers, s.Number)
	}
	if diff := cmp.Diff([]int64{1, 3}, numbers); diff != "" {
		t.Errorf("on disk (-want +got):\n%s", diff)
	}
}

// left leaves a record of a source in a spool, and statements of it on disk and in the database.
func left(t *testing.T, db *testdb.DB, onDisk, stored int64) (path string, source uuid.UUID) {
	t.Helper()
	path, source = t.TempDir(), uuid.New()
	dir, _, err := spool.Open(spool.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	rec := spooledRecord(source, 3)
	if err := dir.Append([]audit.Record{rec}); err != nil {
		t.Fatal(err)
	}
	statement := completeness.Statement{SourceID: source, Kind: completeness.Opened, AcceptedThrough: 3, ReservedThrough: 50}
	for statement.Number = 1; statement.Number <= onDisk; statement.Number++ {
		if err := dir.SaveStatements([]completeness.Statement{statement}); err != nil {
			t.Fatal(err)
		}
	}
	for statement.Number = 1; statement.Number <= stored; statement.Number++ {
		made := statement
		if err := auditdriver.New(db.Pool).PersistStatement(t.Context(), &made); err != nil {
			t.Fatal(err)
		}
	}
	if err := dir.Close(); err != nil {
		t.Fatal(err)
	}
	return path, source
}

func spooledRecord(source uuid.UUID, ordinal int64) audit.Record {
	rec := audit.Record{
		AuditID: uuid.Must(uuid.NewV7()), EnvelopeID: "e", EnvelopeClass: audit.Cost, Decision: audit.Applied,
		Reason: "r", DecisionTimestamp: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	rec.Origin.SourceID, rec.Origin.SourceSeq = source, ordinal
	return rec
}

// The account of an earlier source goes on after its last statement, wherever that is.
func TestCarriedAccountFollowsTheNewest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ onDisk, stored, want int64 }{
		"OnDiskAlone":        {2, 0, 3},
		"InTheDatabase":      {0, 4, 5},
		"NewerOnDisk":        {5, 2, 6},
		"NewerInTheDatabase": {1, 3, 4},
		"OfNoStatement":      {0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			path, source := left(t, db, test.onDisk, test.stored)
			a := newAccounts(t, db, uuid.New(), path)
			if !a.advance(t.Context(), false) {
				t.Error("something is left to store")
			}
			latest := a.latest(t, source)
			if latest.Number != test.want || latest.AcceptedThrough != 3 || latest.Waiting.String() != completeness.SetOf(3).String() {
				t.Errorf("the latest is %+v, want number %d with the ordinal 3 waiting", latest, test.want)
			}
			if own := a.latest(t, a.source); own.Number != 1 || own.Kind != completeness.Opened {
				t.Errorf("this run's own is %+v", own)
			}
		})
	}
}

// An earlier source whose last statement cannot be asked for is not spoken of, nor forgotten.
func TestUnknownAccountWaits(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	path, source := left(t, db, 2, 0)
	a := newAccounts(t, db, uuid.New(), path)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if a.carryOn(ended) || a.forget(t.Context()) {
		t.Error("the account goes on, and its statements are forgotten, without an answer")
	}
	if a.savedLines(t) < 2 {
		t.Errorf("%d statements are on disk, want the source's two", a.savedLines(t))
	}
	if !a.carryOn(t.Context()) || a.latest(t, source).Number != 0 {
		t.Error("the account does not go on with the answer")
	}
}

// A record of an earlier source is rejected while the table of statements does not answer. The news
// of it waits until the source's account goes on, and then holds up no other statement.
func TestNewsOfUnknownAccountWaits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ onDisk, stored int64 }{
		"OnDiskAlone": {2, 0}, "InTheDatabase": {0, 4}, "NewerInTheDatabase": {1, 3}, "OfNoStatement": {0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			path, source := left(t, db, test.onDisk, test.stored)
			a := newAccounts(t, db, uuid.New(), path)
			a.exec(t, "ALTER TABLE coordination_audit_statements RENAME TO hidden")
			a.advance(t.Context(), true)
			a.book.account(source).Decide(3, completeness.Rejected)
			a.preserve(t.Context())
			a.exec(t, "ALTER TABLE hidden RENAME TO coordination_audit_statements")
			a.notBefore = time.Time{} // when the pause is over
			if !a.advance(t.Context(), true) {
				t.Errorf("something is left to store:\n%s", a.log)
			}
			var stated, without int
			if err := a.db.Pool.QueryRow(t.Context(), `
				SELECT count(*) FILTER (WHERE rejected @> 3::bigint), max(statement_no) - count(*)
				FROM coordination_audit_statements WHERE source_id = $1`, source).Scan(&stated, &without); err != nil {
				t.Fatal(err)
			}
			if latest := a.latest(t, source); stated != 1 || without != 0 || latest.ReservedThrough < 3 {
				t.Errorf("the news is in %d statements, %d numbers are missing, and the latest is %+v", stated, without, latest)
			}
		})
	}
}

// A statement that the database does not have is on disk before the record that it speaks of,
// once.
func TestKeepSavesOnce(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, testdb.New(t), uuid.New(), t.TempDir())
	pushed(t, a.queue, 1)
	for range 3 {
		a.keep(t.Context())
	}
	if n := a.savedLines(t); n != 1 {
		t.Errorf("%d lines are on disk, want 1", n)
	}
	a.covers(t, 1)
	a.keep(t.Context())
	if n := a.savedLines(t); n != 1 {
		t.Errorf("%d lines are on disk after it was stored, want 1", n)
	}
	a.queue.mu.Lock()
	a.queue.lastTicket = block
	a.queue.mu.Unlock()
	a.keep(t.Context()) // the reserved ordinals run short
	if n := a.savedLines(t); n != 2 {
		t.Errorf("%d lines are on disk after ordinals ran short, want 2", n)
	}
}

// The ordinals that will never come are on disk soon, and nothing else is written for that.
func TestPreserveWritesNewsAlone(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, testdb.New(t), uuid.New(), t.TempDir())
	pushed(t, a.queue, 3)
	a.covers(t, 3)
	a.preserve(t.Context())
	a.book.own.Decide(1, completeness.Present)
	a.preserve(t.Context())
	if n := a.savedLines(t); n != 0 {
		t.Errorf("%d lines are on disk without news", n)
	}
	a.book.own.Decide(2, completeness.Rejected)
	a.preserve(t.Context())
	a.preserve(t.Context())
	if n := a.savedLines(t); n != 1 {
		t.Errorf("%d lines are on disk, want the one with the news", n)
	}
}

// The file of statements stays while a record that they speak of is in the spool, or a statement
// is not stored, and goes after that.
func TestStatementsAreForgottenLast(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, testdb.New(t), uuid.New(), t.TempDir())
	pushed(t, a.queue, 1)
	a.keep(t.Context())
	if a.forget(t.Context()) {
		t.Error("forgotten before the statement was stored")
	}
	if err := a.spool.Append([]audit.Record{spooledRecord(a.source, 1)}); err != nil {
		t.Fatal(err)
	}
	a.covers(t, 1)
	if a.forget(t.Context()) || a.savedLines(t) != 1 {
		t.Error("forgotten while the record is in the spool")
	}
	batch, err := a.spool.Next(0)
	if err == nil {
		err = a.spool.Done(batch)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !a.forget(t.Context()) || a.savedLines(t) != 0 || a.lines != 0 {
		t.Errorf("%d lines are left, and nothing needs them", a.savedLines(t))
	}
}

// The file does not grow with the age of a run whose database is there.
func TestSavedStatementsStayFew(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, testdb.New(t), uuid.New(), t.TempDir())
	most := 0
	for range maxSavedLines + 10 {
		a.mu.Lock()
		a.state(a.book.own, completeness.Periodic)
		a.mu.Unlock()
		if !a.advance(t.Context(), false) {
			t.Fatal("something is left to store")
		}
		most = max(most, a.savedLines(t))
	}
	if n := a.savedLines(t); n == 0 || most > maxSavedLines+1 || most < maxSavedLines {
		t.Errorf("%d lines at most and %d at the end, want %d at most, and one that names the source", most, n, maxSavedLines+1)
	}
}

// A disk that takes no statement is reported once, and again if it fails after it worked.
func TestUnsavedStatementIsReportedOnce(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, testdb.New(t), uuid.New(), t.TempDir())
	path := filepath.Join(a.path, "statements.jsonl")
	state := func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.state(a.book.own, completeness.Periodic)
	}
	for round := 1; round <= 2; round++ {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		state()
		a.save(t.Context())
		a.save(t.Context())
		if n := strings.Count(a.log.String(), "level=WARN msg=audit_spool_failing"); n != round {
			t.Errorf("reported %d times in round %d:\n%s", n, round, a.log)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		a.save(t.Context())
		if n := a.savedLines(t); n != 1 {
			t.Errorf("%d lines are saved after the fault, want 1", n)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// The end of a run is on record: in the database if that answers, else on disk.
func TestLastStatementIsOnRecord(t *testing.T) {
	t.Parallel()
	for _, opened := range []bool{false, true} {
		a := newAccounts(t, testdb.New(t), uuid.New(), t.TempDir())
		pushed(t, a.queue, 1)
		if opened {
			a.covers(t, 1)
		}
		a.book.own.Decide(1, completeness.Present)
		a.close(t.Context(), true)
		last := a.latest(t, a.source)
		if last.Kind != completeness.Closed || last.Number != 2 || last.AcceptedThrough != 1 || last.ReservedThrough != 1 || a.savedLines(t) != 0 {
			t.Errorf("opened %t: the last is %+v, with %d lines on disk", opened, last, a.savedLines(t))
		}
	}
	a := newAccounts(t, testdb.New(t), uuid.New(), t.TempDir())
	a.close(t.Context(), false)
	if n := a.savedLines(t); n != 2 || a.latest(t, a.source).Number != 0 {
		t.Errorf("%d lines are on disk without a database, want the beginning and the end", n)
	}
}
