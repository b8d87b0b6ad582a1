package auditmigrate

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"

	"github.com/pressly/goose/v3/database"
)

// keptGrants are the rights from before a run that reverts migrations. What the run
// creates again gets its grants back.
type keptGrants struct{ before acl }

// keepGrants returns nil if no step reverts a migration.
func (m *Migrator) keepGrants(ctx context.Context, db *sql.DB, at location, steps []step) (*keptGrants, error) {
	if !slices.ContainsFunc(steps, func(s step) bool { return s.direction == DirectionDown }) {
		return nil, nil
	}
	before, err := readACL(ctx, db, at)
	return &keptGrants{before: before}, err
}

// extendGrants runs in the transaction of each migration that is applied. A role that
// could write or read the whole trail before the migration can still do so after it.
// Otherwise the database would refuse a service that starts right after the
// migrations.
func (m *Migrator) extendGrants(ctx context.Context, db database.DBTxConn, at location, kept *keptGrants) error {
	now, err := readACL(ctx, db, at)
	if err != nil {
		return err
	}
	statements := now.statements("GRANT", now.extension())
	if kept != nil {
		var plain, options []right
		for _, r := range kept.before.rights {
			switch {
			case !now.exists(r) || contains(now.rights, r):
			case r.grantable:
				options = append(options, r)
			default:
				plain = append(plain, r)
			}
		}
		statements = append(statements, now.statements("GRANT", plain)...)
		for _, statement := range now.statements("GRANT", options) {
			statements = append(statements, statement+" WITH GRANT OPTION")
		}
	}
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("extending the grants: %w", err)
		}
		m.config.Logger.LogAttrs(ctx, slog.LevelInfo, "audit_grants_extended", slog.String("statement", statement))
	}
	return nil
}

// extension returns the rights on newer parts of the trail that its writers and
// readers lack. A writer may INSERT every column of version 1, one by one. A reader
// may SELECT the records and read their sequence. Only migrate grants, or the same
// grants made by hand, give these rights. A writer may do that too, but gets no rights on
// the tables of the seal.
func (a acl) extension() []right {
	var lacking []right
	add := func(r right) {
		if a.exists(r) && !a.has(r) {
			lacking = append(lacking, r)
		}
	}
	for _, role := range a.roles() {
		writes := a.mayInsert(role)
		if writes {
			for _, table := range writtenTables() {
				for _, column := range contentColumns(table) {
					add(right{relation: table, column: column, role: role, privilege: "INSERT"})
				}
			}
		}
		if a.mayRead(role) {
			for _, r := range a.relations {
				if r.table != VersionTable && (!writes || !isSealTable(r.table)) {
					add(right{relation: r.name, role: role, privilege: "SELECT"})
				}
			}
		}
	}
	return lacking
}

// roles returns the roles that hold a right, without PUBLIC.
func (a acl) roles() []string {
	var roles []string
	for _, r := range a.rights {
		if r.role != "" && !slices.Contains(roles, r.role) {
			roles = append(roles, r.role)
		}
	}
	return roles
}

func (a acl) mayInsert(role string) bool {
	for _, column := range firstColumns() {
		if !contains(a.rights, right{relation: recordsTable, column: column, role: role, privilege: "INSERT"}) {
			return false
		}
	}
	return true
}

func (a acl) mayRead(role string) bool {
	for _, r := range a.relations {
		if r.table == recordsTable && !contains(a.rights, right{relation: r.name, role: role, privilege: "SELECT"}) {
			return false
		}
	}
	return true
}

// sayLostGrants warns of the rights that were lost with what a run reverted.
func (m *Migrator) sayLostGrants(ctx context.Context, db *sql.DB, kept *keptGrants) {
	if kept == nil {
		return
	}
	after, err := readACL(ctx, db, kept.before.at)
	if err != nil {
		return // the run itself succeeded
	}
	var roles []string
	for _, r := range kept.before.rights {
		// Reverting a migration that adds columns drops the grants on them. Applying
		// it again gives them back to writers.
		gone := !contains(after.rights, r) && (r.column == "" || !after.mayInsert(r.role))
		if name := roleName(r.role); gone && !slices.Contains(roles, name) {
			roles = append(roles, name)
		}
	}
	if len(roles) > 0 {
		m.config.Logger.LogAttrs(ctx, slog.LevelWarn, "audit_grants_lost",
			slog.Any("roles", roles),
			slog.String("next", "after migrate up, grant again: migrate grants --apply"))
	}
}
