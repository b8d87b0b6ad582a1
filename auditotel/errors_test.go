package auditotel_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// persistErrors are the errors that a record can end with, by their names in package
// audit.
func persistErrors() map[string]error {
	return map[string]error{
		"ErrInvalidRecord":  audit.ErrInvalidRecord,
		"ErrConflict":       audit.ErrConflict,
		"ErrUnavailable":    audit.ErrUnavailable,
		"ErrRefused":        audit.ErrRefused,
		"ErrOutcomeUnknown": audit.ErrOutcomeUnknown,
		"ErrTxUnusable":     audit.ErrTxUnusable,
		"ErrTxLost":         audit.ErrTxLost,
		"ErrClosed":         audit.ErrClosed,
		"ErrNoPool":         audit.ErrNoPool,
		"ErrBatchTooLarge":  audit.ErrBatchTooLarge,
		"ErrDropped":        audit.ErrDropped,
	}
}

// notOfRecords are the errors that no observation holds: those of reading, also of lines, of
// opening a recorder, and of a record that is not finished yet.
func notOfRecords() []string {
	return []string{"ErrDirectoryInUse", "ErrInvalidQuery", "ErrLimit", "ErrNewerFormat", "ErrNoScope", "ErrNotFound", "ErrPending"}
}

func TestEveryErrorHasAKind(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../audit/errors.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	ast.Inspect(file, func(node ast.Node) bool {
		if spec, ok := node.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Err") {
			declared = append(declared, spec.Names[0].Name)
		}
		return true
	})
	known := notOfRecords()
	for name := range persistErrors() {
		known = append(known, name)
	}
	slices.Sort(declared)
	slices.Sort(known)
	if diff := cmp.Diff(known, declared); diff != "" {
		t.Errorf("errors of package audit (-known here +declared there):\n%s", diff)
	}
}

func TestErrorKinds(t *testing.T) {
	t.Parallel()
	test := metricsOnly(t)
	want := map[string]int64{"COST _OTHER": 2}
	test.observer.ObservePersist(t.Context(), audit.Observation{EnvelopeClass: audit.Cost})
	test.observer.ObservePersist(t.Context(), audit.Observation{EnvelopeClass: audit.Cost, Err: errors.New("of another kind")})
	for name, cause := range persistErrors() {
		test.observer.ObservePersist(t.Context(), audit.Observation{
			EnvelopeClass: audit.Cost,
			Err:           &audit.PersistError{Err: fmt.Errorf("trying: %w", cause)},
		})
		want["COST "+snakeCase(strings.TrimPrefix(name, "Err"))] = 1
	}
	got := values(t, collect(t, test.reader)["coordination_audit_failures"])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

func snakeCase(name string) string {
	var text strings.Builder
	for i, letter := range name {
		if i > 0 && letter >= 'A' && letter <= 'Z' {
			text.WriteByte('_')
		}
		text.WriteRune(letter)
	}
	return strings.ToLower(text.String())
}

func TestDroppedErrorKind(t *testing.T) {
	t.Parallel()
	test := metricsOnly(t)
	test.observer.ObservePersist(t.Context(), audit.Observation{
		EnvelopeClass: audit.Safety,
		Err:           &audit.PersistError{Err: fmt.Errorf("%w: %w", audit.ErrUnavailable, audit.ErrDropped)},
	})
	got := values(t, collect(t, test.reader)["coordination_audit_failures"])
	if diff := cmp.Diff(map[string]int64{"SAFETY dropped": 1}, got); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

// failure makes the store fail one record or more, for real.
type failure struct {
	want  string
	times int64
	fail  func(t *testing.T, db *testdb.DB, config coordaudit.Config)
}

func failures() map[string]failure {
	return map[string]failure{
		"a database that is not there": {"unavailable", 1, func(t *testing.T, _ *testdb.DB, config coordaudit.Config) {
			t.Helper()
			persistOn(t, "postgres://no_such_user@127.0.0.1:1/nothing?sslmode=disable", config)
		}},
		"a table that is not there": {"refused", 1, func(t *testing.T, _ *testdb.DB, config coordaudit.Config) {
			t.Helper()
			persistOn(t, testdb.NewEmpty(t).URL, config)
		}},
		"an answer that does not arrive": {"outcome_unknown", 1, func(t *testing.T, db *testdb.DB, config coordaudit.Config) {
			t.Helper()
			proxy := faultproxy.New(t, db.URL)
			pool := openPool(t, proxy.URL())
			// The queries of the connection's first use have been answered.
			if _, err := coordaudit.New(pool, coordaudit.Config{Logger: config.Logger}).Persist(t.Context(), newRecord(audit.Safety)); err != nil {
				t.Fatal(err)
			}
			config.Schema = "public"
			proxy.CutAtServer(faultproxy.CommandComplete)
			_, _ = coordaudit.New(pool, config).Persist(t.Context(), newRecord(audit.Safety))
		}},
		"a transaction that is over": {"tx_unusable", 1, func(t *testing.T, db *testdb.DB, config coordaudit.Config) {
			t.Helper()
			tx, err := db.Pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, _ = coordaudit.New(db.Pool, config).PersistTx(t.Context(), tx, newRecord(audit.Safety))
		}},
		"a transaction whose connection breaks": {"tx_lost", 1, func(t *testing.T, db *testdb.DB, config coordaudit.Config) {
			t.Helper()
			tx, err := db.Pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(context.Background()) }()
			pid := tx.Conn().PgConn().PID()
			if _, err := db.Pool.Exec(t.Context(), "SELECT pg_terminate_backend($1, 10000)", pid); err != nil {
				t.Fatal(err)
			}
			_, _ = coordaudit.New(db.Pool, config).PersistTx(t.Context(), tx, newRecord(audit.Safety))
		}},
		"a closed store": {"closed", 1, func(t *testing.T, db *testdb.DB, config coordaudit.Config) {
			t.Helper()
			store := coordaudit.New(db.Pool, config)
			store.Close()
			_, _ = store.Persist(t.Context(), newRecord(audit.Safety))
		}},
		"a store without a pool": {"no_pool", 1, func(t *testing.T, _ *testdb.DB, config coordaudit.Config) {
			t.Helper()
			_, _ = coordaudit.New(nil, config).Persist(t.Context(), newRecord(audit.Safety))
		}},
		"a batch that is too large": {"batch_too_large", coordaudit.MaxBatch + 1, func(t *testing.T, db *testdb.DB, config coordaudit.Config) {
			t.Helper()
			batch := slices.Repeat([]audit.Record{newRecord(audit.Safety)}, coordaudit.MaxBatch+1)
			_, _ = coordaudit.New(db.Pool, config).PersistMany(t.Context(), batch)
		}},
	}
}

func TestStoreErrorKinds(t *testing.T) {
	t.Parallel()
	for name, given := range failures() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test := newTelemetry(t, auditotel.Config{})
			given.fail(t, testdb.New(t), test.storeConfig())
			want := map[string]int64{"SAFETY " + given.want: given.times}
			// On a busy machine the observers of ten thousand records may outlive
			// their call.
			for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				diff := cmp.Diff(want, values(t, collect(t, test.reader)["coordination_audit_failures"]))
				if diff == "" {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("failures (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func persistOn(t *testing.T, url string, config coordaudit.Config) {
	t.Helper()
	_, _ = coordaudit.New(openPool(t, url), config).Persist(t.Context(), newRecord(audit.Safety))
}

func openPool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	return fixture.OpenPool(t, url, nil)
}
