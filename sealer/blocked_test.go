package sealer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// wait waits for an event.
func wait(t *testing.T, log *fixture.Log, event string) map[string]any {
	t.Helper()
	for {
		if events := log.Events(t, event); len(events) > 0 {
			return events[0]
		}
		time.Sleep(time.Millisecond)
	}
}

const (
	blockedEvent   = "coordination_audit_seal_blocked"
	unblockedEvent = "coordination_audit_seal_unblocked"
)

// A sealer that is blocked for long logs once who blocks it and since when, and once that it
// is over. Its stats say the same all the time, also after it went around.
func TestBlockedIsLoggedOnce(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	log := &fixture.Log{}
	config := s.config()
	config.Logger = log.Logger()
	config.Patience = 20 * time.Millisecond
	sealing, err := sealer.New(s.pool, config)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	tx := s.begin(t)
	s.persistTx(t, tx)
	run(t, sealing)
	by := fmt.Sprintf("process %d", tx.Conn().PgConn().PID())
	if event := wait(t, log, blockedEvent); event["by"] != by || event["since"] == nil {
		t.Errorf("logged: %v", event)
	}
	first := until(sealing, func(stats sealer.Stats) bool { return stats.Awaited == 1 })
	s.persist(t, 3)
	got := rounds(sealing)
	if got.BlockedBy != by || got.BlockedSince.Before(began) || got.BlockedSince != first.BlockedSince || got.Size != 3 {
		t.Errorf("%+v, after %+v, want to be blocked by %s since then", got, first, by)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if event := wait(t, log, unblockedEvent); event["since"] == nil || event["blocked_for"] == nil {
		t.Errorf("logged: %v", event)
	}
	got = rounds(sealing)
	if blocked, unblocked := len(log.Events(t, blockedEvent)), len(log.Events(t, unblockedEvent)); blocked != 1 || unblocked != 1 {
		t.Errorf("logged %d times that it is blocked, and %d times that it is not", blocked, unblocked)
	}
	if got.BlockedBy != "" || !got.BlockedSince.IsZero() || got.Size != 4 {
		t.Errorf("%+v", got)
	}
}

// A short wait is not logged.
func TestShortWaitIsNotLogged(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	log := &fixture.Log{}
	config := s.config()
	config.Logger = log.Logger()
	config.Patience = time.Hour
	sealing, err := sealer.New(s.pool, config)
	if err != nil {
		t.Fatal(err)
	}
	tx := s.begin(t)
	s.persistTx(t, tx)
	run(t, sealing)
	until(sealing, func(stats sealer.Stats) bool { return stats.BlockedBy != "" })
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := until(sealing, func(stats sealer.Stats) bool { return stats.Size == 1 }); got.BlockedBy != "" || !got.BlockedSince.IsZero() {
		t.Errorf("%+v", got)
	}
	if events := append(log.Events(t, blockedEvent), log.Events(t, unblockedEvent)...); len(events) > 0 {
		t.Errorf("logged: %v", events)
	}
}

// While a round waits, the stats keep up with what others store.
func TestStatsKeepUpWhileBlocked(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	config := s.config()
	config.Patience = time.Hour
	sealing, err := sealer.New(s.pool, config)
	if err != nil {
		t.Fatal(err)
	}
	tx := s.begin(t)
	s.persistTx(t, tx)
	run(t, sealing)
	until(sealing, func(stats sealer.Stats) bool {
		return stats.BlockedBy != "" && stats.Lag == 1 && stats.UnsealedSince.IsZero()
	})
	s.persist(t, 2)
	until(sealing, func(stats sealer.Stats) bool { return stats.Lag == 3 && !stats.UnsealedSince.IsZero() })
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(sealing, func(stats sealer.Stats) bool { return stats.Lag == 0 && stats.Size == 3 })
}
