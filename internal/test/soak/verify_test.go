package soak_test

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
)

// verify checks every answer and every end against the places. All lives are over, and the
// spool is empty.
func (l *lives) verify(pool *pgxpool.Pool) {
	l.t.Helper()
	places := loadgen.Find(l.t, pool, l.dir)
	l.journal.mu.Lock()
	defer l.journal.mu.Unlock()
	v := verification{faults: l.journal.faults, ends: map[audit.EnvelopeClass]audit.RecorderCounts{}}
	for id, n := range l.journal.notes {
		if fault := places.Broken(id, n.answer, n.dropped > 0); fault != "" {
			v.faults[fault]++
		}
		v.record(n, places.Stored[id], places.Rejected[id] > 0)
	}
	for id := range places.Stored {
		if l.journal.notes[id] == nil {
			v.faults["a row of a record that was never submitted"]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.faults)) {
		l.t.Errorf("%d times: %s", v.faults[name], name)
	}
	l.verifyCounts(&v, pool, len(places.Stored))
	l.verifyCompleteness(&v, pool, int64(len(places.Stored)))
}

// verifyCompleteness requires that the statements of all lives explain what is missing, and
// contradict no row. The spool is empty, and no life was killed.
func (l *lives) verifyCompleteness(v *verification, pool *pgxpool.Pool, rows int64) {
	l.t.Helper()
	result, err := coordaudit.New(pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)}).Completeness(context.Background(), audit.CompletenessQuery{})
	if err != nil {
		l.t.Error(err)
		return
	}
	var given, present, explained, unexplained int64
	for _, source := range result.Sources {
		if len(source.Findings) > 0 || source.Waiting > 0 || !source.Closed {
			l.t.Errorf("a source is not accounted for: %+v", source)
		}
		given, present, explained = given+source.AcceptedThrough, present+source.Present, explained+source.Explained.Total()
		for _, r := range source.Unexplained {
			unexplained += r.Last - r.First + 1
		}
	}
	l.t.Logf("%d ordinals of %d sources: %d present, %d explained, %d unexplained", given, len(result.Sources), present, explained, unexplained)
	if present != rows || len(result.Sources) != len(l.all) {
		l.t.Errorf("%d ordinals present of %d rows, %d sources of %d lives", present, rows, len(result.Sources), len(l.all))
	}
	if want := v.onlyDropped + v.onlyRejected; unexplained != 0 || explained != want {
		l.t.Errorf("%d ordinals are unexplained and %d explained, want none and %d", unexplained, explained, want)
	}
}

// verification is the sum over the records.
type verification struct {
	faults map[string]int
	ends   map[audit.EnvelopeClass]audit.RecorderCounts // as the observers saw them; Accepted: not refused

	refused      int64 // by a closed recorder
	again        int64 // ends beyond a record's first
	storedAgain  int64 // of these, of records that are stored
	unknowing    int64 // stored, and ended as dropped or rejected because the answer was lost
	onlyRejected int64
	onlyDropped  int64
	leftovers    int64 // stored, and in rejected too
}

func (v *verification) record(n *note, stored, inRejected bool) {
	require := func(holds bool, otherwise string) {
		if !holds {
			v.faults[otherwise]++
		}
	}
	if n.answer == loadgen.Closed {
		v.refused++
		require(!stored && n.ends() == 0, "refused by a closed recorder, and accepted nevertheless")
		return
	}
	require(n.answer != loadgen.Dropped || n.dropped > 0, "answered as dropped, and not counted")
	require(n.answer != loadgen.No || n.dropped > 0 || inRejected, "Emit returned false, and the record is neither dropped nor rejected")
	require(n.closed == 0, "accepted, and refused by a closed recorder")
	require(n.ends() > 0, "without an end")
	require(n.persisted <= 1, "persisted twice")
	require(n.dropped == 0 || n.ends() == 1, "dropped, and ended in another way too")
	require(n.persisted+n.already == 0 || stored, "ended as stored, and it is not")
	require(n.rejected == 0 || inRejected, "ended as rejected, and not in rejected")
	v.count(n, stored, inRejected)
}

