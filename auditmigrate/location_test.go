package auditmigrate_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// standing lists the schemas that hold parts of a trail.
func standing(t *testing.T, db *testdb.DB) []string {
	t.Helper()
	return texts(t, db.Pool, `
		SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND c.relname IN ('coordination_audit_records', 'coordination_audit_gaps', 'coordination_audit_statements', 'coordination_audit_seal_tiles', 'coordination_audit_seal_checkpoints', 'coordination_audit_seal_events', 'coordaudit_schema_version') AND c.relpersistence <> 't'
		ORDER BY 1`)
}

func wholeIn(schemas ...string) []string {
	var list []string
	for _, schema := range schemas {
		list = append(list, schema+".coordaudit_schema_version", schema+".coordination_audit_gaps", schema+".coordination_audit_records", schema+".coordination_audit_statements",
			schema+".coordination_audit_seal_tiles", schema+".coordination_audit_seal_checkpoints", schema+".coordination_audit_seal_events")
	}
	slices.Sort(list)
	return list
}

func mustStand(t *testing.T, db *testdb.DB, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, standing(t, db), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("what stands (-want +got):\n%s", diff)
	}
}

func inSchema(schema string) auditmigrate.Config {
	config := quiet()
	config.Schema = schema
	return config
}

func mustRefuse(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if !errors.Is(err, auditmigrate.ErrSchema) {
		t.Errorf("%s: %v, want ErrSchema", what, err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error is %q, want it to name %s", what, err, part)
		}
	}
}

// In each case current_schema() no longer returns the trail's schema.
func TestUpFindsTrail(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ change, path string }{
		"OwnersSchemaAppears": {"CREATE SCHEMA AUTHORIZATION CURRENT_USER", ""},
		"FirstOfThePathIsNew": {"CREATE SCHEMA trail", "trail,public"},
		"FirstIsMissing":      {"", "trail,public"},
		"TemporarySchema":     {"", "pg_temp,public"},
		"CatalogLast":         {"", "public,pg_catalog"},
		"LeftOverVersions":    {"CREATE SCHEMA trail; CREATE TABLE trail.coordaudit_schema_version (LIKE public.coordaudit_schema_version INCLUDING ALL)", "trail,public"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			execute(t, db.Pool, insertRecord)
			if test.change != "" {
				execute(t, db.Pool, test.change)
			}
			before := standing(t, db)
			url := db.URL
			if test.path != "" {
				url += "&search_path=" + test.path
			}
			migrator := open(t, url, quiet())
			if changes, err := migrator.Up(t.Context()); err != nil || len(changes) > 0 {
				t.Errorf("up: changes %v, error %v; want neither", changes, err)
			}
			if err := migrator.Validate(t.Context()); err != nil {
				t.Errorf("validate: %v", err)
			}
			if schema, err := migrator.Schema(t.Context()); err != nil || schema != "public" {
				t.Errorf("schema %q, error %v; want public", schema, err)
			}
			changes, err := migrator.Down(t.Context())
			if diff := diffChanges(changesDown(newest, newest), changes); diff != "" || err != nil {
				t.Errorf("down: %v, changes (-want +got):\n%s", err, diff)
			}
			if changes, err := migrator.Up(t.Context()); err != nil || len(changes) != 1 {
				t.Errorf("up again: changes %v, error %v; want one", changes, err)
			}
			mustStand(t, db, before)
		})
	}
}

func TestRoundTripInOneSchema(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db.Pool, "CREATE SCHEMA trail")
	migrator := open(t, db.URL+"&search_path=trail,public", quiet())
	if _, err := migrator.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	mustStand(t, db, []string{"public.coordaudit_schema_version"})
	if _, err := migrator.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustStand(t, db, wholeIn("public"))
	empty := testdb.NewEmpty(t)
	if changes, err := open(t, empty.URL, quiet()).Down(t.Context()); err != nil || len(changes) > 0 {
		t.Errorf("down of nothing: changes %v, error %v; want neither", changes, err)
	}
	mustStand(t, empty, nil)
}

