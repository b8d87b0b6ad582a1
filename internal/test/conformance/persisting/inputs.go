package persisting

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// argument is one argument of the predecessor's persist_audit_record, in JSON.
type argument struct{ name, json string }

// predecessorsCall returns a complete call of persist_audit_record with some arguments changed.
func predecessorsCall(changed ...argument) (line string, id uuid.UUID) {
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

// Each test is a row of "Input by input". The predecessor lost the input, truncated it, guessed, or
// stored what no reader understood later. Here the input is stored as it was meant, or the error
// names the field.
func keepsOrRefusesEach(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	for name, test := range predecessorsInputs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line, _ := predecessorsCall(test.changed...)
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
			fixture.MustPersist(t, store, rec)
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

type input struct {
	changed []argument
	refused string // the field, or empty if it must be stored
	check   func(audit.Record) bool
}

func predecessorsInputs() map[string]input {
	id := uuid.NewString()
	x100, x101 := strings.Repeat("x", 100), strings.Repeat("x", 101)
	return map[string]input{
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
}
