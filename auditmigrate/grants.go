package auditmigrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// GrantConfig names the roles that use the trail.
type GrantConfig struct {
	// Writers may store records, gaps and statements, and read them. They get INSERT on
	// the content columns, so that the database keeps setting seq, created_at,
	// recorded_at and made_at. They also get SELECT, which RETURNING and ON CONFLICT need.
	// They get nothing on the tables of the seal. A role that is listed more than once gets
	// the rights of each list.
	Writers []string

	// Readers may read, including the tables of the seal, the version table and the
	// sequences' positions. So they can verify and prove.
	Readers []string

	// Sealers may seal: they read what readers read, and insert tiles, checkpoints and
	// events. The database keeps setting seq and made_at.
	Sealers []string

	// TenantReaders may read the records of some tenants through the view [TenantView], and
	// nothing else of the trail. The first one makes the view. A role that is named sees
	// exactly the tenants that it is named with. A role that would read past the view is
	// refused.
	TenantReaders []TenantReader

	// Expirers may take records out of the table by the function that expiry calls, Erasers may
	// erase texts, and Holders may place and release legal holds, each by a function of its
	// own. They read what readers read. Naming one creates the role coordaudit_retention if it
	// is missing, which cannot log in, and gives it the functions: it alone may remove a
	// record. That takes a superuser, or an owner of the tables and of the schema who may create
	// roles.
	Expirers, Erasers, Holders []string

	// RevokePublicCreate revokes CREATE on the schema from PUBLIC. Databases from
	// before PostgreSQL 15 grant it on schema public, and any role with it can create
	// functions and tables that hide those of others. The revocation affects every
	// application in the schema. Defaults to false, which only warns.
	RevokePublicCreate bool
}

// Grants is the result of [Migrator.PlanGrants] and [Migrator.ApplyGrants].
type Grants struct {
	// Schema is the trail's schema.
	Schema string

	// Statements change the roles' rights to the wanted ones. They are empty if the
	// roles already have them.
	Statements []string

	// Warnings are about what no grant can decide, such as a role that owns the
	// tables, and about rights of other roles.
	Warnings []string
}

// PlanGrants returns the statements that grant the roles what they need, and revoke
// excess rights from them and from PUBLIC. It changes nothing. If a role does not
// exist, it returns [ErrUnknownRole].
func (m *Migrator) PlanGrants(ctx context.Context, config GrantConfig) (Grants, error) {
	return m.grants(ctx, "planning the grants", config, false)
}

// ApplyGrants also executes the statements, in one transaction and under the migration
// lock. Applying the same grants again changes nothing.
func (m *Migrator) ApplyGrants(ctx context.Context, config GrantConfig) (Grants, error) {
	return m.grants(ctx, "granting", config, true)
}

func (m *Migrator) grants(ctx context.Context, doing string, config GrantConfig, apply bool) (Grants, error) {
	s, err := m.read(ctx)
	if err != nil {
		return Grants{}, m.failure(ctx, doing, err)
	}
	if err := s.checkGrants(m.config.Schema, config); err != nil {
		return Grants{}, m.failure(ctx, doing, err)
	}
	db := m.openDB(ctx, s.at)
	defer func() { _ = db.Close() }() // every statement has been answered
	conn, err := db.Conn(ctx)
	if err != nil {
		return Grants{}, m.failure(ctx, doing, err)
	}
	defer func() { _ = conn.Close() }()
	if apply {
		lock := sessionLock{timeout: m.config.LockTimeout}
		if err := lock.SessionLock(ctx, conn); err != nil {
			return Grants{}, m.failure(ctx, doing, err)
		}
		defer func() { _ = lock.SessionUnlock(context.WithoutCancel(ctx), conn) }() // it never fails
	}
	grants, err := grantIn(ctx, conn, s.at, config, apply)
	if err != nil {
		return Grants{}, m.failure(ctx, doing, err)
	}
	return grants, nil
}

func (s schema) checkGrants(schema string, config GrantConfig) error {
	if len(config.named()) == 0 {
		return errors.New("no role is given: name at least one writer, reader, sealer, expirer, eraser, holder or tenant reader")
	}
	for _, reader := range config.TenantReaders {
		if err := reader.check(); err != nil {
			return err
		}
	}
	if len(s.at.rivals) > 0 {
		return s.at.checkChange(schema)
	}
	if err := s.checkTables(); err != nil {
		return err
	}
	if !s.at.records || len(s.applied) == 0 {
		next := "run the migrations first (migrate up)"
		if hint := s.at.hint(); hint != "" {
			next = hint
		}
		return fmt.Errorf("there is no trail in schema %q yet: %s", s.at.schema, next)
	}
	return nil
}

func grantIn(ctx context.Context, conn *sql.Conn, at location, config GrantConfig, apply bool) (Grants, error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return Grants{}, err
	}
	defer func() { _ = tx.Rollback() }() // has no effect after the commit
	plan, err := newPlan(ctx, tx, at, config)
	if err != nil {
		return Grants{}, err
	}
	grants := Grants{Schema: at.schema, Statements: plan.statements, Warnings: plan.warnings}
	shards, err := shardStatements(ctx, tx, plan.acl, config)
	if err != nil {
		return Grants{}, err
	}
	if !apply || len(plan.statements)+len(shards) == 0 {
		grants.Statements = append(grants.Statements, shards...)
		return grants, nil
	}
	after, err := execute(ctx, tx, at, config, plan)
	if err != nil {
		return Grants{}, err
	}
	if len(after.statements) > 0 && plan.creates { // default privileges have granted something on what is new
		grants.Statements = append(grants.Statements, after.statements...)
		if after, err = execute(ctx, tx, at, config, after); err != nil {
			return Grants{}, err
		}
	}
	if len(after.statements) > 0 {
		return Grants{}, fmt.Errorf("this role cannot change what %s has granted, nothing was changed: run this as that role, and the same command again: %s",
			strings.Join(after.grantors(), ", "), strings.Join(after.statements, "; "))
	}
	for _, statement := range shards {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return Grants{}, fmt.Errorf("%s: %w", statement, err)
		}
	}
	grants.Statements = append(grants.Statements, shards...)
	return grants, tx.Commit()
}

// execute runs a plan, and plans again: if someone else granted a right, the server only warns.
func execute(ctx context.Context, tx *sql.Tx, at location, config GrantConfig, p *plan) (after *plan, err error) {
	for _, statement := range p.statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return nil, fmt.Errorf("%s: %w", statement, err)
		}
	}
	return newPlan(ctx, tx, at, config)
}

// ErrUnknownRole means that a named role does not exist. Nothing was changed.
var ErrUnknownRole = errors.New("unknown role")

// named returns the roles in the order of the lists.
func (c GrantConfig) named() []string {
	return unique(slices.Concat(c.readingAll(), tenantRoles(c.TenantReaders)))
}

// readingAll returns the roles that read every record.
func (c GrantConfig) readingAll() []string {
	return slices.Concat(c.Writers, c.Readers, c.Sealers, c.Expirers, c.Erasers, c.Holders)
}

// readers returns the roles with the rights of a reader.
func (c GrantConfig) readers() []string {
	return slices.Concat(c.Readers, c.Expirers, c.Erasers, c.Holders)
}

// unique keeps the order. Names are case-sensitive.
func unique(roles []string) []string {
	var list []string
	for _, role := range roles {
		if !slices.Contains(list, role) {
			list = append(list, role)
		}
	}
	return list
}
