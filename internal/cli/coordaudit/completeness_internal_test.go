package coordaudit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/reading"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// sourceWith stores n records under a source, which it closes if asked.
func sourceWith(t *testing.T, db *testdb.DB, label string, n int, closes bool) *coordaudit.Source {
	t.Helper()
	source, err := coordaudit.New(db.Pool, coordaudit.Config{}).NewSource(t.Context(), label)
	if err != nil {
		t.Fatal(err)
	}
	recs := make([]audit.Record, n)
	for i := range recs {
		recs[i] = applied(noon().Add(time.Duration(i)*time.Second), "acme", "e")
	}
	if err := source.Number(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	if _, err := source.PersistMany(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	if closes {
		if err := source.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return source
}

// remove deletes rows of a source as an owner can.
func remove(t *testing.T, db *testdb.DB, source *coordaudit.Source, ordinals string) {
	t.Helper()
	execSQL(t, db, fmt.Sprintf("ALTER TABLE coordination_audit_records DISABLE TRIGGER USER; "+
		"DELETE FROM coordination_audit_records WHERE source_id = '%s' AND source_seq IN (%s)", source.ID(), ordinals))
}

// incomplete reads the object of a command that found something.
func incomplete(t *testing.T, got ran) reading.CompletenessJSON {
	t.Helper()
	got.mustExit(t, cli.ExitFailed)
	if got.stderr != "" {
		t.Errorf("stderr: %s", got.stderr)
	}
	got.code = cli.ExitDone
	return result[reading.CompletenessJSON](t, got)
}

func TestCompletenessJSON(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, applied(noon(), "acme", "e"))
	got := run(t, db.URL, "", "completeness", "--json")
	empty := result[reading.CompletenessJSON](t, got)
	mustHaveKeys(t, "completeness", []byte(got.stdout), "complete", "at", "window", "unnumbered", "sources")
	if !empty.Complete || empty.Unnumbered != 1 || empty.Sources == nil || len(empty.Sources) != 0 {
		t.Errorf("%s, want one record without a number and no source", got.stdout)
	}

	source := sourceWith(t, db, "nightly <batch>", 20, true)
	found := result[reading.CompletenessJSON](t, run(t, db.URL, "", "completeness", "--json"))
	if !found.Complete || len(found.Sources) != 1 {
		t.Errorf("%+v, want one complete source", found)
	}
	remove(t, db, source, "4, 5, 20")
	got = run(t, db.URL, "", "completeness", "--json")
	found = incomplete(t, got)
	if found.Complete || len(found.Sources) != 1 {
		t.Fatalf("%s, want a source that is not complete", got.stdout)
	}
	one := found.Sources[0]
	opened, closed := one.OpenedAt, one.LastStatementAt
	want := reading.SourceAccountJSON{
		SourceID: source.ID(), Label: "nightly <batch>", OpenedAt: opened, LastStatementAt: closed, Closed: true,
		AcceptedThrough: 20, ReservedThrough: 20, Present: 17, UnexplainedTotal: 3,
		Unexplained: []reading.OrdinalRangeJSON{{First: 4, Last: 5, After: opened, Before: closed}, {First: 20, Last: 20, After: opened, Before: closed}},
		Findings:    []reading.FindingJSON{},
	}
	if diff := cmp.Diff(want, one); diff != "" || opened == nil || closed == nil {
		t.Errorf("(-want +got):\n%s", diff)
	}
	object := got.stdout[strings.Index(got.stdout, `"sources":[`)+len(`"sources":[`):]
	mustHaveKeys(t, "a source", []byte(object), "source_id", "label", "opened_at", "last_statement_at", "closed", "imported",
		"accepted_through", "reserved_through", "present", "dropped", "rejected", "already_persisted", "waiting", "last_block",
		"unexplained_total", "unexplained", "findings", "expired")
	mustContain(t, got.stdout, `{"complete":false,`, `"window":{"since":null,"until":null},"unnumbered":1,`)
}

func TestCompletenessFindingsJSON(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	sourceWith(t, db, "batch", 3, true)
	execSQL(t, db, "ALTER TABLE coordination_audit_statements DISABLE TRIGGER USER; DELETE FROM coordination_audit_statements")
	got := run(t, db.URL, "", "completeness", "--json")
	found := incomplete(t, got)
	if diff := cmp.Diff([]reading.FindingJSON{{Kind: "no_statements"}}, found.Sources[0].Findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	mustContain(t, got.stdout, `"opened_at":null,"last_statement_at":null,`)
}

// Of the sources, those that need nothing are counted only.
func TestCompletenessText(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	sourceWith(t, db, "closed one", 3, true)
	got := run(t, db.URL, "", "completeness")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "complete: 1 source with 3 records, at 20", "\n\n1 source complete and closed (--all lists them)\n")
	if strings.Contains(got.stdout, "closed one") || got.stderr != "" {
		t.Errorf("%s%s", got.stdout, got.stderr)
	}
	all := run(t, db.URL, "", "completeness", "--all")
	all.mustExit(t, cli.ExitDone)
	mustContain(t, all.stdout, "\n  closed one\n  opened ", ", closed\n  3 accepted: 3 present\n")

	sourceWith(t, db, "open one", 2, false)
	got = run(t, db.URL, "", "completeness")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "complete: 2 sources with 5 records, at 20", "\n  open one\n", ", not closed\n", "more in the last block\n  next: nothing while it runs; ")

	remove(t, db, sourceWith(t, db, "faulty one", 9, true), "2, 3, 9")
	got = run(t, db.URL, "", "completeness")
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stdout, "not complete: 3 unexplained records, 0 findings; 3 sources with 11 records, at 20",
		"\n  9 accepted: 6 present, 3 unexplained\n  unexplained 2 to 3, accepted from 20", "\n  unexplained 9, accepted from 20", "\n  next: look for the unexplained records ")
	if strings.Index(got.stdout, "faulty one") > strings.Index(got.stdout, "open one") || got.stderr != "" {
		t.Errorf("what is missing comes late: %s%s", got.stdout, got.stderr)
	}
}

