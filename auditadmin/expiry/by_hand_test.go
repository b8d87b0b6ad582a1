package expiry_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// lastCheckpoint is the stored one, as the functions take it.
const lastCheckpoint = "c.epoch, c.size, c.root"

// expireByHand calls the function as a role that leaves the program out.
func expireByHand(ctx context.Context, on pgx.Tx, seqs string, classes string, expected int) error {
	_, err := on.Exec(ctx, fmt.Sprintf(`
		SELECT coordination_audit_expire(repeat('a', 64), 1, 1, %s, true, NULL, '%s', clock_timestamp(), '%s', %d)
		FROM (SELECT * FROM coordination_audit_seal_checkpoints ORDER BY epoch DESC, size DESC LIMIT 1) AS c`, lastCheckpoint, classes, seqs, expected))
	return err
}

func eraseByHand(ctx context.Context, on pgx.Tx, id string) error {
	_, err := on.Exec(ctx, fmt.Sprintf(`
		SELECT coordination_audit_erase('%s', 'reason', %s, 'a test')
		FROM (SELECT * FROM coordination_audit_seal_checkpoints ORDER BY epoch DESC, size DESC LIMIT 1) AS c`, id, lastCheckpoint))
	return err
}

// A transaction that began before a hold was placed must not miss it. With the snapshot of its
// beginning it would, so the functions refuse such a transaction.
func TestHoldIsSeenByATransactionThatBeganBefore(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		for name, try := range map[string]func(tx pgx.Tx) error{
			"expire": func(tx pgx.Tx) error { return expireByHand(t.Context(), tx, "{[1,101)}", "{}", 100) },
			"erase":  func(tx pgx.Tx) error { return eraseByHand(t.Context(), tx, recs[0].AuditID.String()) },
		} {
			tx, err := tr.keeper.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(t.Context(), "SELECT count(*) FROM coordination_audit_seal_events"); err != nil { // its snapshot
				t.Fatal(err)
			}
			id, err := expiry.PlaceHold(t.Context(), tr.keeper, "", expiry.Hold{Since: time.Now().Add(-time.Hour), Why: "a test"})
			if err != nil {
				t.Fatal(err)
			}
			want := "UA005"
			if level == pgx.ReadCommitted {
				want = "UA002"
			}
			if err := try(tx); stateOf(err) != want {
				t.Errorf("%s, %s: %v, want SQLSTATE %s", level, name, err, want)
			}
			_ = tx.Rollback(t.Context()) // it has failed
			if _, err := expiry.ReleaseHold(t.Context(), tr.keeper, "", id, "a test"); err != nil {
				t.Fatal(err)
			}
		}
	}
	mustHoldAll(t, tr, 600)
}

// An event names the records that it removes, and no others: a record that stays would be on record
// as expired in advance.
func TestEventNamesNoRecordThatStays(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 600)
	tr.seal(t)
	for _, test := range []struct {
		seqs, classes string
		expected      int
	}{
		{"{[1,101)}", "{COST}", 25},
		{"{[1,101)}", "{NOTHING}", 0},
	} {
		err := pgx.BeginFunc(t.Context(), tr.keeper, func(tx pgx.Tx) error {
			return expireByHand(t.Context(), tx, test.seqs, test.classes, test.expected)
		})
		if stateOf(err) != "UA003" {
			t.Errorf("%+v: %v", test, err)
		}
	}
	mustHoldAll(t, tr, 600)
}

// A range below the first seq names no record, and to look for each of its seqs could fill the disk.
func TestSeqsBelowTheFirstAreRefusedUnread(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 600)
	tr.seal(t)
	for _, seqs := range []string{"{[0,3)}", "{[-9,-7),[1,3)}", "{[-3000000,3)}"} {
		err := pgx.BeginFunc(t.Context(), tr.keeper, func(tx pgx.Tx) error { return expireByHand(t.Context(), tx, seqs, "{}", 2) })
		if stateOf(err) != "UA005" {
			t.Errorf("%s: %v", seqs, err)
		}
	}
	mustHoldAll(t, tr, 600)
}

