package coordaudit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// newClusterSealer returns a sealer, and the key that verifies its log.
func newClusterSealer(t *testing.T, tr *trail) (*sealer.Sealer, sealer.VerifyConfig, sealer.Exporter) {
	t.Helper()
	private, public, err := seal.GenerateKey(rand.Reader, "audit.example/cluster")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	export := sealer.Directory(t.TempDir())
	made, err := sealer.New(tr.pool, sealer.Config{Signer: signer, Export: export, Interval: 10 * time.Millisecond, Patience: 100 * time.Millisecond, Logger: fixture.Quiet().Logger})
	if err != nil {
		t.Fatal(err)
	}
	return made, sealer.VerifyConfig{Verifier: verifier, Cluster: true}, export
}

// On a cluster, what is sealed is followed, in the order of sealing. What was committed late has its
// place there behind the others.
func TestFollowClusterInTheOrderOfSealing(t *testing.T) {
	t.Parallel()
	testdb.NeedsCluster(t)
	tr := newTrail(t)
	if _, err := tr.store.FollowPage(t.Context(), impatient()); !errors.Is(err, audit.ErrCannotFollow) || !strings.Contains(err.Error(), "coordaudit seal") {
		t.Errorf("before anything is sealed: %v, want ErrCannotFollow and what to do", err)
	}
	tx := tr.begin(t)
	late := tr.persistTx(t, tx, fixture.NewRecord())
	first := tr.persist(t, 5)
	seals := sealOnce(t, tr)
	second := tr.persist(t, 2)
	r, now, since := tr.reader(impatient()), tr.reader(impatient()), tr.reader(impatient())
	r.query.Limit = 2
	now.query.From, since.query.From = audit.FromNow(), audit.FromTime(time.Now().Add(-time.Hour))
	wantIDs(t, r.read(t), first...)
	wantIDs(t, now.read(t))
	wantIDs(t, since.read(t), first...)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	seals()
	for _, reader := range []*reader{r, now, since} {
		got := reader.read(t)
		wantIDs(t, got, append([]audit.Record{late}, second...)...)
		wantLate(t, got, false, false)
	}
	other := tr.reader(impatient())
	other.query.Scope = audit.Tenant("nobody")
	wantIDs(t, other.read(t))
	if r.page.Lag.Records != 0 || len(r.page.Lag.BlockedBy) != 0 {
		t.Errorf("lag %+v, want none", r.page.Lag)
	}
}

// A leaf that a worker has not committed yet holds up what is behind it, so nothing is missed.
func TestFollowClusterWaitsForALeafInDoubt(t *testing.T) {
	t.Parallel()
	testdb.NeedsCluster(t)
	tr := newTrail(t)
	recs := tr.persist(t, 10)
	sealOnce(t, tr)
	fixture.MustExec(t, tr.pool, "ALTER TABLE coordination_audit_seal_leaves DISABLE TRIGGER USER")
	fixture.MustExec(t, tr.pool, "DELETE FROM coordination_audit_seal_leaves WHERE leaf_index = 6")
	r := tr.reader(impatient())
	wantIDs(t, r.read(t), recs[:6]...)
	if r.page.More || r.page.Lag.Records != 4 || len(r.page.Lag.BlockedBy) != 1 || r.page.Lag.BlockedSince.IsZero() {
		t.Errorf("lag %+v, more %t, want 4 records that a leaf holds up", r.page.Lag, r.page.More)
	}
	from := tr.reader(impatient())
	from.query.From = audit.FromTime(time.Now().Add(-time.Hour))
	if _, err := tr.store.FollowPage(t.Context(), from.query); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("from a time: %v, want ErrUnavailable while a leaf is in doubt", err)
	}
	fixture.MustExec(t, tr.pool, "INSERT INTO coordination_audit_seal_leaves (row_id, row_no, epoch, leaf_index, kind) VALUES ($1, 0, 1, 6, 1)", recs[6].AuditID)
	wantIDs(t, r.read(t), recs[6:]...)
}

