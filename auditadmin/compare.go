package auditadmin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/clusterschema"
)

// compare lists how a schema differs from the described one. schema is its quoted
// name.
func compare(described, found catalog.Schema, schema string) []Difference {
	var list []Difference
	owner := ownerOf(found)
	var blocked []string
	for _, want := range described.Functions {
		i := slices.IndexFunc(found.Functions, func(f catalog.Function) bool { return f.Name == want.Name && f.Arguments == want.Arguments })
		var got *catalog.Function
		if i >= 0 {
			got = &found.Functions[i]
		}
		faults := compareFunction(want, got, schema, owner)
		if slices.ContainsFunc(faults, func(d Difference) bool { return strings.HasPrefix(d.Repair, renameFunction) }) {
			blocked = append(blocked, schema+"."+want.Name)
		}
		list = append(list, faults...)
	}
	for _, want := range described.Tables {
		c := tableComparison{want: want, schema: schema, name: schema + "." + want.Name, taken: found.Taken, blocked: blocked}
		if got := found.Table(want.Name); got != nil {
			c.got = *got
			c.compare(owner)
		} else if want.Name != clusterschema.LeavesTable { // see compareDistribution
			c.missing()
		}
		list = append(list, c.list...)
	}
	list = append(list, compareTenants(found, schema)...)
	list = append(list, compareMembers(found.Members, owner, schema)...)
	list = append(list, compareScope(found.Scope, owner, schema)...)
	return append(list, compareVersionTable(found.Table(auditmigrate.VersionTable), schema, owner)...)
}

// compareVersionTable ignores columns, because goose defines them. Any role may read
// this table.
func compareVersionTable(got *catalog.Table, schema string, owner *catalog.Role) []Difference {
	if got == nil {
		return nil // checkVersions reports it
	}
	c := tableComparison{want: catalog.Table{Persistence: "p"}, got: *got, schema: schema, name: schema + "." + got.Name}
	c.comparePersistence()
	c.list = append(c.list, compareOwner("table "+c.name, "TABLE "+c.name, got.Owner, owner)...)
	for i := range c.got.Grants {
		c.got.Grants[i].Privileges = slices.DeleteFunc(c.got.Grants[i].Privileges, func(p string) bool { return strings.HasPrefix(p, "SELECT") })
	}
	c.got.Grants = slices.DeleteFunc(c.got.Grants, func(g catalog.Grant) bool { return len(g.Privileges) == 0 })
	c.got.Columns = nil
	c.compareGrants()
	return c.list
}

// ownerOf returns the owner of the records.
func ownerOf(s catalog.Schema) *catalog.Role {
	if records := s.Table(catalog.Records); records != nil {
		return records.Owner
	}
	return nil
}

const renameFunction = "ALTER ROUTINE "

func compareFunction(want catalog.Function, got *catalog.Function, schema string, owner *catalog.Role) []Difference {
	name := schema + "." + want.Name + "(" + want.Arguments + ")"
	want.Config = settingsIn(want.Config, schema)
	create := createFunction(want, name)
	object := "function " + schema + "." + want.Name + "()"
	d := Difference{Object: object, Severity: Error, Want: "the migrations' function"}
	if got == nil {
		d.Got = "missing"
		return []Difference{d.repairedBy(create)}
	}
	if ownedByRetention(want, got) { // which cannot log in
		create.rights = "run it as a superuser: " + auditmigrate.RetentionRole + " owns the function"
	}
	var list []Difference
	var faults []string
	if got.Source != want.Source {
		faults = append(faults, "another body")
	}
	if got.Language != want.Language {
		faults = append(faults, "language "+got.Language)
	}
	if got.Returns != want.Returns {
		faults = append(faults, "returning "+got.Returns)
	}
	switch {
	case got.SecurityDefiner && !want.SecurityDefiner:
		faults = append(faults, "SECURITY DEFINER")
	case want.SecurityDefiner && !got.SecurityDefiner:
		faults = append(faults, "not SECURITY DEFINER")
	}
	if got.Public && !want.Public {
		faults = append(faults, "everyone may call it")
	}
	if calledByAll(want) && !got.Public {
		faults = append(faults, "not everyone may call it, so whoever may not stores no event")
	}
	faults = append(faults, compareBehaviour(want, got)...)
	if !slices.Equal(got.Config, want.Config) {
		faults = append(faults, "settings of its own")
	}
	d.Got = strings.Join(faults, ", ")
	foreign := got.Owner != nil && owner != nil && got.Owner.Name != owner.Name && !got.Owner.Superuser && !ownedByRetention(want, got)
	switch {
	case len(faults) == 0:
	case got.Returns != want.Returns, foreign: // it cannot be replaced, or it is not ours to replace
		if foreign {
			d.Got += ", of owner " + got.Owner.Name
		}
		d.Repair = fmt.Sprintf(renameFunction+"%s RENAME TO %s_old; then migrate repair, which makes ours; it is not ours to replace or drop", name, want.Name)
		list = append(list, d)
	default:
		list = append(list, d.repairedBy(create))
	}
	if ownedByRetention(want, got) {
		return list
	}
	return append(list, compareOwner(object, "FUNCTION "+name, got.Owner, owner)...)
}

// compareBehaviour compares what PostgreSQL does around the body. A STRICT function of the
// retention skips its checks for a NULL. One that is not VOLATILE does not see what was
// committed while it waited for its lock. CREATE OR REPLACE takes both back.
func compareBehaviour(want catalog.Function, got *catalog.Function) (faults []string) {
	if got.Volatility != want.Volatility {
		faults = append(faults, cmp.Or(got.Volatility, "VOLATILE"))
	}
	if got.Strict && !want.Strict {
		faults = append(faults, "STRICT: it does nothing if an argument is NULL")
	}
	return faults
}

