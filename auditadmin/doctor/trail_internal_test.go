package doctor

import (
	"context"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const sequence = "sequence public.coordination_audit_records_seq_seq"

// What stands in the catalogs: each case makes one check find something, and nothing before.
func TestFaultsInTheCatalogsAreNamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		check, sql string
		severity   Severity
		texts      []string
	}{
		"a missing trigger": {"guards", "DROP TRIGGER coordination_audit_refuse_truncate ON coordination_audit_records", Error, []string{"trigger coordination_audit_refuse_truncate", "missing", "migrate repair"}},
		"an unlogged table": {"guards", "ALTER TABLE coordination_audit_gaps SET UNLOGGED", Error, []string{"table public.coordination_audit_gaps", "UNLOGGED", "migrate repair"}},
		"row-level security without a policy": {"row_security", "ALTER TABLE coordination_audit_records ENABLE ROW LEVEL SECURITY", Error, []string{
			"table public.coordination_audit_records", "no policy", "0A000", "DISABLE ROW LEVEL SECURITY", "--tenant-reader",
		}},
		"forced row-level security": {
			"row_security", "CREATE POLICY mine ON coordination_audit_statements USING (true); ALTER TABLE coordination_audit_statements ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
			Error,
			[]string{"table public.coordination_audit_statements", "policies mine", "applies to the owner too", "NO FORCE ROW LEVEL SECURITY"},
		},
		"a role that may delete": {"grants", "GRANT SELECT, DELETE ON coordination_audit_records TO $role", Warning, []string{"$role", "DELETE", "REVOKE DELETE"}},
		"everyone may create":    {"grants", "GRANT CREATE ON SCHEMA public TO PUBLIC", Warning, []string{"PUBLIC on schema public", "every role can create", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"}},
		"a foreign schema":       {"grants", "ALTER SCHEMA public OWNER TO $role", Warning, []string{"schema public", "owner $role", "drop the trail", "ALTER SCHEMA public OWNER TO"}},
		"everyone may read":      {"grants", "GRANT SELECT ON coordination_audit_records TO PUBLIC", Error, []string{"PUBLIC", "REVOKE ALL"}},
		"a cached sequence":      {"sequences", "ALTER SEQUENCE coordination_audit_records_seq_seq CACHE 20", Error, []string{sequence, "migrate repair"}},
		"a sequence behind its rows": {
			"sequences", insertRecords + "; SELECT setval('coordination_audit_records_seq_seq', 1)", Error, []string{sequence, "numbers that are taken", "setval"},
		},
		"a sequence that was moved": {"sequences", "SELECT setval('coordination_audit_records_seq_seq', 6000000000000000000)", Warning, []string{sequence, "65 %", "SELECT max(seq)"}},
		"a sequence that soon ends": {"sequences", "SELECT setval('coordination_audit_records_seq_seq', " + strconv.Itoa(math.MaxInt64-1000) + ")", Error, []string{sequence, "100 %", "setval"}},
		"a sequence that has ended": {"sequences", "SELECT setval('coordination_audit_records_seq_seq', " + strconv.Itoa(math.MaxInt64) + ")", Error, []string{sequence, "exhausted"}},
		"an invalid index": {
			"indexes", "SET allow_system_table_mods = on; UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'coordination_audit_seq_idx'::regclass", Error,
			[]string{"index public.coordination_audit_seq_idx", "invalid", "CREATE INDEX CONCURRENTLY"},
		},
		"an index that a REINDEX left": {
			"indexes", "SET allow_system_table_mods = on; CREATE INDEX mine_ccnew ON coordination_audit_records (reason); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'mine_ccnew'::regclass", Notice,
			[]string{"index public.mine_ccnew", "DROP INDEX CONCURRENTLY"},
		},
		"autovacuum that is off for a table": {"autovacuum", "ALTER TABLE coordination_audit_records SET (autovacuum_enabled = off)", Warning, []string{"table public.coordination_audit_records", "RESET (autovacuum_enabled)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			role := newRole(t, db)
			replace := func(text string) string { return replaceRole(text, role) }
			examine(t, db.Pool, nil).mustBeQuiet(t, test.check)
			fixture.MustExec(t, db.Pool, replace(test.sql))
			texts := make([]string, len(test.texts))
			for i, text := range test.texts {
				texts[i] = replace(text)
			}
			examine(t, db.Pool, nil).mustFind(t, test.check, test.severity, texts...)
		})
	}
}

func TestPowerfulRolesAreNamed(t *testing.T) {
	t.Parallel()
	db := testdb.NewOn(t, testdb.Durable(t))
	owner, service := newRole(t, db), newRole(t, db)
	x := examine(t, db.Pool, nil)
	x.mustFind(t, "roles", Warning, "a superuser owns the trail", "OWNER TO")
	fixture.MustExec(t, db.Pool, `DO $$
		DECLARE t text;
		BEGIN
			FOR t IN SELECT relname FROM pg_class WHERE relname ~ '^coord' AND relkind = 'r' LOOP
				EXECUTE format('ALTER TABLE %I OWNER TO `+owner+`', t);
			END LOOP;
		END $$`)
	named := fixture.OpenPool(t, fixture.WithSetting(db.URL, "application_name=coordaudit-doctor"), nil)
	x = examine(t, named, nil)
	x.mustFind(t, "roles", Warning, "sessions in this database", "--writer")
	db.Pool.Reset() // its sessions are a superuser's
	fixture.Eventually(t, func() bool { return len(x.run(t, "roles")) == 0 })

	for sql, texts := range map[string][]string{
		"ALTER ROLE $role SUPERUSER LOGIN":            {"superusers that may log in", "NOLOGIN"},
		"ALTER ROLE $role REPLICATION LOGIN":          {"may replicate", "NOREPLICATION"},
		"ALTER ROLE $role BYPASSRLS":                  {"does not bind them", "NOBYPASSRLS"},
		"GRANT pg_execute_server_program TO $role":    {"run programs on the server", "REVOKE"},
		"ALTER ROLE $role CREATEROLE /* before 16 */": {"CREATEROLE", "NOCREATEROLE"},
	} {
		role := newRole(t, db)
		if x.server.Version >= 160_000 && texts[0] == "CREATEROLE" {
			continue
		}
		fixture.MustExec(t, db.Pool, replaceRole(sql, role))
		x.mustFind(t, "roles", Notice, append(texts, "roles "+role)...)
		fixture.MustExec(t, db.Pool, replaceRole("ALTER ROLE $role NOSUPERUSER NOLOGIN NOREPLICATION NOBYPASSRLS NOCREATEROLE; REVOKE pg_execute_server_program FROM $role", role))
	}

	plain := fixture.OpenPool(t, fixture.WithSetting(db.URL, "application_name=coordaudit-doctor&role="+service), nil)
	x = examine(t, plain, nil)
	x.mustFind(t, "roles", Unchecked, "GRANT pg_monitor TO "+service)
	x.mustFind(t, "standbys", Unchecked, "GRANT pg_monitor TO "+service)
	plain.Close()
	named.Close()
}

// A role that may remove what it wrote, or release the hold that stops it, is kept in check by no one.
func TestRolesWithTwoDutiesAreNamed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	grant := func(c auditmigrate.GrantConfig) {
		t.Helper()
		migrator := auditmigrate.New(db.Pool.Config().ConnConfig, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
		if _, err := migrator.ApplyGrants(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	x := examine(t, db.Pool, nil)
	writer, expirer, eraser, holder := newRole(t, db), newRole(t, db), newRole(t, db), newRole(t, db)
	grant(auditmigrate.GrantConfig{Writers: []string{writer}, Expirers: []string{expirer}, Erasers: []string{eraser}, Holders: []string{holder}})
	x.mustBeQuiet(t, "duties")
	for _, test := range []struct {
		grant  auditmigrate.GrantConfig
		member string // of which the role is made a member instead
		text   string
	}{
		{grant: auditmigrate.GrantConfig{Writers: []string{""}, Expirers: []string{""}}, text: "may store records, and expire or erase them"},
		{grant: auditmigrate.GrantConfig{Writers: []string{""}, Erasers: []string{""}}, text: "may store records, and expire or erase them"},
		{grant: auditmigrate.GrantConfig{Expirers: []string{""}, Holders: []string{""}}, text: "release the legal holds"},
		{grant: auditmigrate.GrantConfig{Writers: []string{""}}, member: expirer, text: "may store records, and expire or erase them"},
		{grant: auditmigrate.GrantConfig{Holders: []string{""}}, member: eraser, text: "release the legal holds"},
	} {
		role := newRole(t, db)
		for _, of := range [][]string{test.grant.Writers, test.grant.Expirers, test.grant.Erasers, test.grant.Holders} {
			for i := range of {
				of[i] = role
			}
		}
		grant(test.grant)
		if test.member != "" {
			fixture.MustExec(t, db.Pool, "GRANT "+test.member+" TO "+role)
		}
		x.mustFind(t, "duties", Warning, "roles "+role, test.text, "a role of their own")
		fixture.MustExec(t, db.Pool, "DROP OWNED BY "+role)
		if test.member != "" {
			fixture.MustExec(t, db.Pool, "REVOKE "+test.member+" FROM "+role)
		}
	}
	x.mustBeQuiet(t, "duties")
}

func TestBloatedIndexIsNamedAndAPackedOneIsNot(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for range 20 {
		fixture.MustExec(t, db.Pool, insertRecords)
	}
	for _, index := range []string{"coordination_audit_records_pkey", "coordination_audit_seq_idx", "coordination_audit_scope_time_idx", "coordination_audit_envelope_scope_time_idx"} {
		fixture.MustExec(t, db.Pool, "REINDEX INDEX "+index)
	}
	fixture.MustExec(t, db.Pool, "ANALYZE coordination_audit_records")
	small := func(x *examination) { x.limits.bloatBytes = 0 }
	examine(t, db.Pool, nil).mustBeQuiet(t, "indexes")
	examine(t, db.Pool, small).mustBeQuiet(t, "indexes")
	fixture.MustExec(t, db.Pool, "ALTER INDEX coordination_audit_seq_idx SET (fillfactor = 20); REINDEX INDEX coordination_audit_seq_idx")
	examine(t, db.Pool, nil).mustBeQuiet(t, "indexes") // too small to matter
	examine(t, db.Pool, small).mustFind(t, "indexes", Warning, "index public.coordination_audit_seq_idx", "are free space", "REINDEX INDEX CONCURRENTLY public.coordination_audit_seq_idx;")
}

func TestHoldersOfTheFenceAreNamed(t *testing.T) {
	t.Parallel()
	db := ownServer(t, pglocal.Config{Settings: map[string]string{"max_prepared_transactions": "2"}})
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), insertRecords); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(int(tx.Conn().PgConn().PID()))
	prepared, err := db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"BEGIN", insertRecords, "PREPARE TRANSACTION 'it''s mine'"} {
		if _, err := prepared.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	prepared.Release()
	examine(t, db.Pool, nil).mustBeQuiet(t, "fence") // they are young
	x := examine(t, db.Pool, func(x *examination) { x.limits.fence = 0 })
	x.mustFind(t, "fence", Warning, "transaction of process "+pid, "role postgres", "idle in transaction", "pg_terminate_backend("+pid+")")
	x.mustFind(t, "fence", Warning, "prepared transaction 'it''s mine'", "survives restarts", "ROLLBACK PREPARED 'it''s mine'")

	reader := newRole(t, db)
	other := fixture.OpenPool(t, fixture.WithSetting(db.URL, "role="+reader), nil)
	examine(t, other, nil).mustFind(t, "fence", Unchecked, "process "+pid, "pg_monitor")
	other.Close()
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	fixture.MustExec(t, db.Pool, "ROLLBACK PREPARED 'it''s mine'")
	x.mustBeQuiet(t, "fence")
}

const insertGap = `
	INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown,
		first_audit_id, last_audit_id, lost_from, lost_until, cause, recorded_at)
	VALUES (gen_random_uuid(), 2, 0, 1, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'the disk is full', `

func TestGapsAreSummedUp(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	x := examine(t, db.Pool, nil)
	x.mustBeQuiet(t, "gaps")
	fixture.MustExec(t, db.Pool, insertGap+"now() - interval '40 days')")
	x.mustFind(t, "gaps", Notice, "1 gap on record, with 3 records dropped, 2 of class SAFETY", "SpoolDir")
	fixture.MustExec(t, db.Pool, insertGap+"now())")
	x.mustFind(t, "gaps", Warning, "2 gaps on record, with 6 records dropped")
}

// source stores statements of a source that has accepted ten records, of which nine came.
func source(t *testing.T, db *testdb.DB, kind, waiting, madeAt string) {
	t.Helper()
	fixture.MustExec(t, db.Pool, `
		WITH source AS (SELECT gen_random_uuid() AS id),
		stated AS (
			INSERT INTO coordination_audit_statements (source_id, statement_no, kind, accepted_through, reserved_through,
				dropped, rejected, already_persisted, waiting, waiting_continues, label, made_at)
			SELECT id, 1, '`+kind+`', 10, CASE '`+kind+`' WHEN 'closed' THEN 10 ELSE 25 END, '{}', '{}', '{}', '`+waiting+`', false, 'coordinator-1', `+madeAt+` FROM source
		)
		INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, source_id, source_seq)
		SELECT gen_random_uuid(), 'envelope', 'COST', 'APPLIED', 'a reason', now(), source.id, n FROM source, generate_series(1, 9) AS n`)
}

func TestMissingOrdinalsAndOpenSourcesAreNamed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	quiet := examine(t, db.Pool, nil)
	quiet.mustBeQuiet(t, "ordinals")
	quiet.mustBeQuiet(t, "sources")

	source(t, db, "closed", "{[10,11)}", "now()") // it waits, and was heard just now
	source(t, db, "periodic", "{[10,11)}", "now() - interval '1 hour'")
	x := examine(t, db.Pool, nil)
	x.mustBeQuiet(t, "ordinals")
	x.mustBeQuiet(t, "sources")

	source(t, db, "closed", "{}", "now()")
	source(t, db, "periodic", "{[10,11)}", "now() - interval '3 days'")
	x = examine(t, db.Pool, nil)
	x.mustFind(t, "ordinals", Error, "source ", "coordinator-1", "1 ordinal given, not stored and explained by nothing", "coordaudit completeness")
	x.mustFind(t, "sources", Warning, "never closed", "15 records", "spool directory")
	x.mustFind(t, "sources", Warning, "1 record in the spools", "coordaudit import")

	for range 3 {
		source(t, db, "closed", "{}", "now()")
	}
	fixture.MustExec(t, db.Pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, source_id, source_seq)
		VALUES (gen_random_uuid(), 'envelope', 'COST', 'APPLIED', 'a reason', now(), gen_random_uuid(), 1)`)
	x = examine(t, db.Pool, nil)
	x.mustFind(t, "ordinals", Error, "sources ", " and 1 more", "4 ordinals")
	x.mustFind(t, "ordinals", Error, "1 contradiction")

	// Without rights nothing is said, and nothing breaks.
	role := newRole(t, db)
	other := fixture.OpenPool(t, fixture.WithSetting(db.URL, "role="+role), nil)
	examine(t, other, nil).mustFind(t, "ordinals", Unchecked, "not done")
	other.Close()
}

func TestQuickReadsNoRecords(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	source(t, db, "closed", "{}", "now()")
	x := examine(t, db.Pool, func(x *examination) { x.config.Quick = true })
	x.mustBeQuiet(t, "ordinals")
	x.mustBeQuiet(t, "sources")
	if x.accounted {
		t.Error("the records were read")
	}
}

func TestStatisticsThatAreOldAreNamed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	fixture.MustExec(t, db.Pool, insertRecords)
	few := func(x *examination) { x.limits.changedRows = 500 }
	fixture.Eventually(t, func() bool { return len(examine(t, db.Pool, few).run(t, "statistics")) > 0 }) // the server reports with a delay
	examine(t, db.Pool, few).mustFind(t, "statistics", Warning, "table public.coordination_audit_records", "ANALYZE public.coordination_audit_records;")
	examine(t, db.Pool, nil).mustBeQuiet(t, "statistics") // too few to matter
	fixture.MustExec(t, db.Pool, "ANALYZE coordination_audit_records")
	fixture.Eventually(t, func() bool { return len(examine(t, db.Pool, few).run(t, "statistics")) == 0 })
}

func TestOldTransactionsAreNamed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	examine(t, db.Pool, nil).mustBeQuiet(t, "wraparound")
	x := examine(t, db.Pool, func(x *examination) { x.limits.freezeFactor = 0 })
	x.mustFind(t, "wraparound", Warning, "database ", "refuses every write", "VACUUM (FREEZE)")
	x.mustFind(t, "wraparound", Warning, "table public.coordination_audit_records", "VACUUM (FREEZE) public.coordination_audit_records;")
	x.limits.failAge = 1
	x.mustFind(t, "wraparound", Error, "its oldest transaction is")
}

func TestGrowthTellsWhenTheDiskIsFull(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	examine(t, db.Pool, nil).mustBeQuiet(t, "growth") // nothing grows
	// A thousand a day for 10 days, and before that a burst that no day repeats.
	fixture.MustExec(t, db.Pool, `
		INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at)
		SELECT gen_random_uuid(), 'envelope', 'COST', 'APPLIED', 'a reason', now(), now() - interval '90 days' FROM generate_series(1, 5000);
		INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at)
		SELECT gen_random_uuid(), 'envelope', 'COST', 'APPLIED', 'a reason', now(), now() - (10000 - n) * interval '86.4 s' FROM generate_series(1, 10000) AS n;
		ANALYZE coordination_audit_records`)
	x := examine(t, db.Pool, nil)
	if rate, err := x.rate(t.Context()); err != nil || math.Abs(rate-1000) > 10 {
		t.Errorf("%.1f records a day, want 1,000: %v", rate, err)
	}
	x.mustFind(t, "growth", Notice, "in about 15,000 records", "not known to SQL", "--disk-free BYTES")
	size := int64(fixture.QueryInt(t, db.Pool, "SELECT sum(pg_total_relation_size(oid))::int FROM pg_class WHERE relname ~ '^coordination_audit' AND relkind = 'r'"))
	for days, want := range map[int64]Severity{3: Error, 20: Warning} {
		x.config.DiskFree = size * (days*10 + 5) / 150 // and a half
		x.mustFind(t, "growth", want, "free last for "+strconv.FormatInt(days, 10)+" days", "coordaudit expire")
	}
	x.config.DiskFree = size / 15 * 400
	x.mustBeQuiet(t, "growth")
}

func TestRateLeavesOutHolesBeforeItsWindow(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	fixture.MustExec(t, db.Pool, `
		INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at)
		SELECT gen_random_uuid(), 'envelope', 'COST', 'APPLIED', 'a reason', now(), now() - interval '90 days';
		SELECT setval('coordination_audit_records_seq_seq', 1000000);
		INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at)
		SELECT gen_random_uuid(), 'envelope', 'COST', 'APPLIED', 'a reason', now(), now() - interval '80 days';
		SELECT setval('coordination_audit_records_seq_seq', 2000000);
		INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at)
		SELECT gen_random_uuid(), 'envelope', 'COST', 'APPLIED', 'a reason', now(), now() - (700 - n) * interval '864 s' FROM generate_series(1, 699) AS n`)
	rate, err := examine(t, db.Pool, nil).rate(t.Context())
	if err != nil || rate < 98 || rate > 102 {
		t.Errorf("%.1f records a day, want 100: %v", rate, err)
	}
}

func replaceRole(text, role string) string { return strings.ReplaceAll(text, "$role", role) }
