package recorder

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

const plenty = 1 << 30

func testQueue(maxRecords int, maxBytes int64) (*queue, *ledger) {
	ledger := &ledger{}
	return newQueue(maxRecords, maxBytes, ledger, uuid.New()), ledger
}

// pushed pushes n entries of the least size.
func pushed(t *testing.T, q *queue, n int) []*entry {
	t.Helper()
	entries := make([]*entry, n)
	for i := range entries {
		entries[i] = newEntry(&audit.Record{EnvelopeClass: audit.Cost})
		if err := q.push(entries[i]); err != nil {
			t.Fatal(err)
		}
	}
	return entries
}

func signalled(wake <-chan struct{}) bool {
	select {
	case <-wake:
		return true
	default:
		return false
	}
}

func TestQueueMaxRecords(t *testing.T) {
	t.Parallel()
	q, ledger := testQueue(2, plenty)
	pushed(t, q, 2)
	if err := q.push(newEntry(&audit.Record{})); !errors.Is(err, errFull) {
		t.Errorf("push() = %v, want errFull", err)
	}
	taken := q.take(byFlusher, 2, plenty)
	if err := q.push(newEntry(&audit.Record{})); !errors.Is(err, errFull) {
		t.Errorf("push() = %v while two are taken, want errFull", err)
	}
	q.finish(byFlusher, taken[1:])
	pushed(t, q, 1)
	if err := q.push(newEntry(&audit.Record{})); !errors.Is(err, errFull) {
		t.Errorf("push() = %v, want errFull again", err)
	}
	if counts := ledger.counts()[audit.Cost]; counts.Accepted != 3 || counts.Queued != 3 {
		t.Errorf("counts %+v, want three accepted: the queue does not move them", counts)
	}
}

func TestQueueMaxBytes(t *testing.T) {
	t.Parallel()
	rec := audit.Record{EnvelopeID: "abc", Reason: "defg", TenantID: "h"}
	size := newEntry(&rec).size
	if size != entryOverhead+2*8 {
		t.Errorf("an entry counts %d bytes", size)
	}
	q, _ := testQueue(100, 2*size)
	for range 2 {
		if err := q.push(newEntry(&rec)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.push(newEntry(&rec)); !errors.Is(err, errFull) || q.bytes() != 2*size {
		t.Errorf("push() = %v with %d bytes, want errFull", err, q.bytes())
	}
	q.finish(byFlusher, nil)
	taken := q.take(byFlusher, 1, plenty)
	if q.bytes() != 2*size {
		t.Errorf("%d bytes while one is taken", q.bytes())
	}
	q.finish(byFlusher, taken)
	if q.bytes() != 2*size {
		t.Errorf("%d bytes after it is put back", q.bytes())
	}
	q.take(byFlusher, 1, plenty)
	q.finish(byFlusher, nil)
	if q.bytes() != size {
		t.Errorf("%d bytes with one left", q.bytes())
	}
}

func TestQueueTake(t *testing.T) {
	t.Parallel()
	q, _ := testQueue(100, plenty)
	entries := pushed(t, q, 5)
	if taken := q.take(byFlusher, 2, plenty); !slices.Equal(taken, entries[:2]) {
		t.Errorf("%d taken, want the two oldest", len(taken))
	}
	if taken := q.take(bySpiller, 5, 2*entryOverhead); !slices.Equal(taken, entries[2:4]) {
		t.Errorf("%d taken, want the two that fit", len(taken))
	}
	q.finish(bySpiller, nil)
	if taken := q.take(bySpiller, 5, 1); !slices.Equal(taken, entries[4:]) {
		t.Errorf("%d taken, want one, however large it is", len(taken))
	}
	q.finish(bySpiller, entries[4:])
	q.finish(byFlusher, entries[:2])
	if taken := q.take(byFlusher, 9, plenty); !slices.Equal(taken, []*entry{entries[0], entries[1], entries[4]}) {
		t.Errorf("%d taken after two owners put entries back", len(taken))
	}
}

func TestQueueOldest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := testQueue(100, plenty)
		if _, _, ok := q.oldest(); ok || q.newest() != 0 {
			t.Error("an empty queue has an oldest entry")
		}
		begin := time.Now()
		entries := pushed(t, q, 3)
		time.Sleep(time.Second)
		q.take(bySpiller, 1, plenty)
		q.take(byFlusher, 1, plenty)
		pushed(t, q, 1)
		ticket, accepted, ok := q.oldest()
		if !ok || ticket != entries[0].ticket || !accepted.Equal(begin) || q.newest() != 4 {
			t.Errorf("oldest() = %d, %v, %t; newest() = %d", ticket, accepted, ok, q.newest())
		}
		if ticket, ok := q.oldestWaiting(); !ok || ticket != entries[2].ticket {
			t.Errorf("oldestWaiting() = %d, %t", ticket, ok)
		}
		q.finish(bySpiller, nil)
		if ticket, _, _ := q.oldest(); ticket != entries[1].ticket {
			t.Errorf("oldest() = %d after the first has finished", ticket)
		}
		q.finish(byFlusher, nil)
		if ticket, _, _ := q.oldest(); ticket != entries[2].ticket {
			t.Errorf("oldest() = %d with none taken", ticket)
		}
		q.take(byFlusher, 2, plenty)
		if _, ok := q.oldestWaiting(); ok {
			t.Error("oldestWaiting() found an entry that is taken")
		}
		if waiting, crowded := q.waits(); waiting != 0 || crowded {
			t.Errorf("waits() = %d, %t", waiting, crowded)
		}
	})
}

