package coordaudit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// Each start delivers what it says, and goes on with what is stored from then on.
func TestFollowStarts(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	old := tr.persist(t, 5)
	fixture.EventuallyTrue(t, tr.pool, time.Minute, "SELECT clock_timestamp() > max(created_at) FROM coordination_audit_records")
	var since time.Time
	if err := tr.pool.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&since); err != nil {
		t.Fatal(err)
	}
	recent := tr.persist(t, 3)
	all := slices.Concat(old, recent)

	third := tr.reader(audit.FollowQuery{Scope: audit.AllTenants(), Limit: 3})
	third.one(t)
	wantIDs(t, third.got, all[:3]...)
	starts := map[string]struct {
		from audit.Start
		want []audit.Record
	}{
		"Beginning":   {audit.Start{}, all},
		"EmptyCursor": {audit.FromCursor(""), all},
		"Now":         {audit.FromNow(), nil},
		"Cursor":      {audit.FromCursor(third.page.Cursor), all[3:]},
		"Next":        {audit.FromCursor(third.page.Next), all[3:]},
		"OfRecord":    {audit.FromCursor(third.got[1].Cursor()), all[2:]},
		"Time":        {audit.FromTime(since), recent},
		"LongAgo":     {audit.FromTime(since.Add(-time.Hour)), all},
		"InFuture":    {audit.FromTime(since.Add(time.Hour)), nil},
	}
	readers := map[string]*reader{}
	for name, start := range starts {
		readers[name] = tr.reader(audit.FollowQuery{Scope: audit.AllTenants(), From: start.from})
		readers[name].read(t)
	}
	later := tr.persist(t, 2)
	for name, start := range starts {
		r := readers[name]
		r.read(t)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantIDs(t, r.got, slices.Concat(start.want, later)...)
			wantLate(t, r.got, false, false)
			if r.page.Lag.Records != 0 || r.page.Lag.BlockedBy != nil {
				t.Errorf("lag %+v of a follower that has read everything", r.page.Lag)
			}
		})
	}
}

// A transaction that is open when following begins at a time or now may hold a record below the
// place where it begins. That record comes when it is committed.
func TestFollowStartsBesideOpenTransaction(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.persist(t, 2)
	tx := tr.begin(t)
	late := tr.persistTx(t, tx, fixture.NewRecord())
	tr.persist(t, 2)
	fixture.EventuallyTrue(t, tr.pool, time.Minute, "SELECT clock_timestamp() > max(created_at) FROM coordination_audit_records")
	var since time.Time
	if err := tr.pool.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&since); err != nil {
		t.Fatal(err)
	}
	from := func(start audit.Start) *reader {
		query := impatient()
		query.From = start
		r := tr.reader(query)
		r.read(t)
		return r
	}
	inFuture, now := from(audit.FromTime(since.Add(time.Hour))), from(audit.FromNow())
	recent := tr.persist(t, 2)
	inPast := from(audit.FromTime(since))
	wantIDs(t, inPast.got, recent...)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, inPast.read(t), late)
	wantLate(t, inPast.got[2:], true, false)
	inFuture.read(t)
	wantIDs(t, inFuture.got, slices.Concat([]audit.Record{late}, recent)...)
	now.read(t)
	wantIDs(t, now.got[max(0, len(now.got)-2):], recent...) // it may have the late one as well
}

// An empty trail is followed from its first record on, with any start.
func TestFollowEmptyTrail(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	var readers []*reader
	for _, from := range []audit.Start{{}, audit.FromNow(), audit.FromTime(time.Now().Add(-time.Hour)), audit.FromTime(time.Now().Add(time.Hour))} {
		r := tr.reader(audit.FollowQuery{Scope: audit.AllTenants(), From: from})
		wantIDs(t, r.read(t))
		readers = append(readers, r)
	}
	recs := tr.persist(t, 3)
	for _, r := range readers {
		wantIDs(t, r.read(t), recs...)
	}
}

// Follow delivers what is stored while it runs, and ends with its context.
func TestFollowGoesOn(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	want := tr.persist(t, 3)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var got []audit.Followed
	for rec, err := range tr.store.Follow(ctx, impatient()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rec)
		switch len(got) {
		case 3, 5:
			want = append(want, tr.persist(t, 2)...)
		case 7:
			stop()
		}
	}
	wantIDs(t, got, want...)
	if ctx.Err() == nil {
		t.Error("it ended before its context")
	}
}

