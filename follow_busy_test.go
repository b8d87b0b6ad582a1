package coordaudit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// followedVariable sets how many records TestFollowBusyTrail stores, 10000000 for the whole of
// it.
const followedVariable = "COORDAUDIT_FOLLOWED"

// All writers of the product write at once, with transactions that are slow, rolled back and
// prepared, with savepoints, COPY, VACUUM and DDL, and one transaction that is idle all the
// time. The follower is stopped again and again, and begins with its last cursor. It misses
// nothing, sees nothing twice, and sees what is not late in order. Next to it a naive follower by
// the highest seq misses records, so the test would notice.
func TestFollowBusyTrail(t *testing.T) {
	t.Parallel()
	total := int64(fixture.Size(t, followedVariable, 20_000))
	tr := trailOn(testdb.NewOn(t, preparing(t)))
	tr.pool = fixture.OpenPool(t, tr.url, func(config *pgxpool.Config) { config.MaxConns = 30 })
	tr.store = coordaudit.New(tr.pool, patientConfig())
	idle := tr.begin(t)
	tr.persistTx(t, idle, fixture.NewRecord())

	writing, stop := context.WithCancel(t.Context())
	naive := make(chan seqSet, 1)
	go func() { naive <- tr.followNaively(writing, t) }()
	followed := make(chan seqSet, 1)
	written := make(chan struct{})
	restarts := int(max(500, total/2000))
	go func() { followed <- tr.followWithRestarts(t, restarts, written) }()
	tr.writeEverything(t, total)
	if err := idle.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	close(written)
	stop()

	seen, seenNaively := <-followed, <-naive
	rows, err := tr.pool.Query(t.Context(), "SELECT seq FROM coordination_audit_records")
	if err != nil {
		t.Fatal(err)
	}
	var stored, missed, missedNaively int64
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			t.Fatal(err)
		}
		stored++
		if !seen.has(seq) {
			missed++
		}
		if !seenNaively.has(seq) {
			missedNaively++
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records stored, %d followed, %d late, %d restarts; a follower by the highest seq missed %d", stored, seen.count, seen.late, seen.restarts, missedNaively)
	if missed != 0 || seen.count != stored || stored < total {
		t.Errorf("%d of %d records were missed, %d came", missed, stored, seen.count)
	}
	if missedNaively == 0 {
		t.Error("a follower by the highest seq missed nothing, so this test proves nothing")
	}
}

// seqSet is a set of seqs.
type seqSet struct {
	bits                  []uint64
	count, late, restarts int64
}

func (s *seqSet) has(seq int64) bool {
	return int(seq/64) < len(s.bits) && s.bits[seq/64]&(1<<(seq%64)) != 0
}

func (s *seqSet) add(seq int64) {
	for int(seq/64) >= len(s.bits) {
		s.bits = append(s.bits, make([]uint64, 1+len(s.bits))...)
	}
	s.bits[seq/64] |= 1 << (seq % 64)
	s.count++
}

// followWithRestarts begins again after a random number of records, each on average, or a part
// of a second. Once everything is written it ends with the last record, or gives up if none comes
// for a minute.
func (tr *trail) followWithRestarts(t *testing.T, each int, written <-chan struct{}) (seen seqSet) {
	t.Helper()
	query := audit.FollowQuery{Scope: audit.AllTenants(), PollInterval: 2 * time.Millisecond}
	last, stored, came := int64(0), int64(0), time.Now()
	for stored == 0 || seen.count < stored && time.Since(came) < time.Minute {
		select {
		case <-written:
			written, stored = nil, int64(fixture.CountRecords(t, tr.pool))
		default:
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(50+rand.IntN(300))*time.Millisecond)
		query.Limit, query.Patience = 1+rand.IntN(1000), time.Duration(rand.IntN(2)*10-1)*time.Millisecond
		for rec, err := range tr.store.Follow(ctx, query) {
			if err != nil {
				t.Error(err)
				cancel()
				return seen
			}
			switch {
			case seen.has(rec.Seq):
				t.Errorf("seq %d came twice", rec.Seq)
			case rec.Repeated:
				t.Errorf("seq %d is marked as repeated", rec.Seq)
			case rec.Late:
				seen.late++
			case rec.Seq <= last:
				t.Errorf("seq %d came after %d and is not late", rec.Seq, last)
			default:
				last = rec.Seq
			}
			seen.add(rec.Seq)
			query.From, came = audit.FromCursor(rec.Cursor()), time.Now()
			if rand.IntN(each) == 0 {
				break
			}
		}
		cancel()
		seen.restarts++
	}
	return seen
}

