package conformance

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/load"
)

func recorderFaults() []promise {
	return []promise{
		{"ATableLockedForFiveSecondsLosesNothing", aTableLockedForFiveSecondsLosesNothing},
		{"AStatementTimeoutLosesNothing", aStatementTimeoutLosesNothing},
		{"APoolThatItsOwnerExhaustsLosesNothing", aPoolThatItsOwnerExhaustsLosesNothing},
		{"SerializationFailuresLoseNothing", serializationFailuresLoseNothing},
		{"AStormOfTerminatedSessionsLosesNothing", aStormOfTerminatedSessionsLosesNothing},
		{"ConnectionsCutAroundTheCommitLoseNothing", connectionsCutAroundTheCommitLoseNothing},
		{"AServerThatFallsSilentLosesNothing", aServerThatFallsSilentLosesNothing},
	}
}

// underLoad runs a fault while producers hand in records, and then requires that
// nothing is lost. meanwhile returns when the fault is over.
func underLoad(t *testing.T, db Database, store *coordaudit.Store, config coordaudit.RecorderConfig, meanwhile func(*coordaudit.Recorder)) {
	t.Helper()
	recorder := newRecorder(t, store, config)
	producers := load.Start(t, recorder, load.Config{Producers: 8, Every: 2 * time.Millisecond})
	eventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Persisted > 0 })
	meanwhile(recorder)
	after := producers.Offered()
	eventuallyWithin(t, time.Minute, func() bool { return producers.Offered() > after+100 })
	producers.Stop()
	eventuallyWithin(t, time.Minute, func() bool {
		total := recorder.Stats().Total()
		return total.DeadLettered == 0 && total.Queued == 0
	})
	closeRecorder(t, recorder)
	producers.Verify(t, db.Pool, config.DeadLetterDir)
	if total := recorder.Stats().Total(); total.Dropped != 0 || total.Rejected != 0 || total.Persisted+total.AlreadyPersisted != total.Accepted {
		t.Errorf("not all of it is stored: %+v", total)
	}
}

// untilRetried waits until so many batches failed: as long as the fault takes to be
// met, however busy the machine is.
func untilRetried(t *testing.T, recorder *coordaudit.Recorder, batches int64) {
	t.Helper()
	before := recorder.Stats().Retries
	eventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Retries >= before+batches })
}

func aTableLockedForFiveSecondsLosesNothing(t *testing.T, db Database) {
	config := hasty(t)
	config.RetryBudget = time.Second
	storeConfig := quiet()
	storeConfig.Timeout = 500 * time.Millisecond
	underLoad(t, db, coordaudit.New(db.Pool, storeConfig), config, func(recorder *coordaudit.Recorder) {
		release := lockTable(t, db)
		untilRetried(t, recorder, 1)
		time.Sleep(5 * time.Second)
		release()
	})
}

func aStatementTimeoutLosesNothing(t *testing.T, db Database) {
	pool := openPool(t, withSetting(db.URL, "statement_timeout=50"), func(*pgxpool.Config) {})
	underLoad(t, db, coordaudit.New(pool, quiet()), hasty(t), func(recorder *coordaudit.Recorder) {
		release := lockTable(t, db)
		untilRetried(t, recorder, 5)
		release()
	})
}

func aPoolThatItsOwnerExhaustsLosesNothing(t *testing.T, db Database) {
	pool := openPool(t, db.URL, func(config *pgxpool.Config) { config.MaxConns = 2 })
	storeConfig := quiet()
	storeConfig.Timeout = 100 * time.Millisecond
	underLoad(t, db, coordaudit.New(pool, storeConfig), hasty(t), func(recorder *coordaudit.Recorder) {
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

func serializationFailuresLoseNothing(t *testing.T, db Database) {
	const serializationFailure = "40001"
	arm := failOften(t, db, 10, serializationFailure, "could not serialize access")
	underLoad(t, db, newStore(db), hasty(t), func(recorder *coordaudit.Recorder) {
		arm()
		untilRetried(t, recorder, 20)
		mustExec(t, db.Pool, "DROP TRIGGER fail_often ON coordination_audit_records")
	})
}

// failOften lets every n-th INSERT pass and fails the others, once it is armed.
func failOften(t *testing.T, db Database, n int, sqlState, message string) (arm func()) {
	t.Helper()
	mustExec(t, db.Pool, "CREATE SEQUENCE inserts") // it goes on when a transaction is rolled back
	mustExec(t, db.Pool, fmt.Sprintf(`CREATE FUNCTION fail_often() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('inserts') %% %d <> 0 THEN
				RAISE EXCEPTION '%s' USING ERRCODE = '%s';
			END IF;
			RETURN NULL;
		END $$`, n, message, sqlState))
	return func() {
		t.Helper()
		mustExec(t, db.Pool, "CREATE TRIGGER fail_often AFTER INSERT ON coordination_audit_records FOR EACH STATEMENT EXECUTE FUNCTION fail_often()")
	}
}

func aStormOfTerminatedSessionsLosesNothing(t *testing.T, db Database) {
	pool := openPool(t, withSetting(db.URL, "application_name=recorder"), func(*pgxpool.Config) {})
	underLoad(t, db, coordaudit.New(pool, quiet()), hasty(t), func(*coordaudit.Recorder) {
		terminated := 0
		eventuallyWithin(t, time.Minute, func() bool {
			terminated += queryInt(t, db.Pool, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE application_name = 'recorder' AND datname = current_database()`)
			return terminated >= 50
		})
	})
}

func connectionsCutAroundTheCommitLoseNothing(t *testing.T, db Database) {
	proxy := faultproxy.New(t, db.URL)
	store := openStore(t, proxy.URL(), quiet())
	underLoad(t, db, store, hasty(t), func(recorder *coordaudit.Recorder) {
		for range 5 {
			for _, cut := range []func(){
				func() { proxy.CutAtClient(faultproxy.Execute) },         // before the statement
				func() { proxy.CutAtClient(faultproxy.Sync) },            // sent, not committed
				func() { proxy.CutAtServer(faultproxy.CommandComplete) }, // committing
				func() { proxy.CutAtServer(faultproxy.ReadyForQuery) },   // committed
			} {
				cut()
				untilRetried(t, recorder, 1)
			}
		}
	})
}

func aServerThatFallsSilentLosesNothing(t *testing.T, db Database) {
	proxy := faultproxy.New(t, db.URL)
	storeConfig := quiet()
	storeConfig.Timeout = 100 * time.Millisecond
	dir := t.TempDir()
	recorder := newRecorder(t, openStore(t, proxy.URL(), storeConfig), coordaudit.RecorderConfig{DeadLetterDir: dir, RetryBudget: time.Second})
	producers := load.Start(t, recorder, load.Config{Producers: 8, Every: 2 * time.Millisecond})
	eventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Persisted > 0 })
	proxy.Stall()
	eventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().DeadLettered > 100 })
	producers.Stop()
	closeRecorder(t, recorder)
	producers.Verify(t, db.Pool, dir)

	next := newRecorder(t, newStore(db), coordaudit.RecorderConfig{DeadLetterDir: dir})
	eventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().DeadLettered == 0 })
	closeRecorder(t, next)
	if n := countRecords(t, db.Pool); n != int(producers.Offered()) {
		t.Errorf("%d rows of %d records", n, producers.Offered())
	}
}
