package trail

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// foreignPool returns a pool in a mode whose sessions start with foreign settings.
func foreignPool(t *testing.T, db frame.Database, mode pgx.QueryExecMode) *pgxpool.Pool {
	t.Helper()
	settings := frame.ForeignSettings(t, db.Pool)
	return fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) {
		config.ConnConfig.DefaultQueryExecMode = mode
		config.MaxConns = 1
		maps.Copy(config.ConnConfig.RuntimeParams, settings)
	})
}

const foreignText = `café, 漢字, 👍 and \backslash 'quote' $1`

func foreignRecord() audit.Record {
	rec := fixture.NewRecord()
	rec.Reason, rec.EnvelopeID, rec.TenantID = foreignText, "enveloppé", "ténant"
	return rec
}

// mustReadBack reads each record in each way and compares.
func mustReadBack(t *testing.T, recs []audit.Record, stores ...*coordaudit.Store) {
	t.Helper()
	for _, store := range stores {
		for _, want := range recs {
			got, err := store.Get(t.Context(), audit.Tenant(want.TenantID), want.AuditID)
			got.Seq, got.CreatedAt = 0, want.CreatedAt
			if diff := cmp.Diff(want.Normalized(), got); err != nil || diff != "" {
				t.Errorf("Get(): %v (-want +got):\n%s", err, diff)
			}
		}
		q := audit.Query{Scope: audit.Tenant(recs[0].TenantID), ReasonContains: recs[0].Reason, EnvelopeIDs: []string{recs[0].EnvelopeID}}
		if page, err := store.List(t.Context(), q); err != nil || len(page.Records) != len(recs) {
			t.Errorf("List() = %d records, %v; want %d", len(page.Records), err, len(recs))
		}
		timeline, err := store.Timeline(t.Context(), audit.TimelineQuery{Scope: q.Scope, EnvelopeID: recs[0].EnvelopeID})
		if err != nil || len(timeline.Entries) != len(recs) {
			t.Errorf("Timeline() = %d entries, %v; want %d", len(timeline.Entries), err, len(recs))
		}
		counted, err := store.Breakdown(t.Context(), audit.BreakdownQuery{Scope: q.Scope})
		if err != nil || counted.ByReason[recs[0].Reason] != int64(len(recs)) || !counted.FirstSeen.Equal(recs[0].DecisionTimestamp) {
			t.Errorf("Breakdown() = %+v, %v; want %d of the reason", counted, err, len(recs))
		}
	}
}

func encodingKeepsText(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			pool := foreignPool(t, db, mode)
			store := coordaudit.New(pool, fixture.Quiet())
			recs := make([]audit.Record, 5)
			for i := range recs {
				recs[i] = foreignRecord()
			}
			for range 2 { // the second time, every id is taken
				for i, c := range frame.OwnCalls(store) {
					persistAgain(t, c, recs[i])
				}
				tx, err := pool.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for i, c := range frame.TxCalls(store, tx) {
					persistAgain(t, c, recs[2+i])
				}
				if err := tx.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
				if counts, err := store.PersistManyFast(t.Context(), recs[4:]); err != nil || counts.Failed > 0 {
					t.Errorf("PersistManyFast() = %+v, %v", counts, err)
				}
			}
			mustReadBack(t, recs, frame.NewStore(db), store)

			gap := frame.NewGap(frame.LostAt(0), frame.LostAt(1))
			gap.Cause = foreignText
			frame.MustPersistGap(t, frame.Database{Pool: pool}, gap)
			for _, reader := range []*coordaudit.Store{frame.NewStore(db), store} {
				if found := frame.MustListGaps(t, reader, audit.GapQuery{}); len(found) != 1 || found[0].Cause != foreignText || !found[0].From.Equal(gap.From) {
					t.Errorf("Gaps() = %+v, want cause and times as they were stored", found)
				}
			}
		})
	}
}

func persistAgain(t *testing.T, c frame.Call, rec audit.Record) {
	t.Helper()
	for range 2 {
		if result, err := c.Persist(t.Context(), rec); err != nil || result.CreatedAt.IsZero() || result.Seq == 0 {
			t.Errorf("%s() = %+v, %v", c.Name, result, err)
		}
	}
}

// A caller's settings stay as they were, in the transaction, after it, and if the call fails.
func settingsAreRestored(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			frame.FailBySQLState(t, db)
			pool := foreignPool(t, db, mode)
			fixture.MustExec(t, pool, "CREATE TABLE callers_rows (n int)")
			store := coordaudit.New(pool, fixture.Quiet())
			want := settingsOf(t, pool)

			for _, c := range frame.OwnCalls(store) {
				_ = c.WantFailure(t.Context(), t, frame.FailingWith("23514"), audit.ErrRefused)
				keeps(t, c.Name, want, settingsOf(t, pool))
			}
			if _, err := store.Get(t.Context(), audit.AllTenants(), fixture.NewRecord().AuditID); !errors.Is(err, audit.ErrNotFound) {
				t.Error(err)
			}
			keeps(t, "Get", want, settingsOf(t, pool))

			tx, err := pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			local := map[string]string{"client_encoding": "WIN1252", "DateStyle": "SQL, YMD"}
			for name, value := range local {
				if _, err := tx.Exec(t.Context(), "SET LOCAL "+name+" TO '"+value+"'"); err != nil {
					t.Fatal(err)
				}
			}
			inTx := settingsOf(t, tx)
			for _, c := range frame.TxCalls(store, tx) {
				_ = c.WantFailure(t.Context(), t, frame.FailingWith("23514"), audit.ErrRefused)
				keeps(t, c.Name, inTx, settingsOf(t, tx))
			}
			if _, err := tx.Exec(t.Context(), "INSERT INTO callers_rows VALUES (2)"); err != nil {
				t.Fatalf("the caller's transaction was broken: %v", err)
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			keeps(t, "the transaction", want, settingsOf(t, pool))
		})
	}
}

