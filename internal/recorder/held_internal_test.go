package recorder

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/hooks"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// heard is a Reporter that keeps what it gets.
type heard struct{ ends []report }

func (h *heard) Finished(ctx context.Context, rec *audit.Record, result audit.Result, err error, waited time.Duration) {
	h.ends = append(h.ends, report{ctx, rec, result, err, waited})
}

func (*heard) Flushed(context.Context, audit.Flush) {}

// bench is a drainer on a real spool, without a database.
type bench struct {
	*drainer
	source uuid.UUID
	spool  *spool.Directory
	path   string
	heard  *heard
	output *strings.Builder
}

// newBench returns a drainer that holds records that were found in its spool.
func newBench(t *testing.T, config spool.Config, records int) *bench {
	t.Helper()
	config.Path = t.TempDir()
	dir, _, err := spool.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	b := &bench{source: uuid.New(), spool: dir, path: config.Path, heard: &heard{}, output: &strings.Builder{}}
	log := slog.New(slog.NewTextHandler(b.output, nil))
	queue, ledger := testQueue(100, plenty)
	book := &book{own: completeness.NewAccount(b.source, "", block, func() int64 { return int64(records) })}
	gaps, wake := newGaps(time.Now, nil), make(chan struct{}, 1)
	b.drainer = &drainer{
		files: dir, queue: queue, ledger: ledger, book: book, log: log, maxBatch: 10, wake: wake, trial: newTrial(),
		sender: &sender{limit: 10}, health: newHealth(time.Second, func(bool) {}, log), gaps: &gapWriter{gaps: gaps},
		losses:  &losses{ledger: ledger, gaps: gaps, book: book, files: dir, log: log, wake: wake},
		reports: &reports{to: b.heard, guard: &hooks.Guard{}, log: log},
	}
	if records == 0 {
		return b
	}
	recs := make([]audit.Record, records)
	for i := range recs {
		recs[i] = spooledRecord(b.source, int64(i+1))
	}
	if err := dir.Append(recs); err != nil {
		t.Fatal(err)
	}
	ledger.acceptMany(audit.Cost, spooled, int64(records))
	if took, err := b.take(t.Context()); !took || err != nil {
		t.Fatal(took, err)
	}
	return b
}

func (b *bench) counts() audit.RecorderCounts { return b.ledger.counts()[audit.Cost] }

// statement is what the account says next.
func (b *bench) statement() completeness.Statement {
	return b.book.own.State(completeness.Periodic, nil)[0]
}

func storedAs(outcome audit.Outcome) verdict { return verdict{result: audit.Result{Outcome: outcome}} }

var errRefusal = errors.New("refused for its own sake")

// Each verdict counts once, is reported once and is accounted for. What has none stays.
func TestVerdictsAreApplied(t *testing.T) {
	t.Parallel()
	b := newBench(t, spool.Config{}, 5)
	records := b.heldRecords()
	again := storedAs(audit.AlreadyPersisted)
	again.elsewhere = true
	verdicts := []verdict{storedAs(audit.Persisted), {refused: errRefusal}, {}, again, {refused: errRefusal}}
	if err := b.finish(t.Context(), records, contentOf(records), verdicts); err != nil {
		t.Fatal(err)
	}
	want := audit.RecorderCounts{Accepted: 5, Persisted: 1, AlreadyPersisted: 1, Rejected: 2, Spooled: 1}
	if diff := cmp.Diff(want, b.counts()); diff != "" || b.undecided() != 1 {
		t.Errorf("%d are undecided, counts (-want +got):\n%s", b.undecided(), diff)
	}
	if left := b.heldRecords(); len(left) != 1 || left[0].index != 2 {
		t.Errorf("left are %+v", left)
	}
	if len(b.heard.ends) != 4 {
		t.Fatalf("%d records are reported, want 4", len(b.heard.ends))
	}
	for i, want := range []verdict{verdicts[0], verdicts[1], verdicts[3], verdicts[4]} {
		if end := b.heard.ends[i]; !errors.Is(end.err, want.refused) || end.result != want.result || end.waited != 0 || end.ctx == nil {
			t.Errorf("report %d is %+v, want %+v", i, end, want)
		}
	}
	s := b.statement()
	if got := []string{s.Rejected.String(), s.AlreadyPersisted.String(), s.Dropped.String()}; !cmp.Equal(got, []string{
		completeness.SetOf(2, 5).String(), completeness.SetOf(4).String(), completeness.Set(nil).String(),
	}) {
		t.Errorf("rejected, already persisted and dropped are %v", got)
	}
	if err := b.finishHeld(t.Context()); err != nil || len(b.held) != 1 || b.spool.Bytes() == 0 {
		t.Errorf("%v; the segment is gone, and one of its records has no verdict", err)
	}
	if err := b.finish(t.Context(), b.heldRecords(), contentOf(b.heldRecords()), []verdict{storedAs(audit.Persisted)}); err != nil {
		t.Fatal(err)
	}
	if err := b.finishHeld(t.Context()); err != nil || len(b.held) != 0 || b.spool.Bytes() != 0 {
		t.Errorf("%v; all is decided, and %d batches are held", err, len(b.held))
	}
}

