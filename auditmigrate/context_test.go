package auditmigrate_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// previousInsert and previousInsertMany are the statements of the release before
// 00003. They are literal, so that they never change.
const (
	previousInsert = `
		INSERT INTO coordination_audit_records (
			audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp,
			conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id
		)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (audit_id) DO NOTHING
		RETURNING seq, created_at`

	previousInsertMany = `
		INSERT INTO coordination_audit_records (
			audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp,
			conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id
		)
		SELECT
			unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]), unnest($6::timestamptz[]),
			nullif(unnest($7::text[]), ''), nullif(unnest($8::text[]), ''), unnest($9::integer[]), nullif(unnest($10::text[]), '')
		ON CONFLICT (audit_id) DO NOTHING
		RETURNING audit_id, seq, created_at`
)

// insertContext stores a record with a context.
const insertContext = `
	INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp,
		conflicting_envelope_id, target_subsystem, target_parameter, counterpart_class)
	VALUES (gen_random_uuid(), 'envelope', 'COST', 'REJECTED', 'a reason', now(), 'other', 'retry', 'backoff', 'SAFETY')`

// writeAsThePreviousRelease stores a record with each of its statements.
func writeAsThePreviousRelease(t *testing.T, db *testdb.DB) []audit.Record {
	t.Helper()
	recs := []audit.Record{
		{AuditID: uuid.New(), EnvelopeID: "one", EnvelopeClass: audit.Cost, Decision: audit.Applied, Reason: "fits", ActiveEnvelopesCount: 1},
		{AuditID: uuid.New(), EnvelopeID: "two", EnvelopeClass: audit.Safety, Decision: audit.Preempted, Reason: "preempted", PreemptingEnvelopeID: "one", TenantID: "acme"},
		{AuditID: uuid.New(), EnvelopeID: "three", EnvelopeClass: audit.Unknown, Decision: audit.Rejected, Reason: "in the way", ConflictingEnvelopeID: "one", ActiveEnvelopesCount: 2},
	}
	for i := range recs {
		rec := &recs[i]
		rec.DecisionTimestamp = time.Date(2026, 1, 2, 3, 4, i, 678901000, time.UTC)
		null := func(text string) any {
			if text == "" {
				return nil
			}
			return text
		}
		var err error
		if i < 2 {
			err = db.Pool.QueryRow(t.Context(), previousInsert, rec.AuditID, rec.EnvelopeID, rec.EnvelopeClass, rec.Decision, rec.Reason, rec.DecisionTimestamp,
				null(rec.ConflictingEnvelopeID), null(rec.PreemptingEnvelopeID), rec.ActiveEnvelopesCount, null(rec.TenantID)).Scan(&rec.Seq, &rec.CreatedAt)
		} else {
			err = db.Pool.QueryRow(t.Context(), previousInsertMany, []uuid.UUID{rec.AuditID}, []string{rec.EnvelopeID}, []string{string(rec.EnvelopeClass)},
				[]string{string(rec.Decision)}, []string{rec.Reason}, []time.Time{rec.DecisionTimestamp}, []string{rec.ConflictingEnvelopeID},
				[]string{rec.PreemptingEnvelopeID}, []int32{rec.ActiveEnvelopesCount}, []string{rec.TenantID}).Scan(&rec.AuditID, &rec.Seq, &rec.CreatedAt)
		}
		if err != nil {
			t.Fatalf("the previous release's record %d: %v", i, err)
		}
		rec.CreatedAt = rec.CreatedAt.UTC()
	}
	return recs
}

func TestPreviousReleaseWrites(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	upTo(t, db, 2)
	recs := writeAsThePreviousRelease(t, db)
	up(t, db)
	recs = append(recs, writeAsThePreviousRelease(t, db)...)

	store := coordaudit.New(db.Pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})
	for _, rec := range recs {
		got, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rec, got); diff != "" {
			t.Errorf("a record of the previous release (-written +read):\n%s", diff)
		}
	}
	const withContext = `
		SELECT audit_id::text FROM coordination_audit_records
		WHERE num_nonnulls(target_subsystem, target_parameter, counterpart_class) > 0`
	if found := texts(t, db.Pool, withContext); len(found) > 0 {
		t.Errorf("records with a context that no one set: %v", found)
	}
}

