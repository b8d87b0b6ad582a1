package auditadmin_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const (
	records = "public.coordination_audit_records"
	gaps    = "public.coordination_audit_gaps"

	statements = "public.coordination_audit_statements"

	tiles       = "public.coordination_audit_seal_tiles"
	checkpoints = "public.coordination_audit_seal_checkpoints"
	events      = "public.coordination_audit_seal_events"
)

// broken is a way in which a trail can differ from what the migrations create.
type broken struct {
	sql      string // run as a superuser; "$owner" is the trail's owner
	object   string
	severity auditadmin.Severity
	repaired bool // Repair, run by the owner, fixes it
}

func errorCases() map[string]broken {
	const function = "function public.coordination_audit_refuse_change()"
	const release = "function public.coordination_audit_release_hold()"
	refuseUpdate, refuseTruncate := "trigger coordination_audit_refuse_update_delete on "+records, "trigger coordination_audit_refuse_truncate on "+records
	other := "CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
	cases := map[string]broken{
		"TriggerDropped":        {"DROP TRIGGER coordination_audit_refuse_update_delete ON coordination_audit_records", refuseUpdate, auditadmin.Error, true},
		"TruncateTriggerGone":   {"DROP TRIGGER coordination_audit_refuse_truncate ON coordination_audit_records", refuseTruncate, auditadmin.Error, true},
		"TriggerDisabled":       {"ALTER TABLE coordination_audit_records DISABLE TRIGGER coordination_audit_refuse_update_delete", refuseUpdate, auditadmin.Error, true},
		"TriggerOrigin":         {"ALTER TABLE coordination_audit_records ENABLE TRIGGER ALL", refuseTruncate, auditadmin.Error, true},
		"TriggerReplica":        {"ALTER TABLE coordination_audit_records ENABLE REPLICA TRIGGER coordination_audit_refuse_truncate", refuseTruncate, auditadmin.Error, true},
		"GapsTriggerOrigin":     {"ALTER TABLE coordination_audit_gaps ENABLE TRIGGER ALL", "trigger coordination_audit_gaps_refuse_truncate on " + gaps, auditadmin.Error, true},
		"TriggerWithoutDelete":  {"DROP TRIGGER coordination_audit_refuse_update_delete ON coordination_audit_records; CREATE TRIGGER coordination_audit_refuse_update_delete BEFORE UPDATE ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION coordination_audit_refuse_change(); ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_update_delete", refuseUpdate, auditadmin.Error, true},
		"TriggerOfAColumn":      {"DROP TRIGGER coordination_audit_refuse_update_delete ON coordination_audit_records; CREATE TRIGGER coordination_audit_refuse_update_delete BEFORE DELETE OR UPDATE OF seq ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION coordination_audit_refuse_change(); ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_update_delete", refuseUpdate, auditadmin.Error, true},
		"TriggerWithACondition": {"DROP TRIGGER coordination_audit_refuse_update_delete ON coordination_audit_records; CREATE TRIGGER coordination_audit_refuse_update_delete BEFORE UPDATE OR DELETE ON coordination_audit_records FOR EACH ROW WHEN (OLD.seq < 0) EXECUTE FUNCTION coordination_audit_refuse_change(); ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_update_delete", refuseUpdate, auditadmin.Error, true},
		"TriggerOfAnother":      {other + "DROP TRIGGER coordination_audit_refuse_truncate ON coordination_audit_records; CREATE TRIGGER coordination_audit_refuse_truncate BEFORE TRUNCATE ON coordination_audit_records FOR EACH STATEMENT EXECUTE FUNCTION other(); ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_truncate", refuseTruncate, auditadmin.Error, true},

		"FunctionBody":     {"CREATE OR REPLACE FUNCTION coordination_audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'", function, auditadmin.Error, true},
		"FunctionDefiner":  {"ALTER FUNCTION coordination_audit_refuse_change() SECURITY DEFINER", function, auditadmin.Error, true},
		"FunctionSettings": {"ALTER FUNCTION coordination_audit_refuse_change() SET search_path = public", function, auditadmin.Error, true},
		"FunctionStable":   {"ALTER FUNCTION coordination_audit_refuse_change() IMMUTABLE", function, auditadmin.Error, true},
		"ExpireStrict":     {"ALTER FUNCTION coordination_audit_sealed_through STRICT", "function public.coordination_audit_sealed_through()", auditadmin.Error, true},
		"FunctionGone":     {"DROP FUNCTION coordination_audit_refuse_change() CASCADE", function, auditadmin.Error, true},
		"ExpireBody":       {"CREATE OR REPLACE FUNCTION coordination_audit_release_hold(hold uuid, why text) RETURNS boolean LANGUAGE sql SECURITY DEFINER AS 'SELECT true'", release, auditadmin.Error, true},
		"ExpirePublic":     {"GRANT EXECUTE ON FUNCTION coordination_audit_release_hold TO PUBLIC", release, auditadmin.Error, true},
		"ExpireInvoker":    {"ALTER FUNCTION coordination_audit_release_hold SECURITY INVOKER", release, auditadmin.Error, true},
		"ExpireSettings":   {"ALTER FUNCTION coordination_audit_release_hold RESET search_path", release, auditadmin.Error, true},
		"ExpireGone":       {"DROP FUNCTION coordination_audit_release_hold", release, auditadmin.Error, true},
		"ExpireOwner":      {"CREATE ROLE $owner_2; ALTER FUNCTION coordination_audit_release_hold OWNER TO $owner_2", release, auditadmin.Error, false},
		"ReadableBody":     {"CREATE OR REPLACE FUNCTION coordination_audit_are_multiranges(lists jsonb) RETURNS boolean LANGUAGE sql AS 'SELECT true'", "function public.coordination_audit_are_multiranges()", auditadmin.Error, true},
		"ReadableRevoked":  {"REVOKE EXECUTE ON FUNCTION coordination_audit_are_multiranges FROM PUBLIC", "function public.coordination_audit_are_multiranges()", auditadmin.Error, true},
		"ReadableGone":     {"DROP FUNCTION coordination_audit_are_multiranges CASCADE", "function public.coordination_audit_are_multiranges()", auditadmin.Error, true},
		"FunctionOwner":    {"CREATE ROLE $owner_2; ALTER FUNCTION coordination_audit_refuse_change() OWNER TO $owner_2", function, auditadmin.Error, false},

		"ColumnTakesNull":    {"ALTER TABLE coordination_audit_records ALTER COLUMN reason DROP NOT NULL", "column " + records + ".reason", auditadmin.Error, true},
		"ColumnNeedsAValue":  {"ALTER TABLE coordination_audit_gaps ADD COLUMN spare text NOT NULL DEFAULT 'x'; ALTER TABLE coordination_audit_gaps ALTER COLUMN spare DROP DEFAULT", "column " + gaps + ".spare", auditadmin.Error, false},
		"ContextNotNull":     {"ALTER TABLE coordination_audit_records DISABLE TRIGGER USER; UPDATE coordination_audit_records SET tenant_id = 'x'; ALTER TABLE coordination_audit_records ALTER COLUMN tenant_id SET NOT NULL; ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_update_delete; ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_truncate", "column " + records + ".tenant_id", auditadmin.Error, true},
		"ColumnType":         {"ALTER TABLE coordination_audit_records ALTER COLUMN reason TYPE varchar(9000)", "column " + records + ".reason", auditadmin.Error, false},
		"ColumnGone":         {"ALTER TABLE coordination_audit_records DROP COLUMN target_parameter", "column " + records + ".target_parameter", auditadmin.Error, false},
		"DefaultGone":        {"ALTER TABLE coordination_audit_records ALTER COLUMN created_at DROP DEFAULT", "column " + records + ".created_at", auditadmin.Error, true},
		"DefaultOfAnother":   {"ALTER TABLE coordination_audit_records ALTER COLUMN created_at SET DEFAULT now()", "column " + records + ".created_at", auditadmin.Error, true},
		"DefaultForAnID":     {"ALTER TABLE coordination_audit_records ALTER COLUMN audit_id SET DEFAULT gen_random_uuid()", "column " + records + ".audit_id", auditadmin.Error, true},
		"Nondeterministic":   {"CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false); ALTER TABLE coordination_audit_records ALTER COLUMN tenant_id TYPE varchar(100) COLLATE insensitive", "column " + records + ".tenant_id", auditadmin.Error, true},
		"IdentityGone":       {"ALTER TABLE coordination_audit_records ALTER COLUMN seq DROP IDENTITY", "column " + records + ".seq", auditadmin.Error, true},
		"IdentityAsASerial":  {"CREATE SEQUENCE serial; ALTER TABLE coordination_audit_records ALTER COLUMN seq DROP IDENTITY; ALTER TABLE coordination_audit_records ALTER COLUMN seq SET DEFAULT nextval('serial')", "column " + records + ".seq", auditadmin.Error, true},
		"IdentityByDefault":  {"ALTER TABLE coordination_audit_records ALTER COLUMN seq SET GENERATED BY DEFAULT", "column " + records + ".seq", auditadmin.Error, true},
		"SequenceBehind":     {"SELECT setval('coordination_audit_records_seq_seq', 2)", "sequence " + records + "_seq_seq", auditadmin.Error, true},
		"SequenceRestarted":  {"ALTER TABLE coordination_audit_records ALTER COLUMN seq RESTART", "sequence " + records + "_seq_seq", auditadmin.Error, true},
		"GapsSequenceBehind": {"ALTER TABLE coordination_audit_gaps ALTER COLUMN seq RESTART", "sequence " + gaps + "_seq_seq", auditadmin.Error, true},
		"StatementsBehind":   {"ALTER TABLE coordination_audit_statements ALTER COLUMN seq RESTART", "sequence " + statements + "_seq_seq", auditadmin.Error, true},
		"SequenceExhausted":  {"SELECT setval('coordination_audit_records_seq_seq', 9223372036854775807)", "sequence " + records + "_seq_seq", auditadmin.Error, false},
		"SequenceCache":      {"ALTER TABLE coordination_audit_records ALTER COLUMN seq SET CACHE 20", "sequence " + records + "_seq_seq", auditadmin.Error, true},
		"SequenceCycle":      {"ALTER TABLE coordination_audit_records ALTER COLUMN seq SET CYCLE", "sequence " + records + "_seq_seq", auditadmin.Error, true},
		"SequenceMax":        {"ALTER TABLE coordination_audit_records ALTER COLUMN seq SET MAXVALUE 1000", "sequence " + records + "_seq_seq", auditadmin.Error, true},
		"SequenceType":       {"ALTER SEQUENCE coordination_audit_records_seq_seq AS smallint", "sequence " + records + "_seq_seq", auditadmin.Error, true},
		"SequenceMin":        {"ALTER TABLE coordination_audit_records ALTER COLUMN seq SET MINVALUE -1000", "sequence " + records + "_seq_seq", auditadmin.Error, true},
		"SequenceNegative":   {"ALTER TABLE coordination_audit_records ALTER COLUMN seq SET MINVALUE -1000 SET START -10 RESTART", "sequence " + records + "_seq_seq", auditadmin.Error, true},
		"DomainNotNull":      {"CREATE DOMAIN needed AS text NOT NULL; CREATE DOMAIN mine AS needed; ALTER TABLE coordination_audit_records ADD COLUMN spare mine DEFAULT 'x'; ALTER TABLE coordination_audit_records ALTER COLUMN spare DROP DEFAULT", "column " + records + ".spare", auditadmin.Error, false},
		"DomainCheck":        {"CREATE DOMAIN mine AS text CHECK (VALUE IS NOT NULL); ALTER TABLE coordination_audit_gaps ADD COLUMN spare mine DEFAULT 'x'; ALTER TABLE coordination_audit_gaps ALTER COLUMN spare DROP DEFAULT", "column " + gaps + ".spare", auditadmin.Error, false},
		"SequenceOfNothing":  {"DELETE FROM pg_depend WHERE objid = 'coordination_audit_records_seq_seq'::regclass AND deptype = 'i'", "column " + records + ".seq", auditadmin.Error, false},
		"SequenceIncrement":  {"ALTER TABLE coordination_audit_records ALTER COLUMN seq SET INCREMENT -1 SET MINVALUE -1000", "sequence " + records + "_seq_seq", auditadmin.Error, true},

		"CheckGone":                {"ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_decision_valid", "constraint coordination_audit_decision_valid on " + records, auditadmin.Error, true},
		"CheckWeakened":            {"ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_envelope_id_not_empty; ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_envelope_id_not_empty CHECK (envelope_id <> '' OR true)", "constraint coordination_audit_envelope_id_not_empty on " + records, auditadmin.Error, true},
		"CheckNoInherit":           {"ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_envelope_id_not_empty; ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_envelope_id_not_empty CHECK (envelope_id <> '') NO INHERIT", "constraint coordination_audit_envelope_id_not_empty on " + records, auditadmin.Error, true},
		"GapsCheckGone":            {"ALTER TABLE coordination_audit_gaps DROP CONSTRAINT coordination_audit_gaps_lost_valid", "constraint coordination_audit_gaps_lost_valid on " + gaps, auditadmin.Error, true},
		"KeyGone":                  {"ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_records_pkey", "primary key of " + records, auditadmin.Error, true},
		"KeyDeferrable":            {"ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_records_pkey; ALTER TABLE coordination_audit_records ADD PRIMARY KEY (audit_id) DEFERRABLE", "primary key of " + records, auditadmin.Error, false},
		"KeyOfAnother":             {"ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_records_pkey; ALTER TABLE coordination_audit_records ADD PRIMARY KEY (audit_id, seq)", "primary key of " + records, auditadmin.Error, false},
		"IndexGone":                {"DROP INDEX coordination_audit_scope_time_idx", "index public.coordination_audit_scope_time_idx", auditadmin.Error, true},
		"IndexInvalid":             {"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'coordination_audit_time_idx'::regclass", "index public.coordination_audit_time_idx", auditadmin.Error, true},
		"IndexNotReady":            {"UPDATE pg_index SET indisready = false WHERE indexrelid = 'coordination_audit_time_idx'::regclass", "index public.coordination_audit_time_idx", auditadmin.Error, true},
		"IndexOfAnother":           {"DROP INDEX coordination_audit_time_idx; CREATE INDEX coordination_audit_time_idx ON coordination_audit_records (decision_timestamp DESC, seq)", "index public.coordination_audit_time_idx", auditadmin.Error, true},
		"IndexOpclass":             {"DROP INDEX coordination_audit_envelope_scope_time_idx; CREATE INDEX coordination_audit_envelope_scope_time_idx ON coordination_audit_records (envelope_id varchar_pattern_ops, (coalesce(tenant_id, '')), decision_timestamp, seq)", "index public.coordination_audit_envelope_scope_time_idx", auditadmin.Error, true},
		"IndexOfFewer":             {"DROP INDEX coordination_audit_time_idx; CREATE INDEX coordination_audit_time_idx ON coordination_audit_records (decision_timestamp, seq) WHERE seq > 10", "index public.coordination_audit_time_idx", auditadmin.Error, true},
		"IndexUnique":              {"DROP INDEX coordination_audit_time_idx; CREATE UNIQUE INDEX coordination_audit_time_idx ON coordination_audit_records (decision_timestamp, seq)", "index public.coordination_audit_time_idx", auditadmin.Error, true},
		"Unlogged":                 {"ALTER TABLE coordination_audit_records SET UNLOGGED", "table " + records, auditadmin.Error, true},
		"GapsUnlogged":             {"ALTER TABLE coordination_audit_gaps SET UNLOGGED", "table " + gaps, auditadmin.Error, true},
		"GapsMissing":              {"DROP TABLE coordination_audit_gaps", "table " + gaps, auditadmin.Error, true},
		"StatementsUnlogged":       {"ALTER TABLE coordination_audit_statements SET UNLOGGED", "table " + statements, auditadmin.Error, true},
		"StatementsMissing":        {"DROP TABLE coordination_audit_statements", "table " + statements, auditadmin.Error, true},
		"StatementsKeyGone":        {"ALTER TABLE coordination_audit_statements DROP CONSTRAINT coordination_audit_statements_pkey", "primary key of " + statements, auditadmin.Error, true},
		"StatementsCheckGone":      {"ALTER TABLE coordination_audit_statements DROP CONSTRAINT coordination_audit_statements_ranges_valid", "constraint coordination_audit_statements_ranges_valid on " + statements, auditadmin.Error, true},
		"StatementsTriggerOrigin":  {"ALTER TABLE coordination_audit_statements ENABLE TRIGGER ALL", "trigger coordination_audit_statements_refuse_truncate on " + statements, auditadmin.Error, true},
		"StatementsSequenceBehind": {"ALTER TABLE coordination_audit_statements ALTER COLUMN seq RESTART", "sequence " + statements + "_seq_seq", auditadmin.Error, true},
		"SeqIndexGone":             {"DROP INDEX coordination_audit_seq_idx", "index public.coordination_audit_seq_idx", auditadmin.Error, true},
		"GapsSeqIndexGone":         {"DROP INDEX coordination_audit_gaps_seq_idx", "index public.coordination_audit_gaps_seq_idx", auditadmin.Error, true},
		"StatementsSeqIndexGone":   {"DROP INDEX coordination_audit_statements_seq_idx", "index public.coordination_audit_statements_seq_idx", auditadmin.Error, true},
		"TilesUnlogged":            {"ALTER TABLE coordination_audit_seal_tiles SET UNLOGGED", "table " + tiles, auditadmin.Error, true},
		"TilesMissing":             {"DROP TABLE coordination_audit_seal_tiles", "table " + tiles, auditadmin.Error, true},
		"TilesKeyGone":             {"ALTER TABLE coordination_audit_seal_tiles DROP CONSTRAINT coordination_audit_seal_tiles_pkey", "primary key of " + tiles, auditadmin.Error, true},
		"TilesKeyOfAnother":        {"ALTER TABLE coordination_audit_seal_tiles DROP CONSTRAINT coordination_audit_seal_tiles_pkey; ALTER TABLE coordination_audit_seal_tiles ADD PRIMARY KEY (level, epoch, idx)", "primary key of " + tiles, auditadmin.Error, false},
		"TilesCheckGone":           {"ALTER TABLE coordination_audit_seal_tiles DROP CONSTRAINT coordination_audit_seal_tiles_hashes_valid", "constraint coordination_audit_seal_tiles_hashes_valid on " + tiles, auditadmin.Error, true},
		"TilesTriggerOrigin":       {"ALTER TABLE coordination_audit_seal_tiles ENABLE TRIGGER ALL", "trigger coordination_audit_seal_tiles_refuse_truncate on " + tiles, auditadmin.Error, true},
		"TilesTriggerGone":         {"DROP TRIGGER coordination_audit_seal_tiles_refuse_update_delete ON coordination_audit_seal_tiles", "trigger coordination_audit_seal_tiles_refuse_update_delete on " + tiles, auditadmin.Error, true},
		"TilesIndexOfMore":         {"DROP INDEX coordination_audit_seal_tiles_through_idx; CREATE INDEX coordination_audit_seal_tiles_through_idx ON coordination_audit_seal_tiles (epoch, through, idx)", "index public.coordination_audit_seal_tiles_through_idx", auditadmin.Error, true},
		"TilesLateIndexGone":       {"DROP INDEX coordination_audit_seal_tiles_late_idx", "index public.coordination_audit_seal_tiles_late_idx", auditadmin.Error, true},
		"CheckpointsMissing":       {"DROP TABLE coordination_audit_seal_checkpoints", "table " + checkpoints, auditadmin.Error, true},
		"CheckpointsKeyGone":       {"ALTER TABLE coordination_audit_seal_checkpoints DROP CONSTRAINT coordination_audit_seal_checkpoints_pkey", "primary key of " + checkpoints, auditadmin.Error, true},
		"CheckpointsUniqueGone":    {"DROP INDEX coordination_audit_seal_checkpoints_previous_idx", "index public.coordination_audit_seal_checkpoints_previous_idx", auditadmin.Error, true},
		"CheckpointsNotUnique":     {"DROP INDEX coordination_audit_seal_checkpoints_previous_idx; CREATE INDEX coordination_audit_seal_checkpoints_previous_idx ON coordination_audit_seal_checkpoints (epoch, previous_size)", "index public.coordination_audit_seal_checkpoints_previous_idx", auditadmin.Error, true},
		"CheckpointsTriggerOff":    {"ALTER TABLE coordination_audit_seal_checkpoints DISABLE TRIGGER ALL", "trigger coordination_audit_seal_checkpoints_refuse_update_delete on " + checkpoints, auditadmin.Error, true},
		"CheckpointsDefaultGone":   {"ALTER TABLE coordination_audit_seal_checkpoints ALTER COLUMN made_at DROP DEFAULT", "column " + checkpoints + ".made_at", auditadmin.Error, true},
		"EventsMissing":            {"DROP TABLE coordination_audit_seal_events", "table " + events, auditadmin.Error, true},
		"EventsSequenceBehind":     {"ALTER TABLE coordination_audit_seal_events ALTER COLUMN seq RESTART", "sequence " + events + "_seq_seq", auditadmin.Error, true},
		"EventsSequenceCache":      {"ALTER TABLE coordination_audit_seal_events ALTER COLUMN seq SET CACHE 20", "sequence " + events + "_seq_seq", auditadmin.Error, true},
		"EventsCheckGone":          {"ALTER TABLE coordination_audit_seal_events DROP CONSTRAINT coordination_audit_seal_events_kind_valid", "constraint coordination_audit_seal_events_kind_valid on " + events, auditadmin.Error, true},
		"EventsSwallowsRows":       {other + "CREATE TRIGGER swallow BEFORE INSERT ON coordination_audit_seal_events FOR EACH ROW EXECUTE FUNCTION other()", "trigger swallow on " + events, auditadmin.Error, false},
		"LinkIndexGone":            {"DROP INDEX coordination_audit_corrects_idx", "index public.coordination_audit_corrects_idx", auditadmin.Error, true},
		"TraceCheckGone":           {"ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_trace_valid", "constraint coordination_audit_trace_valid on " + records, auditadmin.Error, true},
		"DetailsCheckGone":         {"ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_details_valid", "constraint coordination_audit_details_valid on " + records, auditadmin.Error, true},
		"RecordsAView":             {"ALTER TABLE coordination_audit_records RENAME TO old; CREATE VIEW coordination_audit_records AS SELECT * FROM old", "table " + records, auditadmin.Error, false},
		"Child":                    {"CREATE TABLE child () INHERITS (coordination_audit_records)", "table public.child", auditadmin.Error, false},
		"Parent":                   {"CREATE TABLE parent (reason text NOT NULL); ALTER TABLE coordination_audit_records INHERIT parent", "table " + records, auditadmin.Error, false},
		"RuleOnUpdate":             {"CREATE RULE quiet AS ON UPDATE TO coordination_audit_records DO INSTEAD NOTHING", "rule quiet on " + records, auditadmin.Error, false},
		"RuleOnDelete":             {"CREATE RULE quiet AS ON DELETE TO coordination_audit_gaps DO INSTEAD NOTHING", "rule quiet on " + gaps, auditadmin.Error, false},
		"RuleOnInsert":             {"CREATE RULE copy AS ON INSERT TO coordination_audit_records DO ALSO NOTHING", "rule copy on " + records, auditadmin.Error, false},
		"SwallowsRows":             {other + "CREATE TRIGGER swallow BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION other()", "trigger swallow on " + records, auditadmin.Error, false},
		"GapsOwner":                {"CREATE ROLE $owner_2; ALTER TABLE coordination_audit_gaps OWNER TO $owner_2", "table " + gaps, auditadmin.Error, false},
		"PublicDeletes":            {"GRANT DELETE ON coordination_audit_records TO PUBLIC", "privileges of PUBLIC on table " + records, auditadmin.Error, false},
		"PublicReads":              {"GRANT SELECT (reason) ON coordination_audit_records TO PUBLIC", "privileges of PUBLIC on table " + records, auditadmin.Error, false},
		"PublicNumbers":            {"GRANT ALL ON SEQUENCE coordination_audit_records_seq_seq TO PUBLIC", "privileges of PUBLIC on sequence " + records + "_seq_seq", auditadmin.Error, false},
		"SecondTrail":              {"CREATE SCHEMA $owner AUTHORIZATION $owner; CREATE TABLE $owner.coordination_audit_gaps (LIKE coordination_audit_gaps)", "table $owner.coordination_audit_gaps", auditadmin.Error, false},
		"PublicVersions":           {"GRANT SELECT, DELETE ON coordaudit_schema_version TO PUBLIC", "privileges of PUBLIC on table public.coordaudit_schema_version", auditadmin.Error, false},
		"UnloggedVersion":          {"ALTER TABLE coordaudit_schema_version SET UNLOGGED", "table public.coordaudit_schema_version", auditadmin.Error, true},
		"VersionsOwner":            {"CREATE ROLE $owner_2; ALTER TABLE coordaudit_schema_version OWNER TO $owner_2; GRANT SELECT ON coordaudit_schema_version TO $owner", "table public.coordaudit_schema_version", auditadmin.Error, false},
		"VersionsMissing":          {"DELETE FROM coordaudit_schema_version", "table public.coordaudit_schema_version", auditadmin.Error, true},
		"NoVersionTable":           {"DROP TABLE coordaudit_schema_version", "table public.coordaudit_schema_version", auditadmin.Error, true},
	}
	return cases
}

