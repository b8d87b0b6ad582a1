package recorder

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
)

// underLoad runs a fault while producers submit records, and then checks that no record is lost.
// meanwhile returns when the fault is over.
func underLoad(t *testing.T, db frame.Database, store *coordaudit.Store, config coordaudit.RecorderConfig, meanwhile func(*coordaudit.Recorder)) {
	t.Helper()
	recorder := frame.NewRecorder(t, store, config)
	producers := loadgen.Start(t, recorder, loadgen.Config{Producers: 8, Every: 2 * time.Millisecond})
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Persisted > 0 })
	meanwhile(recorder)
	after := producers.Offered()
	fixture.EventuallyWithin(t, time.Minute, func() bool { return producers.Offered() > after+100 })
	producers.Stop()
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		total := recorder.Stats().Total()
		return total.Spooled == 0 && total.Queued == 0
	})
	frame.CloseRecorder(t, recorder)
	producers.Verify(t, db.Pool, config.SpoolDir)
	if total := recorder.Stats().Total(); total.Dropped != 0 || total.Rejected != 0 || total.Persisted+total.AlreadyPersisted != total.Accepted {
		t.Errorf("not all records are stored: %+v", total)
	}
}

// untilRetried waits until this number of batches has failed, which takes longer on a busy machine.
func untilRetried(t *testing.T, recorder *coordaudit.Recorder, batches int64) {
	t.Helper()
	before := recorder.Stats().Retries
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Retries >= before+batches })
}

func lockLosesNothing(t *testing.T, db frame.Database) {
	config := frame.Hasty(t)
	config.RetryBudget = time.Second
	storeConfig := fixture.Quiet()
	storeConfig.Timeout = 500 * time.Millisecond
	underLoad(t, db, coordaudit.New(db.Pool, storeConfig), config, func(recorder *coordaudit.Recorder) {
		release := frame.LockTable(t, db)
		untilRetried(t, recorder, 1)
		time.Sleep(5 * time.Second)
		release()
	})
}

func timeoutLosesNothing(t *testing.T, db frame.Database) {
	pool := fixture.OpenPool(t, fixture.WithSetting(db.URL, "statement_timeout="+strconv.Itoa(db.Patience(50))), nil)
	underLoad(t, db, coordaudit.New(pool, fixture.Quiet()), frame.Hasty(t), func(recorder *coordaudit.Recorder) {
		release := frame.LockTable(t, db)
		untilRetried(t, recorder, 5)
		release()
	})
}

func exhaustedPoolLosesNothing(t *testing.T, db frame.Database) {
	pool := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) { config.MaxConns = 2 })
	storeConfig := fixture.Quiet()
	storeConfig.Timeout = time.Duration(db.Patience(100)) * time.Millisecond
	underLoad(t, db, coordaudit.New(pool, storeConfig), frame.Hasty(t), func(recorder *coordaudit.Recorder) {
		for range 2 {
			conn, err := pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Release()
		}
		untilRetried(t, recorder, 5)
	})
}

func serializationLosesNothing(t *testing.T, db frame.Database) {
	const serializationFailure = "40001"
	arm := failOften(t, db, 10, serializationFailure, "could not serialize access")
	underLoad(t, db, frame.NewStore(db), frame.Hasty(t), func(recorder *coordaudit.Recorder) {
		arm()
		untilRetried(t, recorder, 20)
		fixture.MustExec(t, db.Pool, "DROP TRIGGER fail_often ON coordination_audit_records")
	})
}

// failOften lets every n-th INSERT pass and fails the others after arm is called.
func failOften(t *testing.T, db frame.Database, n int, sqlState, message string) (arm func()) {
	t.Helper()
	fixture.MustExec(t, db.Pool, "CREATE SEQUENCE inserts") // a rollback does not reset it
	frame.OnWorkers(t, db, "CREATE SEQUENCE inserts")
	fixture.MustExec(t, db.Pool, fmt.Sprintf(`CREATE FUNCTION fail_often() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('inserts') %% %d <> 0 THEN
				RAISE EXCEPTION '%s' USING ERRCODE = '%s';
			END IF;
			RETURN NULL;
		END $$`, n, message, sqlState))
	return func() {
		t.Helper()
		fixture.MustExec(t, db.Pool, "CREATE TRIGGER fail_often AFTER INSERT ON coordination_audit_records FOR EACH STATEMENT EXECUTE FUNCTION fail_often()")
	}
}

func endedSessionsLoseNothing(t *testing.T, db frame.Database) {
	pool := fixture.OpenPool(t, fixture.WithSetting(db.URL, "application_name=recorder"), nil)
	underLoad(t, db, coordaudit.New(pool, fixture.Quiet()), frame.Hasty(t), func(*coordaudit.Recorder) {
		terminated := 0
		fixture.EventuallyWithin(t, time.Minute, func() bool {
			terminated += fixture.QueryInt(t, db.Pool, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE application_name = 'recorder' AND datname = current_database()`)
			return terminated >= 50
		})
	})
}

func cutConnectionsLoseNothing(t *testing.T, db frame.Database) {
	proxy := faultproxy.New(t, db.URL)
	store := fixture.OpenStore(t, proxy.URL(), fixture.Quiet())
	underLoad(t, db, store, frame.Hasty(t), func(recorder *coordaudit.Recorder) {
		for range 5 {
			for _, cut := range []func(){
				func() { proxy.CutAtClient(faultproxy.Execute) },         // before the statement
				func() { proxy.CutAtClient(faultproxy.Sync) },            // sent, not committed
				func() { proxy.CutAtServer(faultproxy.CommandComplete) }, // committing
				func() { proxy.CutAtServer(faultproxy.ReadyForQuery) },   // committed
			} {
				cutUntilRetried(t, recorder, cut)
			}
		}
	})
}

// cutUntilRetried cuts again each second, because a cut may hit a statement of the source,
// whose failure is not the failure of a batch.
func cutUntilRetried(t *testing.T, recorder *coordaudit.Recorder, cut func()) {
	t.Helper()
	before, next := recorder.Stats().Retries, time.Now()
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		if now := time.Now(); !now.Before(next) {
			cut()
			next = now.Add(time.Second)
		}
		return recorder.Stats().Retries > before
	})
}

func silenceLosesNothing(t *testing.T, db frame.Database) {
	proxy := faultproxy.New(t, db.URL)
	storeConfig := fixture.Quiet()
	storeConfig.Timeout = 100 * time.Millisecond
	dir := t.TempDir()
	recorder := frame.NewRecorder(t, fixture.OpenStore(t, proxy.URL(), storeConfig), coordaudit.RecorderConfig{SpoolDir: dir, RetryBudget: time.Second})
	producers := loadgen.Start(t, recorder, loadgen.Config{Producers: 8, Every: 2 * time.Millisecond})
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Persisted > 0 })
	proxy.Stall()
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Spooled > 100 })
	producers.Stop()
	frame.CloseRecorder(t, recorder)
	producers.Verify(t, db.Pool, dir)

	next := frame.NewRecorder(t, frame.NewStore(db), coordaudit.RecorderConfig{SpoolDir: dir})
	fixture.EventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().Spooled == 0 })
	frame.CloseRecorder(t, next)
	if n := fixture.CountRecords(t, db.Pool); n != int(producers.Offered()) {
		t.Errorf("%d rows of %d records", n, producers.Offered())
	}
}