func TestContextIsChecked(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	const (
		target      = "coordination_audit_target_not_empty"
		class       = "coordination_audit_counterpart_class_valid"
		counterpart = "coordination_audit_counterpart_has_an_id"
	)
	tests := map[string]struct{ values, refusedBy string }{ // decision, conflicting and preempting id, subsystem, parameter, counterpart class
		"None":                {"'APPLIED', NULL, NULL, NULL, NULL, NULL", ""},
		"Target":              {"'APPLIED', NULL, NULL, 'retry', 'backoff', NULL", ""},
		"SubsystemAlone":      {"'APPLIED', NULL, NULL, 'retry', NULL, NULL", ""},
		"ParameterAlone":      {"'APPLIED', NULL, NULL, NULL, 'backoff', NULL", ""},
		"ConflictingsClass":   {"'REJECTED', 'other', NULL, NULL, NULL, 'SAFETY'", ""},
		"PreemptingsClass":    {"'PREEMPTED', NULL, 'other', 'retry', 'backoff', 'UNKNOWN'", ""},
		"EmptySubsystem":      {"'APPLIED', NULL, NULL, '', 'backoff', NULL", target},
		"EmptySubsystemAlone": {"'APPLIED', NULL, NULL, '', NULL, NULL", target},
		"EmptyParameter":      {"'APPLIED', NULL, NULL, 'retry', '', NULL", target},
		"EmptyParameterAlone": {"'APPLIED', NULL, NULL, NULL, '', NULL", target},
		"UnknownClass":        {"'REJECTED', 'other', NULL, NULL, NULL, 'URGENT'", class},
		"LowerCaseClass":      {"'REJECTED', 'other', NULL, NULL, NULL, 'safety'", class},
		"EmptyClass":          {"'REJECTED', 'other', NULL, NULL, NULL, ''", class},
		"ClassWithoutID":      {"'REJECTED', NULL, NULL, 'retry', 'backoff', 'SAFETY'", counterpart},
		"AppliedWithAClass":   {"'APPLIED', NULL, NULL, NULL, NULL, 'UNKNOWN'", counterpart},
	}
	for name, test := range tests {
		_, err := db.Pool.Exec(t.Context(), `
			INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, reason, decision_timestamp,
				decision, conflicting_envelope_id, preempting_envelope_id, target_subsystem, target_parameter, counterpart_class)
			VALUES (gen_random_uuid(), 'e', 'COST', 'r', now(), `+test.values+")")
		requireRefusedBy(t, name, err, test.refusedBy)
	}
}

// 00003 holds its lock only briefly, because it reads no row.
func TestContextChecksLock(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	const validated = `
		SELECT conname || ' ' || convalidated FROM pg_constraint
		WHERE conname IN ('coordination_audit_target_not_empty', 'coordination_audit_counterpart_class_valid', 'coordination_audit_counterpart_has_an_id')
		ORDER BY 1`
	for _, step := range []struct {
		version int64
		want    string
	}{{3, " false"}, {4, " true"}} {
		upTo(t, db, step.version)
		want := []string{
			"coordination_audit_counterpart_class_valid" + step.want,
			"coordination_audit_counterpart_has_an_id" + step.want,
			"coordination_audit_target_not_empty" + step.want,
		}
		if diff := cmp.Diff(want, texts(t, db.Pool, validated)); diff != "" {
			t.Errorf("CHECKs at version %d (-want +got):\n%s", step.version, diff)
		}
	}
}

func TestForeignContextRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ column, fault string }{
		"OtherType": {"target_subsystem text", "target_subsystem must be character varying(100) and take NULL (SQLSTATE P0001)"},
		"Wider":     {"counterpart_class varchar(100)", "counterpart_class must be character varying(20) and take NULL (SQLSTATE P0001)"},
		"NotNull":   {"target_parameter varchar(100) NOT NULL DEFAULT 'none'", "target_parameter must be character varying(100) and take NULL (SQLSTATE P0001)"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			upTo(t, db, 2)
			execute(t, db.Pool, insertRecord)
			execute(t, db.Pool, "ALTER TABLE coordination_audit_records ADD COLUMN "+test.column)
			before := catalog(t, db.Pool)

			changes, err := open(t, db.URL, quiet()).Up(t.Context())
			if err == nil || len(changes) > 0 {
				t.Fatalf("changes %v, error %v; want a refusal", changes, err)
			}
			want := "migrating up: applying " + contextName + ": ERROR: coordination_audit_records has columns of these names already, and of another shape: " +
				test.fault + ": rename them, and migrate again"
			if err.Error() != want {
				t.Errorf("error is\n%q, want\n%q", err, want)
			}
			if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
				t.Errorf("the table has changed:\n%s", diff)
			}

			column, _, _ := strings.Cut(test.column, " ")
			execute(t, db.Pool, "ALTER TABLE coordination_audit_records RENAME COLUMN "+column+" TO theirs")
			up(t, db)
		})
	}
}

func TestContextLockTimeout(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	upTo(t, db, 2)
	execute(t, db.Pool, insertRecord)
	before := catalog(t, db.Pool)
	release := inTransaction(t, db.Pool, "SELECT FROM coordination_audit_records")

	migrator := open(t, db.URL, auditmigrate.Config{LockTimeout: 500 * time.Millisecond})
	changes, err := migrator.Up(t.Context())
	if !errors.Is(err, auditmigrate.ErrLocked) || len(changes) > 0 {
		t.Fatalf("changes %v, error %v; want ErrLocked", changes, err)
	}
	if want := "migrating up: applying " + contextName + ": locked by another session, waited 500ms: "; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error is %q, want it to begin with %q", err, want)
	}
	if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
		t.Errorf("the table has changed:\n%s", diff)
	}

	release()
	changes, err = migrator.Up(t.Context())
	if diff := diffChanges(changesUp(3, newest), changes); diff != "" || err != nil {
		t.Errorf("once the table is free: %v, changes (-want +got):\n%s", err, diff)
	}
}