func TestRepairEachDifference(t *testing.T) {
	t.Parallel()
	// A repaired trail is as good as a new one, so the cases share a few databases.
	const groups = 4
	var names [groups][]string
	cases := errorCases()
	for i, name := range slices.Sorted(maps.Keys(cases)) {
		if cases[name].repaired {
			names[i%groups] = append(names[i%groups], name)
		}
	}
	for i, group := range names {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			db, owner := owned(t)
			for _, name := range group {
				if testRepaired(t, db, owner, name, cases[name]); t.Failed() {
					return
				}
			}
			for _, table := range trailTables() {
				checkImmutable(t, db.Pool, table)
			}
		})
	}
}

func testRepaired(t *testing.T, db *testdb.DB, owner, name string, test broken) {
	t.Helper()
	execute(t, db, "SET allow_system_table_mods = on; "+strings.ReplaceAll(test.sql, "$owner", owner))
	conn := connect(t, db, owner)
	defer func() { _ = conn.Close(context.Background()) }()
	found := check(t, conn)
	if d := find(found, test.object, auditadmin.Error); d == nil || d.Got == "" || d.Repair == "" || (!d.Automatic && d.Repair != "migrate up") { // which also fills the version table
		t.Errorf("%s: want an error about %s and what repairs it: %+v", name, test.object, found)
	}
	left, actions := repair(t, conn)
	if errs := auditadmin.Errors(left); len(errs) > 0 {
		t.Errorf("%s: %v left after %+v", name, errs, actions)
	}
	if left, actions := repair(t, conn); len(actions) > 0 || len(auditadmin.Errors(left)) > 0 {
		t.Errorf("%s: a second repair did %+v and left %v", name, actions, left)
	}
	execute(t, db, insertRecord)
	if strings.Contains(test.object, "refuse") {
		for _, table := range trailTables() {
			checkImmutable(t, db.Pool, table)
		}
	}
}

