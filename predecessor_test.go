package coordaudit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/audit"
)

// The tests of this file are the predecessor's faults on its write path, one by
// one. Its other rows have tests of their own: 2 and 6 to 9 in fault_test.go and
// log_test.go, 10 in persist_test.go, 15 and 16 in persist_tx_test.go.

// argument is one argument of persist_audit_record, in JSON.
type argument struct{ name, json string }

// call is a whole call of persist_audit_record, with some arguments changed.
func call(changed ...argument) (line string, id uuid.UUID) {
	id = uuid.New()
	arguments := []argument{
		{"audit_id", `"` + id.String() + `"`},
		{"envelope_id", `"env-1"`},
		{"envelope_class", `"SAFETY"`},
		{"decision", `"APPLIED"`},
		{"reason", `"why"`},
		{"decision_timestamp", `"2026-01-01T12:00:00+00:00"`},
		{"conflicting_envelope_id", `null`},
		{"preempting_envelope_id", `null`},
		{"active_envelopes_count", `1`},
		{"tenant_id", `null`},
		{"emit_traces", `true`},
	}
	members := make([]string, len(arguments))
	for i, a := range arguments {
		for _, c := range changed {
			if c.name == a.name {
				a = c
			}
		}
		members[i] = fmt.Sprintf("%q: %s", a.name, a.json)
	}
	return "{" + strings.Join(members, ", ") + "}", id
}

func quoted(text string) string { return `"` + text + `"` }