func TestDownRefusesContext(t *testing.T) {
	t.Parallel()
	for name, columns := range map[string]string{
		"Subsystem":   "'REJECTED', 'other', 'retry', NULL, NULL",
		"Parameter":   "'REJECTED', 'other', NULL, 'backoff', NULL",
		"Counterpart": "'REJECTED', 'other', NULL, NULL, 'SAFETY'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			execute(t, db.Pool, insertRecord)
			execute(t, db.Pool, `
				INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, reason, decision_timestamp,
					decision, conflicting_envelope_id, target_subsystem, target_parameter, counterpart_class)
				VALUES (gen_random_uuid(), 'envelope', 'COST', 'a reason', now(), `+columns+")")
			// Only the caller can permit data loss.
			execute(t, db.Pool, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET coordaudit.allow_data_loss = on', current_database()); END $$")
			rows := texts(t, db.Pool, statedRows)
			migrator := open(t, db.URL, quiet())
			standing := catalog(t, db.Pool)

			changes, err := migrator.DownTo(t.Context(), 2)
			if !errors.Is(err, auditmigrate.ErrDataLoss) {
				t.Fatalf("error is %v, want ErrDataLoss", err)
			}
			want := "migrating down: reverting " + contextName +
				": ERROR: coordination_audit_records holds records with a context, dropping its columns would destroy that (SQLSTATE 23001)" +
				": to drop them all the same, pass --allow-data-loss (Config.AllowDataLoss)"
			if err.Error() != want {
				t.Errorf("error is\n%q, want\n%q", err, want)
			}
			if len(changes) > 0 {
				t.Errorf("changes next to the error: %v, want none", changes)
			}
			if diff := cmp.Diff(standing, catalog(t, db.Pool)); diff != "" {
				t.Errorf("a refused down-to has changed:\n%s", diff)
			}
			if _, err := migrator.DownTo(t.Context(), 3); err != nil {
				t.Fatal(err)
			}
			standing = catalog(t, db.Pool)
			if changes, err := migrator.Down(t.Context()); !errors.Is(err, auditmigrate.ErrDataLoss) || len(changes) > 0 {
				t.Errorf("again: changes %v, error %v; want ErrDataLoss", changes, err)
			}
			if diff := cmp.Diff(standing, catalog(t, db.Pool)); diff != "" {
				t.Errorf("a refused down has changed:\n%s", diff)
			}
			if diff := cmp.Diff(rows, texts(t, db.Pool, statedRows)); diff != "" {
				t.Errorf("records (-before +after):\n%s", diff)
			}
			up(t, db)
			if diff := cmp.Diff(catalog(t, testdb.New(t).Pool), catalog(t, db.Pool)); diff != "" {
				t.Errorf("up again (-up +refused and up):\n%s", diff)
			}
		})
	}
}

const wholeRows = "SELECT t::text FROM coordination_audit_records AS t ORDER BY seq"

// statedRows are the same before and after a migration that adds columns.
const statedRows = "SELECT jsonb_strip_nulls(to_jsonb(t))::text FROM coordination_audit_records AS t ORDER BY seq"

func TestDownDropsEmptyContext(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	upTo(t, db, 2)
	execute(t, db.Pool, insertRecord)
	before, rows := catalog(t, db.Pool), texts(t, db.Pool, wholeRows)
	up(t, db)

	changes, err := open(t, db.URL, quiet()).DownTo(t.Context(), 2)
	if diff := diffChanges(changesDown(newest, 3), changes); diff != "" || err != nil {
		t.Errorf("%v, changes (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
		t.Errorf("up and down again (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(rows, texts(t, db.Pool, wholeRows)); diff != "" {
		t.Errorf("records (-before +after):\n%s", diff)
	}
	up(t, db)
	execute(t, db.Pool, insertContext)
}

func TestDownDropsContext(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	upTo(t, db, 2)
	before := catalog(t, db.Pool)
	up(t, db)
	execute(t, db.Pool, insertRecord)
	execute(t, db.Pool, insertContext)
	rows := texts(t, db.Pool, elevenColumns)

	changes, err := open(t, db.URL, auditmigrate.Config{AllowDataLoss: true}).DownTo(t.Context(), 2)
	if diff := diffChanges(changesDown(newest, 3), changes); diff != "" || err != nil {
		t.Errorf("%v, changes (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
		t.Errorf("up and down again (-before +after):\n%s", diff)
	}
	if got := texts(t, db.Pool, elevenColumns); len(got) != 2 || !slices.Equal(rows, got) {
		t.Errorf("records are %v, want %v", got, rows)
	}
}
