package auditdriver_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func modes() []pgx.QueryExecMode {
	return []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	}
}

// contexts returns records with each part of a context alone, with all of it, and without.
func contexts() []audit.Record {
	var recs []audit.Record
	parts := []func(*audit.Record){
		func(*audit.Record) {},
		func(rec *audit.Record) { rec.ReasonCode = `"\é,{}` },
		func(rec *audit.Record) { rec.PolicyVersion = "NULL" },
		func(rec *audit.Record) { rec.Actor = "an instance" },
		func(rec *audit.Record) { rec.Links.CausedBy = uuid.Must(uuid.NewV7()) },
		func(rec *audit.Record) { rec.Links.Corrects = uuid.Must(uuid.NewV7()) },
		func(rec *audit.Record) { rec.Links.CorrelationID = "one action" },
		func(rec *audit.Record) { rec.Origin.TraceID = audit.TraceID{0: '\\', 1: '"', 15: 0xFF} },
		func(rec *audit.Record) {
			rec.Origin.TraceID, rec.Origin.SpanID = audit.TraceID{15: 1}, audit.SpanID{0: 1, 7: 0x27}
		},
		func(rec *audit.Record) { rec.Details = `{"a": [1, "\\ \" é", null], "b": {}}` },
		func(rec *audit.Record) {
			rec.Origin.SourceID, rec.Origin.SourceSeq = uuid.Must(uuid.NewV7()), 1<<62
		},
	}
	all := record()
	for _, state := range parts {
		rec := record()
		state(&rec)
		state(&all)
		recs = append(recs, rec)
	}
	return append(recs, all)
}

// batches are the calls that take a batch. The one in a transaction commits it.
func batches(driver *auditdriver.Driver, pool *pgxpool.Pool) map[string]func(context.Context, []audit.Record) ([]auditdriver.Item, error) {
	return map[string]func(context.Context, []audit.Record) ([]auditdriver.Item, error){
		"PersistMany":    driver.PersistMany,
		"PersistMissing": driver.PersistMissing,
		"CopyMany":       driver.CopyMany,
		"PersistManyTx": func(ctx context.Context, recs []audit.Record) (items []auditdriver.Item, err error) {
			err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				items, err = driver.PersistManyTx(ctx, tx, recs)
				return err
			})
			return items, err
		},
	}
}

// Each call stores each column, alone and with the others, in all exec modes and under
// settings that change how arrays and bytes are written.
func TestContextIsStored(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			driver, pool := driverOn(t, db.URL, func(config *pgxpool.Config) {
				config.ConnConfig.DefaultQueryExecMode = mode
				config.ConnConfig.RuntimeParams["array_nulls"] = "off"
				config.ConnConfig.RuntimeParams["bytea_output"] = "escape"
			})
			for _, call := range calls(t, driver, pool) {
				for _, rec := range contexts() {
					if result, err := call.persist(&rec); err != nil || result.Outcome != audit.Persisted {
						t.Fatalf("%s of %+v: %+v, %v; want persisted", call.name, rec, result, err)
					}
					requireStored(t, driver, call.name, rec)
				}
			}
			for name, persist := range batches(driver, pool) {
				recs := contexts()
				if _, err := persist(t.Context(), recs); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for _, rec := range recs {
					requireStored(t, driver, name, rec)
				}
			}
		})
	}
}

// requireStored also compares the origin, which DiffersIn leaves out.
func requireStored(t *testing.T, driver *auditdriver.Driver, call string, want audit.Record) {
	t.Helper()
	got, err := driver.Get(t.Context(), audit.AllTenants(), want.AuditID)
	if err != nil {
		t.Fatalf("%s: %v", call, err)
	}
	got.Seq, got.CreatedAt = 0, want.CreatedAt
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: (-sent +read):\n%s", call, diff)
	}
}