func (v *verification) count(n *note, stored, inRejected bool) {
	counts := v.ends[n.class]
	counts.Add(audit.RecorderCounts{
		Accepted: 1, Persisted: int64(n.persisted), AlreadyPersisted: int64(n.already), Rejected: int64(n.rejected), Dropped: int64(n.dropped),
	})
	v.ends[n.class] = counts
	v.again += int64(n.ends() - 1)
	v.storedAgain += int64(max(0, int(n.persisted)+int(n.already)-1))
	switch {
	case stored && n.persisted+n.already == 0:
		v.unknowing++
	case !stored && inRejected:
		v.onlyRejected++
	case !stored:
		v.onlyDropped++
	}
	if stored && inRejected {
		v.leftovers++
	}
}

// verifyCounts compares the counts of all lives with the records, the rows and the gaps.
func (l *lives) verifyCounts(v *verification, pool *pgxpool.Pool, rows int) {
	l.t.Helper()
	var refused int64
	counted := map[audit.EnvelopeClass]audit.RecorderCounts{}
	for _, life := range l.all {
		stats := life.recorder.Stats()
		for class, counts := range stats.ByClass {
			sum := counted[class]
			sum.Add(counts)
			counted[class] = sum
		}
		refused += stats.Refused
		if accepted := stats.Total().Accepted - life.inherited.Accepted; accepted != life.accepted.Load() || stats.Refused != life.refused.Load() {
			l.t.Errorf("life %d: %d accepted, %d refused; callers know of %d and %d", life.number, accepted, stats.Refused, life.accepted.Load(), life.refused.Load())
		}
	}
	gaps := gapsByClass(l.t, pool)
	var inGaps int64
	for class, sum := range counted {
		want := v.ends[class]
		if got := (audit.RecorderCounts{
			Accepted: want.Accepted, Persisted: sum.Persisted, AlreadyPersisted: sum.AlreadyPersisted, Rejected: sum.Rejected, Dropped: sum.Dropped,
		}); got != want {
			l.t.Errorf("%s: the lives count %+v, the records' ends are %+v", class, got, want)
		}
		inGaps += gaps[class]
		if gaps[class] != sum.Dropped {
			l.t.Errorf("%s: %d dropped, and the gaps say %d", class, sum.Dropped, gaps[class])
		}
	}
	total, givenAgain := l.total()
	if total.Queued != 0 || total.Spooled != 0 || total.Skipped != 0 {
		l.t.Errorf("not every record has ended: %+v", total)
	}
	if givenAgain != v.again {
		l.t.Errorf("%d given again, and %d ends beyond a record's first", givenAgain, v.again)
	}
	if refused != v.refused {
		l.t.Errorf("%d counted as refused, and %d answered as closed", refused, v.refused)
	}
	if want := total.Persisted + total.AlreadyPersisted - v.storedAgain + v.unknowing; int64(rows) != want {
		l.t.Errorf("%d rows; the counts say %d", rows, want)
	}
	if total.Accepted != int64(rows)+v.onlyRejected+v.onlyDropped {
		l.t.Errorf("%d accepted; %d rows + %d rejected + %d dropped", total.Accepted, rows, v.onlyRejected, v.onlyDropped)
	}
	l.t.Logf("by record: accepted %d = rows %d + rejected alone %d + dropped alone %d; %d refused by a closed recorder", total.Accepted, rows, v.onlyRejected, v.onlyDropped, refused)
	l.t.Logf("rows %d = persisted %d + already persisted %d - stored and given again %d + stored without an answer, and counted as dropped or rejected %d; both in rejected and stored: %d",
		rows, total.Persisted, total.AlreadyPersisted, v.storedAgain, v.unknowing, v.leftovers)
	l.t.Logf("dropped %d = %d in coordination_audit_gaps", total.Dropped, inGaps)
}

func gapsByClass(t *testing.T, pool *pgxpool.Pool) map[audit.EnvelopeClass]int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var safety, reliability, cost, performance, unknown int64
	err := pool.QueryRow(ctx, `SELECT coalesce(sum(dropped_safety), 0)::bigint, coalesce(sum(dropped_reliability), 0)::bigint,
		coalesce(sum(dropped_cost), 0)::bigint, coalesce(sum(dropped_performance), 0)::bigint, coalesce(sum(dropped_unknown), 0)::bigint
		FROM coordination_audit_gaps`).Scan(&safety, &reliability, &cost, &performance, &unknown)
	if err != nil {
		t.Fatal(err)
	}
	return map[audit.EnvelopeClass]int64{
		audit.Safety: safety, audit.Reliability: reliability, audit.Cost: cost, audit.Performance: performance, audit.Unknown: unknown,
	}
}
