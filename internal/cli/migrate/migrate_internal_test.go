package migrate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// result is what one run of the program left.
type result struct {
	code           int
	stdout, stderr string
}

// migrate runs the program with a database URL in its environment.
func migrate(t *testing.T, url string, args ...string) result {
	t.Helper()
	return migrateContext(t.Context(), url, args...)
}

func migrateContext(ctx context.Context, url string, args ...string) result {
	var stdout, stderr bytes.Buffer
	getenv := func(name string) string {
		if name == cli.URLVariable {
			return url
		}
		return ""
	}
	code := Run(ctx, &cli.Program{Name: "migrate", Env: getenv, Stdout: &stdout, Stderr: &stderr}, args)
	return result{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

func execute(t *testing.T, db *testdb.DB, sql string) {
	t.Helper()
	if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

const insertRecord = `
	INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp)
	VALUES (gen_random_uuid(), 'envelope', 'UNKNOWN', 'APPLIED', 'a reason', now())`

// The migrations, by their versions: 1 to 10.
const (
	create      = "00001_create_coordination_audit_records"
	index       = "00002_index_coordination_audit_records"
	withContext = "00003_add_decision_context"
	readSide    = "00004_index_the_read_side"
	withGaps    = "00005_create_coordination_audit_gaps"
	withOrigin  = "00006_add_decision_origin"
	links       = "00007_index_the_links"
	statements  = "00008_create_coordination_audit_statements"
	order       = "00009_index_the_order"
	seals       = "00010_create_coordination_audit_seals"
	retention   = "00011_create_retention_functions"
)

const insertGap = `
	INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown,
		first_audit_id, last_audit_id, lost_from, lost_until, cause)
	VALUES (gen_random_uuid(), 0, 0, 1, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'the disk is full')`

const insertContext = `
	INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, target_subsystem)
	VALUES (gen_random_uuid(), 'envelope', 'UNKNOWN', 'APPLIED', 'a reason', now(), 'retry')`

func TestCommands(t *testing.T) {
	t.Parallel()
	migrated := func(t *testing.T) *testdb.DB { t.Helper(); return testdb.New(t) }
	empty := func(t *testing.T) *testdb.DB { t.Helper(); return testdb.NewEmpty(t) }
	withRecord := func(t *testing.T) *testdb.DB {
		t.Helper()
		db := testdb.New(t)
		execute(t, db, insertRecord)
		return db
	}
	atTwo := func(t *testing.T) *testdb.DB {
		t.Helper()
		db := testdb.NewEmpty(t)
		if got := migrate(t, db.URL, "up-to", "2"); got.code != cli.ExitDone {
			t.Fatal(got.stderr)
		}
		execute(t, db, insertRecord)
		return db
	}
	withContextRecord := func(t *testing.T) *testdb.DB {
		t.Helper()
		db := testdb.New(t)
		execute(t, db, insertContext)
		return db
	}
	withGap := func(t *testing.T) *testdb.DB {
		t.Helper()
		db := testdb.New(t)
		execute(t, db, insertGap)
		return db
	}
	downAbove := []string{"down " + retention, "down " + seals, "down " + order, "down " + statements, "down " + links, "down " + withOrigin, "down " + withGaps, "down " + readSide, "down " + withContext, "down " + index}
	tests := map[string]struct {
		database func(*testing.T) *testdb.DB
		args     string
		code     int
		stdout   []string // in this order
		stderr   []string
	}{
		"Up":                         {database: empty, args: "up", stdout: []string{"up   " + create + " (", " ms)\nup   " + index + " (", " ms)\nup   " + withContext + " (", " ms)\nup   " + readSide + " (", " ms)\nup   " + withGaps + " (", " ms)\nup   " + withOrigin + " (", " ms)\nup   " + links + " (", " ms)\nup   " + statements + " (", " ms)\nup   " + order + " (", " ms)\nup   " + seals + " (", " ms)\nup   " + retention + " ("}},
		"UpAgain":                    {database: migrated, args: "up", stdout: []string{"nothing to do\n"}},
		"UpVerbose":                  {database: empty, args: "up -v", stdout: []string{"up "}, stderr: []string{"level=INFO msg=audit_migration_applied version=1", "version=2", "version=3", "version=4", "version=5", "version=6", "version=7", "version=8", "version=9", "version=10", "version=11"}},
		"UpTo":                       {database: empty, args: "up-to 1", stdout: []string{"up   " + create}},
		"UpToUnknown":                {database: empty, args: "up-to 12", code: 2, stderr: []string{"migrate: migrating up: unknown version 12: this program knows versions 1 to 11\n"}},
		"Down":                       {database: migrated, args: "down", stdout: []string{"down " + retention}},
		"DownAtTwo":                  {database: atTwo, args: "down", stdout: []string{"down " + index}},
		"DownTo":                     {database: migrated, args: "down-to 0", stdout: slices.Concat(downAbove, []string{"down " + create})},
		"DownToWithRecords":          {database: withRecord, args: "down-to 0", code: 1, stderr: []string{"migrate: migrating down: reverting " + create + ": ERROR: ", ": to drop them all the same, pass --allow-data-loss"}},
		"DownToAllowDataLoss":        {database: withRecord, args: "down-to 0 --allow-data-loss", stdout: slices.Concat(downAbove, []string{"down " + create})},
		"DownToWithContext":          {database: withContextRecord, args: "down-to 0", code: 1, stderr: []string{"migrate: migrating down: reverting " + withContext + ": ERROR: ", "; reverting " + create + ": ERROR: ", ": to drop them all the same, pass --allow-data-loss"}},
		"DownToContextAllowDataLoss": {database: withContextRecord, args: "down-to 2 --allow-data-loss", stdout: downAbove[:9]},
		"DownWithGap":                {database: withGap, args: "down-to 4", code: 1, stderr: []string{"migrate: migrating down: reverting " + withGaps + ": ", "holds gaps", ": to drop them all the same, pass --allow-data-loss"}},
		"DownWithGapAllowDataLoss":   {database: withGap, args: "down-to 4 --allow-data-loss", stdout: downAbove[:7]},
		"Redo":                       {database: withRecord, args: "redo", stdout: []string{"down " + retention, "up   " + retention}},
		"RedoAtTwo":                  {database: atTwo, args: "redo", stdout: []string{"down " + index, "up   " + index}},
		"Status":                     {database: migrated, args: "status", stdout: []string{"Z  " + create, "Z  " + index, "Z  " + withContext, "Z  " + readSide, "Z  " + withGaps, "Z  " + withOrigin, "Z  " + links, "Z  " + statements, "Z  " + order, "Z  " + seals, "Z  " + retention}},
		"StatusAtTwo":                {database: atTwo, args: "status", stdout: []string{"Z  " + create, "Z  " + index, "pending               " + withContext, "pending               " + readSide, "pending               " + withGaps, "pending               " + withOrigin, "pending               " + links, "pending               " + statements, "pending               " + order, "pending               " + seals, "pending               " + retention}},
		"StatusPending":              {database: empty, args: "status", stdout: []string{"pending               " + create, "pending               " + index, "pending               " + withContext, "pending               " + readSide, "pending               " + withGaps, "pending               " + withOrigin, "pending               " + links, "pending               " + statements, "pending               " + order, "pending               " + seals, "pending               " + retention}},
		"Version":                    {database: migrated, args: "version", stdout: []string{"database schema  11\nprogram schema   11\nprogram build    "}},
		"Validate":                   {database: migrated, args: "validate", stdout: []string{"valid: "}},
		"ValidatePending":            {database: empty, args: "validate", code: 3, stdout: []string{"not valid: pending 1 2 3 4 5 6 7 8 9 10 11\n"}, stderr: []string{"migrate: validating the schema: migrations are pending: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11: run the migrations (migrate up)\n"}},
		"Wait":                       {database: empty, args: "wait", stdout: []string{"the database answers\n"}},
		"WaitSchema":                 {database: migrated, args: "wait --schema", stdout: []string{"every migration\n"}},
		"WaitSchemaPending":          {database: empty, args: "wait --schema --timeout 5s", code: 1, stderr: []string{"migrate: waiting for the schema: 5s have passed; the last try: validating the schema: migrations are pending: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11: run"}},
		"Help":                       {database: empty, args: "--help", stdout: []string{"Usage: migrate <command>", "DATABASE_URL"}},
		"CommandHelp":                {database: empty, args: "down --help", stdout: []string{"--allow-data-loss"}},
		"NoCommand":                  {database: empty, args: "", code: 2, stderr: []string{"migrate: reading the command line: expected one of", ": run 'migrate --help'\n"}},
		"UnknownCommand":             {database: empty, args: "upp", code: 2, stderr: []string{"unexpected argument upp"}},
		"UnknownFlag":                {database: empty, args: "up --force", code: 2, stderr: []string{"unknown flag --force"}},
		"NoNumber":                   {database: empty, args: "up-to one", code: 2, stderr: []string{`"one"`}},
		"LockTimeoutZero":            {database: empty, args: "up --lock-timeout 0s", code: 2, stderr: []string{"--lock-timeout must be positive"}},
		"TimeoutNegative":            {database: empty, args: "wait --timeout=-1s", code: 2, stderr: []string{"--timeout must not be negative"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := migrate(t, test.database(t).URL, strings.Fields(test.args)...)
			if got.code != test.code {
				t.Errorf("exit code %d, want %d", got.code, test.code)
			}
			checkStream(t, "stdout", got.stdout, test.stdout)
			checkStream(t, "stderr", got.stderr, test.stderr)
		})
	}
}

func checkStream(t *testing.T, name, text string, want []string) {
	t.Helper()
	rest := text
	for _, part := range want {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("%s is\n%swant %q in it, in this order", name, text, want)
			return
		}
		rest = after
	}
	if len(want) == 0 && text != "" {
		t.Errorf("%s is\n%swant nothing", name, text)
	}
}

func TestJSONKeys(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	tests := []struct{ args, want string }{
		{"validate", `{"pending":[1,2,3,4,5,6,7,8,9,10,11],"valid":false}`},
		{"status", `{"migrations":[{"applied_at":null,"name":"00001_create_coordination_audit_records","version":1},` +
			`{"applied_at":null,"name":"00002_index_coordination_audit_records","version":2},` +
			`{"applied_at":null,"name":"00003_add_decision_context","version":3},` +
			`{"applied_at":null,"name":"00004_index_the_read_side","version":4},` +
			`{"applied_at":null,"name":"00005_create_coordination_audit_gaps","version":5},` +
			`{"applied_at":null,"name":"00006_add_decision_origin","version":6},` +
			`{"applied_at":null,"name":"00007_index_the_links","version":7},` +
			`{"applied_at":null,"name":"00008_create_coordination_audit_statements","version":8},` +
			`{"applied_at":null,"name":"00009_index_the_order","version":9},` +
			`{"applied_at":null,"name":"00010_create_coordination_audit_seals","version":10},` +
			`{"applied_at":null,"name":"00011_create_retention_functions","version":11}]}`},
		{"up-to 1", `{"changes":[{"direction":"up","duration_ms":"*","name":"00001_create_coordination_audit_records","version":1}]}`},
		{"up-to 1", `{"changes":[]}`},
		{"up-to 2", `{"changes":[{"direction":"up","duration_ms":"*","name":"00002_index_coordination_audit_records","version":2}]}`},
		{"validate", `{"pending":[3,4,5,6,7,8,9,10,11],"valid":false}`},
		{"version", `{"build":"*","database_version":2,"program_version":11}`},
		{"up", `{"changes":[{"direction":"up","duration_ms":"*","name":"00003_add_decision_context","version":3},` +
			`{"direction":"up","duration_ms":"*","name":"00004_index_the_read_side","version":4},` +
			`{"direction":"up","duration_ms":"*","name":"00005_create_coordination_audit_gaps","version":5},` +
			`{"direction":"up","duration_ms":"*","name":"00006_add_decision_origin","version":6},` +
			`{"direction":"up","duration_ms":"*","name":"00007_index_the_links","version":7},` +
			`{"direction":"up","duration_ms":"*","name":"00008_create_coordination_audit_statements","version":8},` +
			`{"direction":"up","duration_ms":"*","name":"00009_index_the_order","version":9},` +
			`{"direction":"up","duration_ms":"*","name":"00010_create_coordination_audit_seals","version":10},` +
			`{"direction":"up","duration_ms":"*","name":"00011_create_retention_functions","version":11}]}`},
		{"status", `{"migrations":[{"applied_at":"*","name":"00001_create_coordination_audit_records","version":1},` +
			`{"applied_at":"*","name":"00002_index_coordination_audit_records","version":2},` +
			`{"applied_at":"*","name":"00003_add_decision_context","version":3},` +
			`{"applied_at":"*","name":"00004_index_the_read_side","version":4},` +
			`{"applied_at":"*","name":"00005_create_coordination_audit_gaps","version":5},` +
			`{"applied_at":"*","name":"00006_add_decision_origin","version":6},` +
			`{"applied_at":"*","name":"00007_index_the_links","version":7},` +
			`{"applied_at":"*","name":"00008_create_coordination_audit_statements","version":8},` +
			`{"applied_at":"*","name":"00009_index_the_order","version":9},` +
			`{"applied_at":"*","name":"00010_create_coordination_audit_seals","version":10},` +
			`{"applied_at":"*","name":"00011_create_retention_functions","version":11}]}`},
		{"version", `{"build":"*","database_version":11,"program_version":11}`},
		{"validate", `{"pending":[],"valid":true}`},
		{"wait --schema", `{"ready":true}`},
		{"down", `{"changes":[{"direction":"down","duration_ms":"*","name":"00011_create_retention_functions","version":11}]}`},
		{"down-to 1", `{"changes":[{"direction":"down","duration_ms":"*","name":"00010_create_coordination_audit_seals","version":10},` +
			`{"direction":"down","duration_ms":"*","name":"00009_index_the_order","version":9},` +
			`{"direction":"down","duration_ms":"*","name":"00008_create_coordination_audit_statements","version":8},` +
			`{"direction":"down","duration_ms":"*","name":"00007_index_the_links","version":7},` +
			`{"direction":"down","duration_ms":"*","name":"00006_add_decision_origin","version":6},` +
			`{"direction":"down","duration_ms":"*","name":"00005_create_coordination_audit_gaps","version":5},` +
			`{"direction":"down","duration_ms":"*","name":"00004_index_the_read_side","version":4},` +
			`{"direction":"down","duration_ms":"*","name":"00003_add_decision_context","version":3},` +
			`{"direction":"down","duration_ms":"*","name":"00002_index_coordination_audit_records","version":2}]}`},
		{"sql", `{"sql":"*"}`},
	}
	for _, test := range tests {
		got := migrate(t, db.URL, append(strings.Fields(test.args), "--json")...)
		var value map[string]any
		if err := json.Unmarshal([]byte(got.stdout), &value); err != nil {
			t.Fatalf("%s: %v in %s%s", test.args, err, got.stdout, got.stderr)
		}
		hide(value)
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, string(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.args, diff)
		}
	}
}

// hide replaces what differs between two runs.
func hide(value map[string]any) {
	for key, v := range value {
		switch v := v.(type) {
		case []any:
			for _, element := range v {
				if element, ok := element.(map[string]any); ok {
					hide(element)
				}
			}
		case nil:
		default:
			if key == "duration_ms" || key == "applied_at" || key == "build" || key == "sql" {
				value[key] = "*"
			}
		}
	}
}

func TestSQL(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		code   int
		stdout []string
		stderr []string
	}{
		"sql":                 {stdout: []string{"CREATE TABLE IF NOT EXISTS coordaudit_schema_version", "SELECT 1, true", "SELECT 2, true", "SELECT 3, true", "SELECT 4, true", "SELECT 5, true", "SELECT 6, true", "SELECT 7, true", "SELECT 8, true", "SELECT 9, true", "SELECT 10, true", "SELECT 11, true"}},
		"sql --from 1":        {stdout: []string{"CREATE TABLE IF NOT EXISTS coordaudit_schema_version", "SELECT 2, true", "SELECT 3, true", "SELECT 4, true", "SELECT 5, true", "SELECT 6, true", "SELECT 7, true", "SELECT 8, true", "SELECT 9, true", "SELECT 10, true", "SELECT 11, true"}},
		"sql --from 2":        {stdout: []string{"from version 2 to version 11.", "CREATE TABLE IF NOT EXISTS coordaudit_schema_version", "SELECT 3, true", "SELECT 4, true", "SELECT 5, true", "SELECT 6, true", "SELECT 7, true", "SELECT 8, true", "SELECT 9, true", "SELECT 10, true", "SELECT 11, true"}},
		"sql --to 1":          {stdout: []string{"from version 0 to version 1.", "SELECT 1, true"}},
		"sql --down":          {stdout: []string{"DROP TABLE coordination_audit_seal_events;", "DROP TABLE coordination_audit_seal_checkpoints;", "DROP TABLE coordination_audit_seal_tiles;", "WHERE version_id = 10;", "WHERE version_id = 9;", "DROP TABLE coordination_audit_statements;", "WHERE version_id = 8;", "WHERE version_id = 7;", "WHERE version_id = 6;", "DROP TABLE coordination_audit_gaps;", "WHERE version_id = 5;", "WHERE version_id = 4;", "WHERE version_id = 3;", "WHERE version_id = 2;", "DROP TABLE coordination_audit_records;", "WHERE version_id = 1;"}},
		"sql --down --to 1":   {stdout: []string{"from version 11 to version 1.", "WHERE version_id = 11;", "WHERE version_id = 10;", "WHERE version_id = 9;", "WHERE version_id = 8;", "WHERE version_id = 7;", "WHERE version_id = 6;", "WHERE version_id = 5;", "WHERE version_id = 4;", "WHERE version_id = 3;", "WHERE version_id = 2;"}},
		"sql --to 12":         {code: 2, stderr: []string{"migrate: printing the SQL: unknown version 12: this program knows versions 1 to 11\n"}},
		"sql --from 2 --to 1": {code: 2, stderr: []string{"--from and --to contradict --down"}},
	}
	for args, test := range tests {
		got := migrate(t, "", strings.Fields(args)...)
		if got.code != test.code {
			t.Errorf("%s: exit code %d, want %d", args, got.code, test.code)
		}
		checkStream(t, "stdout", got.stdout, test.stdout)
		checkStream(t, "stderr", got.stderr, test.stderr)
	}
	for args, others := range map[string][]string{
		"sql --to 1":          {"00002", "00003", "00004", "00005", "00006", "00007", "00008", "00009", "00010", "00011"},
		"sql --from 2 --to 3": {create, index, readSide, withGaps},
		"sql --down --to 3":   {create, index, withContext},
	} {
		got := migrate(t, "", strings.Fields(args)...)
		for _, other := range others {
			if strings.Contains(got.stdout, other) {
				t.Errorf("%s prints %s", args, other)
			}
		}
	}
}