// A consumer that leaves the loop ends the iteration, and a second one begins again.
func TestFollowTwice(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.persist(t, 3)
	follow := tr.store.Follow(t.Context(), impatient())
	for range 2 {
		var got []audit.Followed
		for rec, err := range follow {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, rec); len(got) == 2 {
				break
			}
		}
		wantIDs(t, got, recs[:2]...)
	}
}

// A record of a transaction that commits after others is delivered when it commits, once and
// marked, and never if it rolls back. So is one of a savepoint. The records of others do not
// wait for it.
func TestFollowDeliversLateRecords(t *testing.T) {
	t.Parallel()
	for _, page := range []int{1, 3, 1000} {
		for _, end := range []string{"COMMIT", "ROLLBACK", "ROLLBACK TO SAVEPOINT before"} {
			t.Run(fmt.Sprintf("%s/Limit=%d", end, page), func(t *testing.T) {
				t.Parallel()
				tr := newTrail(t)
				query := impatient()
				query.Limit = page
				r := tr.reader(query)
				tx := tr.begin(t)
				var late []audit.Record
				for range 4 {
					late = append(late, tr.persistTx(t, tx, fixture.NewRecord()))
				}
				if _, err := tx.Exec(t.Context(), "SAVEPOINT before"); err != nil {
					t.Fatal(err)
				}
				first := tr.persist(t, 4)
				late = append(late, tr.persistTx(t, tx, fixture.NewRecord()))
				second := tr.persist(t, 1)
				wantIDs(t, r.read(t), slices.Concat(first, second)...)
				wantLate(t, r.got, false, false)
				lag := r.page.Lag
				if want := fmt.Sprintf("process %d", tx.Conn().PgConn().PID()); lag.Records != 5 || !slices.Equal(lag.BlockedBy, []string{want}) || lag.BlockedSince.IsZero() {
					t.Errorf("lag %+v, want 5 records and %s", lag, want)
				}
				if _, err := tx.Exec(t.Context(), end); err != nil {
					t.Fatal(err)
				}
				switch end {
				case "ROLLBACK":
					late = nil
				case "ROLLBACK TO SAVEPOINT before":
					late = late[:4]
				}
				_ = tx.Commit(t.Context())
				third := tr.persist(t, 2)
				got := r.read(t)
				wantIDs(t, got, slices.Concat(late, third)...)
				wantLate(t, got[:len(late)], true, false)
				wantLate(t, got[len(late):], false, false)
				if lag := r.page.Lag; lag.Records != 0 || lag.BlockedBy != nil || !lag.BlockedSince.IsZero() {
					t.Errorf("lag %+v at the end", lag)
				}
			})
		}
	}
}

// A transaction that is open for long delays the records of others by the patience, and only
// once.
func TestFollowWaitsForItsPatience(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tx := tr.begin(t)
	late := tr.persistTx(t, tx, fixture.NewRecord())
	query := audit.FollowQuery{Scope: audit.AllTenants(), Patience: 300 * time.Millisecond}
	r := tr.reader(query)
	first := tr.persist(t, 1)
	started := time.Now()
	wantIDs(t, r.read(t), first...)
	if took := time.Since(started); took < query.Patience {
		t.Errorf("it waited for %v, want the patience", took)
	}
	r.query.Patience = time.Hour // it does not wait again
	second := tr.persist(t, 1)
	wantIDs(t, r.read(t), second...)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, r.read(t), late)
}

// A follower waits for a transaction that ends within the patience. Then its records come in
// order.
func TestFollowKeepsOrderWithinPatience(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tx := tr.begin(t)
	first := tr.persistTx(t, tx, fixture.NewRecord())
	second := tr.persist(t, 1)
	r := tr.reader(audit.FollowQuery{Scope: audit.AllTenants(), Patience: time.Hour})
	done := make(chan struct{})
	go func() { defer close(done); r.read(t) }()
	fixture.EventuallyTrue(t, tr.pool, time.Minute, "SELECT count(*) > 1 FROM pg_stat_activity WHERE query LIKE '%ListInsertingRecords%'")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
	wantIDs(t, r.got, append([]audit.Record{first}, second...)...)
	wantLate(t, r.got, false, false)
}