// A refused record that cannot be kept is not given up. Those that are stored do not wait for it.
func TestUnkeepableRecordStays(t *testing.T) {
	t.Parallel()
	b := newBench(t, spool.Config{MaxBytes: 2400}, 4)
	records := b.heldRecords()
	verdicts := []verdict{{refused: errRefusal}, {refused: errors.New(strings.Repeat("x", 5000))}, storedAs(audit.Persisted), {refused: errRefusal}}
	if err := b.finish(t.Context(), records, contentOf(records), verdicts); !errors.Is(err, spool.ErrFull) {
		t.Errorf("finish() = %v, want ErrFull", err)
	}
	want := audit.RecorderCounts{Accepted: 4, Persisted: 1, Rejected: 1, Spooled: 2}
	if diff := cmp.Diff(want, b.counts()); diff != "" || b.undecided() != 2 {
		t.Errorf("%d are undecided, counts (-want +got):\n%s", b.undecided(), diff)
	}
	if len(b.heard.ends) != 2 || !strings.Contains(b.output.String(), "level=ERROR msg=audit_spool_failing") {
		t.Errorf("%d records are reported, and logged is %s", len(b.heard.ends), b.output)
	}
}

// benchOn returns a drainer that holds a segment of these lines, all of the same class.
func benchOn(t *testing.T, lines ...string) *bench {
	t.Helper()
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, "0000000001.jsonl"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir, found, err := spool.Open(spool.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	b := newBench(t, spool.Config{}, 0)
	b.files, b.spool, b.path = dir, dir, path
	b.ledger.acceptMany(audit.Cost, spooled, found.Records[audit.Cost])
	if took, err := b.take(t.Context()); !took || err != nil {
		t.Fatal(took, err)
	}
	return b
}

// Lines that are no records are kept before their segment goes, and counted as rejected.
func TestBadLinesAreKeptFirst(t *testing.T) {
	t.Parallel()
	newer := `{"format":99,"audit_id":"x","envelope_class":"COST"}`
	b := benchOn(t, `"envelope_class":"COST" one`, newer, `"envelope_class":"COST" two`)
	rejected := filepath.Join(b.path, "rejected")
	if err := os.WriteFile(rejected, nil, 0o600); err != nil { // a file where the directory should be
		t.Fatal(err)
	}
	if err := b.finishHeld(t.Context()); err == nil || len(b.held) != 1 || b.counts().Rejected != 0 {
		t.Errorf("finishHeld() = %v, and %+v, with nowhere to keep the lines", err, b.counts())
	}
	if err := os.Remove(rejected); err != nil {
		t.Fatal(err)
	}
	if err := b.finishHeld(t.Context()); err != nil || len(b.held) != 0 || b.spool.Bytes() != 0 {
		t.Errorf("finishHeld() = %v, %d batches are held", err, len(b.held))
	}
	if diff := cmp.Diff(audit.RecorderCounts{Accepted: 3, Rejected: 2, Spooled: 1}, b.counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if n := strings.Count(b.output.String(), "msg=audit_spool_damaged"); n != 2 {
		t.Errorf("%d damaged lines are logged, want 2:\n%s", n, b.output)
	}
	if n := strings.Count(b.output.String(), "msg=audit_spool_newer records=1"); n != 1 {
		t.Errorf("the newer line is logged %d times:\n%s", n, b.output)
	}
}

// Records that are held when someone removes their file are written again, and nothing is
// counted twice.
func TestHeldRecordsOutliveTheirFile(t *testing.T) {
	t.Parallel()
	b := newBench(t, spool.Config{}, 3)
	records := b.heldRecords()
	if err := b.finish(t.Context(), records[:1], contentOf(records[:1]), []verdict{storedAs(audit.Persisted)}); err != nil {
		t.Fatal(err)
	}
	if err := b.keepStale(t.Context()); err != nil || len(b.held) != 1 {
		t.Errorf("keepStale() = %v, %d batches are held: the file is there", err, len(b.held))
	}
	if err := os.Remove(filepath.Join(b.path, "0000000001.jsonl")); err != nil {
		t.Fatal(err)
	}
	if err := b.release(t.Context()); err != nil || len(b.held) != 0 {
		t.Errorf("release() = %v, %d batches are held", err, len(b.held))
	}
	batch, err := b.spool.Next(0)
	if err != nil || len(batch.Records) != 2 || batch.Records[0].Origin.SourceSeq != 2 {
		t.Fatalf("%+v, %v; want the two undecided records", batch, err)
	}
	if diff := cmp.Diff(audit.RecorderCounts{Accepted: 3, Persisted: 1, Spooled: 2}, b.counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// They are written again once, even if a line next to them cannot be kept at first.
func TestHeldRecordsAreWrittenOnce(t *testing.T) {
	t.Parallel()
	rec := spooledRecord(uuid.New(), 1)
	line, err := rec.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	b := benchOn(t, string(line), `"envelope_class":"COST" bad`)
	rejected := filepath.Join(b.path, "rejected")
	if err := errors.Join(os.Remove(filepath.Join(b.path, "0000000001.jsonl")), os.WriteFile(rejected, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	b.spool.Check()
	if err := b.keepStale(t.Context()); err == nil || len(b.held) != 1 {
		t.Errorf("keepStale() = %v, with nowhere to keep the line", err)
	}
	if err := os.Remove(rejected); err != nil {
		t.Fatal(err)
	}
	if err := b.keepStale(t.Context()); err != nil || len(b.held) != 0 {
		t.Errorf("keepStale() = %v, %d batches are held", err, len(b.held))
	}
	batch, err := b.spool.Next(0)
	if err != nil || len(batch.Records) != 1 {
		t.Fatalf("%+v, %v; want the record", batch, err)
	}
	if again, err := b.spool.Next(0); again != nil || err != nil {
		t.Errorf("%+v, %v; the record was written twice", again, err)
	}
}

// Held records that cannot be written again stay held.
func TestUnwritableRecordsStayHeld(t *testing.T) {
	t.Parallel()
	b := newBench(t, spool.Config{}, 3)
	if err := os.RemoveAll(b.path); err != nil {
		t.Fatal(err)
	}
	b.spool.Check()
	if err := b.keepStale(t.Context()); err == nil || len(b.held) != 1 || b.undecided() != 3 {
		t.Errorf("keepStale() = %v, %d records are held, want 3", err, b.undecided())
	}
	if !strings.Contains(b.output.String(), "audit_spool_failing") {
		t.Errorf("logged is %s", b.output)
	}
}

// What is gone from the spool is counted as dropped, by class, and put into a gap, whose cause
// names the file. What is there again is counted as accepted.
func TestLostSegmentIsCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t, spool.Config{}, 0)
	b.ledger.acceptMany(audit.Cost, spooled, 5)
	b.ledger.acceptMany(audit.Safety, spooled, 2)
	first, last := uuid.New(), uuid.New()
	gone := &spool.UnreadableError{
		Path: "/spool/0000000001.jsonl", Records: map[audit.EnvelopeClass]int64{audit.Cost: 3, audit.Safety: 2},
		Again: map[audit.EnvelopeClass]int64{audit.Reliability: 4}, Gone: true, FirstAuditID: first, LastAuditID: last,
		Ordinals: map[uuid.UUID]completeness.Set{b.source: completeness.SetOf(1, 2)}, Err: os.ErrNotExist,
	}
	b.book.own = completeness.NewAccount(b.source, "", block, func() int64 { return 7 })
	err := b.losses.addSpooled(t.Context(), gone)
	if !errors.Is(err, audit.ErrDropped) || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "5 records are gone") {
		t.Errorf("addSpooled() = %v", err)
	}
	counts := b.ledger.counts()
	if counts[audit.Cost].Dropped != 3 || counts[audit.Safety].Dropped != 2 || counts[audit.Cost].Spooled != 2 || counts[audit.Reliability].Spooled != 4 {
		t.Errorf("counts %+v", counts)
	}
	gap, ok := b.gaps.gaps.oldest(true)
	if !ok || gap.FirstAuditID != first || gap.LastAuditID != last || !cmp.Equal(gap.Dropped, gone.Records) || !strings.Contains(gap.Cause, "0000000001.jsonl") {
		t.Errorf("the gap is %+v", gap)
	}
	if s := b.statement(); s.Dropped.String() != completeness.SetOf(1, 2).String() {
		t.Errorf("dropped are %s", s.Dropped)
	}
	if !signalled(b.wake) || !strings.Contains(b.output.String(), "level=ERROR msg=audit_spool_lost records=5") {
		t.Errorf("the drainer is not woken, or logged is %s", b.output)
	}
	gone.Records = nil
	if err := b.losses.addSpooled(t.Context(), gone); err != nil || signalled(b.wake) {
		t.Errorf("addSpooled() = %v without a loss", err)
	}
}

// Records that were never sent go first, but not for long, and not while the database is away.
func TestDrainerYields(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		waiting int
		away    bool
		want    time.Duration
	}{"Crowd": {11, false, maxYield}, "OneBatch": {10, false, 0}, "CrowdWhileAway": {11, true, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, spool.Config{}, 0)
			synctest.Test(t, func(t *testing.T) {
				b.health = newHealth(0, func(bool) {}, slog.New(slog.DiscardHandler))
				if test.away {
					b.health.noteFailure(t.Context(), errors.New("no"))
				}
				b.queue, _ = testQueue(100, plenty)
				pushed(t, b.queue, test.waiting)
				start := time.Now()
				b.yield(t.Context())
				if took := time.Since(start); took != test.want {
					t.Errorf("yields for %v, want %v", took, test.want)
				}
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				start = time.Now()
				b.yield(ended)
				if took := time.Since(start); took != 0 {
					t.Errorf("yields for %v at the end", took)
				}
			})
		})
	}
}

