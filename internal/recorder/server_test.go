package recorder_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func quiet() coordaudit.Config {
	return coordaudit.Config{Logger: slog.New(slog.DiscardHandler)}
}

func newRecorder(t *testing.T, store *coordaudit.Store, config coordaudit.RecorderConfig) *coordaudit.Recorder {
	t.Helper()
	recorder, err := store.NewRecorder(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = recorder.Close(context.Background()) })
	return recorder
}

func eventually(t *testing.T, limit time.Duration, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after %v", limit)
		}
	}
}

// underLoad lets the server fail under load. It requires that every accepted record is
// stored in the end, and only once.
func underLoad(t *testing.T, server *pglocal.Server, config coordaudit.RecorderConfig, fault func()) *loadgen.Load {
	t.Helper()
	db := testdb.NewOn(t, server)
	config.SpoolDir = t.TempDir()
	config.MaxRetryDelay = 500 * time.Millisecond
	recorder := newRecorder(t, coordaudit.New(db.Pool, quiet()), config)
	producers := loadgen.Start(t, recorder, loadgen.Config{Producers: 8, Every: 2 * time.Millisecond})
	eventually(t, 30*time.Second, func() bool { return recorder.Stats().Total().Persisted > 0 })
	fault()
	after := producers.Offered()
	eventually(t, 30*time.Second, func() bool { return producers.Offered() > after+100 })
	producers.Stop()
	eventually(t, time.Minute, func() bool {
		total := recorder.Stats().Total()
		return total.Spooled == 0 && total.Queued == 0
	})
	if err := recorder.Close(t.Context()); err != nil {
		t.Error(err)
	}
	producers.Verify(t, db.Pool, config.SpoolDir)
	if total := recorder.Stats().Total(); total.Persisted+total.AlreadyPersisted != producers.Offered() {
		t.Errorf("not every record is stored: %+v of %d", total, producers.Offered())
	}
	return producers
}

func TestServerStopped(t *testing.T) {
	t.Parallel()
	server := testdb.Durable(t)
	producers := underLoad(t, server, coordaudit.RecorderConfig{RetryBudget: time.Second}, func() {
		if err := server.ShutDown(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if accepted := producers.Answers()[loadgen.Accepted]; accepted < 1000 {
		t.Errorf("only %d records were accepted in ten seconds, too few to prove much", accepted)
	}
}

func TestServerKilled(t *testing.T) {
	t.Parallel()
	server := testdb.Durable(t)
	underLoad(t, server, coordaudit.RecorderConfig{RetryBudget: 100 * time.Millisecond}, func() {
		for range 20 {
			time.Sleep(30*time.Millisecond + rand.N(150*time.Millisecond))
			if err := server.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
