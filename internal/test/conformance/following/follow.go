package following

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func query() audit.FollowQuery {
	return audit.FollowQuery{Scope: audit.AllTenants(), Patience: -1, PollInterval: 5 * time.Millisecond}
}

// pages reads pages until there is nothing more, each from the stored cursor of the one before.
func pages(t *testing.T, store *coordaudit.Store, q *audit.FollowQuery) (got []audit.Followed) {
	t.Helper()
	for more := true; more; {
		page, err := store.FollowPage(t.Context(), *q)
		if err != nil {
			t.Fatal(err)
		}
		got, more = append(got, page.Records...), page.More
		q.From = audit.FromCursor(page.Cursor)
	}
	return got
}

func wantRecords(t *testing.T, got []audit.Followed, want []audit.Record, late bool) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records came, want %d", len(got), len(want))
	}
	for i, rec := range got {
		if rec.AuditID != want[i].AuditID || len(rec.DiffersIn(want[i])) > 0 || rec.Late != late || rec.Repeated {
			t.Errorf("the %dth record is %s (late %t, repeated %t), want %s, late %t", i+1, rec.AuditID, rec.Late, rec.Repeated, want[i].AuditID, late)
		}
	}
}

// Pages hold each record once, in the order of insertion, and go on with what comes later.
func eachRecordOnceInOrder(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := []audit.Record{fixture.NewFullRecord()}
	recs = append(recs, fixture.NewRecords(6)...)
	for i := range recs {
		fixture.MustPersist(t, store, recs[i])
	}
	q := query()
	q.Limit = 3
	wantRecords(t, pages(t, store, &q), recs, false)
	next := fixture.NewRecords(2)
	for i := range next {
		fixture.MustPersist(t, store, next[i])
	}
	wantRecords(t, pages(t, store, &q), next, false)
	tenant := query()
	tenant.Scope, tenant.From = audit.Tenant("nobody"), audit.FromTime(time.Now().Add(-time.Hour))
	wantRecords(t, pages(t, store, &tenant), nil, false)
	now := query()
	now.From = audit.FromNow()
	wantRecords(t, pages(t, store, &now), nil, false)
}

// A record whose transaction commits after later ones is delivered when it commits.
func lateRecordsAreDelivered(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	tx := frame.CallersTx(t, db.Pool)
	late := fixture.NewRecord()
	if _, err := store.PersistTx(t.Context(), tx, late); err != nil {
		t.Fatal(err)
	}
	first := fixture.NewRecord()
	fixture.MustPersist(t, store, first)
	q, filtered := query(), query()
	filtered.Scope = audit.Tenant("acme")
	for _, q := range []*audit.FollowQuery{&q, &filtered} {
		wantRecords(t, pages(t, store, q), []audit.Record{first}, false)
	}
	frame.Commit(t, tx)
	for _, q := range []*audit.FollowQuery{&q, &filtered} {
		wantRecords(t, pages(t, store, q), []audit.Record{late}, true)
		wantRecords(t, pages(t, store, q), nil, false)
	}
}

// While writers commit and roll back in any order, each committed record comes once.
func busyTrailIsFollowed(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers sync.WaitGroup
	for range 3 {
		writers.Go(func() { write(t, db, store) })
	}
	go func() {
		writers.Wait()
		last := fixture.NewRecord()
		last.EnvelopeID = "last"
		if _, err := store.Persist(ctx, last); err != nil {
			t.Error(err)
			stop()
		}
	}()
	seen := map[uuid.UUID]int{}
	for rec, err := range store.Follow(ctx, query()) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[rec.AuditID]++; rec.EnvelopeID == "last" {
			break
		}
	}
	if rows := fixture.CountRecords(t, db.Pool); len(seen) != rows {
		t.Errorf("%d of %d records came", len(seen), rows)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("record %s came %d times", id, n)
		}
	}
}

func write(t *testing.T, db frame.Database, store *coordaudit.Store) {
	for range 15 {
		tx, err := db.Pool.Begin(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		for range 1 + rand.IntN(3) {
			if _, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
		end := tx.Commit
		if rand.IntN(3) == 0 {
			end = tx.Rollback
		}
		if err := end(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// With the rights that migrate grants gives a reader, the trail is followed. Without those on
// the sequence it is refused, and the error names the command.
func followNeedsReaderGrants(t *testing.T, db frame.Database) {
	pool, role := frame.PoolAsPlainRole(t, db)
	fixture.MustExec(t, db.Pool, "GRANT SELECT ON coordination_audit_records TO "+role)
	store := coordaudit.New(pool, fixture.Quiet())
	if _, err := store.FollowPage(t.Context(), query()); !errors.Is(err, audit.ErrCannotFollow) {
		t.Errorf("without SELECT on the sequence: %v, want ErrCannotFollow", err)
	}
	migrator := auditmigrate.New(db.Pool.Config().ConnConfig, auditmigrate.Config{Logger: fixture.Quiet().Logger})
	if _, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{Readers: []string{role}}); err != nil {
		t.Fatal(err)
	}
	rec := fixture.NewRecord()
	fixture.MustPersist(t, frame.NewStore(db), rec)
	q := query()
	wantRecords(t, pages(t, store, &q), []audit.Record{rec}, false)
}

// On a cluster a row may be committed below one that was read, so following by seq would lose it.
// What is sealed is followed instead, and without a seal nothing is.
func clusterNeedsASeal(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	fixture.MustPersist(t, store, fixture.NewRecord())
	_, err := store.FollowPage(t.Context(), query())
	if !errors.Is(err, audit.ErrCannotFollow) || !strings.Contains(err.Error(), "docs/citus.md") {
		t.Errorf("FollowPage() = %v, want ErrCannotFollow and what to do", err)
	}
}