// A prepared transaction holds up nothing, is named, and its records come when it commits.
func TestFollowPreparedTransaction(t *testing.T) {
	t.Parallel()
	server := preparing(t)
	for _, end := range []string{"COMMIT PREPARED", "ROLLBACK PREPARED"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			tr := trailOn(testdb.NewOn(t, server))
			gid := "follow " + uuid.NewString()
			tx := tr.begin(t)
			late := []audit.Record{tr.persistTx(t, tx, fixture.NewRecord())}
			r := tr.reader(impatient())
			first := tr.persist(t, 1)
			wantIDs(t, r.read(t), first...) // went around a session
			if _, err := tx.Exec(t.Context(), "PREPARE TRANSACTION '"+gid+"'"); err != nil {
				t.Fatal(err)
			}
			second := tr.persist(t, 1)
			wantIDs(t, r.read(t), second...)
			if by := r.page.Lag.BlockedBy; len(by) != 1 || by[0] != fmt.Sprintf("prepared transaction %q", gid) {
				t.Errorf("blocked by %q", by)
			}
			fixture.MustExec(t, tr.pool, end+" '"+gid+"'")
			if end == "ROLLBACK PREPARED" {
				late = nil
			}
			wantIDs(t, r.read(t), late...)
			wantIDs(t, r.read(t))
		})
	}
}

// Two rows with one seq are both delivered, in the order of their ids, wherever a page ends.
func TestFollowEqualSeqs(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.persist(t, 9)
	twin := func(seq int) {
		fixture.MustExec(t, tr.pool, `INSERT INTO coordination_audit_records (audit_id, seq, envelope_id, envelope_class, decision, reason, decision_timestamp, active_envelopes_count)
			OVERRIDING SYSTEM VALUE VALUES (gen_random_uuid(), $1, 'twin', 'COST', 'APPLIED', 'twin', now(), 1)`, seq)
	}
	for _, seq := range []int{3, 3, 3, 9, 9, 1} {
		twin(seq)
	}
	for _, page := range []int{1, 3, 4, 1000} {
		query := impatient()
		query.Limit = page
		r := tr.reader(query)
		r.read(t)
		if len(r.got) != 15 || !slices.IsSortedFunc(r.got, func(a, b audit.Followed) int {
			if a.Seq != b.Seq {
				return int(a.Seq - b.Seq)
			}
			return slices.Compare(a.AuditID[:], b.AuditID[:])
		}) {
			t.Errorf("pages of %d: %d records, or not in order", page, len(r.got))
		}
		for i := range r.got {
			rest := tr.reader(query)
			rest.query.From = audit.FromCursor(r.got[i].Cursor())
			if got := rest.read(t); len(got) != 14-i {
				t.Errorf("pages of %d: %d records after the %dth", page, len(got), i+1)
			}
		}
	}
}

// Two late rows with one seq are delivered, wherever a page ends.
func TestFollowEqualLateSeqs(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tx := tr.begin(t)
	for range 3 {
		tr.persistTx(t, tx, fixture.NewRecord())
	}
	if _, err := tx.Exec(t.Context(), `INSERT INTO coordination_audit_records (audit_id, seq, envelope_id, envelope_class, decision, reason, decision_timestamp, active_envelopes_count)
		OVERRIDING SYSTEM VALUE SELECT gen_random_uuid(), 2, 'twin', 'COST', 'APPLIED', 'twin', now(), 1 FROM generate_series(1, 2)`); err != nil {
		t.Fatal(err)
	}
	tr.persist(t, 1)
	query := impatient()
	query.Limit = 1
	r := tr.reader(query)
	r.read(t)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := r.read(t)
	if len(got) != 5 {
		t.Errorf("%d late records, want 5", len(got))
	}
	wantLate(t, got, true, false)
}

