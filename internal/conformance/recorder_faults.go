package conformance

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
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
func underLoad(t *testing.T, db Database, store *coordaudit.Store, config coordaudit.RecorderConfig, meanwhile func()) audit.RecorderStats {
	t.Helper()
	recorder := newRecorder(t, store, config)
	producers := load.Start(t, recorder, load.Config{Producers: 8, Every: 2 * time.Millisecond})
	eventually(t, func() bool { return recorder.Stats().Total().Persisted > 0 })
	meanwhile()
	after := producers.Offered()
	eventually(t, func() bool { return producers.Offered() > after+100 })
	producers.Stop()
	eventuallyWithin(t, time.Minute, func() bool {
		total := recorder.Stats().Total()
		return total.DeadLettered == 0 && total.Queued == 0
	})
	stats := recorder.Stats()
	closeRecorder(t, recorder)
	producers.Verify(t, db.Pool, config.DeadLetterDir)
	if total := stats.Total(); total.Dropped != 0 || total.Rejected != 0 || total.Persisted+total.AlreadyPersisted != total.Accepted {
		t.Errorf("not all of it is stored: %+v", total)
	}
	return stats
}

func aTableLockedForFiveSecondsLosesNothing(t *testing.T, db Database) {
	config := hasty(t)
	config.RetryBudget = time.Second
	storeConfig := quiet()
	storeConfig.Timeout = 500 * time.Millisecond
	stats := underLoad(t, db, coordaudit.New(db.Pool, storeConfig), config, func() {
		release := lockTable(t, db)
		time.Sleep(5 * time.Second)
		release()
	})
	if stats.Retries == 0 {
		t.Error("no batch was tried again: the lock was not met")
	}
}

func aStatementTimeoutLosesNothing(t *testing.T, db Database) {
	pool := openPool(t, withSetting(db.URL, "statement_timeout=50"), func(*pgxpool.Config) {})
	stats := underLoad(t, db, coordaudit.New(pool, quiet()), hasty(t), func() {
		release := lockTable(t, db)
		time.Sleep(time.Second)
		release()
	})
	if stats.Retries == 0 {
		t.Error("no batch was tried again: the lock was not met")
	}
}

func aPoolThatItsOwnerExhaustsLosesNothing(t *testing.T, db Database) {
	pool := openPool(t, db.URL, func(config *pgxpool.Config) { config.MaxConns = 2 })
	storeConfig := quiet()
	storeConfig.Timeout = 100 * time.Millisecond
	stats := underLoad(t, db, coordaudit.New(pool, storeConfig), hasty(t), func() {
		for range 2 {
			conn, err := pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Release()
		}
		time.Sleep(time.Second)
	})
	if stats.Retries == 0 {
		t.Error("no batch was tried again: the pool was not exhausted")
	}
}

func serializationFailuresLoseNothing(t *testing.T, db Database) {
	mustExec(t, db.Pool, "CREATE SEQUENCE inserts") // it goes on when a transaction is rolled back
	mustExec(t, db.Pool, `CREATE FUNCTION fail_often() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('inserts') % 10 <> 0 THEN
				RAISE EXCEPTION 'could not serialize access' USING ERRCODE = 'serialization_failure';
			END IF;
			RETURN NULL;
		END $$`)
	config := hasty(t)
	stats := underLoad(t, db, newStore(db), config, func() {
		mustExec(t, db.Pool, "CREATE TRIGGER fail_often AFTER INSERT ON coordination_audit_records FOR EACH STATEMENT EXECUTE FUNCTION fail_often()")
		time.Sleep(time.Second)
		mustExec(t, db.Pool, "DROP TRIGGER fail_often ON coordination_audit_records")
	})
	if stats.Retries == 0 {
		t.Error("no batch was tried again: no insert failed")
	}
}

func aStormOfTerminatedSessionsLosesNothing(t *testing.T, db Database) {
	pool := openPool(t, withSetting(db.URL, "application_name=recorder"), func(*pgxpool.Config) {})
	terminated := 0
	underLoad(t, db, coordaudit.New(pool, quiet()), hasty(t), func() {
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			terminated += queryInt(t, db.Pool, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE application_name = 'recorder' AND datname = current_database()`)
		}
	})
	if terminated < 20 {
		t.Errorf("only %d sessions were terminated, which proves nothing", terminated)
	}
}

func connectionsCutAroundTheCommitLoseNothing(t *testing.T, db Database) {
	proxy := faultproxy.New(t, db.URL)
	store := openStore(t, proxy.URL(), quiet())
	stats := underLoad(t, db, store, hasty(t), func() {
		for range 20 {
			for _, cut := range []func(){
				func() { proxy.CutAtClient(faultproxy.Execute) },         // before the statement
				func() { proxy.CutAtClient(faultproxy.Sync) },            // sent, not committed
				func() { proxy.CutAtServer(faultproxy.CommandComplete) }, // committing
				func() { proxy.CutAtServer(faultproxy.ReadyForQuery) },   // committed
			} {
				cut()
				time.Sleep(20 * time.Millisecond)
			}
		}
	})
	if stats.Retries < 10 {
		t.Errorf("%d batches were tried again, which proves little", stats.Retries)
	}
}

func aServerThatFallsSilentLosesNothing(t *testing.T, db Database) {
	proxy := faultproxy.New(t, db.URL)
	storeConfig := quiet()
	storeConfig.Timeout = 100 * time.Millisecond
	dir := t.TempDir()
	recorder := newRecorder(t, openStore(t, proxy.URL(), storeConfig), coordaudit.RecorderConfig{DeadLetterDir: dir, RetryBudget: time.Second})
	producers := load.Start(t, recorder, load.Config{Producers: 8, Every: 2 * time.Millisecond})
	eventually(t, func() bool { return recorder.Stats().Total().Persisted > 0 })
	proxy.Stall()
	eventually(t, func() bool { return recorder.Stats().Total().DeadLettered > 100 })
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