func TestSecondTrailNeedsSchema(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db.Pool, insertRecord)
	execute(t, db.Pool, "CREATE SCHEMA tenant; CREATE SCHEMA \"Other Tenant\"")

	changes, err := open(t, db.URL+"&search_path=tenant", quiet()).Up(t.Context())
	if len(changes) > 0 {
		t.Errorf("changes next to the error: %v", changes)
	}
	mustRefuse(t, "up next to a trail", err, `"public"`, `"tenant"`, "--schema public", "--schema tenant")
	mustStand(t, db, wholeIn("public"))

	for _, schema := range []string{"tenant", "Other Tenant"} {
		migrator := open(t, db.URL, inSchema(schema))
		changes, err := migrator.Up(t.Context())
		if diff := diffChanges(changesUp(1, newest), changes); diff != "" || err != nil {
			t.Fatalf("in schema %q: %v, changes (-want +got):\n%s", schema, err, diff)
		}
		if err := migrator.Validate(t.Context()); err != nil {
			t.Errorf("validating schema %q: %v", schema, err)
		}
	}
	mustStand(t, db, wholeIn("public", "tenant", "Other Tenant"))

	// The second trail is unchanged, regardless of the first.
	if _, err := open(t, db.URL, inSchema("tenant")).DownTo(t.Context(), 0); err != nil {
		t.Errorf("down in one: %v", err)
	}
	if err := open(t, db.URL, inSchema("Other Tenant")).Validate(t.Context()); err != nil {
		t.Errorf("validating the other: %v", err)
	}
	if n := texts(t, db.Pool, "SELECT count(*)::text FROM public.coordination_audit_records"); n[0] != "1" {
		t.Errorf("%s records in schema public, want 1", n[0])
	}

	_, err = open(t, db.URL, inSchema("missing")).Up(t.Context())
	mustRefuse(t, "a schema that does not exist", err, `"missing"`, "CREATE SCHEMA")
}

func TestTwoTrailsRefused(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db.Pool, "CREATE SCHEMA trail")
	if _, err := open(t, db.URL, inSchema("trail")).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	migrator := open(t, db.URL+"&search_path=trail,public", quiet())
	_, err := migrator.Down(t.Context())
	mustRefuse(t, "down", err, `"trail"`, `"public"`, "--schema")
	if err := migrator.Validate(t.Context()); err != nil {
		t.Errorf("validate: %v", err)
	}
	mustStand(t, db, wholeIn("trail", "public"))
}

func TestTemporaryTableIgnored(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	config := db.Pool.Config().ConnConfig
	// A login trigger or a shared session can leave these behind.
	tables := "CREATE TEMP TABLE coordination_audit_records (n int); CREATE TEMP TABLE coordaudit_schema_version (n int)"
	execute(t, db.Pool, tables)
	migrator := auditmigrate.New(config, quiet())
	if _, err := migrator.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustStand(t, db, wholeIn("public"))
}

func TestSplitTrailRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change string
		parts  []string
	}{
		"VersionsMoved": {"CREATE SCHEMA trail; ALTER TABLE coordaudit_schema_version SET SCHEMA trail", []string{`schema "public"`, `schema "trail"`, `ALTER TABLE "trail".coordaudit_schema_version SET SCHEMA "public";`}},
		"RecordsMoved":  {"CREATE SCHEMA other; ALTER TABLE coordination_audit_records SET SCHEMA other", []string{`schema "public"`, `schema "other"`, `SET SCHEMA "other";`}},
		"RecordsGone":   {"DROP TABLE coordination_audit_records", []string{`schema "public" says version 11`, "restore it from a backup", `DROP TABLE "public".coordaudit_schema_version;`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			execute(t, db.Pool, test.change)
			before := standing(t, db)
			migrator := open(t, db.URL+"&search_path=trail,public", quiet())
			_, err := migrator.Up(t.Context())
			mustRefuse(t, "up", err, test.parts...)
			mustRefuse(t, "validate", migrator.Validate(t.Context()), test.parts...)
			_, err = migrator.DownTo(t.Context(), 0)
			mustRefuse(t, "down-to 0", err, test.parts...)
			mustStand(t, db, before)
		})
	}
}

// Neither process sees the other's trail at its first look. The lock makes it look
// again.
func TestTwoPathsMakeOneTrail(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	execute(t, db.Pool, "CREATE SCHEMA a; CREATE SCHEMA b")
	// This blocks both after the first look, before the first table exists.
	release := inTransaction(t, db.Pool, "CREATE TABLE a.coordaudit_schema_version (n int); CREATE TABLE b.coordaudit_schema_version (n int)")
	errs := make(chan error, 2)
	for _, schema := range []string{"a", "b"} {
		migrator := open(t, db.URL+"&search_path="+schema, quiet())
		go func() { _, err := migrator.Up(t.Context()); errs <- err }()
	}
	eventually(t, db.Pool, migrationWaits)
	release()
	var refused int
	for range 2 {
		if err := <-errs; errors.Is(err, auditmigrate.ErrSchema) {
			refused++
		} else if err != nil {
			t.Error(err)
		}
	}
	var trails int
	for _, table := range standing(t, db) {
		if strings.HasSuffix(table, ".coordination_audit_records") {
			trails++
		}
	}
	if refused != 1 || trails != 1 {
		t.Errorf("%d refused, %d trails; want 1 and 1", refused, trails)
	}
}
