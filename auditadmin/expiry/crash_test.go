package expiry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

const childVariable = "COORDAUDIT_TEST_EXPIRY_CHILD"

// child is what the process that is killed works on.
type child struct {
	URL, Role, Dir, Verifier string
	Checkpoint               []byte
}

// TestMain lets a test start this binary as the process that it kills.
func TestMain(m *testing.M) {
	if settings := os.Getenv(childVariable); settings != "" {
		if err := applySlowly(context.Background(), settings); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func applySlowly(ctx context.Context, settings string) error {
	var c child
	if err := json.Unmarshal([]byte(settings), &c); err != nil {
		return err
	}
	verifier, err := note.NewVerifier(c.Verifier)
	if err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return err
	}
	config.ConnConfig.RuntimeParams["role"] = c.Role
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = expiry.Apply(ctx, expiry.Config{Pool: pool, Checkpoint: c.Checkpoint, Verifier: verifier}, expiry.ApplyConfig{
		Dir: c.Dir, Progress: func(int64, int64) { time.Sleep(5 * time.Millisecond) },
	})
	return err
}

// The process is killed again and again while it expires batches. Each record is in the table or
// on record as expired, at any moment, and in the end all of the archive are.
func TestKilledExpiryGoesOn(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	records := fixture.Size(t, "COORDAUDIT_TEST_EXPIRY_RECORDS", 3000)
	tr.fill(t, records)
	tr.seal(t)
	dir, m := tr.archive(t, cost())
	config := tr.config(t)
	settings, err := json.Marshal(child{URL: tr.db.URL, Role: tr.role, Dir: dir, Verifier: tr.public, Checkpoint: config.Checkpoint})
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	killed := 0 // with some batches on record, and some not
	for range 12 {
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = append(os.Environ(), childVariable+"="+string(settings))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(150+rand.IntN(250))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		if n := tr.events(t, "expired"); err != nil && n > 0 && n < int64(len(m.Batches)) {
			killed++
		}
		checkBalance(t, tr, int64(records))
	}
	tr.mustApply(t, dir)
	checkBalance(t, tr, int64(records))
	tr.seal(t)
	result := tr.mustVerify(t)
	if result.Expired != m.Records || tr.count(t) != int64(records)-m.Records || tr.events(t, "expired") != int64(len(m.Batches)) {
		t.Errorf("%+v; %d rows", result, tr.count(t))
	}
	t.Logf("killed between two of %d batches %d times", len(m.Batches), killed)
	if found, err := tr.store.Completeness(t.Context(), audit.CompletenessQuery{}); err != nil || !found.Complete() {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := expiry.CheckArchive(t.Context(), dir, tr.verifier, nil); err != nil {
		t.Error(err)
	}
}

// checkBalance compares rows and events of one moment.
func checkBalance(t *testing.T, tr *trail, records int64) {
	t.Helper()
	var rows, expired int64
	err := tr.db.Pool.QueryRow(t.Context(), `SELECT
		(SELECT count(*) FROM coordination_audit_records),
		(SELECT coalesce(sum((body::jsonb ->> 'records')::bigint), 0) FROM coordination_audit_seal_events WHERE kind = 'expired')`).Scan(&rows, &expired)
	if err != nil || rows+expired != records {
		t.Errorf("%d rows and %d expired are not %d, %v", rows, expired, records, err)
	}
}
