package coordaudit

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/reading"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/importer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// withContext is a record that states every field.
func withContext() audit.Record {
	rec := rejected(noon(), "acme", "turbo", "guard")
	rec.AuditID = number(1)
	rec.CounterpartClass = audit.Safety
	rec.TargetSubsystem, rec.TargetParameter = "cache", "ttl"
	rec.ReasonCode, rec.PolicyVersion, rec.Actor = "SAME_PARAMETER", "2026-01", "coordinator-1"
	rec.Links = audit.Links{CausedBy: number(2), Corrects: number(3), CorrelationID: "round-7"}
	rec.Details = `{"rank":3,"text":"<é>"}`
	rec.Origin = audit.Origin{
		TraceID:   audit.TraceID{0x4b, 0xf9, 15: 0x36},
		SpanID:    audit.SpanID{0xf0, 7: 0xb7},
		SourceID:  number(4),
		SourceSeq: 12,
	}
	return rec
}

func TestGetTextHasContext(t *testing.T) {
	t.Parallel()
	rec := withContext()
	rec.Seq, rec.CreatedAt = 9, noon()
	rec.Details = "{\"a\":\n1, \"b\": \"\x07\"}"
	want := `audit_id                 11111111-1111-4111-8111-000000000001
seq                      9
tenant_id                acme
envelope_id              turbo
envelope_class           PERFORMANCE
decision                 REJECTED
reason                   in the way: guard
conflicting_envelope_id  guard
preempting_envelope_id   (none)
counterpart_class        SAFETY
target_subsystem         cache
target_parameter         ttl
active_envelopes_count   0
decision_timestamp       2026-01-05T12:00:00.000000Z
created_at               2026-01-05T12:00:00.000000Z
reason_code              SAME_PARAMETER
policy_version           2026-01
actor                    coordinator-1
caused_by                11111111-1111-4111-8111-000000000002
corrects                 11111111-1111-4111-8111-000000000003
correlation_id           round-7
trace_id                 4bf90000000000000000000000000036
span_id                  f0000000000000b7
details                  {"a":
                         1, "b": "\u0007"}
source_id                11111111-1111-4111-8111-000000000004
source_seq               12
`
	if diff := cmp.Diff(want, shared.RecordText(rec, term.Screen{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	plain := shared.RecordText(applied(noon(), "acme", "a"), term.Screen{})
	if n := strings.Count(plain, "\n"); n != 12 {
		t.Errorf("a record that states none of it has %d lines, want 12:\n%s", n, plain)
	}
}

func TestListTextHasReasonCode(t *testing.T) {
	t.Parallel()
	shown := reading.RecordsTable([]audit.Record{withContext(), applied(noon(), "acme", "a")}, audit.Tenant("acme"), false, term.Screen{})
	want := `TIME (UTC)           CLASS        DECISION  ENVELOPE  REASON
2026-01-05 12:00:00  PERFORMANCE  REJECTED  turbo     SAME_PARAMETER: in the way: guard
2026-01-05 12:00:00  COST         APPLIED   a         applied
`
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestContextInJSON(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, withContext())
	own, err := json.Marshal(withContext())
	if err != nil {
		t.Fatal(err)
	}
	keys := keysIn(t, own)
	for _, key := range []string{
		"reason_code", "policy_version", "actor", "caused_by", "corrects", "correlation_id",
		"trace_id", "span_id", "details", "source_id", "source_seq",
	} {
		if !strings.Contains(string(own), `"`+key+`":`) {
			t.Errorf("%s is not in %s", key, own)
		}
	}
	added := append(keys, "seq", "created_at")
	got := run(t, db.URL, "", "get", number(1).String(), "--tenant=acme", "--json")
	got.mustExit(t, cli.ExitDone)
	mustHaveKeys(t, "get", []byte(got.stdout), added...)
	page := result[listed](t, run(t, db.URL, "", "list", "--tenant=acme", "--json"))
	mustHaveKeys(t, "list", page.Records[0], added...)
	entries := result[timelined](t, run(t, db.URL, "", "timeline", "turbo", "--tenant=acme", "--json"))
	mustHaveKeys(t, "timeline", entries.Records[0], append(added, "role")...)
}

// What export writes, import stores, field by field.
func TestExportAndImportKeepContext(t *testing.T) {
	t.Parallel()
	from, to := testdb.New(t), testdb.New(t)
	whole := withContext()
	bare := applied(noon(), "acme", "bare")
	bare.AuditID = number(5)
	half := applied(noon().Add(time.Second), "", "half")
	half.AuditID, half.Actor, half.Origin.TraceID = number(6), "ops@example.com", audit.TraceID{1}
	persist(t, from, whole, bare, half)
	if diff := cmp.Diff(whole.Normalized(), contents(t, from)[0]); diff != "" {
		t.Errorf("what was stored (-want +got):\n%s", diff)
	}
	exported := run(t, from.URL, "", "export", "--all-tenants")
	exported.mustExit(t, cli.ExitDone)
	run(t, to.URL, exported.stdout, "import", "-", "--rejects", t.TempDir()+"/refused.jsonl").mustExit(t, cli.ExitDone)
	want := contents(t, from)
	if diff := cmp.Diff(want, imported(t, want, to)); diff != "" {
		t.Errorf("(-exported +imported):\n%s", diff)
	}
}

func TestImportNamesConflictInContext(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	rec := withContext()
	persist(t, db, rec)
	rec.ReasonCode, rec.Details = "OTHER", ""
	rec.Origin = audit.Origin{SourceID: uuid.New(), SourceSeq: 1} // another origin is no other content
	text, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, db.URL, string(text), "import", "-", "--json", "--rejects", t.TempDir()+"/refused.jsonl")
	got.mustExit(t, cli.ExitFailed)
	if diff := cmp.Diff(importer.Counts{Read: 1, Rejected: 1}, got.counts(t)); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	mustContain(t, got.stderr, "they differ in reason_code, details\n")
}
