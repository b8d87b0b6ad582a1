package coordaudit

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/reading"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// preemption has a decision to explain in one tenant, and evidence that belongs to another one.
func preemption() (lost, guard audit.Record, foreign []audit.Record) {
	lost = preempted(noon(), "acme", "saver", "guard")
	lost.AuditID, lost.ReasonCode, lost.PolicyVersion, lost.Actor = number(1), "OUTRANKED", "rules-7", "coordinator-1"
	lost.Origin.TraceID, lost.Origin.SpanID = audit.TraceID{15: 9}, audit.SpanID{7: 1}
	lost.ActiveEnvelopesCount = 3
	guard = applied(noon().Add(961*time.Microsecond), "acme", "guard")
	guard.AuditID, guard.EnvelopeClass = number(2), audit.Safety
	correction := applied(noon().Add(time.Hour), "emu", "secret-correction")
	correction.AuditID, correction.Links.Corrects = number(91), lost.AuditID
	neighbour := applied(noon(), "emu", "guard")
	neighbour.AuditID, neighbour.Reason = number(92), "secret reason"
	return lost, guard, []audit.Record{correction, neighbour}
}

func TestExplainText(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	lost, guard, foreign := preemption()
	again := applied(noon().Add(5*time.Minute+3*time.Second), "acme", "saver")
	again.AuditID = number(3)
	persist(t, db, append(foreign, lost, guard, again)...)
	got := run(t, db.URL, "", "explain", lost.AuditID.String(), "--tenant=acme", "--trace-url=https://traces.example/t/{trace_id}")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout,
		"decision   PREEMPTED saver (COST) of tenant acme, at 2026-01-05T12:00:00.000000Z\n",
		"why        guard (SAFETY) took its place: goes to guard [OUTRANKED]\n",
		"evidence   APPLIED 961µs later: "+guard.AuditID.String()+", found by rule: its nearest APPLIED within 1m\n",
		"stated     3 envelopes active after it, policy rules-7, by coordinator-1, trace https://traces.example/t/00000000000000000000000000000009\n",
		"after      applied again 5m3s later: "+again.AuditID.String()+"\n",
		"pair       the two met 1 time within 7 days before and after: it was preempted 1× and rejected 0×, the other 0× and 0×\n",
		"missing    nothing near it, as far as is on record\n",
		"sealed     not sealed yet\n",
		"next       explain the other decision: coordaudit explain "+guard.AuditID.String()+" --tenant acme\n")
	for _, secret := range []string{"secret", "emu", number(91).String(), number(92).String()} {
		if strings.Contains(got.stdout+got.stderr, secret) {
			t.Errorf("%q of another tenant is shown:\n%s", secret, got.stdout)
		}
	}
}

// Twelve lines, regardless of what the texts hold and of how much there is to say.
func TestExplainHasTwelveLinesAtMost(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	recs := unpleasant()
	for i := range recs {
		recs[i].AuditID = number(i + 1)
		if i > 0 {
			recs[i].Links.CausedBy = number(i)
			recs[i].Links.Corrects = number((i + 1) / 2)
			recs[i].Links.CorrelationID, recs[i].PolicyVersion = "a\nb", "c\x1b[31m"
		}
	}
	persist(t, db, recs...)
	fixture.MustExec(t, db.Pool, `INSERT INTO coordination_audit_gaps (gap_id, dropped_cost, dropped_safety, dropped_reliability, dropped_performance, dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause)
		SELECT gen_random_uuid(), 1, 0, 0, 0, 0, gen_random_uuid(), gen_random_uuid(), decision_timestamp, decision_timestamp, E'disk\nfull' FROM coordination_audit_records LIMIT 40`)
	for i := 0; i < len(recs); i += 7 {
		got := run(t, db.URL, "", "explain", recs[i].AuditID.String(), "--all-tenants")
		got.mustExit(t, cli.ExitDone)
		if n := strings.Count(got.stdout, "\n"); n > 12 || n < 6 {
			t.Errorf("%d lines:\n%s", n, got.stdout)
		}
		if strings.ContainsAny(got.stdout, "\x1b\x07\u202e") {
			t.Errorf("control characters:\n%q", got.stdout)
		}
	}
}

func TestExplainJSON(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	lost, guard, foreign := preemption()
	persist(t, db, append(foreign, lost, guard)...)
	got := run(t, db.URL, "", "explain", lost.AuditID.String(), "--tenant=acme", "--json")
	mustHaveKeys(t, "explanation", []byte(got.stdout), "record", "cause", "counterpart", "causes", "causes_end", "displaced", "more_displaced", "next",
		"meetings", "corrections", "more_corrections", "corrected", "losses", "seal", "next_step")
	e := result[reading.ExplanationJSON](t, got)
	var found struct {
		AuditID uuid.UUID `json:"audit_id"`
	}
	err := json.Unmarshal(e.Counterpart.Record, &found)
	if err != nil || found.AuditID != guard.AuditID || e.Cause != audit.CausePreempted || e.Counterpart.FoundBy != audit.FoundByRule ||
		string(e.Next) != "null" || len(e.Corrections) != 0 || e.Seal.State != "NOT_SEALED" || !e.Losses.GapsRead {
		t.Errorf("%v: %s", err, got.stdout)
	}
	if strings.Contains(got.stdout, "secret") || strings.Contains(got.stdout, number(91).String()) {
		t.Errorf("something of another tenant is shown: %s", got.stdout)
	}
}