// A hold that no record can fit would stop nothing, and no one would know.
func TestHoldThatNothingFitsIsRefused(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	now := time.Now()
	for name, hold := range map[string]expiry.Hold{
		"ends before it begins": {Since: now, Until: now.Add(-time.Hour)},
		"an empty window":       {Since: now, Until: now},
		"a class of no record":  {TenantID: "acme", Class: "SAVING"},
		"a tenant too long":     {TenantID: strings.Repeat("x", 101)},
		"an envelope too long":  {EnvelopeID: strings.Repeat("x", 101)},
	} {
		hold.Why = "a test"
		if _, err := expiry.PlaceHold(t.Context(), tr.keeper, "", hold); err == nil {
			t.Errorf("%s: it was placed", name)
		}
		if hold.Class != "" {
			continue // the function does not know the classes
		}
		_, err := tr.keeper.Exec(t.Context(), "SELECT coordination_audit_place_hold(nullif($1, ''), nullif($2, ''), NULL, nullif($3, '0001-01-01 00:00+00'::timestamptz), nullif($4, '0001-01-01 00:00+00'::timestamptz), 'a test')",
			hold.TenantID, hold.EnvelopeID, hold.Since, hold.Until)
		if stateOf(err) != "UA005" {
			t.Errorf("%s, by hand: %v", name, err)
		}
	}
	if n := tr.events(t, "hold placed"); n != 0 {
		t.Errorf("%d holds", n)
	}
	if _, err := expiry.PlaceHold(t.Context(), tr.keeper, "", expiry.Hold{Class: "safety", Why: "a test"}); err != nil {
		t.Fatal(err)
	}
	holds, err := expiry.Holds(t.Context(), tr.keeper, "")
	if err != nil || len(holds) != 1 || holds[0].Class != "SAFETY" {
		t.Errorf("in lower case: %+v, %v", holds, err)
	}
}

// Events cannot be removed, so one that cannot be read would stop verification, completeness and
// expiry forever. No sealer can store one, nor a role that places holds.
func TestEventThatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 600)
	tr.seal(t)
	role := newRole(t, tr.db)
	tr.grant(t, auditmigrate.GrantConfig{Sealers: []string{role}})
	pool := tr.as(t, role)
	archive := strings.Repeat("a", 64)
	expired := func(change string) string {
		return `{"archive": "` + archive + `", "first_seq": 5, "last_seq": 6, "records": 2, "seqs": "{[5,7)}", "sources": {}` + change + `}`
	}
	ordinals := func(of string) string {
		return `, "sources": {"01a22592-1643-70aa-bd36-922a76dfc914": "{[1,2)}", "01a22592-1643-70aa-bd36-922a76dfc915": "` + of + `"}`
	}
	for kind, bodies := range map[string][]string{
		"expired": {
			"", "x", "{}", "[]", expired(`, "archive": null`), expired(`, "archive": "b"`), expired(`, "first_seq": null`), expired(`, "last_seq": "x"`),
			expired(`, "last_seq": 5`), expired(`, "records": null`), expired(`, "records": 0`), expired(`, "seqs": null`), expired(`, "seqs": "{}"`),
			expired(`, "seqs": "{[5,)}"`), expired(`, "seqs": "{[6,5)}"`), expired(`, "seqs": "{[5,99999999999999999999)}"`), expired(`, "sources": null`), expired(`, "sources": 1`),
			expired(`, "sources": {"x": "{[1,2)}"}`), expired(`, "sources": {"01a22592-1643-70aa-bd36-922a76dfc914": 1}`), expired(`, "sources": {"01a22592-1643-70aa-bd36-922a76dfc914": "x"}`),
			// What no multirange is, or one that the function would write in another way.
			expired(`, "seqs": "{[5,6),[6,7)}"`), expired(`, "seqs": "{[6,7),[5,6)}"`), expired(`, "seqs": "{[5,7),[6,6)}"`), expired(`, "seqs": "{[5,07)}"`),
			expired(`, "seqs": "{[5,8)}"`), expired(`, "seqs": "{[4,7)}"`), expired(`, "seqs": "{[4,5),[6,7)}"`), expired(`, "seqs": ["{[5,7)}"]`), expired(`, "first_seq": 6`),
			expired(ordinals("{[3,2)}")), expired(ordinals("{[2,2)}")), expired(ordinals("{[1,2),}")), expired(ordinals("{[1,2)[4,5)}")), expired(ordinals("{[1,2)[3,400)}")),
			expired(ordinals("{[4,5),[1,2)}")), expired(ordinals("{[1,3),[2,5)}")), expired(ordinals("{[01,2)}")),
		},
		"hold placed":   {"", "x", "[]", `{"since": "x"}`, `{"until": "infinity"}`, `{"since": "0044-03-15 BC"}`},
		"hold released": {"", "{}", `{"hold_id": "x"}`},
		"retention set": {"", "{}", `{"minimum_days": null}`, `{"minimum_days": "x"}`, `{"minimum_days": -1}`},
	} {
		for _, body := range bodies {
			if _, err := pool.Exec(t.Context(), "INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES (gen_random_uuid(), $1, 1, $2)", kind, body); err == nil {
				t.Errorf("%s %s: it was stored", kind, body)
			}
		}
	}
	for _, at := range []string{"infinity", "-infinity", "0044-03-15 BC"} {
		if _, err := tr.keeper.Exec(t.Context(), "SELECT coordination_audit_place_hold('acme', NULL, NULL, NULL, $1::timestamptz, 'a test')", at); stateOf(err) != "UA005" {
			t.Errorf("until %s: %v", at, err)
		}
	}
	// The sealer can still lie, which is sealed, and found.
	execute(t, pool, "INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES (gen_random_uuid(), 'expired', 1, $1)",
		expired(`, "sources": {"01a22592-1643-70aa-bd36-922a76dfc914": "{[1,2),[4,5)}"}`))
	if found := tr.verify(t).Findings; len(found) != 2 {
		t.Errorf("%+v", found)
	}
}