func keeps(t *testing.T, what string, want, got map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s changed the session (-want +got):\n%s", what, diff)
	}
}

// settingsOf returns the settings of a session. Its query works under any setting.
func settingsOf(t *testing.T, on interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
},
) map[string]string {
	t.Helper()
	settings := map[string]string{}
	for _, name := range []string{"client_encoding", "DateStyle", "standard_conforming_strings", "search_path", "IntervalStyle", "TimeZone"} {
		rows, err := on.Query(t.Context(), "SHOW "+name, pgx.QueryExecModeExec)
		if err != nil {
			t.Fatal(err)
		}
		value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		settings[name] = value
	}
	return settings
}

// A hook of the pool, or the last user of a connection, may change the settings at any time.
func poolSettingsAreIgnored(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			pool := frame.PoolInMode(t, db, mode)
			store := coordaudit.New(pool, fixture.Quiet())
			var recs []audit.Record
			for range 2 {
				rec := foreignRecord()
				fixture.MustPersist(t, store, rec)
				recs = append(recs, rec)
				for name, value := range frame.ForeignSettings(t, db.Pool) {
					fixture.MustExec(t, pool, "SET "+name+" TO '"+value+"'")
				}
			}
			mustReadBack(t, recs, frame.NewStore(db), store)
		})
	}
}

// PostgreSQL converts a text if it can and refuses what the database cannot hold. Then the error
// names the encoding.
func otherEncodingKeepsText(t *testing.T, db frame.Database) {
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		for _, mode := range db.ExecModes() {
			t.Run(encoding+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				pool := fixture.OpenPool(t, inEncoding(t, db, encoding), func(config *pgxpool.Config) {
					config.ConnConfig.DefaultQueryExecMode = mode
				})
				store := coordaudit.New(pool, fixture.Quiet())
				rec := fixture.NewRecord()
				rec.Reason, rec.TenantID = "café", "ténant"
				fixture.MustPersist(t, store, rec)
				mustReadBack(t, []audit.Record{rec}, store)

				long := fixture.NewRecord()
				long.Reason = "漢字"
				if encoding == "SQL_ASCII" {
					long.EnvelopeID = strings.Repeat("é", audit.MaxIDCharacters)
				}
				fixture.MustExec(t, pool, "CREATE TABLE callers_rows (n int)")
				tx := frame.CallersTx(t, pool)
				for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
					failed := c.WantFailure(t.Context(), t, long, audit.ErrRefused)
					if !strings.Contains(failed.Error(), encoding) || !strings.Contains(failed.Error(), "UTF8") {
						t.Errorf("%s() = %v, want the encoding named", c.Name, failed)
					}
				}
				frame.Commit(t, tx)
			})
		}
	}
}

// inEncoding returns the URL of a database of an encoding with a hand-made main table. The migrations
// refuse such a database.
func inEncoding(t *testing.T, db frame.Database, encoding string) string {
	t.Helper()
	name := "coordaudit_test_" + strings.ToLower(rand.Text()[:12])
	fixture.MustExec(t, db.Pool, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING '"+encoding+"' LOCALE 'C'")
	t.Cleanup(func() {
		if _, err := db.Pool.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	other, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	query := other.Query()
	query.Del("database")
	query.Set("dbname", name) // it takes precedence over the path
	other.RawQuery = query.Encode()
	fixture.MustExec(t, fixture.OpenPool(t, other.String(), nil), `CREATE TABLE coordination_audit_records (
		audit_id uuid PRIMARY KEY, seq bigint GENERATED ALWAYS AS IDENTITY, created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
		envelope_id varchar(100) NOT NULL, envelope_class varchar(20) NOT NULL, decision varchar(20) NOT NULL, reason text NOT NULL,
		decision_timestamp timestamptz NOT NULL, conflicting_envelope_id varchar(100), preempting_envelope_id varchar(100),
		active_envelopes_count integer NOT NULL, tenant_id varchar(100),
		target_subsystem varchar(100), target_parameter varchar(100), counterpart_class varchar(20),
		reason_code varchar(100), policy_version varchar(100), actor varchar(100), caused_by uuid, corrects uuid, correlation_id varchar(100),
		trace_id bytea, span_id bytea, details jsonb, source_id uuid, source_seq bigint)`)
	return other.String()
}