func TestQueueCrowded(t *testing.T) {
	t.Parallel()
	q, _ := testQueue(4, plenty)
	pushed(t, q, 2)
	if waiting, crowded := q.waits(); waiting != 2 || crowded || signalled(q.crowded) {
		t.Errorf("waits() = %d, %t at half of the room", waiting, crowded)
	}
	pushed(t, q, 1)
	if _, crowded := q.waits(); !crowded || !signalled(q.crowded) {
		t.Error("three of four are no crowd")
	}
	taken := q.take(byFlusher, 3, plenty)
	if _, crowded := q.waits(); crowded {
		t.Error("entries that are taken are a crowd")
	}
	q.finish(byFlusher, taken)
	if !signalled(q.crowded) || !signalled(q.ready) {
		t.Error("entries that are put back wake no one")
	}

	bytes, _ := testQueue(100, 4*entryOverhead)
	pushed(t, bytes, 2)
	if _, crowded := bytes.waits(); crowded {
		t.Error("half of the bytes are a crowd")
	}
	pushed(t, bytes, 1)
	if _, crowded := bytes.waits(); !crowded {
		t.Error("three quarters of the bytes are no crowd")
	}
}

func TestQueueUrgent(t *testing.T) {
	t.Parallel()
	q, _ := testQueue(100, plenty)
	q.setUrgent(true)
	if _, crowded := q.waits(); crowded || signalled(q.crowded) {
		t.Error("an empty queue is a crowd")
	}
	pushed(t, q, 1)
	if _, crowded := q.waits(); !crowded || !signalled(q.crowded) {
		t.Error("one entry is no crowd while the database is away")
	}
	q.setUrgent(false)
	if _, crowded := q.waits(); crowded || signalled(q.crowded) {
		t.Error("one entry is a crowd when the database is back")
	}
	q.setUrgent(true)
	if !signalled(q.crowded) {
		t.Error("the spiller does not wake")
	}
}

