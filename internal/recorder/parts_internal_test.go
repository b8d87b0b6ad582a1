package recorder

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	b := backoff{first: 8 * time.Millisecond, max: time.Second}
	for round := range 2 {
		for i := range 70 {
			want := time.Second
			if i < 7 {
				want = b.first << i
			}
			if got := b.next(); got < want/2 || got > want {
				t.Errorf("round %d, failure %d: waits %v, want %v to %v", round, i, got, want/2, want)
			}
		}
		b.reset()
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		early, start := make(chan struct{}), time.Now()
		if !pause(ctx, time.Second, early) || time.Since(start) != time.Second {
			t.Errorf("paused %v, want 1s", time.Since(start))
		}
		close(early)
		if !pause(ctx, time.Second, early) || time.Since(start) != time.Second {
			t.Error("did not return early")
		}
		wake := make(chan struct{}, 1)
		signal(wake)
		signal(wake)
		if !awaken(ctx, wake) || len(wake) != 0 {
			t.Error("a token does not wake, or there are two")
		}
		signal(wake)
		cancel()
		if awaken(ctx, wake) || pause(ctx, time.Hour, nil) {
			t.Error("works on after the end")
		}
	})
}

func TestHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		var turns []bool
		h := newHealth(time.Second, func(away bool) { turns = append(turns, away) }, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, failure := t.Context(), errors.New("no connection")
		h.noteSuccess(ctx)
		h.noteFailure(ctx, failure)
		next := h.nextAnswer()
		time.Sleep(time.Second - time.Nanosecond)
		h.noteFailure(ctx, failure)
		if h.isAway() || h.answers() || len(turns) > 0 {
			t.Error("away before the budget is used up")
		}
		time.Sleep(time.Nanosecond)
		h.noteFailure(ctx, failure)
		h.noteFailure(ctx, failure)
		if !h.isAway() || signalled(next) {
			t.Error("not away after the budget is used up")
		}
		h.noteSuccess(ctx)
		h.noteSuccess(ctx)
		if h.isAway() || !h.answers() || !signalled(next) || signalled(h.nextAnswer()) || h.storedBatches() != 3 {
			t.Errorf("still away after %d stored batches", h.storedBatches())
		}
		h.noteFailure(ctx, failure)
		h.noteSuccess(ctx)
		if diff := cmp.Diff([]bool{true, false}, turns); diff != "" {
			t.Errorf("turns (-want +got):\n%s", diff)
		}
		text := log.String()
		if strings.Count(text, "audit_database_away") != 1 || strings.Count(text, "audit_database_back") != 1 || !strings.Contains(text, "no connection") {
			t.Errorf("logged:\n%s", text)
		}
		h.noteInsertion()
		if h.insertions() != 1 {
			t.Errorf("%d insertions, want 1", h.insertions())
		}
	})
}

func lostRecord(class audit.EnvelopeClass) *audit.Record {
	return &audit.Record{AuditID: uuid.New(), EnvelopeClass: class}
}

func TestGaps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		g := newGaps(func() time.Time { return now }, nil)
		if _, pending := g.due(); pending {
			t.Error("a gap is pending before a loss")
		}
		first, last := lostRecord(audit.Safety), lostRecord(audit.Cost)
		if begins, err := g.add(first, errors.New("no room")); !begins || err != nil {
			t.Errorf("add() = %t, %v, want the first of a gap", begins, err)
		}
		now = now.Add(time.Minute)
		if begins, err := g.add(last, errors.New("other")); begins || err != nil {
			t.Errorf("add() = %t, %v, want the same gap", begins, err)
		}
		if wait, pending := g.due(); wait != minGap || !pending {
			t.Errorf("due() = %v, %t", wait, pending)
		}
		if _, ok := g.oldest(false); ok {
			t.Error("an open gap is recorded before it has gathered")
		}
		time.Sleep(minGap)
		gap, ok := g.oldest(false)
		want := audit.Gap{
			GapID: gap.GapID, Dropped: map[audit.EnvelopeClass]int64{audit.Safety: 1, audit.Cost: 1}, FirstAuditID: first.AuditID,
			LastAuditID: last.AuditID, From: now.Add(-time.Minute).UTC(), Until: now.UTC(), Cause: "no room",
		}
		if diff := cmp.Diff(want, gap); diff != "" || !ok || gap.GapID == uuid.Nil {
			t.Errorf("gap (-want +got):\n%s", diff)
		}
		if begins, _ := g.add(first, errors.New("later")); !begins {
			t.Error("a complete gap has grown")
		}
		if left := g.unsaved(); len(left) != 2 || left[0].GapID != gap.GapID || left[1].GapID == gap.GapID {
			t.Errorf("unsaved are %+v", left)
		}
		if g.recorded() {
			t.Error("the spool holds no gap")
		}
		if again, ok := g.oldest(true); !ok || again.GapID == gap.GapID || len(g.unsaved()) != 1 {
			t.Error("the open gap is not due at the end")
		}
		g.recorded()
		if _, ok := g.oldest(true); ok {
			t.Error("a recorded gap is left")
		}
	})
}