// The drainer wakes for a spooled record at once, for a gap when it is due, and for a token. It
// does nothing meanwhile.
func TestDrainerAwaits(t *testing.T) {
	t.Parallel()
	empty, full := newBench(t, spool.Config{}, 0), newBench(t, spool.Config{}, 3)
	if err := full.spool.Append([]audit.Record{spooledRecord(full.source, 4)}); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if !full.await(t.Context()) || time.Since(start) != 0 {
			t.Error("a spooled record does not wake the drainer")
		}
		wake := make(chan struct{}, 1)
		empty.wake = wake
		gaps := newGaps(time.Now, nil)
		empty.gaps = &gapWriter{gaps: gaps}
		time.AfterFunc(10*time.Second, func() {
			if _, err := gaps.add(lostRecord(audit.Cost), errors.New("no room")); err != nil {
				t.Error(err)
			}
			signal(wake)
		})
		if !empty.await(t.Context()) || time.Since(start) != 10*time.Second+minGap {
			t.Errorf("a gap wakes the drainer after %v, want %v", time.Since(start), 10*time.Second+minGap)
		}
		gap, _ := gaps.oldest(true)
		if gaps.recorded(); gap.Total() != 1 {
			t.Errorf("the gap is %+v", gap)
		}
		ended, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Hour, cancel)
		start = time.Now()
		if empty.await(ended) || time.Since(start) != 3*time.Hour {
			t.Errorf("the drainer ends after %v", time.Since(start))
		}
		if full.await(ended) {
			t.Error("the drainer works on after the end")
		}
	})
}

