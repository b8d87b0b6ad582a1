package auditadmin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// program runs one of PostgreSQL's client programs on a database.
func program(t *testing.T, url, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	bin, err := pglocal.Find()
	if errors.Is(err, pglocal.ErrNoPrograms) {
		t.Skip("needs PostgreSQL's programs: " + name)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, name), append([]string{"--dbname=" + url}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	if strings.Contains(complaints.String(), "server version mismatch") {
		t.Skip("needs a " + name + " of the server's version: " + complaints.String())
	}
	return out.String(), complaints.String(), err
}

func mustRun(t *testing.T, url, name string, args ...string) string {
	t.Helper()
	stdout, stderr, err := program(t, url, name, args...)
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, stderr)
	}
	return stdout
}

// source is a trail with records, a gap, a statement and a seal, as its readers see it.
type source struct {
	db                        *testdb.DB
	records, gaps, statements []string
	seal                      []string // tiles, checkpoints and events
}

// insertEvents stores events whose CHECK calls a function.
const insertEvents = `
	INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body)
	VALUES
		(gen_random_uuid(), 'hold placed', 1, '{"tenant_id": "acme", "why": "case 4711"}'),
		(gen_random_uuid(), 'expired', 1, '{"archive": "' || repeat('a', 64) || '", "first_seq": 5, "last_seq": 6, "records": 2, "seqs": "{[5,7)}", "sources": {"01a22592-1643-70aa-bd36-922a76dfc914": "{[1,3)}"}}')`

func newSource(t *testing.T) source {
	t.Helper()
	db := testdb.New(t)
	persist(t, db, "before", 20)
	execute(t, db, insertRecord)
	execute(t, db, insertEvents)
	return source{
		db: db, records: rows(t, db, "coordination_audit_records"), gaps: rows(t, db, "coordination_audit_gaps"),
		statements: rows(t, db, "coordination_audit_statements"), seal: sealRows(t, db),
	}
}

func sealRows(t *testing.T, db *testdb.DB) []string {
	t.Helper()
	return slices.Concat(rows(t, db, "coordination_audit_seal_tiles"), rows(t, db, "coordination_audit_seal_checkpoints"), rows(t, db, "coordination_audit_seal_events"))
}