func TestForeignObjectsAreKept(t *testing.T) {
	t.Parallel()
	for name, test := range errorCases() {
		if test.repaired {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, owner := owned(t)
			if strings.Contains(test.sql, "$owner_2") {
				dropWithTest(t, db, owner+"_2")
			}
			replace := strings.NewReplacer("$owner", owner).Replace
			execute(t, db, replace(test.sql))
			object := replace(test.object)
			conn := connect(t, db, owner)
			found := check(t, conn)
			if d := find(found, object, auditadmin.Error); d == nil || d.Got == "" || d.Repair == "" || d.Automatic {
				t.Fatalf("want an error about %s, and what to do about it: %+v", object, found)
			}
			if left, actions := repair(t, conn); find(left, object, auditadmin.Error) == nil {
				t.Errorf("no longer about %s: %v after %+v", object, left, actions)
			}
		})
	}
}

func TestHarmlessDifferences(t *testing.T) {
	t.Parallel()
	const nothing = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
	tests := map[string]broken{
		"ForeignColumn":     {sql: "ALTER TABLE coordination_audit_records ADD COLUMN note text", object: "column " + records + ".note"},
		"ForeignIndex":      {sql: "CREATE INDEX mine ON coordination_audit_records (actor_of_mine); ", object: "index public.mine"},
		"ForeignCheck":      {sql: "ALTER TABLE coordination_audit_records ADD CONSTRAINT mine CHECK (active_envelopes_count < 1000)", object: "constraint mine on " + records},
		"ForeignUnique":     {sql: "ALTER TABLE coordination_audit_records ADD CONSTRAINT mine UNIQUE (envelope_id)", object: "constraint mine on " + records},
		"CheckNotValid":     {sql: "ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_reason_valid; ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_reason_valid CHECK ($reason) NOT VALID", object: "constraint coordination_audit_reason_valid on " + records},
		"AfterTrigger":      {sql: nothing + "CREATE TRIGGER mine AFTER INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION nothing()", object: "trigger mine on " + records},
		"StatementTrigger":  {sql: nothing + "CREATE TRIGGER mine BEFORE INSERT ON coordination_audit_records FOR EACH STATEMENT EXECUTE FUNCTION nothing()", object: "trigger mine on " + records},
		"DisabledTrigger":   {sql: nothing + "CREATE TRIGGER mine BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION nothing(); ALTER TABLE coordination_audit_records DISABLE TRIGGER mine", object: "trigger mine on " + records},
		"RowSecurity":       {sql: "ALTER TABLE coordination_audit_records ENABLE ROW LEVEL SECURITY", object: "row-level security on " + records},
		"RoleMayDelete":     {sql: "CREATE ROLE $owner_2; GRANT DELETE, SELECT ON coordination_audit_records TO $owner_2", object: "privileges of $owner_2 on table " + records},
		"RoleMaySetval":     {sql: "CREATE ROLE $owner_2; GRANT UPDATE ON SEQUENCE coordination_audit_records_seq_seq TO $owner_2", object: "privileges of $owner_2 on sequence " + records + "_seq_seq"},
		"SuperuserFunction": {sql: "ALTER FUNCTION coordination_audit_refuse_change() OWNER TO CURRENT_USER", object: "function public.coordination_audit_refuse_change()"},
		"Deterministic":     {sql: `ALTER TABLE coordination_audit_records ALTER COLUMN tenant_id TYPE varchar(100) COLLATE "POSIX"`, object: "column " + records + ".tenant_id"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, owner := owned(t)
			if strings.Contains(test.sql, "$owner_2") {
				dropWithTest(t, db, owner+"_2")
			}
			var reason string
			if err := db.Pool.QueryRow(t.Context(), "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = 'coordination_audit_reason_valid'").Scan(&reason); err != nil {
				t.Fatal(err)
			}
			replace := strings.NewReplacer("$owner", owner, "$reason", reason, "actor_of_mine", "decision").Replace
			execute(t, db, replace(test.sql))
			found := check(t, connect(t, db, owner))
			if find(found, replace(test.object), auditadmin.Notice) == nil || len(auditadmin.Errors(found)) > 0 {
				t.Errorf("want one notice about %s: %v", test.object, found)
			}
		})
	}
}