// A batch may hold records of several sources, decided in every way. Each account gets its own.
func TestFatesOfSeveralSources(t *testing.T) {
	t.Parallel()
	own, earlier := uuid.New(), uuid.New()
	b := &book{
		own: completeness.NewAccount(own, "", block, func() int64 { return 10 }),
		others: map[uuid.UUID]*completeness.Account{
			earlier: completeness.CarryOn(earlier, "", completeness.SetOf(1, 2, 3, 4)),
		},
	}
	var f fates
	add := func(source uuid.UUID, ordinal int64, fate completeness.Fate) {
		f.add(audit.Origin{SourceID: source, SourceSeq: ordinal}, fate)
	}
	add(uuid.Nil, 0, completeness.Rejected) // of an older release
	add(own, 1, completeness.Present)
	add(earlier, 1, completeness.Rejected)
	add(own, 2, completeness.Dropped)
	add(earlier, 2, completeness.Present)
	add(uuid.New(), 1, completeness.Rejected) // of a source without an account
	add(own, 3, completeness.AlreadyPersisted)
	add(earlier, 3, completeness.AlreadyPersisted)
	f.enter(b)
	for source, want := range map[uuid.UUID]completeness.Statement{
		own:     {Dropped: completeness.SetOf(2), AlreadyPersisted: completeness.SetOf(3), Waiting: completeness.Span(4, 10)},
		earlier: {Rejected: completeness.SetOf(1), AlreadyPersisted: completeness.SetOf(3), Waiting: completeness.SetOf(4)},
	} {
		s := b.account(source).State(completeness.Periodic, nil)[0]
		got := completeness.Statement{Dropped: s.Dropped, Rejected: s.Rejected, AlreadyPersisted: s.AlreadyPersisted, Waiting: s.Waiting}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("statement (-want +got):\n%s", diff)
		}
	}
	if accounts := b.all(); len(accounts) != 2 || len(b.carried()) != 1 {
		t.Errorf("%d accounts, %d of them carried", len(accounts), len(b.carried()))
	}
}