// Every row of "Input by input": the predecessor lost it, cut it, guessed or let
// in what nobody could read later. Here it is stored as it was meant or refused
// by its field's name.
func TestInputByInput(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	id := uuid.NewString()
	x100, x101 := strings.Repeat("x", 100), strings.Repeat("x", 101)
	tests := map[string]struct {
		changed []argument
		refused string // the field, or empty if it must be stored
		check   func(audit.Record) bool
	}{
		"lower-case class":    {[]argument{{"envelope_class", `"safety"`}}, "", func(r audit.Record) bool { return r.EnvelopeClass == audit.Safety }},
		"lower-case decision": {[]argument{{"decision", `"applied"`}}, "", func(r audit.Record) bool { return r.Decision == audit.Applied }},
		"UNKNOWN":             {[]argument{{"envelope_class", `"UNKNOWN"`}}, "", func(r audit.Record) bool { return r.EnvelopeClass == audit.Unknown }},
		"class None":          {[]argument{{"envelope_class", `null`}}, "", func(r audit.Record) bool { return r.EnvelopeClass == audit.Unknown }},
		"SAFETY and a blank":  {[]argument{{"envelope_class", `"SAFETY "`}}, "envelope_class", nil},
		"EXPIRED":             {[]argument{{"decision", `"EXPIRED"`}}, "decision", nil},
		"REVERTED":            {[]argument{{"decision", `"REVERTED"`}}, "decision", nil},
		"reason None":         {[]argument{{"reason", `null`}}, "reason", nil},
		"timestamp None":      {[]argument{{"decision_timestamp", `null`}}, "decision_timestamp", nil},

		"audit_id audit-001":              {[]argument{{"audit_id", `"audit-001"`}}, "audit_id", nil},
		"audit_id None":                   {[]argument{{"audit_id", `null`}}, "audit_id", nil},
		"audit_id after a blank":          {[]argument{{"audit_id", quoted(" " + id)}}, "audit_id", nil},
		"audit_id with odd hyphens":       {[]argument{{"audit_id", `"0000-00000000-0000-0000-000000000001"`}}, "audit_id", nil},
		"audit_id in upper case":          {[]argument{{"audit_id", quoted(strings.ToUpper(id))}}, "", func(r audit.Record) bool { return r.AuditID.String() == id }},
		"audit_id without hyphens":        {[]argument{{"audit_id", quoted(strings.ReplaceAll(id, "-", ""))}}, "audit_id", nil},
		"audit_id urn:uuid:":              {[]argument{{"audit_id", quoted("urn:uuid:" + id)}}, "audit_id", nil},
		"audit_id in braces":              {[]argument{{"audit_id", quoted("{" + id + "}")}}, "audit_id", nil},
		"audit_id nil UUID":               {[]argument{{"audit_id", quoted(uuid.Nil.String())}}, "audit_id", nil},
		"naive datetime":                  {[]argument{{"decision_timestamp", `"2026-01-01T12:00:00"`}}, "decision_timestamp", nil},
		"aware +05:30 and microseconds":   {[]argument{{"decision_timestamp", `"2026-01-01T12:00:00.123456+05:30"`}}, "", isAt(time.Date(2026, 1, 1, 6, 30, 0, 123456000, time.UTC))},
		"year 1":                          {[]argument{{"decision_timestamp", `"0001-01-02T00:00:00Z"`}}, "", isAt(time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC))},
		"year 2099":                       {[]argument{{"decision_timestamp", `"2099-01-01T00:00:00Z"`}}, "", isAt(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))},
		"year 9999":                       {[]argument{{"decision_timestamp", `"9999-12-31T23:59:59.999999Z"`}}, "", isAt(time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC))},
		"NUL in the reason":               {[]argument{{"reason", `"a\u0000b"`}}, "reason", nil},
		"NUL in an id":                    {[]argument{{"envelope_id", `"a\u0000b"`}}, "envelope_id", nil},
		"lone surrogate":                  {[]argument{{"reason", `"a\ud800b"`}}, "reason", nil},
		"envelope_id of 101":              {[]argument{{"envelope_id", quoted(x101)}}, "envelope_id", nil},
		"conflicting id of 101":           {[]argument{{"decision", `"REJECTED"`}, {"conflicting_envelope_id", quoted(x101)}}, "conflicting_envelope_id", nil},
		"preempting id of 101":            {[]argument{{"decision", `"PREEMPTED"`}, {"preempting_envelope_id", quoted(x101)}}, "preempting_envelope_id", nil},
		"tenant of 101":                   {[]argument{{"tenant_id", quoted(x101)}}, "tenant_id", nil},
		"100 and 5 trailing blanks":       {[]argument{{"tenant_id", quoted(x100 + "     ")}}, "tenant_id", nil},
		"100 two-byte characters":         {[]argument{{"tenant_id", quoted(strings.Repeat("é", 100))}}, "", func(r audit.Record) bool { return r.TenantID == strings.Repeat("é", 100) }},
		"empty envelope_id":               {[]argument{{"envelope_id", `""`}}, "envelope_id", nil},
		"empty reason":                    {[]argument{{"reason", `""`}}, "reason", nil},
		"tenant empty":                    {[]argument{{"tenant_id", `""`}}, "", func(r audit.Record) bool { return r.TenantID == "" }},
		"count -1":                        {[]argument{{"active_envelopes_count", `-1`}}, "active_envelopes_count", nil},
		"count 2^31":                      {[]argument{{"active_envelopes_count", `2147483648`}}, "active_envelopes_count", nil},
		"REJECTED without conflicting id": {[]argument{{"decision", `"REJECTED"`}}, "", func(r audit.Record) bool { return r.Decision == audit.Rejected }},
		"PREEMPTED without preempting id": {[]argument{{"decision", `"PREEMPTED"`}}, "preempting_envelope_id", nil},
		"APPLIED with conflicting id":     {[]argument{{"conflicting_envelope_id", `"other"`}}, "conflicting_envelope_id", nil},
		"APPLIED with preempting id":      {[]argument{{"preempting_envelope_id", `"other"`}}, "preempting_envelope_id", nil},
		"conflicting with itself":         {[]argument{{"decision", `"REJECTED"`}, {"conflicting_envelope_id", `"env-1"`}}, "", func(r audit.Record) bool { return r.ConflictingEnvelopeID == r.EnvelopeID }},
		"reason of 5 MB":                  {[]argument{{"reason", quoted(strings.Repeat("x", 5<<20))}}, "reason", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line, _ := call(test.changed...)
			rec, _, err := audit.ParseRecord([]byte(line))
			if test.refused != "" {
				invalid, ok := errors.AsType[*audit.InvalidRecordError](err)
				if !ok || len(invalid.Faults) != 1 || invalid.Faults[0].Field != test.refused {
					t.Errorf("ParseRecord() = %v, want %s refused alone", err, test.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			mustPersist(t, store, rec)
			stored, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
			if err != nil || !test.check(stored) {
				t.Errorf("stored %+v, %v", stored, err)
			}
		})
	}
}

func isAt(want time.Time) func(audit.Record) bool {
	return func(r audit.Record) bool { return r.DecisionTimestamp.Equal(want) }
}

