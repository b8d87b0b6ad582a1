package sealer_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/sealer"
)

const insertGap = `INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown,
	first_audit_id, last_audit_id, lost_from, lost_until, cause) VALUES (gen_random_uuid(), 1, 0, 0, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'x')`

// run seals until the test ends.
func run(t *testing.T, sealing *sealer.Sealer) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sealing.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// until waits for the stats of a sealer.
func until(sealing *sealer.Sealer, holds func(stats sealer.Stats) bool) sealer.Stats {
	for {
		if stats := sealing.Stats(); holds(stats) {
			return stats
		}
		time.Sleep(time.Millisecond)
	}
}

// rounds waits until a sealer has looked at the trail again, several times.
func rounds(sealing *sealer.Sealer) sealer.Stats {
	for range 4 {
		last := sealing.Stats().LookedAt
		until(sealing, func(stats sealer.Stats) bool { return stats.LookedAt.After(last) })
	}
	return sealing.Stats()
}

// full is a place without room for another checkpoint.
type full struct{ sealer.Exporter }

func (full) Export(context.Context, int64, int64, []byte) error { return errors.New("no room") }

// Where everything is sealed there is no lag, regardless of how old the last checkpoint is.
func TestStatsOfSealedTrail(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 5)
	sealing := s.sealer(t)
	if got := sealing.Stats(); got != (sealer.Stats{}) {
		t.Errorf("before the first round: %+v", got)
	}
	var last sealer.Stats
	for range 3 {
		if _, err := sealing.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := sealing.Stats()
		if got.Size != 5 || got.Epoch != 1 || got.Lag != 0 || !got.UnsealedSince.IsZero() || got.Err != nil || got.BlockedBy != "" {
			t.Errorf("%+v", got)
		}
		if !got.LookedAt.After(last.LookedAt) || !last.SealedAt.IsZero() && got.SealedAt != last.SealedAt {
			t.Errorf("%+v, after %+v", got, last)
		}
		last = got
	}
}

// What is not exported is not sealed. Its age is that of its oldest row, by the clock of the
// database.
func TestStatsOfUnsealedRows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		storedAt string
		age      time.Duration
	}{
		"AnHourAgo": {"now() - interval '1 hour'", time.Hour},
		"Now":       {"created_at", 0},
		"Future":    {"now() + interval '1 hour'", 0},
		"Infinity":  {"'infinity'", 0},
		"BC":        {"'4713-01-01 00:00:00 BC'", 36525 * 24 * time.Hour},
		"-Infinity": {"'-infinity'", 36525 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSealed(t)
			s.persist(t, 5)
			s.dropChecks(t)
			s.superuser(t, "UPDATE coordination_audit_records SET created_at = "+c.storedAt+" WHERE seq = 1")
			s.export = full{s.export}
			sealing := s.sealer(t)
			if _, err := sealing.Once(t.Context()); !errors.Is(err, sealer.ErrExport) {
				t.Fatalf("%v, want one that the checkpoint is not exported", err)
			}
			got := sealing.Stats()
			if age := got.LookedAt.Sub(got.UnsealedSince); got.Lag != 5 || age < c.age-48*time.Hour || age < 0 || age > c.age+48*time.Hour {
				t.Errorf("lag %d, %v old, want 5 and about %v", got.Lag, age, c.age)
			}
			if c.age == time.Hour && got.LookedAt.Sub(got.UnsealedSince) < time.Hour {
				t.Errorf("stored an hour ago, and %v old", got.LookedAt.Sub(got.UnsealedSince))
			}
			if !errors.Is(got.Err, sealer.ErrExport) || !got.SealedAt.IsZero() {
				t.Errorf("%+v", got)
			}
		})
	}
}

// An error is the last round's, and not an older one's.
func TestStatsForgetErrors(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	if err := errors.Join(os.Remove(s.dir), os.WriteFile(s.dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	s.persist(t, 1)
	sealing := s.sealer(t)
	run(t, sealing)
	until(sealing, func(stats sealer.Stats) bool { return errors.Is(stats.Err, sealer.ErrExport) })
	if err := errors.Join(os.Remove(s.dir), os.Mkdir(s.dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	until(sealing, func(stats sealer.Stats) bool {
		return stats.Err == nil && stats.Size == 1 && stats.Lag == 0 && stats.UnsealedSince.IsZero()
	})
}

// A sealer that waits for another one says so, and claims no lag of its own.
func TestStatsOfStandby(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	first, second := s.sealer(t), s.sealer(t)
	run(t, first)
	until(first, func(stats sealer.Stats) bool { return !stats.LookedAt.IsZero() })
	run(t, second)
	got := until(second, func(stats sealer.Stats) bool { return stats.Standby })
	if !errors.Is(got.Err, sealer.ErrSealedElsewhere) || got.Lag != 0 || !got.LookedAt.IsZero() {
		t.Errorf("%+v", got)
	}
	if first.Stats().Standby {
		t.Error("the one that seals is on standby")
	}
}

// While a transaction is open that the sealer went around, gaps are not sealed. That shows,
// although every record is.
func TestStatsOfUnsealedGap(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	tx := s.begin(t)
	s.persistTx(t, tx)
	if _, err := s.pool.Exec(t.Context(), insertGap); err != nil {
		t.Fatal(err)
	}
	sealing := s.sealer(t)
	run(t, sealing)
	got := until(sealing, func(stats sealer.Stats) bool { return stats.Awaited == 1 && stats.Lag == 0 })
	if got.UnsealedSince.IsZero() {
		t.Errorf("a gap is not sealed: %+v", got)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(sealing, func(stats sealer.Stats) bool {
		return stats.Size == 2 && stats.UnsealedSince.IsZero() && stats.Awaited == 0 && stats.BlockedBy == ""
	})
}
