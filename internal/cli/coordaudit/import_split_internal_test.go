package coordaudit

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/importer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func execSQL(t *testing.T, db *testdb.DB, sql string) {
	t.Helper()
	if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// refuse makes the database refuse records that are valid otherwise.
func refuse(t *testing.T, db *testdb.DB, condition string) {
	t.Helper()
	execSQL(t, db, "ALTER TABLE coordination_audit_records ADD CONSTRAINT house_rule CHECK ("+condition+")")
}

func badLines(t *testing.T, path string) []int64 {
	t.Helper()
	var numbers []int64
	for _, rejected := range rejectsIn(t, path) {
		numbers = append(numbers, rejected.Line)
		if !strings.Contains(rejected.Reason, "is refused by the database: ") || !strings.Contains(rejected.Reason, "SQLSTATE") {
			t.Errorf("line %d: reason %q", rejected.Line, rejected.Reason)
		}
	}
	return numbers
}

func TestImportSplitsARefusedBatch(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		total int
		bad   func(n int) bool
		batch string
	}{
		"One":               {700, func(n int) bool { return n == 555 }, "500"},
		"TheFirst":          {700, func(n int) bool { return n == 0 }, "500"},
		"TheLastAlone":      {501, func(n int) bool { return n == 500 }, "500"},
		"ABatchOfThem":      {60, func(n int) bool { return n >= 20 && n < 40 }, "20"},
		"ALargeBatchOfThem": {600, func(n int) bool { return n >= 200 && n < 400 }, "200"},
		"EveryThird":        {400, func(n int) bool { return n%3 == 0 }, "400"},
		"MostOfThem":        {221, func(n int) bool { return n != 7 && n != 100 }, "5000"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			refuse(t, db, "reason <> 'bad'")
			var input strings.Builder
			want := importer.Counts{Read: int64(test.total)}
			var bad []int64
			for n := range test.total {
				if !test.bad(n) {
					input.WriteString(line(n) + "\n")
					continue
				}
				input.WriteString(line(n, "reason", `"bad"`) + "\n")
				bad = append(bad, int64(n+1))
			}
			want.Rejected = int64(len(bad))
			want.Persisted = want.Read - want.Rejected
			path := file(t, input.String())
			got := run(t, db.URL, "", "import", "--json", "--batch", test.batch, path)
			got.mustExit(t, cli.ExitFailed)
			if diff := cmp.Diff(want, got.counts(t)); diff != "" {
				t.Errorf("summary (-want +got):\n%s\n%s", diff, got.stderr)
			}
			if diff := cmp.Diff(bad, badLines(t, path+importer.RejectsSuffix)); diff != "" {
				t.Errorf("refused lines (-want +got):\n%s", diff)
			}
			if n := int64(stored(t, db.Pool)); n != want.Persisted {
				t.Errorf("%d rows, want %d", n, want.Persisted)
			}
			mustContain(t, got.stderr, fmt.Sprintf("line %d: the line is refused by the database: ", bad[0]), "house_rule")
		})
	}
}

// If every record is refused, no line is at fault.
func TestImportTableFault(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"Check":     "ALTER TABLE coordination_audit_records ADD CONSTRAINT none_at_all CHECK (false) NOT VALID",
		"NewColumn": "ALTER TABLE coordination_audit_records ADD COLUMN ticket text; ALTER TABLE coordination_audit_records ADD CONSTRAINT ticket CHECK (ticket IS NOT NULL) NOT VALID",
		"Trigger": `CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE integrity_constraint_violation; END $$;
			CREATE TRIGGER never BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION never()`,
	} {
		for _, before := range []int{0, 30} {
			t.Run(fmt.Sprintf("%s/%d", name, before), func(t *testing.T) {
				t.Parallel()
				db := testdb.New(t)
				if before > 0 {
					run(t, db.URL, lines(0, before), "import", "-").mustExit(t, cli.ExitDone)
				}
				execSQL(t, db, sql)
				path := file(t, lines(before, 400))
				got := run(t, db.URL, "", "import", path)
				got.mustExit(t, cli.ExitFailed)
				mustContain(t, got.stderr, "stopped at line 1, 0 records stored before it: refused by the database: ")
				if strings.Count(got.stderr, "\n") != 2 || got.stdout != "" || rejectsIn(t, path+importer.RejectsSuffix) != nil {
					t.Errorf("it blames lines:\n%s%s", got.stderr, got.stdout)
				}
				if n := stored(t, db.Pool); n != before {
					t.Errorf("%d rows, want %d", n, before)
				}
			})
		}
	}
}

// The same holds if the fault of the table appears in the middle of an import.
func TestImportTableFaultMidway(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	const full = 300
	execSQL(t, db, fmt.Sprintf(`CREATE FUNCTION full_table() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN IF (SELECT count(*) FROM coordination_audit_records) >= %d THEN RAISE integrity_constraint_violation; END IF; RETURN NEW; END $$;
		CREATE TRIGGER full_table BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION full_table()`, full))
	path := file(t, lines(0, 1000))
	got := run(t, db.URL, "", "import", "--batch", "100", path)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "so far: 300 lines read, 300 persisted", "stopped at line 301, 300 records stored before it: ")
	if all := rejectsIn(t, path+importer.RejectsSuffix); all != nil {
		t.Errorf("%d lines are blamed", len(all))
	}
}

// silent accepts connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return listener.Addr().String()
}

func TestImportPatience(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{"Refused": "127.0.0.1:1", "Silent": silent(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const patience = 3 * time.Second
			began := time.Now()
			got := runWith(context.Background(), "postgres://someone@"+address+"/nowhere?sslmode=disable", strings.NewReader(line(1)), "import", "-", "--patience", patience.String())
			took := time.Since(began)
			got.mustExit(t, cli.ExitFailed)
			if took < patience || took > 2*patience { // the rest is slack for a busy machine
				t.Errorf("it took %s\n%s", took, got.stderr)
			}
			mustContain(t, got.stderr, "trying again for up to 3s\n")
		})
	}
}
