package sealing_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/sealer"
)

const soakVariable = "COORDAUDIT_SEAL_SOAK"

// Writers of every kind run next to a sealer. The sealer and the server are killed again and
// again. No verification finds anything, at any moment. At the end each row is sealed once,
// and the same log goes on in a younger cluster that pg_restore filled.
func TestSealerSurvivesKills(t *testing.T) {
	t.Parallel()
	lasts, longest := 8*time.Second, 2*time.Second
	if text := os.Getenv(soakVariable); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", soakVariable, err)
		}
		longest = time.Minute
	}
	r := newTrail(t, time.Second)
	ctx, stop := context.WithCancel(t.Context())
	w := r.startWriters(ctx, longest)
	s := &soak{trail: r, writers: w}
	s.run(lasts)
	stop()
	w.running.Wait()
	w.resolve(t.Context())
	t.Logf("%d kills of the sealer, %d of the server, %d verifications", s.sealerKills, s.serverKills, s.verified)
	for way, done := range w.ways {
		t.Logf("%s: %d times", way, done.Load())
		if done.Load() == 0 {
			t.Errorf("nothing was written %s", way)
		}
	}
	if !s.sawAll() {
		t.Error("a kind of fault did not occur, or nothing was verified")
	}
	r.mustSealAll(r.pool)
	r.restore()
}

// soak kills and verifies.
type soak struct {
	*trail
	writers                            *writers
	sealerKills, serverKills, verified int
}

// sawAll reports whether each kind of fault occurred, each way wrote, and a trail was verified.
func (s *soak) sawAll() bool {
	for _, done := range s.writers.ways {
		if done.Load() == 0 {
			return false
		}
	}
	return s.sealerKills > 0 && s.serverKills > 0 && s.verified > 0
}

// run goes on after its time, for two minutes at most, until it saw all: a loaded machine
// may start no sealer, or write in no long transaction, within a few seconds.
func (s *soak) run(lasts time.Duration) {
	s.t.Helper()
	sealing := s.startSealer()
	defer func() { sealing.kill(s.t) }()
	started, nextServer := time.Now(), lasts/3
	for time.Since(started) < lasts || !s.sawAll() && time.Since(started) < lasts+2*time.Minute {
		pause(s.t.Context(), 200*time.Millisecond+rand.N(3*time.Second))
		if time.Since(started) > nextServer {
			s.killServer()
			nextServer = time.Since(started) + min(lasts/3, 10*time.Second+rand.N(20*time.Second))
		}
		if _, possible := s.verify(s.pool); possible {
			s.verified++
		}
		sealing.kill(s.t)
		s.sealerKills++
		sealing = s.startSealer()
	}
}

func (s *soak) killServer() {
	s.t.Helper()
	if err := s.server.Kill(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.server.Restart(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.serverKills++
}

// mustSealAll seals what is left, and requires that each row is sealed once.
func (r *trail) mustSealAll(pool *pgxpool.Pool) {
	r.t.Helper()
	fixture.EventuallyWithin(r.t, time.Minute, func() bool { // the killed sealer's session holds the lock a while
		_, err := r.sealer(pool).Once(r.t.Context())
		if err != nil && !errors.Is(err, sealer.ErrSealedElsewhere) {
			r.t.Fatal(err)
		}
		return err == nil
	})
	result, possible := r.verify(pool)
	if !possible {
		r.t.Fatal("the trail cannot be verified")
	}
	rows := int64(0)
	for _, table := range []string{"records", "gaps", "statements", "seal_events"} {
		rows += int64(fixture.QueryInt(r.t, pool, "SELECT count(*) FROM coordination_audit_"+table))
	}
	if result.Verified != rows || result.Checkpoint.Size != rows || result.Awaited != 0 {
		r.t.Errorf("%d of %d leaves verified, %d awaited; there are %d rows", result.Verified, result.Checkpoint.Size, result.Awaited, rows)
	}
	r.t.Logf("%d rows are sealed", rows)
}

// restore dumps the trail into a younger cluster. There it verifies, and its log goes on.
func (r *trail) restore() {
	r.t.Helper()
	younger := testdb.OnServer(startServer(r.t)).NewEmpty(r.t)
	dump := filepath.Join(r.t.TempDir(), "dump")
	r.program("pg_dump", "--format=custom", "--file="+dump, r.url)
	r.program("pg_restore", "--no-owner", "--exit-on-error", "--dbname="+younger.URL, dump)
	if _, possible := r.verify(younger.Pool); !possible {
		r.t.Fatal("the restored trail cannot be verified")
	}
	store := coordaudit.New(younger.Pool, fixture.Quiet())
	for range 10 {
		fixture.MustPersist(r.t, store, fixture.NewRecord())
	}
	r.mustSealAll(younger.Pool)
}

func (r *trail) program(name string, args ...string) {
	r.t.Helper()
	bin, err := pglocal.Find()
	if err != nil {
		r.t.Fatal(err)
	}
	output, err := exec.CommandContext(r.t.Context(), filepath.Join(bin, name), args...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s: %v: %s", name, err, output)
	}
}

// A database that was cloned has tables of the same oid. A writer there holds no one up here.
func TestWriterInCloneHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	r := newTrail(t, time.Minute)
	store := coordaudit.New(r.pool, fixture.Quiet())
	fixture.MustPersist(t, store, fixture.NewRecord())
	name := fixture.QueryText(t, r.pool, "SELECT current_database()::text")
	r.pool.Reset() // a template must have no other session
	host := fixture.OpenPool(t, r.server.URL(), nil)
	fixture.MustExec(t, host, "CREATE DATABASE cloned TEMPLATE "+name)
	clone := fixture.OpenPool(t, r.server.DatabaseURL("cloned"), nil)
	if ours, theirs := tableOID(t, r.pool), tableOID(t, clone); ours != theirs {
		t.Fatalf("the tables have the oids %d and %d, so the test shows nothing", ours, theirs)
	}
	tx, err := clone.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := coordaudit.New(nil, fixture.Quiet()).PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil {
		t.Fatal(err)
	}
	sealing, blocked := r.sealer(r.pool), atomic.Bool{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if sealing.Stats().BlockedBy != "" {
				blocked.Store(true)
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if n, err := sealing.Once(ctx); err != nil || n != 1 || blocked.Load() {
		t.Errorf("%d sealed, %v, blocked: %t", n, errors.Join(err), blocked.Load())
	}
}

func tableOID(t *testing.T, pool *pgxpool.Pool) int {
	t.Helper()
	return fixture.QueryInt(t, pool, "SELECT 'coordination_audit_records'::regclass::oid::int")
}
