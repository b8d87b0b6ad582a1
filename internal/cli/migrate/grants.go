package migrate

import (
	"errors"
	"strings"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/cli"
)

type grantsCommand struct {
	locking
	Writer             []string `name:"writer" placeholder:"ROLE" help:"A role that stores records, as services do. May be repeated."`
	Reader             []string `name:"reader" placeholder:"ROLE" help:"A role that only reads, verifies and proves. May be repeated."`
	Sealer             []string `name:"sealer" placeholder:"ROLE" help:"A role that seals the trail. May be repeated."`
	TenantReader       []string `name:"tenant-reader" placeholder:"ROLE=TENANT" sep:"none" help:"A role that reads the records of a tenant through a view, and nothing else. May be repeated, also for one role."`
	NoTenantReader     []string `name:"no-tenant-reader" placeholder:"ROLE" sep:"none" help:"A role that reads the records with no tenant through that view. May be repeated."`
	Expirer            []string `name:"expirer" placeholder:"ROLE" help:"A role that may take archived records out of the table. May be repeated. The first one creates the role coordaudit_retention, which cannot log in."`
	Eraser             []string `name:"eraser" placeholder:"ROLE" help:"A role that may erase texts. May be repeated."`
	Holder             []string `name:"holder" placeholder:"ROLE" help:"A role that may place and release legal holds. May be repeated."`
	Apply              bool     `name:"apply" help:"Also execute the statements, in one transaction, as the owner of the tables."`
	RevokePublicCreate bool     `name:"revoke-public-create" help:"Also revoke CREATE on the schema from PUBLIC. This affects every application in the schema."`
}

// Run prints the statements, and with --apply executes them.
func (c *grantsCommand) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	tenants, err := c.tenantReaders()
	if err != nil {
		return err
	}
	if len(c.Writer)+len(c.Reader)+len(c.Sealer)+len(c.Expirer)+len(c.Eraser)+len(c.Holder)+len(tenants) == 0 {
		return cli.Usage(reading, errors.New("no role is given"), "pass --writer, --reader, --sealer, --expirer, --eraser, --holder or --no-tenant-reader with a ROLE, or --tenant-reader ROLE=TENANT")
	}
	migrator, err := a.migrator(c.config())
	if err != nil {
		return err
	}
	do := migrator.PlanGrants
	if c.Apply {
		do = migrator.ApplyGrants
	}
	grants, err := do(a.ctx, auditmigrate.GrantConfig{
		Writers: c.Writer, Readers: c.Reader, Sealers: c.Sealer, TenantReaders: tenants,
		Expirers: c.Expirer, Erasers: c.Eraser, Holders: c.Holder, RevokePublicCreate: c.RevokePublicCreate,
	})
	if err != nil {
		return err
	}
	if !a.grammar.JSON {
		for _, warning := range grants.Warnings {
			a.program.Warn("migrate: warning: %s", warning)
		}
	}
	return show(a, newGrantsResult(grants, c.Apply))
}

// tenantReaders splits at the first =, so a role whose name has one needs the Go call. An empty
// tenant is refused: a script whose variable is empty must not open the records of no tenant.
func (c *grantsCommand) tenantReaders() ([]auditmigrate.TenantReader, error) {
	var list []auditmigrate.TenantReader
	for _, text := range c.TenantReader {
		role, tenant, found := strings.Cut(text, "=")
		if !found || role == "" || tenant == "" {
			return nil, cli.Usage(reading, errors.New("--tenant-reader needs ROLE=TENANT"), "for the records with no tenant, pass --no-tenant-reader ROLE")
		}
		list = append(list, auditmigrate.TenantReader{Role: role, Tenant: tenant})
	}
	for _, role := range c.NoTenantReader {
		list = append(list, auditmigrate.TenantReader{Role: role, NoTenant: true})
	}
	return list, nil
}

type grantsResult struct {
	Schema     string   `json:"schema"`
	Applied    bool     `json:"applied"`
	Statements []string `json:"statements"`
	Warnings   []string `json:"warnings"`
}

func newGrantsResult(grants auditmigrate.Grants, applied bool) grantsResult {
	return grantsResult{
		Schema:     grants.Schema,
		Applied:    applied,
		Statements: append([]string{}, grants.Statements...),
		Warnings:   append([]string{}, grants.Warnings...),
	}
}

// String is a script for psql, or what was done.
func (r grantsResult) String() string {
	if len(r.Statements) == 0 {
		return "-- nothing to do"
	}
	script := strings.Join(r.Statements, ";\n") + ";"
	if r.Applied {
		return script
	}
	return "BEGIN;\n" + script + "\nCOMMIT;"
}