// A filter delivers the records that match, late ones too. Late records that do not match are
// not waited for any longer.
func TestFollowFilters(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	other := func() audit.Record {
		rec := fixture.NewRecord()
		rec.TenantID, rec.EnvelopeClass = "other", audit.Cost
		return rec
	}
	tenant := impatient()
	tenant.Scope = audit.Tenant("acme")
	class := impatient()
	class.EnvelopeClasses = []audit.EnvelopeClass{audit.Reliability}
	window := impatient()
	window.Window.Since = fixture.NewRecord().DecisionTimestamp
	window.PolicyVersion = "rules-1"
	readers := []*reader{tr.reader(tenant), tr.reader(class)}
	none := tr.reader(window)
	tx := tr.begin(t)
	var late []audit.Record
	for range 3 {
		tr.persistTx(t, tx, other())
		late = append(late, tr.persistTx(t, tx, fixture.NewRecord()))
	}
	fixture.MustPersist(t, tr.store, other())
	first := tr.persist(t, 2)
	fixture.MustPersist(t, tr.store, other())
	for _, r := range readers {
		wantIDs(t, r.read(t), first...)
	}
	before := none.page.Next
	wantIDs(t, none.read(t))
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range append(readers, none) {
		want := late
		if r == none {
			want = nil
		}
		wantIDs(t, r.read(t), want...)
		if r.page.Lag.Records != 0 {
			t.Errorf("lag %+v: records that do not match are still waited for", r.page.Lag)
		}
	}
	if none.page.Next == before {
		t.Error("a filter that matches nothing holds the cursor up")
	}
}

// Filtered pages end where they are full, and go on behind that place.
func TestFollowFilteredPages(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	var want []audit.Record
	for i := range 50 {
		rec := fixture.NewRecord()
		if i%3 == 0 {
			rec.EnvelopeClass = audit.Safety
			want = append(want, rec)
		}
		fixture.MustPersist(t, tr.store, rec)
	}
	for _, page := range []int{1, 2, 17, 1000} {
		query := impatient()
		query.Limit, query.EnvelopeClasses = page, []audit.EnvelopeClass{audit.Safety}
		r := tr.reader(query)
		wantIDs(t, r.read(t), want...)
	}
}

// Wherever a follower stops, one that begins with the cursor of its last record delivers the
// rest, once each.
func TestFollowRestartsAtEachRecord(t *testing.T) {
	t.Parallel()
	for _, page := range []int{1, 4, 1000} {
		t.Run(strconv.Itoa(page), func(t *testing.T) {
			t.Parallel()
			tr := newTrail(t)
			ctx, stop := context.WithCancel(t.Context())
			var writers sync.WaitGroup
			for range 3 {
				writers.Go(func() { tr.write(ctx, t, 12) })
			}
			go func() { writers.Wait(); stop() }()
			query := impatient()
			query.Limit = page
			seen := map[uuid.UUID]int{}
			for idle := false; !idle; {
				idle = ctx.Err() != nil
				for rec, err := range tr.store.Follow(withTimeout(t, 200*time.Millisecond), query) {
					if err != nil {
						t.Fatal(err)
					}
					seen[rec.AuditID]++
					query.From = audit.FromCursor(rec.Cursor()) // a restart after each record
					idle = false
					break
				}
			}
			rows := fixture.CountRecords(t, tr.pool)
			if len(seen) != rows {
				t.Errorf("%d of %d records came", len(seen), rows)
			}
			for id, n := range seen {
				if n != 1 {
					t.Errorf("record %s came %d times", id, n)
				}
			}
		})
	}
}

func withTimeout(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// A role whose transactions are REPEATABLE READ follows all the same.
func TestFollowUnderRepeatableRead(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			tr := newTrail(t)
			store := fixture.OpenStore(t, fixture.WithSetting(tr.url, "default_transaction_isolation="+strings.ReplaceAll(level, " ", "%20")), fixture.Quiet())
			r := &reader{store: store, query: impatient()}
			tx := tr.begin(t)
			late := tr.persistTx(t, tx, fixture.NewRecord())
			first := tr.persist(t, 2)
			wantIDs(t, r.read(t), first...)
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			second := tr.persist(t, 1)
			wantIDs(t, r.read(t), append([]audit.Record{late}, second...)...)
		})
	}
}

// At one moment nothing new appears, so nothing is followed there.
func TestFollowAtOneMoment(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	err := tr.store.AtOneMoment(t.Context(), func(store *coordaudit.Store) error {
		_, err := store.FollowPage(t.Context(), impatient())
		return err
	})
	if !errors.Is(err, audit.ErrCannotFollow) {
		t.Errorf("%v, want ErrCannotFollow", err)
	}
}