func TestFoundGaps(t *testing.T) {
	t.Parallel()
	found := []audit.Gap{{GapID: uuid.New()}, {GapID: uuid.New()}}
	g := newGaps(time.Now, found)
	if len(g.unsaved()) != 0 {
		t.Error("found gaps are unsaved")
	}
	for i := range found {
		if gap, ok := g.oldest(false); !ok || gap.GapID != found[i].GapID {
			t.Errorf("oldest() = %v, %t, want gap %d", gap.GapID, ok, i)
		}
		if last := g.recorded(); last != (i == 1) {
			t.Errorf("recorded() = %t for gap %d", last, i)
		}
	}
}

func TestRefusedGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGaps(time.Now, []audit.Gap{{GapID: uuid.New()}})
		if !g.refused(time.Minute) || g.refused(time.Minute) {
			t.Error("the first refusal is not the first, or the second is")
		}
		if wait, pending := g.due(); wait != time.Minute || !pending {
			t.Errorf("due() = %v, %t", wait, pending)
		}
		if _, ok := g.oldest(false); ok {
			t.Error("a refused gap is due at once")
		}
		if _, ok := g.oldest(true); !ok {
			t.Error("a refused gap is not due at the end")
		}
		g.recorded()
		if _, err := g.add(lostRecord(audit.Safety), errors.New("no room")); err != nil {
			t.Fatal(err)
		}
		if wait, _ := g.due(); wait != minGap {
			t.Errorf("due() = %v after a gap was recorded, want %v", wait, minGap)
		}
		if g.refused(time.Minute); len(g.closed) != 0 {
			t.Fatal("the open gap is complete")
		}
		if wait, _ := g.due(); wait != time.Minute {
			t.Errorf("due() = %v for an open gap, want the longer wait", wait)
		}
	})
}

func TestGapClockStepsBack(t *testing.T) {
	t.Parallel()
	now := time.Now()
	g := newGaps(func() time.Time { return now }, nil)
	for range 2 {
		if _, err := g.add(lostRecord(audit.Safety), errors.New("no room")); err != nil {
			t.Fatal(err)
		}
		now = now.Add(-time.Hour)
	}
	if gap, _ := g.oldest(true); gap.Until.Before(gap.From) || gap.Total() != 2 {
		t.Errorf("a gap from %v until %v", gap.From, gap.Until)
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("ä", audit.MaxGapCauseCharacters)
	for text, want := range map[string]string{
		"":            "",
		"a\x00b\xffc": "a\uFFFDb\uFFFDc",
		longest:       longest,
		longest + "b": longest[:len(longest)-2] + "…",
	} {
		if got := clip(text); got != want {
			t.Errorf("clip(%.20q) = %.20q of %d bytes", text, got, len(got))
		}
	}
}

func TestTrial(t *testing.T) {
	t.Parallel()
	trial := newTrial()
	recs := []audit.Record{*lostRecord(audit.Safety), *lostRecord(audit.Cost), *lostRecord(audit.Cost)}
	trial.offer(recs[:1])
	trial.offer(recs)
	if taken := trial.take(); len(taken) != 3 || trial.take() != nil {
		t.Errorf("%d suspects are taken, want the last three, once", len(taken))
	}
	refused := verdict{refused: errors.New("no")}
	stored := verdict{result: audit.Result{Outcome: audit.Persisted}}
	trial.decide(recs, []verdict{refused, {}, stored})
	decided := trial.decided()
	if len(decided) != 2 || decided[recs[0].AuditID].refused == nil || decided[recs[2].AuditID].result.Outcome != audit.Persisted {
		t.Errorf("decided are %v", decided)
	}
	if trial.decided() != nil {
		t.Error("a verdict is returned twice")
	}
	trial.decide(recs[:1], []verdict{refused})
	if len(trial.decided()) != 1 {
		t.Error("a later verdict is lost")
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	l := &ledger{}
	for i, class := range audit.EnvelopeClasses() {
		l.acceptMany(class, queued, int64(10+i))
		l.accept(class, spooled)
		l.move(class, queued, persisted)
		l.moveMany(class, queued, dropped, 2)
		want := audit.RecorderCounts{Accepted: int64(11 + i), Queued: int64(7 + i), Spooled: 1, Persisted: 1, Dropped: 2}
		if diff := cmp.Diff(want, l.counts()[class]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", class, diff)
		}
	}
	if counts := l.counts(); len(counts) != 5 {
		t.Errorf("%d classes", len(counts))
	}
	for to, count := range map[state]func(audit.RecorderCounts) int64{
		alreadyPersisted: func(c audit.RecorderCounts) int64 { return c.AlreadyPersisted },
		skipped:          func(c audit.RecorderCounts) int64 { return c.Skipped },
		rejected:         func(c audit.RecorderCounts) int64 { return c.Rejected },
	} {
		l.move(audit.Safety, queued, to)
		if got := count(l.counts()[audit.Safety]); got != 1 {
			t.Errorf("%d in state %d, want 1", got, to)
		}
	}
}