// PostgreSQL 15 and newer have sequences that a crash resets, and PostgreSQL 18 has
// CHECKs that are not enforced.
func TestUnenforcedCheckIsFound(t *testing.T) {
	t.Parallel()
	tests := map[string]broken{
		"SequenceUnlogged": {"ALTER SEQUENCE coordination_audit_records_seq_seq SET UNLOGGED", "sequence " + records + "_seq_seq", auditadmin.Error, true},
		"CheckNotEnforced": {"ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_envelope_id_not_empty; ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_envelope_id_not_empty CHECK (envelope_id <> '') NOT ENFORCED", "constraint coordination_audit_envelope_id_not_empty on " + records, auditadmin.Error, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			_, err := testdb.New(t).Pool.Exec(t.Context(), test.sql)
			if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && (pgErr.Code == "42601" || pgErr.Code == "0A000") {
				t.Skip("this PostgreSQL has no such thing: " + pgErr.Message)
			}
			if err != nil {
				t.Fatal(err)
			}
			testRepaired(t, db, "", name, test)
		})
	}
}

// Without all of its migrations, or without its records, a trail cannot be repaired.
func TestMissingTrail(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ sql, object, repair string }{
		"RecordsMissing": {"DROP TABLE coordination_audit_records", "table " + records, "restore it from a backup"},
		"VersionMissing": {"DELETE FROM coordaudit_schema_version WHERE version_id = (SELECT max(version_id) FROM coordaudit_schema_version)", "table public.coordaudit_schema_version", "migrate up"},
		"Elsewhere": {"CREATE SCHEMA trail; ALTER TABLE coordination_audit_records SET SCHEMA trail; ALTER TABLE coordaudit_schema_version SET SCHEMA trail; ALTER TABLE coordination_audit_gaps SET SCHEMA trail; ALTER TABLE coordination_audit_statements SET SCHEMA trail; " +
			"ALTER TABLE coordination_audit_seal_tiles SET SCHEMA trail; ALTER TABLE coordination_audit_seal_checkpoints SET SCHEMA trail; ALTER TABLE coordination_audit_seal_events SET SCHEMA trail", "table coordination_audit_records", "search_path"},
		"Empty":       {"DROP TABLE coordaudit_schema_version, " + strings.Join(trailTables(), ", "), "table coordination_audit_records", "migrate up"},
		"Predecessor": {"DROP TABLE coordaudit_schema_version; ALTER TABLE coordination_audit_records DROP COLUMN seq", "table public.coordaudit_schema_version", "migrate up"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, owner := owned(t)
			execute(t, db, test.sql)
			conn := connect(t, db, owner)
			errs := auditadmin.Errors(check(t, conn))
			if d := find(errs, test.object, auditadmin.Error); d == nil || len(errs) != 1 || !strings.Contains(d.Repair, test.repair) {
				t.Errorf("want one error about %s that says %q: %v", test.object, test.repair, errs)
			}
			left, err := auditadmin.Repair(t.Context(), conn, auditadmin.RepairConfig{Report: func(a auditadmin.Action) { t.Errorf("did %+v", a) }})
			if !errors.Is(err, auditadmin.ErrNoTrail) || len(auditadmin.Errors(left)) != 1 {
				t.Errorf("repairing: %v, %v left", err, left)
			}
		})
	}
}