func TestDatabaseURLFlag(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	if got := migrate(t, "postgres://someone@127.0.0.1:1/none", "validate", "--database-url", db.URL); got.code != cli.ExitDone {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	if got := migrate(t, "", "validate"); got.code != cli.ExitUsage || got.stdout != "" ||
		got.stderr != "migrate: reading the command line: no database is given: set DATABASE_URL or pass --database-url\n" {
		t.Errorf("without a database: %+v", got)
	}
}

func TestWaitForTheSchema(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	waited := make(chan result, 1)
	go func() { waited <- migrateContext(t.Context(), db.URL, "wait", "--schema", "--timeout", "30s") }()
	select {
	case got := <-waited:
		t.Fatalf("returned before the migration: %+v", got)
	case <-time.After(300 * time.Millisecond):
	}
	if got := migrate(t, db.URL, "up"); got.code != cli.ExitDone {
		t.Fatal(got.stderr)
	}
	if got := <-waited; got.code != cli.ExitDone {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

func TestFullStdout(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	var stderr bytes.Buffer
	code := Run(t.Context(), &cli.Program{Name: "migrate", Env: func(string) string { return "" }, Stdout: failingWriter{}, Stderr: &stderr}, []string{"status", "--database-url", db.URL})
	if code != cli.ExitFailed || !strings.HasPrefix(stderr.String(), "migrate: writing the result: ") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// An orchestrator ends the program this way.
func TestSIGTERMRollsBack(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "migrate")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../../cmd/migrate").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, version := range []int{2, 4} {
		t.Run(strconv.Itoa(version), func(t *testing.T) {
			t.Parallel()
			checkSIGTERM(t, program, version)
		})
	}
}

// checkSIGTERM ends the program while it waits for a table to revert a version.
func checkSIGTERM(t *testing.T, program string, version int) {
	t.Helper()
	db := testdb.NewEmpty(t)
	if got := migrate(t, db.URL, "up-to", strconv.Itoa(version)); got.code != cli.ExitDone {
		t.Fatal(got.stderr)
	}
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "SELECT FROM coordination_audit_records"); err != nil {
		t.Fatal(err)
	}

	cmd := exec.CommandContext(t.Context(), program, "down-to", "0")
	cmd.Env = []string{cli.URLVariable + "=" + db.URL}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for waiting := false; !waiting; time.Sleep(10 * time.Millisecond) {
		err := db.Pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != cli.ExitFailed || !strings.Contains(stderr.String(), ": interrupted: ") || strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("exit code %d, stdout %s, stderr %s", code, stdout.String(), stderr.String())
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := migrate(t, db.URL, "down-to", "0"); got.code != cli.ExitDone || strings.Count(got.stdout, "\n") != version {
		t.Errorf("again: %+v, want %d migrations reverted", got, version)
	}
}