// "duplicate audit_id": the predecessor said False to both; a retry after a lost
// acknowledgement could not be told from a clash.
func TestADuplicateIsToldFromAClash(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	line, id := call()
	rec, _, err := audit.ParseRecord([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	mustPersist(t, store, rec)
	if receipt := mustPersist(t, store, rec); receipt.Outcome != audit.AlreadyPersisted || receipt.AuditID != id {
		t.Errorf("the same again: %+v, want AlreadyPersisted", receipt)
	}
	rec.Reason = "another"
	if _, err := store.Persist(t.Context(), rec); !errors.Is(err, audit.ErrConflict) {
		t.Errorf("another content: %v, want ErrConflict", err)
	}
}

// "naive datetime": what was stored depended on the session's time zone.
func TestTheSessionsTimeZoneChangesNothing(t *testing.T) {
	t.Parallel()
	_, db := newStore(t)
	store := openStore(t, db.URL+"&timezone=America%2FNew_York", quiet())
	rec := newRecord()
	mustPersist(t, store, rec)
	got, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
	if err != nil || !got.DecisionTimestamp.Equal(rec.DecisionTimestamp) || got.DecisionTimestamp.Location() != time.UTC {
		t.Errorf("stored time %v, %v; want %v", got.DecisionTimestamp, err, rec.DecisionTimestamp)
	}
}

// Rows 1 and 2: whatever the coordinator can decide about an envelope of
// whatever class is on record.
func TestEveryDecisionOfEveryClassIsStored(t *testing.T) {
	t.Parallel()
	store, db := newStore(t)
	for _, class := range append(audit.EnvelopeClasses(), "") {
		for _, decision := range audit.Decisions() {
			rec := newRecord()
			rec.EnvelopeClass, rec.Decision = class, decision
			if decision == audit.Preempted {
				rec.PreemptingEnvelopeID = "other"
			}
			mustPersist(t, store, rec)
		}
	}
	if n := countRecords(t, db.Pool); n != 18 {
		t.Errorf("%d rows, want 18", n)
	}
}

// Row 3: only UPDATE was refused; DELETE, TRUNCATE and rewriting by DELETE and
// INSERT were open, and so was everything under session_replication_role.
func TestHistoryCannotBeEdited(t *testing.T) {
	t.Parallel()
	store, db := newStore(t)
	rec := newRecord()
	mustPersist(t, store, rec)
	edits := []string{
		"UPDATE coordination_audit_records SET reason = 'rewritten'",
		"UPDATE coordination_audit_records SET reason = reason",
		"DELETE FROM coordination_audit_records",
		"TRUNCATE coordination_audit_records",
		"INSERT INTO coordination_audit_records OVERRIDING SYSTEM VALUE SELECT * FROM coordination_audit_records ON CONFLICT (audit_id) DO UPDATE SET reason = 'rewritten'",
		"WITH gone AS (DELETE FROM coordination_audit_records RETURNING 1) SELECT count(*) FROM gone",
		"MERGE INTO coordination_audit_records AS t USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE",
	}
	for _, role := range []string{"origin", "replica"} {
		for _, edit := range edits {
			err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), "SET LOCAL session_replication_role = "+role); err != nil {
					return err
				}
				_, err := tx.Exec(t.Context(), edit)
				return err
			})
			pgErr, ok := errors.AsType[*pgconn.PgError](err)
			if !ok || pgErr.Code != "23000" || !strings.Contains(pgErr.Message, "audit records are immutable") {
				t.Errorf("as %s: %s: %v, want it refused", role, edit, err)
			}
		}
	}
	stored, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
	if err != nil || len(stored.DiffersIn(rec)) > 0 {
		t.Errorf("the record changed: %+v, %v", stored, err)
	}
}

// Row 5: one apply that preempts three was four commits, and others saw one, two,
// three of them.
func TestTheRecordsOfOneDecisionAppearAtOnce(t *testing.T) {
	t.Parallel()
	store, db := newStore(t)
	tx := callersTx(t, db.Pool)
	for range 3 {
		preempted := newRecord()
		preempted.Decision, preempted.PreemptingEnvelopeID = audit.Preempted, "high"
		if _, err := store.PersistTx(t.Context(), tx, preempted); err != nil {
			t.Fatal(err)
		}
		if n := countRecords(t, db.Pool); n != 0 {
			t.Errorf("another connection sees %d rows before the commit", n)
		}
	}
	if _, err := store.PersistTx(t.Context(), tx, newRecord()); err != nil {
		t.Fatal(err)
	}
	commit(t, tx)
	if n := countRecords(t, db.Pool); n != 4 {
		t.Errorf("%d rows after the commit, want 4", n)
	}
}

