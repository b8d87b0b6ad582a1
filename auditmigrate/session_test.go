package auditmigrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// hostile are settings that a role or a database may have for its own reasons.
func hostile() []string {
	return []string{
		"datestyle = 'German'", "intervalstyle = 'iso_8601'", "client_encoding = 'LATIN1'", "timezone = 'Asia/Kathmandu'",
		"client_min_messages = 'error'", "quote_all_identifiers = on", "standard_conforming_strings = off",
		"default_transaction_isolation = 'serializable'", "default_transaction_deferrable = on",
		"statement_timeout = '5s'", "lock_timeout = '1ms'", "idle_in_transaction_session_timeout = '5s'",
		"search_path = missing, \"$user\", public", "synchronous_commit = off", "bytea_output = 'escape'", "extra_float_digits = 0",
		"exit_on_error = on", "transform_null_equals = on", "row_security = off", "check_function_bodies = off",
		"escape_string_warning = off", "backslash_quote = off", "enable_indexscan = off", "plpgsql.extra_errors = 'all'",
		"coordaudit.allow_data_loss = on",
	}
}

// asHostile returns a database with hostile settings, and a migrator for it.
func asHostile(t *testing.T, settings []string) (*testdb.DB, *auditmigrate.Migrator) {
	t.Helper()
	db := testdb.NewEmpty(t)
	name := db.Pool.Config().ConnConfig.Database
	for _, setting := range settings {
		execute(t, db.Pool, fmt.Sprintf("ALTER DATABASE %s SET %s", name, setting))
	}
	return db, open(t, db.URL, quiet())
}

func TestHostileSettings(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{"All": hostile()}
	for _, setting := range hostile()[:6] {
		name, _, _ := strings.Cut(setting, " ")
		tests[name] = []string{setting}
	}
	for name, settings := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, migrator := asHostile(t, settings)
			checkEveryCommand(t, db, migrator)
		})
	}
}

func checkEveryCommand(t *testing.T, db *testdb.DB, migrator *auditmigrate.Migrator) {
	t.Helper()
	mustBeAt := func(want int64) {
		t.Helper()
		current, _, err := migrator.Version(t.Context())
		if err != nil || current != want {
			t.Fatalf("version %d, error %v; want %d", current, err, want)
		}
		list, err := migrator.Status(t.Context())
		if err != nil || len(list) != newest {
			t.Fatalf("status %v, error %v", list, err)
		}
		if err := migrator.Validate(t.Context()); (want == newest) != (err == nil) || (err != nil && !errors.Is(err, auditmigrate.ErrPending)) {
			t.Fatalf("validating version %d: %v", want, err)
		}
	}
	mustBeAt(0)
	for _, step := range []struct {
		name string
		do   func(context.Context) ([]auditmigrate.Change, error)
		want []auditmigrate.Change
		at   int64
	}{
		{"up", migrator.Up, changesUp(1, newest), newest},
		{"up again", migrator.Up, nil, newest},
		{"redo", migrator.Redo, append(changesDown(newest, newest), changesUp(newest, newest)...), newest},
		{"down", migrator.Down, changesDown(newest, newest), newest - 1},
		{"down-to 0", func(ctx context.Context) ([]auditmigrate.Change, error) { return migrator.DownTo(ctx, 0) }, changesDown(newest-1, 1), 0},
		{"up from 0", migrator.Up, changesUp(1, newest), newest},
	} {
		changes, err := step.do(t.Context())
		if diff := diffChanges(step.want, changes); diff != "" || err != nil {
			t.Fatalf("%s: %v, changes (-want +got):\n%s", step.name, err, diff)
		}
		mustBeAt(step.at)
	}
	conn := connectPlain(t, db)
	if _, err := conn.Exec(t.Context(), insertRecord); err != nil {
		t.Fatal(err)
	}
	if _, err := migrator.DownTo(t.Context(), 0); !errors.Is(err, auditmigrate.ErrDataLoss) {
		t.Errorf("down-to 0 with a record: %v, want ErrDataLoss", err)
	}
}

func connectPlain(t *testing.T, db *testdb.DB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.URL+"&statement_timeout=0&lock_timeout=0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestUpRefusesEncoding(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"SQL_ASCII", "LATIN1", "EUC_JP", "MULE_INTERNAL"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			name := db.Pool.Config().ConnConfig.Database + "_" + strings.ToLower(encoding)
			execute(t, db.Pool, fmt.Sprintf("CREATE DATABASE %s ENCODING '%s' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0", name, encoding))
			t.Cleanup(func() { _, _ = db.Pool.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)") })
			var log bytes.Buffer
			config, err := pgx.ParseConfig(db.URL) // the pool's config is for its database only
			if err != nil {
				t.Fatal(err)
			}
			config.Database = name
			migrator := auditmigrate.New(config, auditmigrate.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			_, err = migrator.Up(t.Context())
			for what, err := range map[string]error{"up": err, "validate": migrator.Validate(t.Context())} {
				if !errors.Is(err, auditmigrate.ErrEncoding) || !strings.Contains(err.Error(), encoding) || !strings.Contains(err.Error(), "ENCODING 'UTF8'") {
					t.Errorf("%s: %v, want ErrEncoding with the encoding and the next step", what, err)
				}
			}
			if encoding == "MULE_INTERNAL" {
				return // a connection in UTF8 cannot read here
			}
			if _, err := migrator.Status(t.Context()); err != nil || !strings.Contains(log.String(), encoding) {
				t.Errorf("status: %v, log %s; want it to warn of the encoding", err, log.String())
			}
			config.RuntimeParams["search_path"] = ""
			conn, err := pgx.ConnectConfig(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close(context.Background()) }()
			var made int
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_class WHERE relname LIKE 'coord%'").Scan(&made); err != nil || made > 0 {
				t.Errorf("%d relations made, error %v; want none", made, err)
			}
		})
	}
}

func TestLogLinePerMigration(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	var book logBook
	if _, err := open(t, db.URL, auditmigrate.Config{Logger: book.logger()}).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := book.String()
	if n := strings.Count(text, "\n"); n != newest || strings.Contains(text, "skipping") || strings.Count(text, `"duration_ms":`) != newest || strings.Contains(text, `"duration":`) {
		t.Errorf("log is\n%s", text)
	}
	if diff := cmp.Diff([]logLine(nil), book.lines(t, slog.LevelDebug)); diff != "" {
		t.Errorf("lines at debug level:\n%s", diff)
	}
}