func TestCompletenessWindow(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	sourceWith(t, db, "batch", 3, true)
	for args, sources := range map[string]int{"--since=1h": 1, "--until=1h": 0, "--since=2020-01-01 --until=2020-02-01": 0} {
		got := run(t, db.URL, "", append([]string{"completeness", "--json"}, strings.Fields(args)...)...)
		if found := result[reading.CompletenessJSON](t, got); len(found.Sources) != sources || !found.Complete {
			t.Errorf("%s: %s, want %d sources", args, got.stdout, sources)
		}
		if hinted := strings.HasPrefix(got.stderr, "no source was at work in this window ("); hinted != (sources == 0) {
			t.Errorf("%s: stderr: %q", args, got.stderr)
		}
	}
	got := run(t, db.URL, "", "completeness", "--since=2020-01-01")
	mustContain(t, got.stdout, "\nonly the sources that were at work since 2020-01-01T00:00:00.000000Z\n")
}

// accountOfAll has every line that a source can have.
func accountOfAll() audit.Completeness {
	at := noon()
	unwell := audit.SourceAccount{
		SourceID: number(1), Label: "web-1 coordinator v1.2 (process 77)", OpenedAt: at, LastStatementAt: at.Add(time.Hour),
		AcceptedThrough: 1020, ReservedThrough: 9212, Present: 1000, Explained: audit.Explained{Dropped: 1, Rejected: 2, AlreadyPersisted: 3},
		Waiting: 4, LastBlock: 8192,
		Unexplained: []audit.OrdinalRange{{First: 7, Last: 15, After: at, Before: at.Add(time.Minute)}, {First: 1020, Last: 1020, After: at.Add(time.Minute)}},
		Findings:    []audit.Finding{{Kind: audit.UnexpectedRow, First: 3, Last: 4}, {Kind: audit.MissingStatement, First: 2, Last: 2}},
	}
	waiting := audit.SourceAccount{SourceID: number(2), OpenedAt: at, LastStatementAt: at, Closed: true, AcceptedThrough: 5, ReservedThrough: 5, Present: 3, Waiting: 2}
	unheard := audit.SourceAccount{SourceID: number(3), Present: 1, Findings: []audit.Finding{{Kind: audit.NoStatements}}}
	imported := audit.SourceAccount{SourceID: number(4), OpenedAt: at, LastStatementAt: at, Imported: true, Present: 17}
	closed := audit.SourceAccount{SourceID: number(5), OpenedAt: at, LastStatementAt: at, Closed: true, AcceptedThrough: 1, ReservedThrough: 1, Present: 1}
	return audit.Completeness{At: at.Add(2 * time.Hour), Unnumbered: 1, Sources: []audit.SourceAccount{waiting, unwell, imported, closed, unheard}}
}