// Other programs can write too, and an older table may lack our CHECKs.
func TestForeignContextIsRead(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	const rows = `
		ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_details_valid;
		ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_trace_valid;
		ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_span_valid;
		ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_source_valid;
		INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, details, trace_id, span_id, source_seq)
		SELECT gen_random_uuid(), 'e', 'COST', 'APPLIED', 'r', now(), details::jsonb, decode(id, 'hex'), decode(id, 'hex'), -1
		FROM unnest(ARRAY['null', '1e400', '"a"', '[{}, null]', 'true', '{"b": 1, "a": 2}'], ARRAY['', '00', '0102', '5c', '22', 'ff']) AS odd (details, id)`
	if _, err := db.Pool.Exec(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	for _, mode := range modes() {
		driver, _ := driverOn(t, db.URL, func(config *pgxpool.Config) { config.ConnConfig.DefaultQueryExecMode = mode })
		recs, err := driver.List(t.Context(), &audit.Query{Scope: audit.AllTenants()}, nil, 100)
		if err != nil || len(recs) != 6 {
			t.Errorf("%s: %d records, %v; want 6", mode, len(recs), err)
		}
		for _, rec := range recs {
			if rec.Details == "" || rec.Origin.TraceID != (audit.TraceID{}) || rec.Origin.SpanID != (audit.SpanID{}) || rec.Origin.SourceSeq != -1 {
				t.Errorf("%s: %+v", mode, rec)
			}
		}
	}
}

// An item says whether the stored row carries the source and ordinal that were sent.
func TestItemSaysElsewhere(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	driver, pool := driverOn(t, db.URL, nil)
	one := func(ctx context.Context, recs []audit.Record) ([]auditdriver.Item, error) {
		item, err := driver.PersistItem(ctx, &recs[0])
		return []auditdriver.Item{item}, err
	}
	all := batches(driver, pool)
	delete(all, "CopyMany") // a taken id refuses the whole COPY
	all["PersistItem"] = one
	for name, persist := range all {
		rec := record()
		rec.Origin.SourceID, rec.Origin.SourceSeq = uuid.Must(uuid.NewV7()), 7
		otherSource, otherOrdinal, none := rec, rec, rec
		otherSource.Origin.SourceID = uuid.Must(uuid.NewV7())
		otherOrdinal.Origin.SourceSeq = 8
		none.Origin = audit.Origin{}
		for _, step := range []struct {
			sent      audit.Record
			outcome   audit.Outcome
			elsewhere bool
		}{
			{rec, audit.Persisted, false},
			{rec, audit.AlreadyPersisted, false},
			{otherSource, audit.AlreadyPersisted, true},
			{otherOrdinal, audit.AlreadyPersisted, true},
			{none, audit.AlreadyPersisted, true},
		} {
			items, err := persist(t.Context(), []audit.Record{step.sent})
			if err != nil || len(items) != 1 || items[0].Err != nil || items[0].Result.Outcome != step.outcome || items[0].Elsewhere != step.elsewhere {
				t.Errorf("%s of origin %+v: %+v, %v; want %s, elsewhere %t", name, step.sent.Origin, items, err, step.outcome, step.elsewhere)
			}
		}
		requireStored(t, driver, name, rec)
	}
}

// A record that occurs twice in a batch has one row, with the first ordinal.
func TestRepeatedRecordIsElsewhere(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	driver, _ := driverOn(t, db.URL, nil)
	first := record()
	first.Origin.SourceID, first.Origin.SourceSeq = uuid.Must(uuid.NewV7()), 1
	second := first
	second.Origin.SourceSeq = 2
	items, err := driver.PersistMany(t.Context(), []audit.Record{first, second})
	if err != nil || len(items) != 2 || items[0].Elsewhere || !items[1].Elsewhere || items[1].Result.Outcome != audit.AlreadyPersisted {
		t.Errorf("%+v, %v; want the second elsewhere", items, err)
	}
}

func statementOf(source uuid.UUID, number int64) completeness.Statement {
	return completeness.Statement{
		SourceID: source, Number: number, Kind: completeness.Periodic, AcceptedThrough: 20, ReservedThrough: 1000,
		Dropped: completeness.SetOf(1, 2, 3, 7), AlreadyPersisted: completeness.SetOf(5), Waiting: completeness.Span(10, 20), WaitingContinues: true,
		Label: "coordinator-1 é",
	}
}

func TestUnreadableStatementIsRefused(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	driver, _ := driverOn(t, db.URL, nil)
	stored := statementOf(uuid.Must(uuid.NewV7()), 1)
	if err := driver.PersistStatement(t.Context(), &stored); err != nil {
		t.Fatal(err)
	}
	fixture.MustExec(t, db.Pool, `ALTER TABLE coordination_audit_statements DROP CONSTRAINT coordination_audit_statements_ranges_valid, DISABLE TRIGGER USER;
		UPDATE coordination_audit_statements SET waiting = '{[3,)}'`)
	_, _, latestErr := driver.LatestStatement(t.Context(), stored.SourceID)
	_, testimonyErr := driver.Testify(t.Context(), audit.Window{}.Normalized())
	for _, err := range []error{latestErr, testimonyErr} {
		if !errors.Is(err, audit.ErrRefused) || errors.Is(err, audit.ErrUnavailable) || !strings.Contains(err.Error(), stored.SourceID.String()) {
			t.Errorf("%v, want ErrRefused that names the source", err)
		}
	}
}

func TestStatements(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			driver, _ := driverOn(t, db.URL, func(config *pgxpool.Config) { config.ConnConfig.DefaultQueryExecMode = mode })
			source := uuid.Must(uuid.NewV7())
			if found, ok, err := driver.LatestStatement(t.Context(), source); ok || err != nil {
				t.Fatalf("before the first: %+v, %v", found, err)
			}
			first, second := statementOf(source, 1), statementOf(source, 2)
			first.Kind = completeness.Opened
			for _, each := range []*completeness.Statement{&second, &first} {
				if err := driver.PersistStatement(t.Context(), each); err != nil || each.Seq == 0 || each.MadeAt.IsZero() {
					t.Fatalf("%+v, %v", each, err)
				}
			}
			found, ok, err := driver.LatestStatement(t.Context(), source)
			if diff := cmp.Diff(second, found); err != nil || !ok || diff != "" {
				t.Errorf("%v (-stored +read):\n%s", err, diff)
			}

			again := statementOf(source, 2)
			if err := driver.PersistStatement(t.Context(), &again); err != nil || again.Seq != second.Seq || !again.MadeAt.Equal(second.MadeAt) {
				t.Errorf("again: %+v, %v; want what is on record", again, err)
			}
			other := statementOf(source, 2)
			other.AcceptedThrough++
			err = driver.PersistStatement(t.Context(), &other)
			if !errors.Is(err, auditdriver.ErrStatementTaken) || !errors.Is(err, audit.ErrRefused) || other.Seq != 0 {
				t.Errorf("another under the same number: %+v, %v; want ErrStatementTaken", other, err)
			}
		})
	}
}