// Row 11: the database refuses what the library refuses, by constraints that name the fault.
func TestTheDatabaseRefusesByNamedConstraints(t *testing.T) {
	t.Parallel()
	_, db := newStore(t)
	const insert = `INSERT INTO coordination_audit_records
		(audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id)
		VALUES (gen_random_uuid(), $1, $2, $3, $4, $5::timestamptz, $6, $7, $8, $9)`
	good := []any{"env", "SAFETY", "REJECTED", "why", "2026-01-01T00:00:00Z", nil, nil, 0, nil}
	tests := []struct {
		column     int
		value      any
		constraint string
	}{
		{0, "", "coordination_audit_envelope_id_not_empty"},
		{1, "safety", "coordination_audit_envelope_class_valid"},
		{2, "rejected", "coordination_audit_decision_valid"},
		{3, " \t\n", "coordination_audit_reason_valid"},
		{3, strings.Repeat("x", 64<<10+1), "coordination_audit_reason_valid"},
		{4, "infinity", "coordination_audit_decision_timestamp_valid"},
		{4, "0001-01-01T00:00:00Z BC", "coordination_audit_decision_timestamp_valid"},
		{4, "10000-01-01T00:00:00Z", "coordination_audit_decision_timestamp_valid"},
		{5, "", "coordination_audit_optional_ids_not_empty"},
		{8, "", "coordination_audit_optional_ids_not_empty"},
		{7, -1, "coordination_audit_active_envelopes_count_valid"},
		{6, "other", "coordination_audit_only_preempted_has_preempting_id"},
		{2, "PREEMPTED", "coordination_audit_only_preempted_has_preempting_id"},
	}
	if _, err := db.Pool.Exec(t.Context(), insert, good...); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		row := append([]any(nil), good...)
		row[test.column] = test.value
		if test.column == 4 { // as text, since pgx would have to know such times
			row[4] = test.value
		}
		_, err := db.Pool.Exec(t.Context(), insert, append([]any{pgx.QueryExecModeExec}, row...)...)
		pgErr, ok := errors.AsType[*pgconn.PgError](err)
		if !ok || pgErr.ConstraintName != test.constraint {
			t.Errorf("column %d: %v, want it refused by %s", test.column, err, test.constraint)
		}
	}
	applied := append([]any(nil), good...)
	applied[2], applied[5] = "APPLIED", "other"
	_, err := db.Pool.Exec(t.Context(), insert, applied...)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.ConstraintName != "coordination_audit_applied_has_no_conflicting_id" {
		t.Errorf("APPLIED with a conflicting id: %v", err)
	}
}

// Row 14: created_at was the writer's clock, and records of equal time had no order.
func TestTheTrailHasTheDatabasesClockAndATotalOrder(t *testing.T) {
	t.Parallel()
	store, db := newStore(t)
	old := newRecord()
	old.CreatedAt, old.Seq = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), 1<<40
	before := time.Now().Add(-time.Minute)
	first, second := mustPersist(t, store, old), mustPersist(t, store, newRecord())
	if first.CreatedAt.Before(before) || second.CreatedAt.Before(first.CreatedAt) {
		t.Errorf("created_at %v and %v, want the database's clock", first.CreatedAt, second.CreatedAt)
	}
	if first.Seq >= second.Seq || first.Seq > 1<<20 {
		t.Errorf("seq %d and %d, want the order of insertion", first.Seq, second.Seq)
	}

	tx := callersTx(t, db.Pool)
	time.Sleep(50 * time.Millisecond)
	decided := time.Now()
	receipt, err := store.PersistTx(t.Context(), tx, newRecord())
	if err != nil {
		t.Fatal(err)
	}
	if receipt.CreatedAt.Before(decided.Add(-40 * time.Millisecond)) {
		t.Errorf("created_at %v is the transaction's start, not the insertion at %v", receipt.CreatedAt, decided)
	}
	if err := tx.Rollback(context.Background()); err != nil {
		t.Fatal(err)
	}
}
