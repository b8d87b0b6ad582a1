package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
)

// serverSettings returns the settings of every run. The report names them.
func serverSettings() map[string]string {
	return map[string]string{
		"shared_buffers": "512MB",
		"max_wal_size":   "4GB", // else a checkpoint hits one contender and not the others
	}
}

// withServer runs work with a server that keeps what it commits.
func withServer(ctx context.Context, settings map[string]string, work func(*pglocal.Server) error) error {
	server, err := pglocal.Start(ctx, pglocal.Config{Durable: true, Settings: settings})
	if err != nil {
		return err
	}
	return errors.Join(work(server), server.Stop()) //nolint:contextcheck // Stop takes no context: the server ends in any case
}

// site is a database with a number of records, and the contenders on it.
type site struct {
	facts      facts
	contenders []*contender
	admin      *pgx.Conn // for statements that are not measured
}

// facts describe the records of a site, as far as the works need it.
type facts struct {
	records   int
	ids       []uuid.UUID // spread over the whole table
	firstPage pageQuery
	deepPage  pageQuery // limit 0 where the table has too few records
	since     time.Time // the last seven days of thirty
	until     time.Time
}

// envelope belongs to the tenant and has about one in fifty of its records.
const envelope = "envelope-007"

const (
	minRecords     = 1000
	deepPageNumber = 10_000
	deepPageSize   = 25 // the tenant's third of a million records fills 10,000 pages of this size
)

// withSite creates a database with the given number of records, opens the contenders on
// it, and runs work.
func withSite(ctx context.Context, server *pglocal.Server, records, connections int, openings []opening, work func(*site) error) (err error) {
	name := fmt.Sprintf("bench_%d_%x", records, time.Now().UnixNano())
	if err := inMaintenance(ctx, server, "CREATE DATABASE "+name); err != nil {
		return err
	}
	d := dsn{url: server.DatabaseURL(name), connections: connections}
	// A table of millions of records must not take the disk of the next run.
	defer func() {
		err = errors.Join(err, inMaintenance(context.WithoutCancel(ctx), server, "DROP DATABASE "+name))
	}()
	admin, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return fmt.Errorf("opening database %s: %w", name, err)
	}
	s := &site{admin: admin}
	// Close everything in order, even after ctx has ended.
	defer func() { err = errors.Join(err, s.close(context.WithoutCancel(ctx))) }()
	migrator := auditmigrate.New(admin.Config(), auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if _, err := migrator.Up(ctx); err != nil {
		return err
	}
	if s.facts, err = fill(ctx, d, admin, records); err != nil {
		return err
	}
	for _, open := range openings {
		c, err := open(ctx, d)
		if err != nil {
			return err
		}
		s.contenders = append(s.contenders, c)
	}
	return work(s)
}

func (s *site) close(ctx context.Context) error {
	var faults []error
	for _, c := range s.contenders {
		faults = append(faults, c.close(ctx))
	}
	return errors.Join(append(faults, s.admin.Close(ctx))...)
}

// with returns the site with only the named contenders.
func (s *site) with(names ...string) *site {
	some := *s
	some.contenders = slices.DeleteFunc(slices.Clone(s.contenders), func(c *contender) bool { return !slices.Contains(names, c.name) })
	return &some
}

// rows counts the records of the table.
func (s *site) rows(ctx context.Context) (n int64, err error) {
	if err := s.admin.QueryRow(ctx, "SELECT count(*) FROM coordination_audit_records").Scan(&n); err != nil {
		return 0, fmt.Errorf("counting the records: %w", err)
	}
	return n, nil
}

// inMaintenance runs a statement that cannot run inside the database that it concerns.
func inMaintenance(ctx context.Context, server *pglocal.Server, sql string) error {
	conn, err := pgx.Connect(ctx, server.URL())
	if err != nil {
		return fmt.Errorf("connecting to the server: %w", err)
	}
	_, err = conn.Exec(ctx, sql)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// fill seeds the table and collects the facts that the works need.
func fill(ctx context.Context, d dsn, admin *pgx.Conn, records int) (facts, error) {
	known := facts{records: records}
	if records == 0 {
		return known, nil
	}
	if records < minRecords {
		return known, fmt.Errorf("seeding %d records: give 0, or at least %d, so that every read finds something", records, minRecords)
	}
	pool, err := openPool(ctx, d)
	if err != nil {
		return known, err
	}
	defer pool.Close()
	if _, err := seed.Copy(ctx, pool, seed.Records(seed.Config{Records: records, Seed: 1})); err != nil {
		return known, err
	}
	rows, err := admin.Query(ctx, "SELECT audit_id FROM coordination_audit_records WHERE seq % $1 = 0 ORDER BY md5(audit_id::text)", max(1, records/1000))
	if err != nil {
		return known, fmt.Errorf("choosing ids: %w", err)
	}
	if known.ids, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID]); err != nil {
		return known, fmt.Errorf("choosing ids: %w", err)
	}
	var tenants int
	err = admin.QueryRow(ctx, `SELECT count(*), max(decision_timestamp) - interval '7 days', max(decision_timestamp) + interval '1 microsecond'
		FROM coordination_audit_records WHERE coalesce(tenant_id, '') = $1`, tenant).Scan(&tenants, &known.since, &known.until)
	if err != nil {
		return known, fmt.Errorf("counting the tenant's records: %w", err)
	}
	known.firstPage = pageQuery{limit: min(audit.DefaultPageSize, tenants)}
	if number := min(deepPageNumber, tenants/deepPageSize); number > 1 {
		known.deepPage, err = deepPage(ctx, coordaudit.New(pool, config()), (number-1)*deepPageSize)
	}
	return known, err
}

// deepPage walks past skip records in large pages. The position after them does not
// depend on the page size.
func deepPage(ctx context.Context, store *coordaudit.Store, skip int) (pageQuery, error) {
	page := pageQuery{limit: deepPageSize, skip: skip}
	for left := skip; left > 0; {
		found, err := store.List(ctx, audit.Query{Scope: audit.Tenant(tenant), Limit: min(left, audit.MaxPageSize), After: page.cursor})
		if err != nil {
			return page, err
		}
		if len(found.Records) == 0 || found.Next == "" {
			return page, errors.New("walking to the deep page: the records end before it")
		}
		left -= len(found.Records)
		last := found.Records[len(found.Records)-1]
		page.after, page.cursor = position{last.DecisionTimestamp, last.Seq}, found.Next
	}
	return page, nil
}

// number returns the number of the page.
func (q pageQuery) number() int { return q.skip/q.limit + 1 }
