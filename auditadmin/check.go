package auditadmin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

const doingCheck = "checking the schema and its guards"

// Check compares the trail that the connection's search_path leads to with what the
// migrations create, and returns the differences, errors first. An empty result means
// that every guard exists and is enabled. Check changes nothing, takes no lock that
// blocks other sessions, and leaves the session unchanged. It also works on a standby
// and through a pooler.
//
// A trail that lacks migrations is reported as an Error on the version table. What
// those migrations would create is not listed. Differences that a newer program's
// migrations made are listed as notices.
func Check(ctx context.Context, conn *pgx.Conn) ([]Difference, error) {
	found, err := inspect(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doingCheck, err)
	}
	return found.differences, nil
}

// CheckTx is [Check] at the moment of the caller's transaction, which must be REPEATABLE READ
// or SERIALIZABLE. It changes settings of the transaction, so end it afterwards.
func CheckTx(ctx context.Context, tx pgx.Tx) ([]Difference, error) {
	err := catalog.SetUp(ctx, tx)
	if err == nil {
		var found *inspection
		if found, err = inspectIn(ctx, tx); err == nil {
			return found.differences, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", doingCheck, err)
}

// inspection is the result of a check, also for Repair.
type inspection struct {
	differences []Difference
	stands      bool  // the table of records exists
	ours        bool  // and it has the column that the migrations add
	versions    state // the state that the version table records
	database    catalog.Database
	schema      string  // the trail's schema, quoted
	described   []int64 // the versions that this program knows

	distribution catalog.Distribution
	trail        catalog.Schema // as it was found
}

// state is the schema's version, according to the version table.
type state int

const (
	unversioned state = iota // no version table, or an empty one
	behind
	current
	ahead
	unreadable
)

func inspect(ctx context.Context, conn *pgx.Conn) (*inspection, error) {
	tx, err := catalog.Begin(ctx, conn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it only reads
	return inspectIn(ctx, tx)
}

func inspectIn(ctx context.Context, tx pgx.Tx) (*inspection, error) {
	described, err := catalog.Described()
	if err != nil {
		return nil, err
	}
	i := &inspection{described: described.Versions}
	if err := i.look(ctx, tx, described); err != nil {
		return nil, err
	}
	for n := range i.differences {
		i.differences[n] = i.differences[n].printable()
	}
	slices.SortStableFunc(i.differences, func(a, b Difference) int { return cmp.Compare(rank(a.Severity), rank(b.Severity)) })
	return i, nil
}

func rank(s Severity) int { return slices.Index([]Severity{Error, Unchecked, Notice}, s) }

func (i *inspection) look(ctx context.Context, tx pgx.Tx, described catalog.Schema) (err error) {
	places, err := catalog.Locate(ctx, tx, append(described.TableNames(), auditmigrate.VersionTable))
	if err != nil {
		return err
	}
	if err := catalog.Isolate(ctx, tx); err != nil {
		return err
	}
	if i.database, err = catalog.ReadDatabase(ctx, tx); err != nil {
		return err
	}
	i.checkDatabase()
	trail := i.locate(places)
	if trail == nil {
		return nil
	}
	i.schema = trail.Quoted
	if err := i.checkVersions(ctx, tx, *trail, described); err != nil {
		return err
	}
	if !i.stands {
		i.missingRecords(*trail)
		return nil
	}
	if i.versions == behind {
		return nil
	}
	if i.distribution, err = catalog.ReadDistribution(ctx, tx, trail.Schema, described.EveryTableName()); err != nil {
		return err
	}
	if i.distribution.Table(catalog.Records) != nil {
		described.Tables = append(slices.Clone(described.Tables), described.Cluster...)
	}
	found, err := readAll(ctx, tx, *trail, described)
	if err != nil {
		return err
	}
	if records := found.Table(catalog.Records); records != nil {
		i.ours = slices.ContainsFunc(records.Columns, func(c catalog.Column) bool { return c.Name == "seq" })
	}
	if i.versions == unversioned && !i.ours {
		return nil // the predecessor's table, which migrate up adopts
	}
	i.trail = found
	list := compare(described, found, trail.Quoted)
	positions, err := comparePositions(ctx, tx, found, trail.Quoted)
	if err != nil {
		return err
	}
	list = append(list, positions...)
	list = append(list, compareDistribution(i.distribution, found, trail.Quoted)...)
	if i.versions == ahead {
		for n := range list {
			list[n].Automatic, list[n].steps = false, nil
			if list[n].Severity == Error {
				list[n].Severity = Notice
				list[n].Repair = "a newer program has migrated this database: check it with that program's migrate validate"
			}
		}
	}
	i.differences = append(i.differences, list...)
	return nil
}

// readAll reads the trail and what stands around it.
func readAll(ctx context.Context, tx pgx.Tx, trail catalog.Place, described catalog.Schema) (catalog.Schema, error) {
	found, err := catalog.Read(ctx, tx, trail.Schema, append(described.TableNames(), auditmigrate.VersionTable, auditmigrate.TenantView, auditmigrate.TenantMap), described.FunctionNames())
	if err != nil {
		return found, err
	}
	if found.Taken, err = catalog.ReadTaken(ctx, tx, trail.Schema, described.TableNames(), givenNames(described)); err != nil {
		return found, err
	}
	if found.TenantView, err = catalog.ReadTenantView(ctx, tx, trail.Schema); err != nil {
		return found, err
	}
	if found.Members, err = catalog.ReadMembers(ctx, tx, trail.Schema, catalog.Records); err != nil {
		return found, err
	}
	found.Scope, err = catalog.ReadScope(ctx, tx, trail.Schema, catalog.Records)
	return found, err
}

func (i *inspection) add(d Difference) { i.differences = append(i.differences, d) }

// checkDatabase checks the encoding: texts are compared and counted in characters of
// UTF-8.
func (i *inspection) checkDatabase() {
	if i.database.Encoding != "UTF8" {
		i.add(Difference{
			Object: "database " + i.database.Name, Severity: Error, Want: "encoding UTF8", Got: "encoding " + i.database.Encoding,
			Repair: "cannot be changed: create a database with ENCODING 'UTF8', and move the trail there by pg_dump and pg_restore",
		})
	}
}

// attempt runs a query in a savepoint. If the server refuses it, why is the reason,
// and the transaction continues.
func attempt(ctx context.Context, tx pgx.Tx, ask func(pgx.Tx) error, why *string) error {
	err := pgx.BeginFunc(ctx, tx, ask)
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || strings.HasPrefix(pgErr.Code, "57P") || strings.HasPrefix(pgErr.Code, "08") { // the server is away, or a worker of a cluster
		return err
	}
	*why = pgErr.Message
	if pgErr.Code == "55P03" {
		*why = "another session has locked it"
	}
	return nil
}
