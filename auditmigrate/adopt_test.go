package auditmigrate_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const elevenColumns = `
	SELECT concat_ws('|', t.audit_id, t) FROM (
		SELECT audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at,
			conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id
		FROM coordination_audit_records ORDER BY audit_id
	) AS t`

func TestAdoptionKeepsRows(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	before := texts(t, db.Pool, elevenColumns)
	order := texts(t, db.Pool, "SELECT audit_id::text FROM coordination_audit_records ORDER BY ctid")

	start := time.Now()
	up(t, db)
	t.Logf("adopted %d rows in %v", len(before), time.Since(start))

	if diff := cmp.Diff(before, texts(t, db.Pool, elevenColumns)); diff != "" {
		t.Errorf("rows differ (-before +after):\n%s", diff)
	}
	if len(before) != 1000 {
		t.Errorf("%d rows, want 1000", len(before))
	}
	if diff := cmp.Diff(wantVersions(), versions(t, db.Pool)); diff != "" {
		t.Errorf("version table (-want +got):\n%s", diff)
	}
	const withoutContext = "SELECT count(*)::text FROM coordination_audit_records WHERE num_nulls(target_subsystem, target_parameter, counterpart_class) = 3"
	if n := texts(t, db.Pool, withoutContext); n[0] != "1000" {
		t.Errorf("%s rows without a context, want 1000", n[0])
	}
	if diff := cmp.Diff(order, texts(t, db.Pool, "SELECT audit_id::text FROM coordination_audit_records ORDER BY seq")); diff != "" {
		t.Errorf("seq does not number the rows as they were stored:\n%s", diff)
	}
}

func TestAdoptionReplacesObjects(t *testing.T) {
	t.Parallel()
	adopted, made := predecessor(t), testdb.NewEmpty(t)
	up(t, adopted)
	up(t, made)

	// Apart from the rows that violate a CHECK, and the columns of the predecessor's
	// CREATE TABLE, an adopted table equals one of ours.
	const notValid = " NOT VALID f"
	var got []string
	for _, line := range catalog(t, adopted.Pool) {
		if definition, found := strings.CutSuffix(line, notValid); found {
			line = definition + " t"
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(catalog(t, made.Pool), got); diff != "" {
		t.Errorf("an adopted table differs from one of ours (-ours +adopted):\n%s", diff)
	}
}

func TestAdoptionWarnsOfRows(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	var book logBook
	if _, err := open(t, db.URL, auditmigrate.Config{Logger: book.logger()}).Up(t.Context()); err != nil {
		t.Fatal(err)
	}

	want := []string{
		"coordination_audit_active_envelopes_count_valid",
		"coordination_audit_applied_has_no_conflicting_id",
		"coordination_audit_envelope_id_not_empty",
		"coordination_audit_only_preempted_has_preempting_id",
		"coordination_audit_optional_ids_not_empty",
		"coordination_audit_reason_valid",
	}
	got := texts(t, db.Pool, "SELECT conname::text FROM pg_constraint WHERE NOT convalidated ORDER BY 1")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("constraints that stay NOT VALID (-want +got):\n%s", diff)
	}
	warnings := book.lines(t, slog.LevelWarn)
	if len(warnings) != len(want) {
		t.Errorf("%d warnings, want %d: %v", len(warnings), len(want), warnings)
	}
	for i, warning := range warnings {
		if !strings.Contains(warning.Message, want[i]) || !strings.Contains(warning.Message, "NOT VALID") {
			t.Errorf("warning %d is %q, want it to name %s", i, warning.Message, want[i])
		}
	}
}

func TestAdoptedTableIsGuarded(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	up(t, db)
	execute(t, db.Pool, insertRecord)
	for name, values := range map[string]string{
		"NoPreempter":      "'e', 'COST', 'PREEMPTED', 'r', now(), NULL, NULL, NULL",
		"AppliedConflicts": "'e', 'COST', 'APPLIED', 'r', now(), 'other', NULL, NULL",
		"EmptyReason":      "'e', 'COST', 'APPLIED', '', now(), NULL, NULL, NULL",
		"EmptyTenant":      "'e', 'COST', 'APPLIED', 'r', now(), NULL, NULL, ''",
		"EmptyEnvelope":    "'', 'COST', 'APPLIED', 'r', now(), NULL, NULL, NULL",
		"LowerCase":        "'e', 'cost', 'applied', 'r', now(), NULL, NULL, NULL",
	} {
		_, err := db.Pool.Exec(t.Context(), `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason,
			decision_timestamp, conflicting_envelope_id, preempting_envelope_id, tenant_id) VALUES (gen_random_uuid(), `+values+`)`)
		if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "23514" {
			t.Errorf("%s: %v, want a check violation", name, err)
		}
	}
	_, err := db.Pool.Exec(t.Context(), `INSERT INTO coordination_audit_records (envelope_id, envelope_class, decision, reason, decision_timestamp)
		VALUES ('e', 'COST', 'APPLIED', 'r', now())`)
	if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "23502" {
		t.Errorf("a record without an id: %v, want a not-null violation", err)
	}
}

func TestRecordsAreImmutable(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	up(t, db)
	before := texts(t, db.Pool, elevenColumns)
	for _, role := range []string{"origin", "replica"} {
		for _, sql := range []string{
			"UPDATE coordination_audit_records SET reason = 'another'",
			"UPDATE coordination_audit_records SET reason = reason",
			"DELETE FROM coordination_audit_records",
			"TRUNCATE coordination_audit_records",
			"TRUNCATE coordination_audit_records CASCADE",
			"WITH gone AS (DELETE FROM coordination_audit_records RETURNING *) SELECT count(*) FROM gone",
		} {
			err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), "SET LOCAL session_replication_role = "+role); err != nil {
					return fmt.Errorf("changing the role: %w", err)
				}
				_, err := tx.Exec(t.Context(), sql)
				return err
			})
			if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "23000" {
				t.Errorf("%s as %s: %v, want a refusal (23000)", sql, role, err)
			}
		}
	}
	if !slices.Equal(before, texts(t, db.Pool, elevenColumns)) {
		t.Error("the rows have changed")
	}
}

