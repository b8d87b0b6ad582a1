package auditmigrate_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

const (
	callExpire = `SELECT coordination_audit_expire(repeat('a', 64), 1, 1, 1, 256, '\x00', true, NULL, '{}', now() - interval '400 days', '{[1,2)}', 1)`
	callErase  = `SELECT coordination_audit_erase(gen_random_uuid(), 'reason', 1, 256, '\x00', 'why')`
	callHold   = `SELECT coordination_audit_place_hold('acme', NULL, NULL, NULL, NULL, 'why')`
	callFree   = `SELECT coordination_audit_release_hold(gen_random_uuid(), 'why')`
	callPut    = `SELECT coordination_audit_put_event(gen_random_uuid(), 'erased', 1, '{}')`
	callSealed = `SELECT coordination_audit_sealed_through(1, 256, '\x00', '{[1,2)}')`
)

// Each role may call its own functions and no others, reads what a reader reads, and changes
// nothing by itself. An owner who is no superuser can name them, if the schema is theirs too.
func TestRetentionGrants(t *testing.T) {
	t.Parallel()
	db, owner, migrator := owned(t)
	execute(t, db.Pool, "ALTER ROLE "+owner+" CREATEROLE; ALTER SCHEMA public OWNER TO "+owner)
	mustUp(t, migrator)
	expirer, eraser, holder := newRole(t, db), newRole(t, db), newRole(t, db)
	config := auditmigrate.GrantConfig{Expirers: []string{expirer}, Erasers: []string{eraser}, Holders: []string{holder}}
	if grants := mustApply(t, migrator, config); len(grants.Statements) == 0 || len(grants.Warnings) > 0 {
		t.Errorf("%+v", grants)
	}
	if again := mustApply(t, migrator, config); len(again.Statements) > 0 {
		t.Errorf("again: %q", again.Statements)
	}
	calls := map[string]string{callExpire: expirer, callErase: eraser, callHold: holder, callFree: holder, callSealed: "", callPut: ""}
	for _, role := range []string{expirer, eraser, holder} {
		pool := poolAs(t, db, role)
		for call, may := range calls {
			_, err := pool.Exec(t.Context(), call)
			pgErr, _ := errors.AsType[*pgconn.PgError](err)
			forbidden := pgErr != nil && pgErr.Code == "42501"
			if forbidden == (may == role) {
				t.Errorf("%s: %v", call, err)
			}
		}
		for _, table := range []string{"records", "seal_tiles", "seal_checkpoints", "seal_events"} {
			if _, err := pool.Exec(t.Context(), "SELECT FROM coordination_audit_"+table); err != nil {
				t.Errorf("reading: %v", err)
			}
		}
		mustBeForbidden(t, pool, "keeper", slices.Concat([]string{insertRecord, insertGap, insertStatement, insertTile, insertCheckpoint, insertSealEvent}, edits())...)
	}
	members := texts(t, db.Pool, "SELECT pg_get_userbyid(member)::text FROM pg_auth_members WHERE roleid = 'coordaudit_retention'::regrole AND member = '"+owner+"'::regrole")
	if len(members) > 0 {
		t.Errorf("the owner stays a member of %s", auditmigrate.RetentionRole)
	}
	if got := texts(t, db.Pool, "SELECT rolcanlogin::text || rolsuper::text || rolcreaterole::text FROM pg_roles WHERE rolname = 'coordaudit_retention'"); got[0] != "falsefalsefalse" {
		t.Errorf("the role is %s", got[0])
	}

	// Named as something else, they lose the functions.
	mustApply(t, migrator, auditmigrate.GrantConfig{Readers: []string{expirer}, Holders: []string{eraser, holder}})
	for role, call := range map[string]string{expirer: callExpire, eraser: callErase} {
		mustBeForbidden(t, poolAs(t, db, role), "reader", call)
	}
}

// A CHECK of the events calls a function as whoever stores one. Where that right was revoked, the next
// grant gives it back.
func TestGrantsLetEventsBeStored(t *testing.T) {
	t.Parallel()
	db, _, migrator := owned(t)
	mustUp(t, migrator)
	const body = `{"archive": "` + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" + `", "first_seq": 5, "last_seq": 6, "records": 2, "seqs": "{[5,7)}", "sources": {}}`
	execute(t, db.Pool, "REVOKE EXECUTE ON FUNCTION coordination_audit_are_multiranges FROM PUBLIC")
	sealer := newRole(t, db)
	config := auditmigrate.GrantConfig{Sealers: []string{sealer}}
	mustApply(t, migrator, config)
	if again := mustApply(t, migrator, config); len(again.Statements) > 0 {
		t.Errorf("again: %q", again.Statements)
	}
	_, err := poolAs(t, db, sealer).Exec(t.Context(), "INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES (gen_random_uuid(), 'expired', 1, $1)", body)
	if err != nil {
		t.Error(err)
	}
}

// Until someone is named, no one may call the functions, and the guards refuse them to the owner.
func TestFunctionsDoNothingBeforeGrants(t *testing.T) {
	t.Parallel()
	db, owner, migrator := owned(t)
	mustUp(t, migrator)
	reader := newRole(t, db)
	mustApply(t, migrator, auditmigrate.GrantConfig{Readers: []string{reader}})
	mustBeForbidden(t, poolAs(t, db, reader), "reader", callExpire, callErase, callHold, callFree, callSealed, callPut)
	own := texts(t, db.Pool, "SELECT DISTINCT pg_get_userbyid(proowner)::text FROM pg_proc WHERE starts_with(proname, 'coordination_audit_')")
	if len(own) != 1 || own[0] != owner {
		t.Errorf("the functions belong to %q", own)
	}
	plan, err := migrator.PlanGrants(t.Context(), auditmigrate.GrantConfig{Expirers: []string{reader}})
	if err != nil || !slices.ContainsFunc(plan.Warnings, func(w string) bool { return strings.Contains(w, "takes a superuser") }) {
		t.Errorf("%+v, %v", plan, err)
	}
}

// Reverting keeps the events of holds, and applying again makes the functions again.
func TestRetentionIsReverted(t *testing.T) {
	t.Parallel()
	db, _, migrator := owned(t)
	mustUp(t, migrator)
	execute(t, db.Pool, callHold)
	if changes, err := migrator.Down(t.Context()); err != nil || changes[0].Version != 11 {
		t.Fatalf("%+v, %v", changes, err)
	}
	if n := texts(t, db.Pool, "SELECT count(*)::text FROM coordination_audit_seal_events WHERE kind = 'hold placed'"); n[0] != "1" {
		t.Errorf("%s holds are left", n[0])
	}
	if _, err := db.Pool.Exec(t.Context(), "DELETE FROM coordination_audit_seal_events"); err == nil {
		t.Error("an event was deleted")
	}
	mustUp(t, migrator)
	if err := migrator.Validate(t.Context()); err != nil {
		t.Error(err)
	}
}
