package sealer_test

import (
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// A checkpoint whose commit no longer waits for its synchronous standby, because somebody
// cancelled that, is not exported before it is replicated.
func TestCancelledCommitIsNotExported(t *testing.T) {
	t.Parallel()
	pair := testdb.StartPair(t, true)
	s := newSealed(t)
	s.url = pair.Primary.URL()
	s.pool = fixture.OpenPool(t, s.url, nil)
	s.persist(t, 3)
	if err := pair.Standby.Freeze(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := s.sealer(t).Once(t.Context())
		ended <- err
	}()
	for range 2 { // the second one finds the stored checkpoint, and must wait for the standby too
		fixture.EventuallyTrue(t, s.pool, time.Minute, "SELECT coalesce(bool_or(pg_cancel_backend(pid)), false) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		if err := <-ended; err == nil {
			t.Fatal("a cancelled commit counts as sealed")
		}
		if signed, err := s.export.Last(t.Context()); err != nil || signed != nil {
			t.Fatalf("exported %q, %v", signed, err)
		}
		go func() {
			_, err := s.sealer(t).Once(t.Context())
			ended <- err
		}()
	}
	if err := pair.Standby.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	s.mustVerify(t, 3)
}