func TestCompletenessBlocks(t *testing.T) {
	t.Parallel()
	got := reading.CompletenessText(audit.Window{}, accountOfAll(), false, term.Screen{Columns: term.DefaultColumns})
	want := `not complete: 10 unexplained records, 3 findings; 5 sources with 1,022 records, at
  2026-01-05T14:00:00.000000Z
1 record without a number, about which nothing can be said: those of Persist, PersistTx and
  PersistMany, and of older releases

source 11111111-1111-4111-8111-000000000001
  web-1 coordinator v1.2 (process 77)
  opened 2026-01-05T12:00:00.000000Z, last statement 2026-01-05T13:00:00.000000Z, not closed
  1,020 accepted: 1,000 present, 1 dropped, 2 rejected, 3 already persisted, 4 waiting, 10
    unexplained; 8,192 more in the last block
  unexplained 7 to 15, accepted from 2026-01-05T12:00:00.000000Z to 2026-01-05T12:01:00.000000Z
  unexplained 1,020, accepted after 2026-01-05T12:01:00.000000Z
  finding: rows carry the ordinals 3 to 4, and a statement says that they never come
  finding: statement 2 is missing, and later ones are there
  next: look for the unexplained records in spool directories, backups and logs, and import them,
    which keeps their ordinals; what is not found is lost or was removed
  next: compare rows and statements with a backup: a database or a spool was set back or copied, or
    someone has changed them; migrate validate says whether the guards stand
  next: while it runs, ask again later; if it does not run, start a Recorder on its spool directory,
    which stores what waits there

source 11111111-1111-4111-8111-000000000003
  without statements
  1 record present
  finding: rows carry the id of this source, and it has made no statement
  next: compare rows and statements with a backup: a database or a spool was set back or copied, or
    someone has changed them; migrate validate says whether the guards stand

source 11111111-1111-4111-8111-000000000002
  opened 2026-01-05T12:00:00.000000Z, last statement 2026-01-05T12:00:00.000000Z, closed
  5 accepted: 3 present, 2 waiting
  next: start a Recorder on its spool directory, which stores what waits there

1 source complete and closed; 1 source of a file, accounted for where the file was exported from
  (--all lists them)
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A terminal shows a part, and a pipe shows everything on lines of their own.
func TestCompletenessFitsTheScreen(t *testing.T) {
	t.Parallel()
	found := accountOfAll()
	one := found.Sources[1]
	one.Label = strings.Repeat("é\x1b[31m\n\t\u202eü", 40) + strings.Repeat("x", 200)
	for n := range int64(term.MaxRows + 5) {
		one.Unexplained = append(one.Unexplained, audit.OrdinalRange{First: 1e15 + 2*n, Last: 1e15 + 2*n, After: noon(), Before: noon()})
		one.Findings = append(one.Findings, audit.Finding{Kind: audit.UnreservedRow, First: 1e15 + 2*n, Last: 1e15 + 2*n + 1})
	}
	found.Sources[1] = one
	for range term.MaxRows {
		open := one
		open.SourceID = uuid.New()
		found.Sources = append(found.Sources, open)
	}
	shown := reading.CompletenessText(audit.Window{Since: noon(), Until: noon()}, found, true, term.Screen{Columns: term.DefaultColumns})
	mustFit(t, shown)
	mustContain(t, shown, "  (and 7 more ranges, all with --wide or --json)\n", "(and 5 more sources, all with --wide or --json)\n")
	piped := reading.CompletenessText(audit.Window{}, found, true, term.Screen{})
	for _, part := range []string{"…", "(and "} {
		if strings.Contains(piped, part) {
			t.Errorf("%q is in a pipe", part)
		}
	}
	if n := strings.Count(piped, "\nsource "); n != len(found.Sources) {
		t.Errorf("%d of %d sources are listed", n, len(found.Sources))
	}
	mustSteerNothing(t, "completeness", piped)
}

func TestCompletenessUnreadable(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execSQL(t, db, "CREATE ROLE "+role(db)+"; GRANT SELECT ON coordination_audit_records TO "+role(db))
	t.Cleanup(func() { _, _ = db.Pool.Exec(t.Context(), "DROP OWNED BY "+role(db)+"; DROP ROLE "+role(db)) })
	refused := run(t, db.URL+"&role="+role(db), "", "completeness")
	refused.mustExit(t, cli.ExitFailed)
	mustContain(t, refused.stderr, "coordaudit: accounting for the audit records: refused by the database: ", "coordination_audit_statements")
	unmade := run(t, testdb.NewEmpty(t).URL, "", "completeness")
	unmade.mustExit(t, cli.ExitFailed)
	mustContain(t, unmade.stderr, "run the migrations (migrate up)")
	away := run(t, "postgres://someone:secret@127.0.0.1:1/nowhere", "", "completeness", "--json")
	away.mustExit(t, cli.ExitFailed)
	mustContain(t, away.stderr, "database unavailable: ", "check that the database runs")
	if out := refused.stdout + unmade.stdout + away.stdout; out != "" || strings.Contains(away.stderr, "secret") {
		t.Errorf("stdout: %q, stderr: %q", out, away.stderr)
	}
	for _, args := range []string{"--since=1d --until=2d", "--timeout=0s", "--since=tomorrow", "acme", "--tenant=acme"} {
		run(t, db.URL, "", append([]string{"completeness"}, strings.Fields(args)...)...).mustExit(t, cli.ExitUsage)
	}
	run(t, "", "", "completeness").mustExit(t, cli.ExitUsage)
}
