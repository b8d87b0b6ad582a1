package coordaudit_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// wantForked reads on and fails unless the trail has forked. It returns the error.
func wantForked(t *testing.T, store *coordaudit.Store, query audit.FollowQuery) *audit.CursorForkedError {
	t.Helper()
	_, err := store.FollowPage(t.Context(), query)
	forked, ok := errors.AsType[*audit.CursorForkedError](err)
	if !ok || !errors.Is(err, audit.ErrCursorForked) {
		t.Fatalf("%v, want ErrCursorForked", err)
	}
	for _, followErr := range store.Follow(t.Context(), query) {
		if !errors.Is(followErr, audit.ErrCursorForked) {
			t.Errorf("Follow: %v, want ErrCursorForked", followErr)
		}
	}
	return forked
}

// An asynchronous standby lacks the last records, and gives their seqs to others. The cursor
// of the old primary is refused there, and Resume misses none of the new records.
func TestFollowerNoticesFailover(t *testing.T) {
	t.Parallel()
	p := testdb.StartPair(t, false)
	store := fixture.OpenStore(t, p.Primary.URL(), patientConfig())
	kept := fixture.NewRecords(100)
	if _, err := store.PersistMany(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	r := &reader{store: store, query: impatient()}
	r.query.Limit = 7
	wantIDs(t, r.read(t), kept...)
	p.Await(t, "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()")
	if err := p.Standby.Reconfigure("primary_conninfo", ""); err != nil { // it stops receiving
		t.Fatal(err)
	}
	p.Await(t, "SELECT count(*) FROM (SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_replication)) AS gone")
	lost := fixture.NewRecords(40)
	if _, err := store.PersistMany(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, r.read(t), lost...)
	p.FailOver(t)

	after := fixture.OpenStore(t, p.Primary.URL(), patientConfig())
	reused := fixture.NewRecords(100)
	if _, err := after.PersistMany(t.Context(), reused); err != nil {
		t.Fatal(err)
	}
	forked := wantForked(t, after, r.query)
	if !strings.Contains(forked.Reason, "timeline 2") || forked.Resume == "" {
		t.Errorf("%v", forked)
	}
	resumed := &reader{store: after, query: impatient()}
	resumed.query.From = audit.FromCursor(forked.Resume)
	got := resumed.read(t)
	i := slices.IndexFunc(kept, func(rec audit.Record) bool { return rec.AuditID == forked.ResumeAfter })
	wantIDs(t, got, slices.Concat(kept[i+1:], reused)...)
	for _, rec := range got[:len(kept)-i-1] {
		if !rec.Repeated {
			t.Errorf("seq %d came again unmarked", rec.Seq)
		}
	}
}

// A copy of the data directory that is older than the cursor is on the same timeline. When it
// has grown past the cursor again, the follower notices that its last record is another one,
// also if the filter has let nothing through.
func TestFollowerNoticesOlderCopy(t *testing.T) {
	t.Parallel()
	server := testdb.Durable(t)
	db := testdb.NewOn(t, server)
	store := coordaudit.New(db.Pool, patientConfig())
	persist := func(n int) []audit.Record {
		recs := fixture.NewRecords(n)
		fixture.EventuallyWithin(t, time.Minute, func() bool {
			_, err := store.PersistMany(t.Context(), recs)
			return err == nil
		})
		return recs
	}
	data := fixture.QueryText(t, db.Pool, "SHOW data_directory")
	away := func(commands ...string) {
		err := server.ShutDown()
		for _, command := range commands {
			err = errors.Join(err, exec.CommandContext(t.Context(), "sh", "-c", command).Run())
		}
		if err := errors.Join(err, server.Restart(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	kept := persist(20)
	away("cp -a " + data + " " + data + ".copy")
	lost := persist(10)
	r := &reader{store: store, query: impatient()}
	filtered := &reader{store: store, query: impatient()}
	filtered.query.EnvelopeClasses = []audit.EnvelopeClass{audit.Safety} // matches nothing
	r.query.Limit, filtered.query.Limit = 3, 3
	wantIDs(t, r.read(t), slices.Concat(kept, lost)...)
	wantIDs(t, filtered.read(t))

	away("rm -r "+data, "mv "+data+".copy "+data)
	regrown := persist(5)
	if forked := wantForked(t, store, r.query); forked.Resume == "" {
		t.Errorf("before it has grown past the cursor: %v", forked)
	}
	regrown = append(regrown, persist(25)...)
	for name, query := range map[string]audit.FollowQuery{"all": r.query, "filtered": filtered.query} {
		forked := wantForked(t, store, query)
		resumed := &reader{store: store, query: query}
		resumed.query.From = audit.FromCursor(forked.Resume)
		if name == "filtered" {
			resumed.query.From = audit.Start{}
			wantIDs(t, resumed.read(t))
			continue
		}
		i := slices.IndexFunc(kept, func(rec audit.Record) bool { return rec.AuditID == forked.ResumeAfter })
		wantIDs(t, resumed.read(t), slices.Concat(kept[i+1:], regrown)...)
	}
}

// A cursor is refused in another database, also in a copy of its own. There it says where to
// resume; in a foreign one it cannot.
func TestFollowerNoticesOtherDatabase(t *testing.T) {
	t.Parallel()
	host := testdb.OnServer(testdb.Durable(t))
	db, other := host.New(t), host.New(t)
	store := coordaudit.New(db.Pool, patientConfig())
	fixture.MustPersist(t, store, fixture.NewRecord())
	r := &reader{store: store, query: impatient()}
	r.read(t)
	elsewhere := coordaudit.New(other.Pool, patientConfig())
	fixture.MustPersist(t, elsewhere, fixture.NewRecord())
	if forked := wantForked(t, elsewhere, r.query); forked.Resume != "" || !strings.Contains(forked.Error(), "another database") {
		t.Errorf("in a foreign database: %v", forked)
	}
	copied := r.got[0].Record
	fixture.MustExec(t, other.Pool, `INSERT INTO coordination_audit_records (audit_id, seq, envelope_id, envelope_class, decision, reason, decision_timestamp, active_envelopes_count)
		OVERRIDING SYSTEM VALUE VALUES ($1, $2, 'x', 'COST', 'APPLIED', 'x', now(), 1)`, copied.AuditID, copied.Seq)
	if forked := wantForked(t, elsewhere, r.query); forked.ResumeAfter != copied.AuditID {
		t.Errorf("in a copy: %v", forked)
	}
}

// A server that is killed and comes back is followed on: nothing is missed, and nothing comes
// twice within one iteration. So it is with transactions that were prepared before.
func TestFollowSurvivesKilledServer(t *testing.T) {
	t.Parallel()
	server := preparing(t)
	db := testdb.NewOn(t, server)
	var log fixture.Log
	config := patientConfig()
	config.Logger = log.Logger()
	store := coordaudit.New(db.Pool, config)
	writing := coordaudit.New(db.Pool, fixture.Quiet())
	ctx, stop := context.WithCancel(t.Context())
	seen := map[uuid.UUID]int{}
	followed := make(chan error, 1)
	progress := make(chan struct{}, 1)
	go func() {
		for rec, err := range store.Follow(ctx, impatient()) {
			if err != nil {
				followed <- err
				return
			}
			seen[rec.AuditID]++
			if rec.EnvelopeID == "last" {
				stop()
			}
			select {
			case progress <- struct{}{}:
			default:
			}
		}
		followed <- nil
	}()
	for i := range 5 {
		gid := fmt.Sprint("kill ", i)
		for prepared := false; !prepared; {
			tx, err := db.Pool.Begin(t.Context())
			if err != nil {
				continue
			}
			_, first := writing.PersistTx(t.Context(), tx, fixture.NewRecord())
			_, second := tx.Exec(t.Context(), "PREPARE TRANSACTION '"+gid+"'")
			prepared = first == nil && second == nil
			_ = tx.Rollback(t.Context())
		}
		for range 20 {
			_, _ = writing.Persist(t.Context(), fixture.NewRecord())
		}
		<-progress
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			_, _ = writing.Persist(t.Context(), fixture.NewRecord())
		}
		fixture.EventuallyWithin(t, time.Minute, func() bool {
			_, err := db.Pool.Exec(t.Context(), "COMMIT PREPARED '"+gid+"'")
			return err == nil
		})
	}
	last := fixture.NewRecord()
	last.EnvelopeID = "last"
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		_, err := writing.Persist(t.Context(), last)
		return err == nil
	})
	if err := <-followed; err != nil {
		t.Fatal(err)
	}
	if rows := fixture.CountRecords(t, db.Pool); len(seen) != rows {
		t.Errorf("%d of %d records came", len(seen), rows)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("record %s came %d times", id, n)
		}
	}
	if n := len(log.Events(t, "coordination_audit_follow_failed")); n == 0 || n > 20 {
		t.Errorf("%d events of failures, want about one a restart", n)
	}
}