// persist stores records in the way of a service.
func persist(t *testing.T, db *testdb.DB, envelope string, n int) {
	t.Helper()
	store := coordaudit.New(db.Pool, coordaudit.Config{Timeout: time.Minute})
	for i := range n {
		_, err := store.Persist(t.Context(), audit.Record{
			EnvelopeID: fmt.Sprintf("%s-%d", envelope, i), EnvelopeClass: audit.Cost, Decision: audit.Applied, Reason: "a reason",
			DecisionTimestamp: time.Date(2026, 1, 1, 0, 0, i/2, 0, time.UTC), TenantID: "acme",
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// restored is a restored database and the expected differences.
type restored struct {
	from source
	db   *testdb.DB
	off  []string // the objects of some errors; empty if the trail is valid
	lost bool     // the gaps, the statements and the seal were not part of the restore
}

// check compares the result of Check with the expected errors, then repairs, writes
// and reads.
func (r restored) check(t *testing.T) {
	t.Helper()
	conn := connect(t, r.db, "")
	errs := auditadmin.Errors(check(t, conn))
	for _, object := range r.off {
		if find(errs, object, auditadmin.Error) == nil {
			t.Errorf("nothing about %s in %v", object, errs)
		}
	}
	if len(r.off) == 0 && len(errs) > 0 {
		t.Errorf("it is as the migrations make it, and yet: %v", errs)
	}
	left, actions := repair(t, conn)
	if len(left) > 0 {
		t.Fatalf("left: %v after %+v", left, actions)
	}
	if (len(actions) > 0) != (len(r.off) > 0) {
		t.Errorf("%d actions, %d off: %+v", len(actions), len(r.off), actions)
	}
	if err := migrator(t, r.db).Validate(t.Context()); err != nil {
		t.Errorf("the version table: %v", err)
	}
	if diff := cmp.Diff(r.from.records, rows(t, r.db, "coordination_audit_records")); diff != "" {
		t.Errorf("records (-source +restored):\n%s", diff)
	}
	if diff := cmp.Diff(r.from.gaps, rows(t, r.db, "coordination_audit_gaps")); diff != "" && !r.lost {
		t.Errorf("gaps (-source +restored):\n%s", diff)
	}
	if diff := cmp.Diff(r.from.statements, rows(t, r.db, "coordination_audit_statements")); diff != "" && !r.lost {
		t.Errorf("statements (-source +restored):\n%s", diff)
	}
	if diff := cmp.Diff(r.from.seal, sealRows(t, r.db)); diff != "" && !r.lost {
		t.Errorf("seal (-source +restored):\n%s", diff)
	}
	persist(t, r.db, "after", 20)
	r.checkReading(t)
	checkImmutable(t, r.db.Pool, "coordination_audit_records")
	if !r.lost {
		for _, table := range trailTables()[1:] {
			checkImmutable(t, r.db.Pool, table)
		}
	}
}

// checkReading reads page by page. Each record must come once, and no number twice.
func (r restored) checkReading(t *testing.T) {
	t.Helper()
	store := coordaudit.New(r.db.Pool, coordaudit.Config{})
	var ids, numbers []string
	query := audit.Query{Scope: audit.AllTenants(), Limit: 7}
	for record, err := range store.All(t.Context(), query) {
		if err != nil {
			t.Fatal(err)
		}
		ids, numbers = append(ids, record.AuditID.String()), append(numbers, strconv.FormatInt(record.Seq, 10))
	}
	if want := len(r.from.records) + 20; len(ids) != want || len(distinct(ids)) != want || len(distinct(numbers)) != want {
		t.Errorf("%d records, %d ids, %d numbers, want %d of each", len(ids), len(distinct(ids)), len(distinct(numbers)), want)
	}
}

func distinct(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func TestRestoreFullDump(t *testing.T) {
	t.Parallel()
	from, to := newSource(t), testdb.NewEmpty(t)
	dump := filepath.Join(t.TempDir(), "full.dump")
	mustRun(t, from.db.URL, "pg_dump", "--format=custom", "--file="+dump)
	mustRun(t, to.URL, "pg_restore", "--exit-on-error", dump)
	restored{from: from, db: to}.check(t)
}

// restoreText restores a dump in the form of SQL.
func restoreText(t *testing.T, from, to *testdb.DB, dump ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trail.sql")
	mustRun(t, from.URL, "pg_dump", append(dump, "--file="+file)...)
	mustRun(t, to.URL, "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file="+file)
}

func TestRestoreTextTwice(t *testing.T) {
	t.Parallel()
	from := newSource(t)
	db := from.db
	for range 2 {
		to := testdb.NewEmpty(t)
		restoreText(t, db, to)
		db = to
	}
	restored{from: from, db: db}.check(t)
}

// A pg_dump that disables triggers ends its restore with ENABLE TRIGGER ALL, which
// removes their ALWAYS.
func TestRestoreDataOnly(t *testing.T) {
	t.Parallel()
	from, to := newSource(t), testdb.New(t)
	restoreText(t, from.db, to, "--data-only", "--disable-triggers", "--exclude-table=coordaudit_schema_version")
	restored{from: from, db: to, off: []string{
		"trigger coordination_audit_refuse_update_delete on " + records, "trigger coordination_audit_refuse_truncate on " + records,
		"trigger coordination_audit_gaps_refuse_update_delete on " + gaps, "trigger coordination_audit_gaps_refuse_truncate on " + gaps,
		"trigger coordination_audit_statements_refuse_update_delete on " + statements, "trigger coordination_audit_statements_refuse_truncate on " + statements,
		"trigger coordination_audit_seal_tiles_refuse_update_delete on " + tiles, "trigger coordination_audit_seal_tiles_refuse_truncate on " + tiles,
		"trigger coordination_audit_seal_checkpoints_refuse_update_delete on " + checkpoints, "trigger coordination_audit_seal_checkpoints_refuse_truncate on " + checkpoints,
		"trigger coordination_audit_seal_events_refuse_update_delete on " + events, "trigger coordination_audit_seal_events_refuse_truncate on " + events,
	}}.check(t)
}

// COPY moves the rows alone, so the sequences stay where they were.
func TestRestoreRowsOnly(t *testing.T) {
	t.Parallel()
	from, to := newSource(t), testdb.New(t)
	for _, table := range trailTables() {
		file := filepath.Join(t.TempDir(), table)
		mustRun(t, from.db.URL, "psql", "--no-psqlrc", `--command=\copy `+table+` TO '`+file+`'`)
		mustRun(t, to.URL, "psql", "--no-psqlrc", `--command=\copy `+table+` FROM '`+file+`'`)
	}
	restored{from: from, db: to, off: []string{"sequence " + records + "_seq_seq", "sequence " + gaps + "_seq_seq", "sequence " + statements + "_seq_seq", "sequence " + events + "_seq_seq"}}.check(t)
}

// restoreTables restores some tables alone, which come without a function.
func restoreTables(t *testing.T, from, to *testdb.DB, tables, without string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tables.sql")
	mustRun(t, from.URL, "pg_dump", "--table="+tables, "--file="+file)
	_, stderr, err := program(t, to.URL, "psql", "--no-psqlrc", "--quiet", "--file="+file)
	if err != nil || !strings.Contains(stderr, "function public."+without+" does not exist") {
		t.Fatalf("%v: %s", err, stderr)
	}
}

// A single table comes without the function of its triggers and without the version
// table.
func TestRestoreOneTable(t *testing.T) {
	t.Parallel()
	from, to := newSource(t), testdb.NewEmpty(t)
	restoreTables(t, from.db, to, "coordination_audit_records", "coordination_audit_refuse_change()")
	restored{from: from, db: to, lost: true, off: []string{
		"table public.coordaudit_schema_version", "function public.coordination_audit_refuse_change()", "table " + gaps, "table " + statements,
		"table " + tiles, "table " + checkpoints, "table " + events,
		"trigger coordination_audit_refuse_update_delete on " + records, "trigger coordination_audit_refuse_truncate on " + records,
	}}.check(t)
}

// A CHECK of the events calls a function, which is part of no table. So tables alone come without the
// events, and their holds are lost: that is named, and is no backup.
func TestRestoreTablesAlone(t *testing.T) {
	t.Parallel()
	from, to := newSource(t), testdb.NewEmpty(t)
	restoreTables(t, from.db, to, "coordination_audit_*", "coordination_audit_are_multiranges(jsonb)")
	restored{from: from, db: to, lost: true, off: []string{"table public.coordaudit_schema_version", "table " + events}}.check(t)
}

// All but the version table is completed by a repair, the holds included.
func TestRestoreWithoutTheVersionTable(t *testing.T) {
	t.Parallel()
	from, to := newSource(t), testdb.NewEmpty(t)
	restoreText(t, from.db, to, "--exclude-table=coordaudit_schema_version*", "--no-owner", "--no-privileges")
	restored{from: from, db: to, off: []string{"table public.coordaudit_schema_version"}}.check(t)
}

// Without its last section, a restore has no keys, indexes or triggers.
func TestRestoreNoPostData(t *testing.T) {
	t.Parallel()
	from, to := newSource(t), testdb.NewEmpty(t)
	dump := filepath.Join(t.TempDir(), "full.dump")
	mustRun(t, from.db.URL, "pg_dump", "--format=custom", "--file="+dump)
	mustRun(t, to.URL, "pg_restore", "--exit-on-error", "--section=pre-data", "--section=data", dump)
	restored{from: from, db: to, off: []string{
		"primary key of " + records, "primary key of " + gaps, "primary key of " + statements, "primary key of " + tiles, "primary key of " + checkpoints, "primary key of " + events,
		"index public.coordination_audit_seq_idx", "index public.coordination_audit_seal_checkpoints_previous_idx", "index public.coordination_audit_seal_tiles_late_idx", "index public.coordination_audit_time_idx", "index public.coordination_audit_scope_time_idx",
		"trigger coordination_audit_refuse_update_delete on " + records, "trigger coordination_audit_gaps_refuse_truncate on " + gaps,
		"trigger coordination_audit_seal_tiles_refuse_truncate on " + tiles,
	}}.check(t)
}

// The schema alone comes with an empty version table.
func TestRestoreSchemaOnly(t *testing.T) {
	t.Parallel()
	from, to := newSource(t), testdb.NewEmpty(t)
	file := filepath.Join(t.TempDir(), "schema.sql")
	mustRun(t, from.db.URL, "pg_dump", "--schema-only", "--file="+file)
	mustRun(t, to.URL, "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file="+file)
	from.records, from.gaps = []string{}, nil
	restored{from: from, db: to, lost: true, off: []string{"table public.coordaudit_schema_version"}}.check(t)
}

// A logical subscription replicates rows, but not the positions of sequences.
func TestPromotedSubscriber(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"wal_level": "logical", "max_wal_senders": "10", "max_replication_slots": "10", "max_logical_replication_workers": "10"}
	publisher := startServer(t, settings)
	subscriber := startServer(t, settings)
	from := source{db: testdb.NewOn(t, publisher)}
	persist(t, from.db, "before", 10)
	to := testdb.NewOn(t, subscriber)

	execute(t, from.db, "CREATE PUBLICATION trail FOR TABLE "+strings.Join(trailTables(), ", "))
	host := from.db.Pool.Config().ConnConfig
	executeAlone(t, to, fmt.Sprintf("CREATE SUBSCRIPTION trail CONNECTION 'host=%s port=%d dbname=%s user=%s' PUBLICATION trail", host.Host, host.Port, host.Database, host.User))
	persist(t, from.db, "streamed", 10)
	execute(t, from.db, insertRecord)
	from.records, from.gaps = rows(t, from.db, "coordination_audit_records"), rows(t, from.db, "coordination_audit_gaps")
	from.statements, from.seal = rows(t, from.db, "coordination_audit_statements"), sealRows(t, from.db)
	eventually(t, to, fmt.Sprintf("SELECT (SELECT count(*) FROM coordination_audit_records) = %d AND (SELECT count(*) FROM coordination_audit_gaps) = %d AND (SELECT count(*) FROM coordination_audit_statements) = %d "+
		"AND (SELECT count(*) FROM coordination_audit_seal_tiles) + (SELECT count(*) FROM coordination_audit_seal_checkpoints) + (SELECT count(*) FROM coordination_audit_seal_events) = %d",
		len(from.records), len(from.gaps), len(from.statements), len(from.seal)))
	executeAlone(t, to, "DROP SUBSCRIPTION trail")

	restored{from: from, db: to, off: []string{"sequence " + records + "_seq_seq", "sequence " + gaps + "_seq_seq", "sequence " + statements + "_seq_seq", "sequence " + events + "_seq_seq"}}.check(t)
}

func startServer(t *testing.T, settings map[string]string) *pglocal.Server {
	t.Helper()
	server, err := pglocal.Start(context.Background(), pglocal.Config{Settings: settings})
	if errors.Is(err, pglocal.ErrNoPrograms) {
		t.Skip("needs PostgreSQL's programs: servers of its own")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// executeAlone runs statements that must be outside a transaction and sent one by one.
func executeAlone(t *testing.T, db *testdb.DB, sql string) {
	t.Helper()
	if _, err := db.Pool.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%v in %s", err, sql)
	}
}

// eventually waits until a query for a boolean returns true.
func eventually(t *testing.T, db *testdb.DB, sql string) {
	t.Helper()
	fixture.EventuallyTrue(t, db.Pool, 2*time.Minute, sql)
}