func TestQueueNextFinish(t *testing.T) {
	t.Parallel()
	q, _ := testQueue(100, plenty)
	pushed(t, q, 2)
	signalled(q.ready)
	finish := q.nextFinish()
	if finish != q.nextFinish() {
		t.Error("two callers wait for different events")
	}
	q.take(byFlusher, 1, plenty)
	if signalled(finish) {
		t.Error("a take counts as a finish")
	}
	q.finish(byFlusher, nil)
	if !signalled(finish) || signalled(q.nextFinish()) || !signalled(q.ready) {
		t.Error("a finish does not wake, or wakes twice")
	}
	q.take(byFlusher, 1, plenty)
	q.finish(byFlusher, nil)
	if signalled(q.ready) {
		t.Error("an empty queue wakes the flusher")
	}
	finish = q.nextFinish()
	q.close()
	if err := q.push(newEntry(&audit.Record{})); !errors.Is(err, audit.ErrClosed) || !signalled(finish) {
		t.Errorf("push() = %v after close", err)
	}
}

func TestQueueGather(t *testing.T) {
	t.Parallel()
	q, _ := testQueue(100, plenty)
	pushed(t, q, 2)
	if !q.gather(2) || q.gather(4) {
		t.Error("gather does not count the entries that wait")
	}
	pushed(t, q, 1)
	if signalled(q.gathered) {
		t.Error("three wait, and four are expected")
	}
	pushed(t, q, 1)
	if !signalled(q.gathered) {
		t.Error("four wait, and the flusher does not wake")
	}
	pushed(t, q, 1)
	if signalled(q.gathered) {
		t.Error("the flusher wakes again")
	}
	q.gather(6)
	pushed(t, q, 1) // its token comes after the timer
	if q.gather(8); signalled(q.gathered) {
		t.Error("an old token is left")
	}
}

func TestGroupCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := testQueue(100, plenty)
		g := groupCommit{queue: q}
		lasts := func() time.Duration {
			start := time.Now()
			g.wait(t.Context())
			return time.Since(start)
		}
		caller := func() *entry { return &entry{answer: make(chan answer, 1)} }
		g.observe([]*entry{caller(), {}, {}}, time.Second)
		if took := lasts(); took != 0 {
			t.Errorf("a lone caller waits %v", took)
		}
		pushed(t, q, 1)
		g.observe([]*entry{caller(), caller(), {}}, 400*time.Microsecond)
		if took := lasts(); g.expected != 3 || took != 100*time.Microsecond {
			t.Errorf("waits %v for %d, want a quarter of the last batch's time, for three", took, g.expected)
		}
		g.observe([]*entry{caller(), caller()}, time.Hour)
		if took := lasts(); took != maxLinger {
			t.Errorf("waits %v, want no longer than %v", took, maxLinger)
		}
		time.AfterFunc(10*time.Microsecond, func() { pushed(t, q, 2) })
		if took := lasts(); took != 10*time.Microsecond {
			t.Errorf("waits %v, although all have come after 10 µs", took)
		}
		if took := lasts(); took != 0 {
			t.Errorf("waits %v, although all are there", took)
		}
	})
}

// A caller that waits for its record's commit waits for room as well, as long as its context lets it.
func TestRecordWaitsForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := testQueue(1, plenty)
		r := &Recorder{queue: q}
		pushed(t, q, 1)
		q.take(byFlusher, 1, plenty)
		start := time.Now()
		time.AfterFunc(time.Minute, func() { q.finish(byFlusher, nil) })
		if err := r.pushWaiting(t.Context(), newEntry(&audit.Record{})); err != nil || time.Since(start) != time.Minute {
			t.Errorf("pushWaiting() = %v after %v, want the minute until there is room", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.pushWaiting(ctx, newEntry(&audit.Record{})); !errors.Is(err, errFull) || time.Since(start) != time.Minute+time.Second {
			t.Errorf("pushWaiting() = %v after %v, want errFull at the end of the context", err, time.Since(start))
		}
		time.AfterFunc(time.Minute, q.close)
		if err := r.pushWaiting(t.Context(), newEntry(&audit.Record{})); !errors.Is(err, audit.ErrClosed) {
			t.Errorf("pushWaiting() = %v, want ErrClosed when the queue closes", err)
		}
	})
}
