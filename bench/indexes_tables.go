package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/seed"
)

const (
	oursTable        = "coordination_audit_records"
	predecessorTable = "predecessor." + oursTable

	// oneMoment is a tenant whose records have all the same time, as coarse clocks make them.
	oneMoment     = "tenant-of-one-moment"
	momentRecords = 10_000
)

// dietTables are ours and the predecessor's, with the same records.
type dietTables struct {
	records    int
	smallest   bool
	candidates []candidate
	admin      *pgx.Conn
	url        string
	written    time.Time // the time of the latest record of the seeded ones
	close      func(context.Context) error
}

// dietTablesConfig says which tables to make.
type dietTablesConfig struct {
	records     int
	locale      string
	predecessor string // the file of its SQL; "" for ours alone
	smallest    bool   // of the run: then all candidates are tried
}

// openDietTables makes both tables and fills them. Ours has ids of version 7 and no
// index beside its primary key.
func openDietTables(ctx context.Context, server *pglocal.Server, config dietTablesConfig) (t *dietTables, err error) {
	name := fmt.Sprintf("indexes_%d_%x", config.records, time.Now().UnixNano())
	if err := inMaintenance(ctx, server, "CREATE DATABASE "+name+collation(config.locale)); err != nil {
		return nil, err
	}
	t = &dietTables{records: config.records, url: server.DatabaseURL(name), candidates: builtOn(config.smallest), smallest: config.smallest}
	if t.admin, err = pgx.Connect(ctx, t.url); err != nil {
		return nil, fmt.Errorf("opening database %s: %w", name, err)
	}
	t.close = func(ctx context.Context) error {
		return errors.Join(t.admin.Close(ctx), inMaintenance(ctx, server, "DROP DATABASE "+name))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close(context.WithoutCancel(ctx)))
		}
	}()
	migrator := auditmigrate.New(t.admin.Config(), auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if _, err := migrator.Up(ctx); err != nil {
		return nil, err
	}
	if err := t.fill(ctx); err != nil || config.predecessor == "" {
		return t, err
	}
	predecessor, err := os.ReadFile(config.predecessor)
	if err != nil {
		return nil, fmt.Errorf("reading the predecessor's table: %w", err)
	}
	return t, t.fillPredecessors(ctx, string(predecessor))
}

// collation is what follows a database's name when it is created.
func collation(locale string) string {
	if locale == "C" {
		return ""
	}
	return fmt.Sprintf(" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE '%s'", locale)
}

func (t *dietTables) fill(ctx context.Context) error {
	if err := t.dropSecondaryIndexes(ctx); err != nil {
		return err
	}
	pool, err := openPool(ctx, dsn{url: t.url, connections: 2})
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = seed.Copy(ctx, pool, t.seeded())
	return err
}

// fillPredecessors makes its table in a schema of its own, which its SQL does not name.
func (t *dietTables) fillPredecessors(ctx context.Context, predecessor string) error {
	_, err := t.admin.Exec(ctx, `CREATE SCHEMA predecessor; SET search_path = predecessor; `+predecessor+`; RESET search_path;
		INSERT INTO `+predecessorTable+` SELECT gen_random_uuid(), envelope_id, envelope_class, decision, reason, decision_timestamp,
		created_at, conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id FROM `+oursTable+` ORDER BY seq`)
	if err != nil {
		return fmt.Errorf("filling the predecessor's table: %w", err)
	}
	if _, err := t.admin.Exec(ctx, "VACUUM ANALYZE "+predecessorTable); err != nil {
		return fmt.Errorf("analyzing the predecessor's table: %w", err)
	}
	return nil
}

// seeded are the records of both tables, some of them at one moment.
func (t *dietTables) seeded() iter.Seq[audit.Record] {
	return func(yield func(audit.Record) bool) {
		for rec := range seed.Records(seed.Config{Records: t.records, Seed: 1}) {
			if !yield(t.comparable(rec)) {
				return
			}
			t.written = rec.DecisionTimestamp
		}
		if t.records == 0 {
			return
		}
		for rec := range seed.Records(seed.Config{Records: min(momentRecords, t.records), Seed: 2}) {
			rec.TenantID, rec.DecisionTimestamp = oneMoment, t.written
			if !yield(t.comparable(rec)) {
				return
			}
		}
	}
}

// comparable is what the predecessor could store, too, under an id of version 7.
func (t *dietTables) comparable(rec audit.Record) audit.Record {
	if rec.EnvelopeClass == audit.Unknown {
		rec.EnvelopeClass = audit.Cost
	}
	rec.TargetSubsystem, rec.TargetParameter, rec.CounterpartClass = "", "", ""
	rec.AuditID = timeOrdered(rec.AuditID, rec.DecisionTimestamp)
	return rec
}

// timeOrdered makes version 7 of a random id.
func timeOrdered(id uuid.UUID, at time.Time) uuid.UUID {
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	return id
}

