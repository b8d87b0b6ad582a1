package expiry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// No one holds up expiry, erasure or a hold who has no part in them: not by an advisory lock, which
// anyone may take, nor by any lock that the roles of a trail may take on its tables.
func TestNoOneElseHoldsUpTheRetention(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	stranger, writer, sealing := newRole(t, tr.db), newRole(t, tr.db), newRole(t, tr.db)
	tr.grant(t, auditmigrate.GrantConfig{Writers: []string{writer}, Sealers: []string{sealing}})

	hold := func(role, sql string) {
		t.Helper()
		tx, err := tr.as(t, role).Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	oid := fixture.QueryInt(t, tr.db.Pool, "SELECT 'coordination_audit_records'::regclass::oid::bigint")
	hold(stranger, fmt.Sprintf("SELECT pg_advisory_xact_lock(hashtextextended('coordaudit retention', %d))", oid))
	hold(writer, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp)
		VALUES (gen_random_uuid(), 'an envelope', 'COST', 'APPLIED', 'a reason', now())`)
	hold(sealing, "INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES (gen_random_uuid(), 'epoch opened', 1, '{}')")
	for _, role := range []string{stranger, writer, sealing, tr.role} {
		for _, mode := range []string{"SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"} {
			_, err := tr.as(t, role).Exec(t.Context(), "BEGIN; LOCK TABLE coordination_audit_seal_events IN "+mode+" MODE NOWAIT; ROLLBACK")
			if stateOf(err) != "42501" {
				t.Errorf("%s takes %s on the events: %v", role, mode, err)
			}
		}
	}

	id, err := expiry.PlaceHold(t.Context(), tr.keeper, "", expiry.Hold{TenantID: "acme", Why: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := expiry.ReleaseHold(t.Context(), tr.keeper, "", id, "a test"); err != nil {
		t.Error(err)
	}
	if _, err := expiry.Erase(t.Context(), tr.config(t), recs[0].AuditID, expiry.Reason, "a test"); err != nil {
		t.Error(err)
	}
	dir, m := tr.archive(t, cost())
	if applied := tr.mustApply(t, dir); applied.Expired != m.Records {
		t.Errorf("%+v", applied)
	}
}

// A hold that is being placed when a batch begins is waited for, and the batch then sees it. A hold
// waits for a batch that began before.
func TestHoldAndBatchWaitForEachOther(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 600)
	tr.seal(t)
	const place = "SELECT coordination_audit_place_hold(NULL, NULL, NULL, clock_timestamp() - interval '1 hour', NULL, 'a test')"
	begin := func() pgx.Tx {
		t.Helper()
		tx, err := tr.keeper.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
		return tx
	}
	// waits runs the second while the first is open, and returns its error once it is committed.
	waits := func(first, second func(tx pgx.Tx) error) error {
		t.Helper()
		one, other := begin(), begin()
		pid := other.Conn().PgConn().PID()
		if err := first(one); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- errors.Join(second(other), other.Commit(t.Context())) }()
		fixture.Eventually(t, func() bool {
			return fixture.QueryInt(t, tr.db.Pool, fmt.Sprintf("SELECT count(*) FROM pg_locks WHERE pid = %d AND NOT granted", pid)) > 0
		})
		if err := one.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		return <-done
	}
	expire := func(tx pgx.Tx) error { return expireByHand(t.Context(), tx, "{[1,51)}", "{}", 50) }
	hold := func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), place)
		return err
	}
	if err := waits(hold, expire); stateOf(err) != "UA002" {
		t.Errorf("a batch after a hold: %v, want it held", err)
	}
	tr.releaseAll(t)
	if err := waits(expire, hold); err != nil {
		t.Errorf("a hold after a batch: %v", err)
	}
	if n := tr.count(t); n != 550 {
		t.Errorf("%d rows, want 550", n)
	}
}

func (tr *trail) releaseAll(t *testing.T) {
	t.Helper()
	holds, err := expiry.Holds(t.Context(), tr.keeper, "")
	for _, hold := range holds {
		if _, freeErr := expiry.ReleaseHold(t.Context(), tr.keeper, "", hold.ID, "a test"); freeErr != nil {
			err = errors.Join(err, freeErr)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Nothing expires, and nothing is erased, held or released, of which a trigger of the owner takes the
// event away where the guard of the events does not stand.
func TestNothingIsDoneWhoseEventATriggerTakesAway(t *testing.T) {
	t.Parallel()
	for name, trigger := range map[string]string{
		"Deleted":   "CREATE TRIGGER meddles AFTER INSERT ON coordination_audit_seal_events FOR EACH STATEMENT",
		"AtCommit":  "CREATE CONSTRAINT TRIGGER meddles AFTER INSERT ON coordination_audit_seal_events DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
		"Discarded": "CREATE TRIGGER meddles BEFORE INSERT ON coordination_audit_seal_events FOR EACH ROW",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := newTrail(t)
			recs := tr.fill(t, 600)
			tr.seal(t)
			held, err := expiry.PlaceHold(t.Context(), tr.keeper, "", expiry.Hold{TenantID: "elsewhere", Why: "a test"})
			if err != nil {
				t.Fatal(err)
			}
			execute(t, tr.db.Pool, `ALTER TABLE coordination_audit_seal_events DISABLE TRIGGER coordination_audit_seal_events_refuse_update_delete;
				CREATE FUNCTION meddles() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
					DELETE FROM public.coordination_audit_seal_events WHERE kind <> 'epoch opened' AND body NOT LIKE '%elsewhere%' AND body NOT LIKE '%minimum_days%';
					RETURN NULL;
				END $$;
				`+trigger+` EXECUTE FUNCTION meddles();
				ALTER TABLE coordination_audit_seal_events ENABLE ALWAYS TRIGGER meddles`)
			by := func(pool *pgxpool.Pool, work func(tx pgx.Tx) error) error {
				return pgx.BeginFunc(t.Context(), pool, work)
			}
			for what, err := range map[string]error{
				"expire":  by(tr.keeper, func(tx pgx.Tx) error { return expireByHand(t.Context(), tx, "{[1,51)}", "{}", 50) }),
				"erase":   by(tr.keeper, func(tx pgx.Tx) error { return eraseByHand(t.Context(), tx, recs[100].AuditID.String()) }),
				"hold":    errOf(expiry.PlaceHold(t.Context(), tr.keeper, "", expiry.Hold{TenantID: "acme", Why: "a test"})),
				"release": errOf(expiry.ReleaseHold(t.Context(), tr.keeper, "", held, "a test")),
			} {
				if err == nil || stateOf(err) != "UA007" && !strings.Contains(err.Error(), "SQLSTATE UA007") {
					t.Errorf("%s: %v, want SQLSTATE UA007", what, err)
				}
			}
			if err := expiry.SetMinimumAge(t.Context(), tr.db.Pool, "", 700, "a test"); name != "Discarded" && err != nil {
				t.Errorf("a minimum that the trigger leaves: %v", err)
			} else if name == "Discarded" && err == nil {
				t.Error("a minimum that was discarded was set")
			}
			execute(t, tr.db.Pool, "DROP TRIGGER meddles ON coordination_audit_seal_events")
			mustHoldAll(t, tr, 600)
			tr.seal(t)
			tr.mustVerify(t)
		})
	}
}

// A text is not erased that a trigger puts back, as one may that acts with the rights of the function.
func TestTextThatATriggerPutsBackIsNotErased(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	execute(t, tr.db.Pool, `CREATE FUNCTION puts_back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF NEW.reason LIKE '[erased%' THEN
				UPDATE public.coordination_audit_records SET reason = OLD.reason WHERE audit_id = NEW.audit_id;
			END IF;
			RETURN NULL;
		END $$;
		CREATE TRIGGER puts_back AFTER UPDATE ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION puts_back()`)
	_, err := expiry.Erase(t.Context(), tr.config(t), recs[0].AuditID, expiry.Reason, "a test")
	if err == nil || !strings.Contains(err.Error(), "SQLSTATE UA007") {
		t.Errorf("%v, want SQLSTATE UA007", err)
	}
	if n := tr.events(t, "erased"); n != 0 {
		t.Errorf("%d events", n)
	}
}

// errOf drops a call's result.
func errOf[T any](_ T, err error) error { return err }