// A record that was committed late lies behind its neighbours in the log: first in no full tile, and
// then in one that an older checkpoint does not cover. As long as that is so, no function takes it,
// although its neighbours may leave.
func TestLateRecordStaysUntilItsTileIsCovered(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tx, err := tr.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	late := fixture.NewRecord()
	placed, err := tr.store.PersistTx(t.Context(), tx, late)
	if err != nil {
		t.Fatal(err)
	}
	tr.fill(t, 600)
	tr.sealAround(t)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	seqs := fmt.Sprintf("{[%d,%d)}", placed.Seq, placed.Seq+1)
	try := func(when, size, want string) {
		t.Helper()
		for name, err := range map[string]error{
			"expire": tr.atCheckpoint(t, size, "coordination_audit_expire(repeat('a', 64), 1, 1, "+lastCheckpoint+", true, NULL, '{}', clock_timestamp(), '"+seqs+"', 1)"),
			"erase":  tr.atCheckpoint(t, size, "coordination_audit_erase('"+late.AuditID.String()+"', 'reason', "+lastCheckpoint+", 'a test')"),
		} {
			if stateOf(err) != want {
				t.Errorf("%s, %s: %v, want SQLSTATE %q", when, name, err, want)
			}
		}
	}
	const last = "(SELECT max(size) FROM coordination_audit_seal_checkpoints)"
	before := strconv.Itoa(fixture.QueryInt(t, tr.db.Pool, "SELECT max(size) FROM coordination_audit_seal_checkpoints"))
	try("before it is sealed", last, "UA004")
	tr.sealAround(t)
	try("in the tail", last, "UA004")
	tr.sealAround(t) // the tail is read again: nothing is missing there
	tr.fill(t, 600)
	tr.sealAround(t)
	try("with a checkpoint of before", before, "UA004")
	if err := tr.atCheckpoint(t, before, "coordination_audit_expire(repeat('b', 64), 1, 1, "+lastCheckpoint+", true, NULL, '{}', clock_timestamp(), '{[2,12)}', 10)"); err != nil {
		t.Errorf("its neighbours: %v", err)
	}
	try("in a full tile", last, "")
	if n := tr.count(t); n != 1200-10+1 {
		t.Errorf("%d rows", n)
	}
	tr.mustVerify(t)
}

// atCheckpoint calls a function with the stored checkpoint of a size, in a transaction that is kept
// only if the neighbours of a late record expire.
func (tr *trail) atCheckpoint(t *testing.T, size, call string) error {
	t.Helper()
	return pgx.BeginFunc(t.Context(), tr.keeper, func(tx pgx.Tx) error {
		nested, err := tx.Begin(t.Context())
		if err != nil {
			return err
		}
		if _, err := nested.Exec(t.Context(), "SELECT "+call+" FROM coordination_audit_seal_checkpoints AS c WHERE c.size = "+size); err != nil {
			return err
		}
		if strings.Contains(call, "repeat('b'") {
			return nested.Commit(t.Context())
		}
		return nested.Rollback(t.Context())
	})
}

// sealAround seals without waiting for open transactions.
func (tr *trail) sealAround(t *testing.T) {
	t.Helper()
	made, err := sealer.New(tr.db.Pool, sealer.Config{Signer: tr.signer, Export: tr.export, Patience: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		_, err = made.Once(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}