func TestUpRefusesOtherShape(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ table, want string }{
		"OtherColumns": {
			table: "CREATE TABLE coordination_audit_records (id bigint PRIMARY KEY, note text)",
			want:  "audit_id must be uuid NOT NULL; ",
		},
		"WiderColumn": {
			table: `CREATE TABLE coordination_audit_records (audit_id uuid PRIMARY KEY, envelope_id varchar(100) NOT NULL, envelope_class varchar(20) NOT NULL,
				decision varchar(20) NOT NULL, reason text NOT NULL, decision_timestamp timestamptz NOT NULL, created_at timestamptz NOT NULL,
				conflicting_envelope_id varchar(100), preempting_envelope_id varchar(100), active_envelopes_count integer NOT NULL, tenant_id text)`,
			want: "another shape: tenant_id must be character varying(100) ",
		},
		"OtherKey": {
			table: `CREATE TABLE coordination_audit_records (audit_id uuid NOT NULL, envelope_id varchar(100) NOT NULL, envelope_class varchar(20) NOT NULL,
				decision varchar(20) NOT NULL, reason text NOT NULL, decision_timestamp timestamptz NOT NULL, created_at timestamptz NOT NULL,
				conflicting_envelope_id varchar(100), preempting_envelope_id varchar(100), active_envelopes_count integer NOT NULL, tenant_id varchar(100))`,
			want: "its primary key is not audit_id alone",
		},
		"AnotherRequiredColumn": {
			table: `CREATE TABLE coordination_audit_records (audit_id uuid PRIMARY KEY, envelope_id varchar(100) NOT NULL, envelope_class varchar(20) NOT NULL,
				decision varchar(20) NOT NULL, reason text NOT NULL, decision_timestamp timestamptz NOT NULL, created_at timestamptz NOT NULL,
				conflicting_envelope_id varchar(100), preempting_envelope_id varchar(100), active_envelopes_count integer NOT NULL, tenant_id varchar(100), region text NOT NULL)`,
			want: "columns that the trail cannot live with: region",
		},
		"AnotherSeq": {
			table: `CREATE TABLE coordination_audit_records (audit_id uuid PRIMARY KEY, envelope_id varchar(100) NOT NULL, envelope_class varchar(20) NOT NULL,
				decision varchar(20) NOT NULL, reason text NOT NULL, decision_timestamp timestamptz NOT NULL, created_at timestamptz NOT NULL,
				conflicting_envelope_id varchar(100), preempting_envelope_id varchar(100), active_envelopes_count integer NOT NULL, tenant_id varchar(100), seq bigint)`,
			want: "columns that the trail cannot live with: seq",
		},
		"View": {
			table: "CREATE VIEW coordination_audit_records AS SELECT 1 AS audit_id",
			want:  "another shape: audit_id must be uuid NOT NULL; ",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			execute(t, db.Pool, test.table)
			before := catalog(t, db.Pool)

			changes, err := open(t, db.URL, quiet()).Up(t.Context())
			if err == nil || len(changes) > 0 {
				t.Fatalf("changes %v, error %v; want a refusal", changes, err)
			}
			text := err.Error()
			if !strings.HasPrefix(text, "migrating up: applying "+createName+": ERROR: coordination_audit_records stands already") ||
				!strings.Contains(text, test.want) || !strings.Contains(text, ": rename that table, or ") || strings.Contains(text, "\n") {
				t.Errorf("error is %q", text)
			}
			ours := func(line string) bool { return strings.Contains(line, auditmigrate.VersionTable) }
			if diff := cmp.Diff(before, slices.DeleteFunc(catalog(t, db.Pool), ours)); diff != "" {
				t.Errorf("the table has changed:\n%s", diff)
			}
		})
	}
}

