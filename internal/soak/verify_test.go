package soak_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/load"
)

// verify holds all that was told, of every record, against what is there. All lives
// are over, and the directory is empty.
func (l *lives) verify(pool *pgxpool.Pool) {
	l.t.Helper()
	rows, rejects := load.StoredIDs(l.t, pool), load.RejectedIDs(l.t, l.dir)
	l.journal.mu.Lock()
	defer l.journal.mu.Unlock()
	v := verification{faults: l.journal.faults, ends: map[audit.EnvelopeClass]audit.RecorderCounts{}}
	for id, n := range l.journal.notes {
		v.record(n, rows[id], rejects[id] > 0)
	}
	for id := range rows {
		if l.journal.notes[id] == nil {
			v.faults["a row of a record that was never handed in"]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.faults)) {
		l.t.Errorf("%d times: %s", v.faults[name], name)
	}
	l.verifyCounts(&v, pool, len(rows))
}

// verification is what the records themselves say.
type verification struct {
	faults map[string]int
	ends   map[audit.EnvelopeClass]audit.RecorderCounts // by the observers' account; Accepted: not turned away

	turnedAway   int64
	again        int64 // ends beyond a record's first
	storedAgain  int64 // of these, of records that are stored
	unknowing    int64 // stored, and ended as dropped or rejected: the answer was lost
	onlyRejected int64
	onlyDropped  int64
	leftovers    int64 // stored, and in rejected beside it
}

func (v *verification) record(n *note, stored, inRejected bool) {
	require := func(holds bool, otherwise string) {
		if !holds {
			v.faults[otherwise]++
		}
	}
	if n.told == toldClosed {
		v.turnedAway++
		require(!stored && n.ends() == 0, "turned away, and not ended with that")
		return
	}
	told := n.told
	safe := stored || inRejected || n.dropped > 0
	require(told != nothingYet, "a call that did not return")
	require(told != toldStored || stored, "told that it is stored, and it is not")
	require(told != toldAccepted || safe, "told that it is accepted, and it is nowhere")
	require(told != toldDropped || n.dropped > 0, "told that it is dropped, and not counted")
	require(told != toldRefused || inRejected, "told that it is refused, and not in rejected")
	require(told != toldNo || n.dropped > 0 || inRejected, "Emit said no, and it is neither dropped nor rejected")
	require(n.closed == 0, "turned away, and taken")
	require(n.ends() > 0, "without an end")
	require(n.persisted <= 1, "persisted twice")
	require(n.dropped == 0 || n.ends() == 1, "dropped, and ended otherwise, too")
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

// verifyCounts holds the counts of all lives against the records, the rows and the gaps.
func (l *lives) verifyCounts(v *verification, pool *pgxpool.Pool, rows int) {
	l.t.Helper()
	var turnedAway int64
	counted := map[audit.EnvelopeClass]audit.RecorderCounts{}
	for _, life := range l.all {
		stats := life.recorder.Stats()
		for class, counts := range stats.ByClass {
			sum := counted[class]
			sum.Add(counts)
			counted[class] = sum
		}
		turnedAway += stats.Refused
		if accepted := stats.Total().Accepted - life.inherited.Accepted; accepted != life.taken.Load() || stats.Refused != life.turnedAway.Load() {
			l.t.Errorf("life %d: %d accepted, %d refused; callers know of %d and %d", life.number, accepted, stats.Refused, life.taken.Load(), life.turnedAway.Load())
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
	if total.Queued != 0 || total.DeadLettered != 0 || total.Skipped != 0 {
		l.t.Errorf("not all of it has ended: %+v", total)
	}
	if givenAgain != v.again {
		l.t.Errorf("%d given again, and %d ends beyond a record's first", givenAgain, v.again)
	}
	if turnedAway != v.turnedAway {
		l.t.Errorf("%d counted as refused, and %d were turned away", turnedAway, v.turnedAway)
	}
	if want := total.Persisted + total.AlreadyPersisted - v.storedAgain + v.unknowing; int64(rows) != want {
		l.t.Errorf("%d rows; the counts say %d", rows, want)
	}
	if total.Accepted != int64(rows)+v.onlyRejected+v.onlyDropped {
		l.t.Errorf("%d accepted; %d rows + %d rejected + %d dropped", total.Accepted, rows, v.onlyRejected, v.onlyDropped)
	}
	l.t.Logf("by record: accepted %d = rows %d + rejected alone %d + dropped alone %d; %d turned away by a closed recorder", total.Accepted, rows, v.onlyRejected, v.onlyDropped, turnedAway)
	l.t.Logf("rows %d = persisted %d + already persisted %d - stored and given again %d + stored unknown to the recorder, which counts them as dropped or rejected, %d; in rejected and stored: %d",
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
