package auditmigrate_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/migrations"
)

func sqlOf(t *testing.T, from, to int64) string {
	t.Helper()
	var text strings.Builder
	if err := auditmigrate.SQL(&text, from, to); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// byPsql migrates as the users of another tool do.
func byPsql(t *testing.T, db *testdb.DB, sql string) {
	t.Helper()
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("needs psql")
	}
	cmd := exec.CommandContext(t.Context(), psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", db.URL)
	cmd.Stdin = strings.NewReader(sql)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("psql: %v\n%s", err, output)
	}
}

// byDriver sends each transaction as a whole, and other statements one by one.
func byDriver(t *testing.T, db *testdb.DB, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var batch strings.Builder
	inTransaction := false
	for line := range strings.Lines(sql) {
		batch.WriteString(line)
		line = strings.TrimSpace(line)
		if line == "BEGIN;" {
			inTransaction = true
		}
		if line == "COMMIT;" || (!inTransaction && strings.HasSuffix(line, ";") && !strings.HasPrefix(line, "--")) {
			if _, err := conn.Exec(t.Context(), batch.String()); err != nil {
				t.Fatalf("%v in %s", err, batch.String())
			}
			batch.Reset()
			inTransaction = false
		}
	}
}

func TestPrintedSQLMatchesUp(t *testing.T) {
	t.Parallel()
	tools := map[string]func(*testing.T, *testdb.DB, string){"Psql": byPsql, "Driver": byDriver}
	for name, apply := range tools {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			migrated, db := testdb.New(t), testdb.NewEmpty(t)
			migrator := open(t, db.URL, quiet())

			apply(t, db, sqlOf(t, 0, 1))
			if _, err := migrator.UpTo(t.Context(), 1); err != nil {
				t.Errorf("up over what the SQL did: %v", err)
			}
			if current, _, err := migrator.Version(t.Context()); err != nil || current != 1 {
				t.Errorf("version %d, error %v; want 1", current, err)
			}
			apply(t, db, sqlOf(t, 1, auditmigrate.Latest))
			if err := migrator.Validate(t.Context()); err != nil {
				t.Error(err)
			}
			if changes, err := migrator.Up(t.Context()); err != nil || len(changes) > 0 {
				t.Errorf("up afterwards: changes %v, error %v; want neither", changes, err)
			}
			if diff := cmp.Diff(catalog(t, migrated.Pool), catalog(t, db.Pool)); diff != "" {
				t.Errorf("schemas differ (-up +sql):\n%s", diff)
			}
			if diff := cmp.Diff(versions(t, migrated.Pool), versions(t, db.Pool)); diff != "" {
				t.Errorf("version tables differ (-up +sql):\n%s", diff)
			}

			// A second run is harmless.
			apply(t, db, sqlOf(t, 0, auditmigrate.Latest))
			if diff := cmp.Diff(versions(t, migrated.Pool), versions(t, db.Pool)); diff != "" {
				t.Errorf("version tables differ after the second run (-up +sql):\n%s", diff)
			}

			apply(t, db, sqlOf(t, auditmigrate.Latest, 0))
			if _, err := open(t, migrated.URL, quiet()).DownTo(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(catalog(t, migrated.Pool), catalog(t, db.Pool)); diff != "" {
				t.Errorf("schemas differ on the way back (-down +sql):\n%s", diff)
			}
			if current, _, err := migrator.Version(t.Context()); err != nil || current != 0 {
				t.Errorf("version %d, error %v; want 0", current, err)
			}
		})
	}
}

func TestPrintedSQLAdopts(t *testing.T) {
	t.Parallel()
	db, adopted := predecessor(t), predecessor(t)
	up(t, adopted)
	byDriver(t, db, sqlOf(t, 0, auditmigrate.Latest))
	if diff := cmp.Diff(catalog(t, adopted.Pool), catalog(t, db.Pool)); diff != "" {
		t.Errorf("schemas differ (-up +sql):\n%s", diff)
	}
}

func TestPrintedSQLVersions(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for _, versions := range [][2]int64{{0, 99}, {newest + 1, 0}, {-1, 1}} {
		err := auditmigrate.SQL(&text, versions[0], versions[1])
		if !errors.Is(err, auditmigrate.ErrUnknownVersion) || text.Len() > 0 {
			t.Errorf("from %d to %d: %v and %q", versions[0], versions[1], err, text.String())
		}
	}
}

// sqlc, goose and our printing each parse the files in their own way. This is the form
// that all of them understand.
func TestMigrationFilesParse(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(migrations.FS(), "*")
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		content, err := fs.ReadFile(migrations.FS(), file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(content)
		if !regexp.MustCompile(`^\d{5}_[a-z0-9_]+\.sql$`).MatchString(file) || !strings.HasPrefix(file, fmt.Sprintf("%05d_", i+1)) {
			t.Errorf("%s: want the name %05d_verb_noun.sql", file, i+1)
		}
		for line := range strings.Lines(text) {
			if len(line) > 1000 {
				t.Errorf("%s: a line of %d bytes; sqlc drops the rest of the file after a very long one", file, len(line))
			}
			if strings.Contains(line, "+goose") && !regexp.MustCompile(`^-- \+goose (Up|Down|NO TRANSACTION|StatementBegin|StatementEnd)\n$`).MatchString(line) {
				t.Errorf("%s: annotation %q", file, line)
			}
		}
		up, down := strings.Index(text, "\n-- +goose Up\n"), strings.Index(text, "\n-- +goose Down\n")
		if up < 0 || down < up {
			t.Errorf("%s: want Up and then Down", file)
		}
	}
}