func (tr *trail) followNaively(ctx context.Context, t *testing.T) (seen seqSet) {
	t.Helper()
	last := int64(0)
	for ctx.Err() == nil {
		rows, err := tr.pool.Query(t.Context(), "SELECT seq FROM coordination_audit_records WHERE seq > $1 ORDER BY seq LIMIT 10000", last)
		if err != nil {
			t.Error(err)
			return seen
		}
		for rows.Next() {
			if err := rows.Scan(&last); err != nil {
				t.Error(err)
			}
			seen.add(last)
		}
		if err := rows.Err(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Millisecond)
	}
	return seen
}

// writeEverything stores at least that number of records.
func (tr *trail) writeEverything(t *testing.T, total int64) {
	t.Helper()
	var stored atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	recorder := startRecorder(t, tr.store, coordaudit.RecorderConfig{SpoolDir: filepath.Join(t.TempDir(), "spool")})
	var writers, others sync.WaitGroup
	each := func(write func(i int) (int, error)) {
		writers.Go(func() {
			for i := 0; stored.Load() < total; i++ {
				n, err := write(i)
				if err != nil {
					t.Error(err)
					return
				}
				stored.Add(int64(n))
			}
		})
	}
	batch := 50
	if total > 1_000_000 {
		batch = 5000
	}
	each(func(int) (int, error) { _, err := tr.store.Persist(ctx, fixture.NewRecord()); return 1, err })
	each(func(int) (int, error) { tr.write(ctx, t, 1); return 0, nil })
	each(func(int) (int, error) { tr.write(ctx, t, 1); return 0, nil })
	each(func(int) (int, error) {
		n := 1 + rand.IntN(100)
		_, err := tr.store.PersistMany(ctx, fixture.NewRecords(n))
		return n, err
	})
	each(func(int) (int, error) {
		counts, err := tr.store.PersistManyFast(ctx, fixture.NewRecords(1+rand.IntN(2*batch)))
		return int(counts.Persisted), err
	})
	each(func(int) (int, error) { _, err := recorder.Record(ctx, fixture.NewRecord()); return 1, err })
	each(func(i int) (int, error) { return 1, tr.writePrepared(ctx, fmt.Sprint("busy ", i), i%3 == 0) }) // a third of them rolls back
	for _, sql := range []string{
		"VACUUM coordination_audit_records",
		"ANALYZE coordination_audit_records",
		"ALTER TABLE coordination_audit_gaps SET (autovacuum_vacuum_threshold = 51)",
		"CREATE TABLE IF NOT EXISTS copied AS SELECT seq FROM coordination_audit_records LIMIT 10",
	} {
		others.Go(func() {
			for ctx.Err() == nil {
				if _, err := tr.pool.Exec(ctx, sql); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	writers.Wait()
	stop()
	others.Wait()
}

func (tr *trail) writePrepared(ctx context.Context, gid string, rollBack bool) error {
	tx, err := tr.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tr.store.PersistTx(ctx, tx, fixture.NewRecord()); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "PREPARE TRANSACTION '"+gid+"'"); err != nil {
		return err
	}
	_ = tx.Commit(ctx) // pgx learns that it has ended
	time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
	end := "COMMIT"
	if rollBack {
		end = "ROLLBACK"
	}
	_, err = tr.pool.Exec(ctx, end+" PREPARED '"+gid+"'")
	return err
}
