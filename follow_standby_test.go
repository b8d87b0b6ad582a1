package coordaudit_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// A standby is followed up to the last checkpoint of the seal. What that awaits is delivered
// late, when a later one covers it. Without a checkpoint it is refused. The cursor goes on on
// the primary and back.
func TestFollowStandby(t *testing.T) {
	t.Parallel()
	p := testdb.StartPair(t, false)
	pool := p.Open(t)
	tr := &trail{pool: pool, store: coordaudit.New(pool, patientConfig())}
	standby := fixture.OpenStore(t, p.Standby.URL(), fixture.Quiet())
	caughtUp := func() {
		t.Helper()
		p.Await(t, "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()")
	}
	tx := tr.begin(t)
	late := tr.persistTx(t, tx, fixture.NewRecord())
	first := tr.persist(t, 4)
	caughtUp()
	for _, from := range []audit.Start{{}, audit.FromNow(), audit.FromTime(time.Now())} {
		query := impatient()
		query.From = from
		if _, err := standby.FollowPage(t.Context(), query); !errors.Is(err, audit.ErrCannotFollow) || !strings.Contains(err.Error(), "standby") {
			t.Errorf("without a checkpoint: %v, want ErrCannotFollow", err)
		}
	}

	seals := sealOnce(t, tr)
	beyond := tr.persist(t, 2)
	caughtUp()
	r := &reader{store: standby, query: impatient()}
	filtered := &reader{store: standby, query: impatient()}
	filtered.query.Scope = audit.Tenant("acme")
	r.query.Limit = 3
	now := &reader{store: standby, query: impatient()}
	now.query.From = audit.FromNow()
	wantIDs(t, r.read(t), first...)
	wantIDs(t, filtered.read(t), first...)
	wantIDs(t, now.read(t))
	if r.page.Lag.Records != 1 {
		t.Errorf("lag %+v, want the awaited record", r.page.Lag)
	}
	ahead := &reader{store: tr.store, query: impatient()}
	ahead.read(t)
	fromPrimary := &reader{store: standby, query: ahead.query}
	wantIDs(t, fromPrimary.read(t)) // the cursor is ahead of the checkpoint
	toPrimary := &reader{store: tr.store, query: r.query}
	wantIDs(t, toPrimary.read(t), beyond...)

	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	caughtUp()
	got := r.read(t) // it is there, so there is nothing to wait for
	wantIDs(t, got, late)
	wantLate(t, got, true, false)
	seals()
	caughtUp()
	wantIDs(t, r.read(t), beyond...)
	got = filtered.read(t)
	wantIDs(t, got, append([]audit.Record{late}, beyond...)...)
	wantLate(t, got[:1], true, false)
	wantLate(t, got[1:], false, false)
	wantIDs(t, now.read(t), beyond...)
	wantIDs(t, toPrimary.read(t), late)
	wantIDs(t, fromPrimary.read(t), late)
	wantIDs(t, tr.reader(impatient()).read(t), slices.Concat([]audit.Record{late}, first, beyond)...)

	if _, err := pool.Exec(t.Context(), `CREATE ROLE blind LOGIN; GRANT SELECT ON coordination_audit_records TO blind`); err != nil {
		t.Fatal(err)
	}
	caughtUp()
	blind := fixture.OpenStore(t, strings.Replace(p.Standby.URL(), "user=postgres", "user=blind", 1), fixture.Quiet())
	if _, err := blind.FollowPage(t.Context(), impatient()); !errors.Is(err, audit.ErrCannotFollow) || !strings.Contains(err.Error(), "migrate grants") {
		t.Errorf("a role that cannot read checkpoints: %v", err)
	}
}

// sealOnce seals the trail, and returns a function that does it again.
func sealOnce(t *testing.T, tr *trail) (again func()) {
	t.Helper()
	private, _, err := seal.GenerateKey(rand.Reader, "audit.example/follow")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	made, err := sealer.New(tr.pool, sealer.Config{
		Signer: signer, Export: sealer.Directory(t.TempDir()), Patience: 50 * time.Millisecond, Logger: fixture.Quiet().Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	again = func() {
		t.Helper()
		if _, err := made.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	again()
	return again
}