// What the flusher has found out about the drainer's suspects decides them, once.
func TestTrialDecidesHeldRecords(t *testing.T) {
	t.Parallel()
	b := newBench(t, spool.Config{}, 3)
	if err := b.applyTrial(t.Context()); err != nil || b.undecided() != 3 {
		t.Errorf("applyTrial() = %v without a verdict, %d are undecided", err, b.undecided())
	}
	suspects := contentOf(b.heldRecords())
	b.trial.decide(suspects, []verdict{{refused: errRefusal}, {}, storedAs(audit.AlreadyPersisted)})
	for range 2 {
		if err := b.applyTrial(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := audit.RecorderCounts{Accepted: 3, Rejected: 1, AlreadyPersisted: 1, Spooled: 1}
	if diff := cmp.Diff(want, b.counts()); diff != "" || b.undecided() != 1 {
		t.Errorf("%d are undecided, counts (-want +got):\n%s", b.undecided(), diff)
	}
	b.trial.decide(suspects[1:2], []verdict{storedAs(audit.Persisted)})
	if err := b.applyTrial(t.Context()); err != nil || len(b.held) != 0 || b.spool.Bytes() != 0 {
		t.Errorf("applyTrial() = %v, %d batches are held after the last verdict", err, len(b.held))
	}
}

// At the end the spool has all that was held, and what it has lost is known to Close.
func TestDrainerEndsWithASoundSpool(t *testing.T) {
	t.Parallel()
	b := newBench(t, spool.Config{}, 3)
	if err := b.spool.Append([]audit.Record{spooledRecord(b.source, 4)}); err != nil {
		t.Fatal(err)
	}
	b.ledger.accept(audit.Cost, spooled)
	for _, name := range []string{"0000000001.jsonl", "0000000002.jsonl"} {
		if err := os.Remove(filepath.Join(b.path, name)); err != nil {
			t.Fatal(err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	b.run(ended)
	if !errors.Is(b.lost, audit.ErrDropped) {
		t.Errorf("lost is %v, want ErrDropped for the record that was not held", b.lost)
	}
	if diff := cmp.Diff(audit.RecorderCounts{Accepted: 4, Spooled: 3, Dropped: 1}, b.counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if batch, err := b.spool.Next(0); err != nil || batch == nil || len(batch.Records) != 3 {
		t.Errorf("%+v, %v; want the three that were held", batch, err)
	}
}