// While writers commit, roll back and delay, and a sealer runs, each committed record comes once.
func TestFollowBusyCluster(t *testing.T) {
	t.Parallel()
	testdb.NeedsCluster(t)
	tr := newTrail(t)
	made, verify, export := newClusterSealer(t, tr)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var running, writers sync.WaitGroup
	running.Go(func() {
		if err := made.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	for range 3 {
		writers.Go(func() { tr.writeForCluster(t) })
	}
	tr.persist(t, 1)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return made.Stats().Size > 0 })
	var rows atomic.Int64 // 0 while there are writers
	go func() {
		writers.Wait()
		rows.Store(int64(fixture.CountRecords(t, tr.pool)) + 1)
		if _, err := tr.store.Persist(ctx, fixture.NewRecord()); err != nil {
			t.Error(err)
		}
	}()
	seen := map[uuid.UUID]int{}
	query := impatient()
	query.PollInterval = 10 * time.Millisecond
	for rec, err := range tr.store.Follow(ctx, query) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[rec.AuditID]++; int64(len(seen)) == rows.Load() {
			break
		}
	}
	stop()
	running.Wait()
	if all := fixture.CountRecords(t, tr.pool); len(seen) != all { // sweeps find what was committed late
		t.Errorf("%d of %d records came", len(seen), all)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("record %s came %d times", id, n)
		}
	}
	mustVerifyCluster(t, tr, verify, export)
}

func mustVerifyCluster(t *testing.T, tr *trail, verify sealer.VerifyConfig, export sealer.Exporter) {
	t.Helper()
	var err error
	if verify.Checkpoint, err = export.Last(t.Context()); err != nil {
		t.Fatal(err)
	}
	result, err := sealer.Verify(t.Context(), tr.pool, verify)
	if err != nil || len(result.Findings) > 0 {
		t.Errorf("%d leaves verified, findings %+v, %v", result.Verified, result.Findings, err)
	}
}

func (tr *trail) writeForCluster(t *testing.T) {
	t.Helper()
	for i := range 30 {
		tx, err := tr.pool.Begin(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := tr.store.PersistManyTx(t.Context(), tx, fixture.NewRecords(1+i%20)); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Duration(i%7) * 30 * time.Millisecond)
		end := tx.Commit
		if i%4 == 0 {
			end = tx.Rollback
		}
		if err := end(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A cursor from before the distribution, or from an older epoch, is refused. Its Resume misses
// nothing.
func TestFollowClusterFromAnotherOrder(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, false)
	tr := trailOn(db)
	first := tr.persist(t, 5)
	r := tr.reader(impatient())
	fixture.MustExec(t, tr.pool, "SELECT setval('coordination_audit_records_seq_seq', 100000)")
	second := tr.persist(t, 3)
	wantIDs(t, r.read(t), append(first, second...)...)
	third := tr.persist(t, 2)
	made, _, _ := newClusterSealer(t, tr)
	seals := func() {
		t.Helper()
		if _, err := made.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	seals()
	distributeTrail(t, tr)
	tr.store = fixture.OpenStore(t, db.URL, patientConfig()) // an older connection asks again after a minute
	r.store = tr.store
	if _, err := r.store.FollowPage(t.Context(), r.query); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("before the leaves are listed: %v, want ErrUnavailable", err)
	}
	seals()
	r.query.From = audit.FromCursor(resumeOf(t, r))
	got := r.read(t) // from some seqs before the last one
	wantIDs(t, got, append(second, third...)...)
	wantLate(t, got, false, true)
	fourth := tr.persist(t, 2)
	if _, err := made.OpenEpoch(t.Context(), "a test"); err != nil {
		t.Fatal(err)
	}
	seals()
	r.query.From = audit.FromCursor(resumeOf(t, r))
	wantIDs(t, r.read(t), fourth...)
}

// resumeOf returns the cursor of the error with which a follower is refused.
func resumeOf(t *testing.T, r *reader) audit.Cursor {
	t.Helper()
	_, err := r.store.FollowPage(t.Context(), r.query)
	forked, ok := errors.AsType[*audit.CursorForkedError](err)
	if !ok || forked.Resume == "" || forked.ResumeAfter == uuid.Nil {
		t.Fatalf("%v, want ErrCursorForked with a cursor to resume", err)
	}
	return forked.Resume
}

func distributeTrail(t *testing.T, tr *trail) {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), tr.pool.Config().ConnConfig)
	if err == nil {
		_, err = auditadmin.Distribute(t.Context(), conn, auditadmin.DistributeConfig{})
	}
	if err == nil {
		err = conn.Close(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}