func (t *dietTables) dropSecondaryIndexes(ctx context.Context) error {
	_, err := t.admin.Exec(ctx, `DO $$ DECLARE name text; BEGIN
		FOR name IN SELECT indexrelid::regclass::text FROM pg_catalog.pg_index WHERE indrelid = '`+oursTable+`'::regclass AND NOT indisprimary
		LOOP EXECUTE 'DROP INDEX ' || name; END LOOP; END $$`)
	if err != nil {
		return fmt.Errorf("dropping the migrated indexes: %w", err)
	}
	return nil
}

// builtSize is what an index, or a table without its indexes, takes on disk.
type builtSize struct {
	Table       string  `json:"table"`
	Name        string  `json:"name"`
	BytesPerRow float64 `json:"bytes_per_row"`
	Seconds     float64 `json:"seconds,omitempty"` // to build it
}

// build makes all candidates.
func (t *dietTables) build(ctx context.Context, log io.Writer) ([]builtSize, error) {
	var built []builtSize
	rows, err := t.count(ctx, oursTable)
	if err != nil {
		return nil, err
	}
	for _, table := range []string{oursTable, predecessorTable} {
		found, err := t.standing(ctx, table)
		if err != nil {
			return nil, err
		}
		built = append(built, found...)
	}
	for i, c := range t.candidates {
		start := time.Now()
		if _, err := t.admin.Exec(ctx, "CREATE INDEX "+identifier(i)+" ON "+oursTable+" "+c.definition); err != nil {
			return nil, fmt.Errorf("building %s: %w", c.name, err)
		}
		took := time.Since(start).Seconds()
		bytes, err := t.bytes(ctx, identifier(i))
		if err != nil {
			return nil, err
		}
		built = append(built, builtSize{oursTable, c.name, float64(bytes) / float64(rows), took})
		fmt.Fprintf(log, "bench: built %s in %.1f s\n", c.name, took)
	}
	if _, err := t.admin.Exec(ctx, "ANALYZE "+oursTable); err != nil {
		return nil, fmt.Errorf("analyzing: %w", err)
	}
	return built, nil
}

// standing are the table and those of its indexes that grew with it.
func (t *dietTables) standing(ctx context.Context, table string) ([]builtSize, error) {
	count, err := t.count(ctx, table)
	if err != nil {
		return nil, err
	}
	rows, err := t.admin.Query(ctx, `
		SELECT relation::text, pg_relation_size(relation)
		FROM (
			SELECT $1::regclass AS relation
			UNION ALL
			SELECT indexrelid::regclass FROM pg_catalog.pg_index WHERE indrelid = $1::regclass
		) AS relations`, table)
	if err != nil {
		return nil, fmt.Errorf("measuring %s: %w", table, err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (b builtSize, err error) {
		var bytes int64
		err = row.Scan(&b.Name, &bytes)
		b.Table, b.BytesPerRow = table, float64(bytes)/float64(count)
		b.Name = strings.TrimPrefix(b.Name, "predecessor.")
		return b, err
	})
}

// count is how many rows a table has: more than were seeded, since some share one
// moment, and the predecessor's SQL brings a thousand of its own.
func (t *dietTables) count(ctx context.Context, table string) (n int64, err error) {
	if err := t.admin.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting the rows of %s: %w", table, err)
	}
	return n, nil
}

func (t *dietTables) bytes(ctx context.Context, relation string) (n int64, err error) {
	if err := t.admin.QueryRow(ctx, "SELECT pg_relation_size($1::regclass)", relation).Scan(&n); err != nil {
		return 0, fmt.Errorf("measuring %s: %w", relation, err)
	}
	return n, nil
}

func identifier(i int) string { return fmt.Sprintf("diet_%d", i) }

// identifiers are the indexes of these candidates.
func (t *dietTables) identifiers(names []string) ([]string, error) {
	found := make([]string, len(names))
	for i, name := range names {
		at := slices.IndexFunc(t.candidates, func(c candidate) bool { return c.name == name })
		if at < 0 {
			return nil, fmt.Errorf("looking for index %q: it is not built on %d records", name, t.records)
		}
		found[i] = identifier(at)
	}
	return found, nil
}

// use leaves the table with these candidates alone. The others stay on disk and are
// neither written nor read: rebuilding them would put an hour between two turns. What
// a catalog says is nobody's to change on a database that is not thrown away afterwards.
func (t *dietTables) use(ctx context.Context, names []string) error {
	keep, err := t.identifiers(names)
	if err != nil {
		return err
	}
	_, err = t.admin.Exec(ctx, `UPDATE pg_catalog.pg_index AS i
		SET indisready = c.relname = ANY ($1), indisvalid = c.relname = ANY ($1)
		FROM pg_catalog.pg_class AS c
		WHERE c.oid = i.indexrelid AND i.indrelid = $2::regclass AND NOT i.indisprimary`, keep, oursTable)
	if err != nil {
		return fmt.Errorf("choosing indexes: %w", err)
	}
	return nil
}