// A dump may hold the trail's table without the version table.
func TestUpAdoptsOwnTable(t *testing.T) {
	t.Parallel()
	whole := catalog(t, testdb.New(t).Pool)
	for version := int64(1); version <= newest; version++ {
		t.Run(migrationNames()[version-1], func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			upTo(t, db, version)
			execute(t, db.Pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp)
				VALUES (gen_random_uuid(), 'e', 'COST', 'APPLIED', 'why', now())`)
			if version >= 3 {
				execute(t, db.Pool, insertContext)
			}
			if version >= 6 {
				execute(t, db.Pool, insertOrigin)
			}
			// A row from before a column has no value there.
			const rows = "SELECT jsonb_strip_nulls(to_jsonb(t))::text FROM coordination_audit_records AS t ORDER BY seq"
			before := texts(t, db.Pool, rows)
			execute(t, db.Pool, "DROP TABLE "+auditmigrate.VersionTable)
			changes, err := open(t, db.URL, quiet()).Up(t.Context())
			if diff := diffChanges(changesUp(1, newest), changes); diff != "" || err != nil {
				t.Fatalf("%v, changes (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff(whole, catalog(t, db.Pool)); diff != "" {
				t.Errorf("catalog (-made +adopted):\n%s", diff)
			}
			if diff := cmp.Diff(before, texts(t, db.Pool, rows)); diff != "" {
				t.Errorf("records (-before +after):\n%s", diff)
			}
		})
	}
}

func TestUpKeepsSharedFunction(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	execute(t, db.Pool, "CREATE TABLE other (n int)")
	execute(t, db.Pool, "CREATE TRIGGER other BEFORE UPDATE ON other FOR EACH ROW EXECUTE FUNCTION prevent_coordination_audit_mutation()")
	if _, err := open(t, db.URL, quiet()).Up(t.Context()); err != nil {
		t.Error(err)
	}
}