// A service's session, foreign settings and a temporary table of the same name do not
// change the result.
func TestSessionSettings(t *testing.T) {
	t.Parallel()
	db, owner := owned(t)
	hostile := []string{
		"quote_all_identifiers", "on", "datestyle", "German", "timezone", "Asia/Kolkata", "intervalstyle", "sql_standard",
		"default_transaction_isolation", "serializable", "statement_timeout", "10min", "extra_float_digits", "-5",
	}
	if version := connect(t, db, owner).PgConn().ParameterStatus("server_version"); !strings.HasPrefix(version, "19") { // which refuses this setting
		hostile = append(hostile, "standard_conforming_strings", "off")
	}
	conn := connect(t, db, owner, hostile...)
	const temporary = "CREATE TEMP TABLE coordination_audit_records (x int); CREATE TEMP TABLE coordaudit_schema_version (version_id bigint); SET search_path = pg_temp, public"
	if _, err := conn.Exec(t.Context(), temporary); err != nil {
		t.Fatal(err)
	}
	settings := func() (text string) {
		t.Helper()
		err := conn.QueryRow(t.Context(), "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE source = 'session' OR name IN ('TimeZone', 'DateStyle', 'client_encoding')").Scan(&text)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	before := settings()
	if found := check(t, conn); len(found) > 0 {
		t.Errorf("differences: %v", found)
	}
	if diff := cmp.Diff(before, settings()); diff != "" {
		t.Errorf("settings (-before +after):\n%s", diff)
	}
}

// Check reports what a role may not see, and never calls it valid.
func TestRoleWithoutRights(t *testing.T) {
	t.Parallel()
	db, _ := owned(t)
	reader := newRole(t, db)
	conn := connect(t, db, reader)

	found := check(t, conn)
	if d := find(found, "table public.coordaudit_schema_version", auditadmin.Unchecked); d == nil || !strings.Contains(d.Got, "permission denied") || !strings.Contains(d.Repair, "GRANT SELECT") {
		t.Errorf("the version table: %v", found)
	}
	for _, table := range []string{records, gaps, statements} {
		if d := find(found, "sequence "+table+"_seq_seq", auditadmin.Unchecked); d == nil || !strings.HasPrefix(d.Got, "cannot be checked: permission denied") {
			t.Errorf("the sequence of %s: %v", table, found)
		}
	}
	if len(auditadmin.Errors(found)) > 0 {
		t.Errorf("errors: %v", found)
	}

	execute(t, db, "ALTER TABLE coordination_audit_records DISABLE TRIGGER coordination_audit_refuse_truncate")
	if len(auditadmin.Errors(check(t, conn))) != 1 {
		t.Errorf("a trigger that is off is seen without rights, too: %v", check(t, conn))
	}
	execute(t, db, "ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_truncate; "+
		"GRANT SELECT ON coordaudit_schema_version, "+strings.Join(trailTables(), ", ")+" TO "+reader+
		"; GRANT SELECT ON SEQUENCE coordination_audit_records_seq_seq, coordination_audit_gaps_seq_seq, coordination_audit_statements_seq_seq, coordination_audit_seal_events_seq_seq TO "+reader)
	if found := check(t, conn); len(found) > 0 {
		t.Errorf("with every right: %v", found)
	}
	// A policy would hide the rows that the sequence is compared with.
	execute(t, db, "ALTER TABLE coordination_audit_records ENABLE ROW LEVEL SECURITY")
	if found := check(t, conn); find(found, "sequence "+records+"_seq_seq", auditadmin.Unchecked) == nil {
		t.Errorf("behind a policy: %v", found)
	}
}

func TestDatabaseEncoding(t *testing.T) {
	t.Parallel()
	db := latin1(t)
	found := check(t, connect(t, db, ""))
	if len(found) == 0 || !strings.HasPrefix(found[0].Object, "database ") || found[0].Got != "encoding LATIN1" || found[0].Severity != auditadmin.Error || found[0].Automatic {
		t.Errorf("differences: %v", found)
	}
}

// This program cannot judge the migrations of a newer one.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	db, owner := owned(t)
	execute(t, db, "INSERT INTO coordaudit_schema_version (version_id, is_applied) VALUES (10000, true); DROP INDEX coordination_audit_time_idx")
	conn := connect(t, db, owner)
	found := check(t, conn)
	if len(auditadmin.Errors(found)) > 0 || find(found, "index public.coordination_audit_time_idx", auditadmin.Notice) == nil {
		t.Errorf("differences: %v", found)
	}
	if _, actions := repair(t, conn); len(actions) > 0 {
		t.Errorf("repaired what a newer program has made: %v", actions)
	}
}