// The seal is read by the sealer's package: its leaf, and a proof that the key verifies.
func TestExplainSealed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	lost, guard, _ := preemption()
	persist(t, db, lost, guard)
	directory := t.TempDir()
	key := filepath.Join(directory, "key")
	run(t, db.URL, "", "seal", "keygen", key, "--name=audit.example.com/test").mustExit(t, cli.ExitDone)
	run(t, db.URL, "", "seal", "--key", key, "--checkpoints", directory, "--once").mustExit(t, cli.ExitDone)
	late := applied(noon().Add(time.Minute), "acme", "late")
	late.AuditID = number(3)
	persist(t, db, late)

	explain := func(id uuid.UUID, flags ...string) ran {
		return run(t, db.URL, "", append([]string{"explain", id.String(), "--tenant=acme"}, flags...)...)
	}
	got := explain(lost.AuditID, "--key", key+".pub")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "sealed     leaf 0 of audit.example.com/test", "under its checkpoint of 2 rows, proof verified")
	mustContain(t, explain(lost.AuditID).stdout, "coordaudit prove "+lost.AuditID.String()+" writes the proof")
	mustContain(t, explain(late.AuditID).stdout, "sealed     not sealed yet")
	bundle := filepath.Join(directory, "bundle")
	e := result[reading.ExplanationJSON](t, explain(lost.AuditID, "--json", "--key", key+".pub"))
	if err := os.WriteFile(bundle, []byte(e.Seal.Proof), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "", "", "verify", "bundle", bundle, "--key", key+".pub").mustExit(t, cli.ExitDone)

	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records DISABLE TRIGGER USER")
	fixture.MustExec(t, db.Pool, "UPDATE coordination_audit_records SET reason = 'another' WHERE audit_id = '"+lost.AuditID.String()+"'")
	got = explain(lost.AuditID)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stdout, "NOT AS IT WAS SEALED")
}

func TestExplainBadInput(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	lost, _, _ := preemption()
	persist(t, db, lost)
	id := lost.AuditID.String()
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"NoID":         {[]string{"--all-tenants"}, cli.ExitUsage, "<id>"},
		"NotAnID":      {[]string{"saver\x1b", "--all-tenants"}, cli.ExitUsage, "audit_id must be a UUID"},
		"NoScope":      {[]string{id}, cli.ExitUsage, "--tenant"},
		"EmptyTenant":  {[]string{id, "--tenant="}, cli.ExitUsage, "--no-tenant"},
		"OtherTenant":  {[]string{id, "--tenant=emu"}, cli.ExitFailed, "for tenant emu: audit record not found: check the id and the scope"},
		"NoTenant":     {[]string{id, "--no-tenant"}, cli.ExitFailed, "audit record not found"},
		"NotThere":     {[]string{number(7).String(), "--all-tenants"}, cli.ExitFailed, "audit record not found"},
		"BadTraceURL":  {[]string{id, "--all-tenants", "--trace-url=https://x"}, cli.ExitUsage, "{trace_id}"},
		"BadKey":       {[]string{id, "--all-tenants", "--key=nowhere.pub"}, cli.ExitUsage, "nowhere.pub"},
		"BadTimeout":   {[]string{id, "--all-tenants", "--timeout=0"}, cli.ExitUsage, "--timeout"},
		"SameAsAbsent": {[]string{id, "--tenant=none-such"}, cli.ExitFailed, "audit record not found"},
	} {
		got := run(t, db.URL, "", append([]string{"explain"}, test.args...)...)
		if got.code != test.code || !strings.Contains(got.stderr, test.says) || got.stdout != "" || bytes.ContainsAny([]byte(got.stderr), "\x1b") {
			t.Errorf("%s: exit code %d, want %d, saying %q\nstdout: %s\nstderr: %s", name, got.code, test.code, test.says, got.stdout, got.stderr)
		}
	}
	got := run(t, "postgres://user:hunter2@127.0.0.1:1/nowhere", "", "explain", id, "--all-tenants")
	if got.code != cli.ExitFailed || strings.Contains(got.stderr, "hunter2") {
		t.Errorf("without a database: %d, %s", got.code, got.stderr)
	}
}

// The last word on a decision is its newest correction, however many there are.
func TestExplainLeadsToTheLastCorrection(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	rec := applied(noon(), "acme", "saver")
	rec.AuditID = uuid.New()
	persist(t, db, rec)
	for n := range audit.MaxRelated + 2 {
		correction := applied(noon().Add(time.Duration(n+1)*time.Minute), "acme", "saver")
		correction.AuditID, correction.Links.Corrects = uuid.New(), rec.AuditID
		persist(t, db, correction)
		got := run(t, db.URL, "", "explain", rec.AuditID.String(), "--tenant=acme")
		want := "read the correction: coordaudit explain " + correction.AuditID.String() + " --tenant acme"
		if n >= audit.MaxRelated {
			want = "read the corrections, the newest first: coordaudit list --corrects " + rec.AuditID.String() + " --tenant acme"
		}
		mustContain(t, got.stdout, want)
	}
}