// calledByAll reports whether a CHECK calls a function, as whoever stores a row. A trigger calls its
// function without asking for that right.
func calledByAll(want catalog.Function) bool { return want.Public && want.Returns != "trigger" }

// ownedByRetention reports whether migrate grants gave a function of the retention to its role.
func ownedByRetention(want catalog.Function, got *catalog.Function) bool {
	return want.SecurityDefiner && got.Owner != nil && got.Owner.Name == auditmigrate.RetentionRole
}

// settingsIn puts the schema into the settings of a function.
func settingsIn(config []string, schema string) []string {
	settings := slices.Clone(config)
	for i := range settings {
		settings[i] = strings.ReplaceAll(settings[i], catalog.SchemaMark, schema)
	}
	return settings
}

// createFunction makes a function as the migrations do. A new one may be called by everyone.
func createFunction(want catalog.Function, name string) step {
	var text strings.Builder
	fmt.Fprintf(&text, "CREATE OR REPLACE FUNCTION %s RETURNS %s LANGUAGE %s", name, want.Returns, want.Language)
	if want.Volatility != "" {
		text.WriteString(" " + want.Volatility)
	}
	if want.SecurityDefiner {
		text.WriteString(" SECURITY DEFINER")
	}
	for _, setting := range want.Config {
		parameter, value, _ := strings.Cut(setting, "=")
		if parameter != "search_path" { // which is a list of names
			value = "'" + value + "'"
		}
		text.WriteString(" SET " + parameter + " = " + value)
	}
	statements := []string{text.String() + " AS $coordaudit$" + want.Source + "$coordaudit$"}
	if calledByAll(want) { // default privileges may say otherwise
		statements = append(statements, "GRANT EXECUTE ON FUNCTION "+name+" TO PUBLIC")
	}
	if !want.Public {
		statements = append(statements, "REVOKE ALL ON FUNCTION "+name+" FROM PUBLIC")
	}
	return step{order: orderFunction, statements: statements}
}

// compareOwner checks the owner of a guard, who can remove it.
func compareOwner(object, kind string, got, want *catalog.Role) []Difference {
	if got == nil || want == nil || got.Name == want.Name {
		return nil
	}
	d := Difference{
		Object: object, Severity: Error, Want: "the owner of the records, " + want.Name, Got: "owner " + got.Name,
		Repair: fmt.Sprintf("ALTER %s OWNER TO %s; as a superuser", kind, want.Name),
	}
	if got.Superuser { // a superuser can do everything anyway
		d.Severity = Notice
	}
	return []Difference{d}
}

// tableComparison compares one table.
type tableComparison struct {
	want, got    catalog.Table
	schema, name string
	taken        []catalog.Taken
	blocked      []string // functions that a person must repair before a trigger can call them
	list         []Difference
}

func (c *tableComparison) add(d Difference) { c.list = append(c.list, d) }

func (c *tableComparison) compare(owner *catalog.Role) {
	if c.got.Kind != c.want.Kind {
		c.add(Difference{
			Object: "table " + c.name, Severity: Error, Want: "a plain table", Got: kindName(c.got.Kind),
			Repair: "cannot be repaired without moving rows: rename it, migrate up, and copy its rows into the new table",
		})
		return
	}
	c.comparePersistence()
	if c.got.AccessMethod != c.want.AccessMethod {
		c.add(Difference{Object: "table " + c.name, Severity: Notice, Want: "access method " + c.want.AccessMethod, Got: "access method " + c.got.AccessMethod})
	}
	if c.want.Name != catalog.Records {
		c.list = append(c.list, compareOwner("table "+c.name, "TABLE "+c.name, c.got.Owner, owner)...)
	}
	c.compareColumns()
	c.comparePrimaryKey()
	c.compareChecks()
	c.compareTriggers()
	c.compareIndexes()
	c.compareForeign()
	c.compareGrants()
}

func kindName(kind string) string {
	switch kind {
	case "p":
		return "a partitioned table"
	case "v", "m":
		return "a view"
	case "f":
		return "a foreign table"
	default:
		return "a relation of kind " + kind
	}
}

func (c *tableComparison) comparePersistence() {
	if c.got.Persistence == c.want.Persistence {
		return
	}
	c.add(Difference{Object: "table " + c.name, Severity: Error, Want: "a table that survives a crash", Got: "UNLOGGED: a crash empties it"}.
		repairedBy(step{order: orderPersistence, statements: []string{"ALTER TABLE " + c.name + " SET LOGGED"}}))
}

// missing handles a table that a restore left out. Once it exists, the other
// comparisons find what else it lacks.
func (c *tableComparison) missing() {
	d := Difference{Object: "table " + c.name, Severity: Error, Want: "a table", Got: "missing, with its content"}
	if c.want.Name == catalog.Records {
		d.Repair = "cannot be repaired: restore it from a backup"
		c.add(d)
		return
	}
	var lines []string
	for _, column := range c.want.Columns {
		line := column.Name + " " + column.Type
		if column.NotNull {
			line += " NOT NULL"
		}
		if column.Default != "" {
			line += " DEFAULT " + column.Default
		}
		if column.Identity != "" {
			line += " GENERATED ALWAYS AS IDENTITY"
		}
		lines = append(lines, line)
	}
	c.add(d.repairedBy(step{order: orderTable, statements: []string{"CREATE TABLE " + c.name + " (" + strings.Join(lines, ", ") + ")"}}))
}
