package auditadmin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

// compareGrants checks the rights of all roles but the owner and superusers. A
// service's rights depend on its grants. Rights that no role should have are
// differences.
func (c *tableComparison) compareGrants() {
	for _, grant := range c.got.Grants {
		tooMuch := c.excess
		if grant.Name == auditmigrate.RetentionRole {
			tooMuch = func(p string) bool { return c.excess(p) && !slices.Contains(retentionRights(c.want.Name), p) }
		}
		c.compareGrant("TABLE", c.name, grant, tooMuch)
	}
	for _, column := range c.got.Columns {
		if column.Sequence == nil {
			continue
		}
		for _, grant := range column.Sequence.Grants {
			c.compareGrant("SEQUENCE", column.Sequence.Name, grant, func(p string) bool { return p != "SELECT" })
		}
	}
}

// retentionRights lists what the role of the retention may do to a table and no one else. It may
// UPDATE events, which the guard refuses, because PostgreSQL asks for such a right of whoever locks
// the table.
func retentionRights(table string) []string {
	switch table {
	case catalog.Records:
		return []string{"DELETE", "UPDATE (reason)", "UPDATE (details)"}
	case sealPrefix + "events":
		return []string{"UPDATE"}
	default:
		return nil
	}
}

// excess reports a right on the table, or on one of its columns, that no writer, reader or
// sealer needs.
func (c *tableComparison) excess(privilege string) bool {
	kind, column, _ := strings.Cut(strings.TrimSuffix(privilege, ")"), " (")
	switch kind {
	case "SELECT":
		return false
	case "INSERT":
		return column == "" || c.setByDatabase(column)
	default: // UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES, MAINTAIN, and what comes later
		return true
	}
}

// setByDatabase reports the columns whose values prove something: no service chooses them.
func (c *tableComparison) setByDatabase(column string) bool {
	return column == "created_at" || column == "recorded_at" || column == "made_at" ||
		slices.ContainsFunc(c.want.Columns, func(w catalog.Column) bool { return w.Name == column && w.Identity != "" })
}

// forged names the columns that a right to INSERT lets a role choose.
func (c *tableComparison) forged() string {
	var columns []string
	for _, column := range c.want.Columns {
		if c.setByDatabase(column.Name) {
			columns = append(columns, column.Name)
		}
	}
	return strings.Join(columns, " and ")
}

func (c *tableComparison) compareGrant(kind, name string, grant catalog.Grant, tooMuch func(string) bool) {
	d := Difference{Object: "privileges of " + grant.Role + " on " + strings.ToLower(kind) + " " + name}
	if grant.Role == "PUBLIC" {
		d.Severity, d.Want, d.Got = Error, "none: everyone has them", strings.Join(grant.Privileges, ", ")
		d.Repair = "REVOKE ALL ON " + kind + " " + name + " FROM PUBLIC;"
		c.add(d)
		return
	}
	excess := slices.DeleteFunc(slices.Clone(grant.Privileges), func(p string) bool { return !tooMuch(p) })
	if len(excess) == 0 {
		return
	}
	inserts := func(p string) bool { return strings.HasPrefix(p, "INSERT") }
	d.Severity, d.Want, d.Got = Notice, "none of these", strings.Join(excess, ", ")
	d.Repair = "REVOKE " + d.Got + " ON " + kind + " " + name + " FROM " + grant.Role + ";"
	if forged := c.forged(); forged != "" && slices.ContainsFunc(excess, inserts) {
		d.Want, d.Got = "INSERT on the content columns alone", d.Got+": it can choose "+forged+", which the database should set"
	}
	if kind == "SEQUENCE" {
		d.Got += ": it can move the sequence"
	}
	if c.want.Name != "" { // not the version table, of which no one is a writer
		writes := slices.ContainsFunc(c.got.Grants, func(g catalog.Grant) bool {
			return g.Role == grant.Role && slices.ContainsFunc(g.Privileges, inserts)
		})
		switch {
		case writes && strings.HasPrefix(c.want.Name, sealPrefix):
			d.Repair = "migrate grants --sealer " + shellWord(grant.Name) + " --apply"
		case writes:
			d.Repair = "migrate grants --writer " + shellWord(grant.Name) + " --apply"
		default:
			d.Repair = fmt.Sprintf("migrate grants --reader %s --apply; or: %s", shellWord(grant.Name), d.Repair)
		}
	}
	c.add(d)
}

// sealPrefix begins the names of the tables that only a sealer stores into.
const sealPrefix = "coordination_audit_seal_"

// shellWord quotes a name for a shell if it needs it.
func shellWord(name string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
	}
	if name != "" && strings.TrimFunc(name, plain) == "" && !strings.HasPrefix(name, "-") {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// compareScope names those who can drop the trail because they own its schema, and those who
// can create there what may be called or read in place of something else. No guard is missing
// for that, and other applications of the database may rely on it.
func compareScope(scope catalog.Scope, owner *catalog.Role, schema string) []Difference {
	var list []Difference
	if owner != nil && scope.Owner.Name != owner.Name && !scope.Owner.Superuser {
		d := Difference{
			Object: "schema " + schema, Severity: Notice, Want: "the owner of the records, " + owner.Name,
			Got:    "owner " + scope.Owner.Name,
			Repair: "ALTER SCHEMA " + schema + " OWNER TO " + owner.Name + "; as a superuser",
		}
		if scope.Database {
			d.Got += ", who owns the database"
		}
		d.Got += ": it can drop the trail, and create functions and operators that others call unawares"
		list = append(list, d)
	}
	for _, role := range scope.Creators {
		d := Difference{
			Object: "privileges of " + role + " on schema " + schema, Severity: Notice, Want: "none of these",
			Got:    "CREATE: it can create functions and operators that others call unawares, and tables that they take for theirs",
			Repair: "REVOKE CREATE ON SCHEMA " + schema + " FROM " + role + ";",
		}
		if role == "PUBLIC" {
			d.Got = strings.Replace(d.Got, "it can", "every role can", 1)
			d.Repair = "if no other application needs it: " + d.Repair
		}
		list = append(list, d)
	}
	return list
}

// compareMembers names the roles that can do what the owner can, and those that may write
// to every table. No grant on the trail takes that from them.
func compareMembers(members []catalog.Member, owner *catalog.Role, schema string) []Difference {
	var list []Difference
	for _, member := range members {
		d := Difference{Object: "role " + member.Role, Severity: Notice, Got: "a member of " + member.Of}
		if member.Role == member.Of {
			d.Want = "a role that cannot log in"
			d.Got = "it may log in, and the guards pass its DELETE: whoever does can remove records, and no event says so"
			d.Repair = "ALTER ROLE " + member.Of + " NOLOGIN;"
			list = append(list, d)
			continue
		}
		if member.Of == auditmigrate.RetentionRole {
			d.Got += ", whose DELETE the guards pass: it can remove records, and no event says so"
		} else if owner != nil && member.Of == owner.Name {
			d.Got += ", the owner of the trail in schema " + schema + ": it can switch the guards off, and change and forge records"
		} else {
			d.Got += ": it can write to every table, and choose what the database should set"
		}
		d.Repair = "if it is a service, REVOKE " + member.Of + " FROM " + member.Role + ";"
		if !member.Direct {
			d.Repair = "if it is a service, take it out of the role by which it is a member"
		}
		list = append(list, d)
	}
	return list
}
