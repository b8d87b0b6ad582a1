package auditadmin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
)

// comparePrimaryKey accepts a key of any name, because an adopted table keeps its own.
// ON CONFLICT needs a valid key on the id alone that is checked immediately.
func (c *tableComparison) comparePrimaryKey() {
	want, got := c.want.PrimaryKey(), c.got.PrimaryKey()
	if want == nil {
		return
	}
	column := strings.TrimSuffix(strings.TrimPrefix(want.Definition, "btree ("), ")")
	d := Difference{Object: "primary key of " + c.name, Severity: Error, Want: "PRIMARY KEY (" + column + ")"}
	switch {
	case got == nil:
		d.Got = "missing: the same record can be stored twice"
		if by := cmp.Or(c.takenRelation(want.Name), c.takenConstraint(want.Name, "p")); by != nil {
			c.nameTaken(d, *by)
			return
		}
		c.add(d.repairedBy(c.makePrimaryKey(*want)))
	case got.Definition != want.Definition:
		d.Got = "on " + got.Definition
		d.Repair = fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s; then migrate repair", c.name, got.Name)
		c.add(d)
	case got.Deferrable:
		d.Got = "DEFERRABLE, which ON CONFLICT does not accept: every record is refused"
		d.Repair = fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s; then migrate repair", c.name, got.Name)
		c.add(d)
	case !got.Valid:
		d.Got = "invalid"
		d.Repair = "REINDEX INDEX CONCURRENTLY " + c.schema + "." + got.Name + ";"
		c.add(d)
	}
}

// makePrimaryKey builds the index concurrently with writers. It first drops the index
// that an interrupted repair left behind.
func (c *tableComparison) makePrimaryKey(want catalog.Index) step {
	return step{order: orderKey, concurrent: true, index: c.indexNamed(want.Name), rows: "rows have the same id: they are kept, and the table stays without its key", statements: append(c.dropOwn(want.Name),
		"CREATE UNIQUE INDEX CONCURRENTLY "+want.Name+" ON "+c.name+" USING "+want.Definition,
		"ALTER TABLE "+c.name+" ADD CONSTRAINT "+want.Name+" PRIMARY KEY USING INDEX "+want.Name,
	)}
}

func (c *tableComparison) indexNamed(name string) halfBuilt {
	return halfBuilt{name: c.schema + "." + name, table: c.name}
}

// dropOwn drops an index of this table. An index of the same name may belong to another
// table, such as an earlier trail that was renamed.
func (c *tableComparison) dropOwn(name string) []string {
	if !slices.ContainsFunc(c.got.Indexes, func(index catalog.Index) bool { return index.Name == name }) {
		return nil
	}
	return []string{"DROP INDEX CONCURRENTLY IF EXISTS " + c.schema + "." + name}
}

func (c *tableComparison) compareChecks() {
	for _, want := range c.want.Checks {
		want = want.In(c.schema)
		i := slices.IndexFunc(c.got.Checks, func(check catalog.Check) bool { return check.Name == want.Name })
		d := Difference{Object: "constraint " + want.Name + " on " + c.name, Severity: Error, Want: "CHECK (" + want.Expression + ")"}
		add := "ALTER TABLE " + c.name + " ADD CONSTRAINT " + want.Name + " CHECK (" + want.Expression + ") NOT VALID"
		validate := step{order: orderCheck, statements: []string{"ALTER TABLE " + c.name + " VALIDATE CONSTRAINT " + want.Name}, rows: "rows violate it: they are kept, it stays NOT VALID, and new rows must satisfy it"}
		switch {
		case i < 0 && c.takenConstraint(want.Name, "c") != nil:
			d.Got = "missing"
			c.nameTaken(d, *c.takenConstraint(want.Name, "c"))
		case i < 0:
			d.Got = "missing"
			c.add(d.repairedBy(step{order: orderCheck, statements: []string{add}}, validate))
		case !want.Is(c.got.Checks[i]):
			d.Got = checkName(c.got.Checks[i])
			drop := "ALTER TABLE " + c.name + " DROP CONSTRAINT " + want.Name
			c.add(d.repairedBy(step{order: orderCheck, statements: []string{drop, add}}, validate))
		case !c.got.Checks[i].Validated:
			d.Severity, d.Want, d.Got = Notice, "", "NOT VALID: it applies to new rows only"
			c.add(d.repairedBy(validate))
		}
	}
	for _, got := range c.got.Checks {
		if !slices.ContainsFunc(c.want.Checks, func(check catalog.Check) bool { return check.Name == got.Name }) {
			c.add(Difference{Object: "constraint " + got.Name + " on " + c.name, Severity: Notice, Got: checkName(got) + ", which no migration creates: it can refuse records"})
		}
	}
	for _, got := range c.got.Constraints {
		c.add(Difference{Object: "constraint " + got.Name + " on " + c.name, Severity: Notice, Got: got.Definition + ", which no migration creates: it can refuse records"})
	}
}

func checkName(c catalog.Check) string {
	text := "CHECK (" + c.Expression + ")"
	if c.NoInherit {
		text += " NO INHERIT"
	}
	if !c.Enforced {
		text += " NOT ENFORCED"
	}
	return text
}

func (c *tableComparison) compareTriggers() {
	for _, want := range c.want.Triggers {
		i := slices.IndexFunc(c.got.Triggers, func(t catalog.Trigger) bool { return t.Name == want.Name })
		function := c.schema + "." + want.Function
		d := Difference{Object: "trigger " + want.Name + " on " + c.name, Severity: Error, Want: triggerName(want, function)}
		enable := "ALTER TABLE " + c.name + " ENABLE ALWAYS TRIGGER " + want.Name
		create := fmt.Sprintf("CREATE TRIGGER %s %s ON %s FOR EACH %s EXECUTE FUNCTION %s()", want.Name, firing(want), c.name, level(want), function)
		if i < 0 {
			d.Got = "missing"
			c.addTrigger(d, function, step{order: orderTrigger, statements: []string{create, enable}})
			continue
		}
		got := c.got.Triggers[i]
		d.Got = triggerName(got, got.Function)
		switch {
		case got.Type != want.Type || got.Function != function || got.Special:
			drop := "DROP TRIGGER " + want.Name + " ON " + c.name
			c.addTrigger(d, function, step{order: orderTrigger, statements: []string{drop, create, enable}})
		case got.Enabled != want.Enabled:
			d.Want, d.Got = enabledName(want.Enabled), enabledName(got.Enabled)
			c.add(d.repairedBy(step{order: orderTrigger, statements: []string{enable}}))
		}
	}
	for _, got := range c.got.Triggers {
		if !slices.ContainsFunc(c.want.Triggers, func(t catalog.Trigger) bool { return t.Name == got.Name }) {
			c.foreignTrigger(got)
		}
	}
}

// addTrigger leaves a trigger as it is while something else has the name of its function.
func (c *tableComparison) addTrigger(d Difference, function string, creation step) {
	if slices.Contains(c.blocked, function) {
		d.Repair = "repair function " + function + "() first; then migrate repair"
		c.add(d)
		return
	}
	c.add(d.repairedBy(creation))
}

// foreignTrigger checks for a trigger before the row, which can drop it without an
// error.
func (c *tableComparison) foreignTrigger(got catalog.Trigger) {
	d := Difference{Object: "trigger " + got.Name + " on " + c.name, Severity: Notice, Got: triggerName(got, got.Function) + ", which no migration creates"}
	const beforeRow = catalog.TriggerRow | catalog.TriggerBefore | catalog.TriggerInsert
	if got.Type&beforeRow == beforeRow && got.Enabled != "D" {
		d.Severity, d.Want = Error, "no trigger that can change or drop records on their way in"
		d.Repair = fmt.Sprintf("DROP TRIGGER %s ON %s; it is not ours to drop: if it is needed, call its function from an AFTER trigger", got.Name, c.name)
	}
	c.add(d)
}

func triggerName(t catalog.Trigger, function string) string {
	text := fmt.Sprintf("%s FOR EACH %s EXECUTE FUNCTION %s()", firing(t), level(t), function)
	if t.Special {
		text += " with a condition, columns or arguments"
	}
	return text + ", " + enabledName(t.Enabled)
}

func firing(t catalog.Trigger) string {
	when := "AFTER"
	switch {
	case t.Type&catalog.TriggerBefore != 0:
		when = "BEFORE"
	case t.Type&catalog.TriggerInstead != 0:
		when = "INSTEAD OF"
	}
	var events []string
	for _, event := range []struct {
		bit  int
		name string
	}{{catalog.TriggerInsert, "INSERT"}, {catalog.TriggerUpdate, "UPDATE"}, {catalog.TriggerDelete, "DELETE"}, {catalog.TriggerTruncate, "TRUNCATE"}} {
		if t.Type&event.bit != 0 {
			events = append(events, event.name)
		}
	}
	return when + " " + strings.Join(events, " OR ")
}

func level(t catalog.Trigger) string {
	if t.Type&catalog.TriggerRow != 0 {
		return "ROW"
	}
	return "STATEMENT"
}

func enabledName(enabled string) string {
	switch enabled {
	case "A":
		return "ENABLE ALWAYS"
	case "O":
		return "enabled, but off under session_replication_role = replica"
	case "R":
		return "ENABLE REPLICA: off in ordinary sessions"
	default:
		return "DISABLED"
	}
}

func (c *tableComparison) compareIndexes() {
	for _, want := range c.want.Indexes {
		if want.Primary {
			continue
		}
		i := slices.IndexFunc(c.got.Indexes, func(index catalog.Index) bool { return index.Name == want.Name })
		d := Difference{Object: "index " + c.schema + "." + want.Name, Severity: Error, Want: indexName(want)}
		create, rows := "CREATE INDEX CONCURRENTLY ", ""
		if want.Unique {
			create, rows = "CREATE UNIQUE INDEX CONCURRENTLY ", "rows have the same values: they are kept, and the table stays without this index"
		}
		create += want.Name + " ON " + c.name + " USING " + want.Definition
		statements := append(c.dropOwn(want.Name), create)
		if strings.Contains(want.Definition, "(COALESCE") || strings.Contains(want.Definition, "((") {
			statements = append(statements, "ANALYZE "+c.name) // without this, an expression has no statistics
		}
		build := step{order: orderIndex, concurrent: true, index: c.indexNamed(want.Name), rows: rows, statements: statements}
		switch {
		case i < 0:
			d.Got = "missing"
		case c.got.Indexes[i].Definition != want.Definition || c.got.Indexes[i].Unique != want.Unique || c.got.Indexes[i].Primary:
			d.Got = indexName(c.got.Indexes[i])
		case !c.got.Indexes[i].Valid:
			d.Got = "invalid: its build was interrupted"
		default:
			continue
		}
		if by := cmp.Or(c.takenRelation(want.Name), c.takenConstraint(want.Name, "")); by != nil {
			c.nameTaken(d, *by)
			continue
		}
		c.add(d.repairedBy(build))
	}
	for _, got := range c.got.Indexes {
		if !got.Primary && !slices.ContainsFunc(c.want.Indexes, func(index catalog.Index) bool { return index.Name == got.Name }) {
			c.foreignIndex(got)
		}
	}
}

func indexName(index catalog.Index) string {
	if index.Unique {
		return "UNIQUE, USING " + index.Definition
	}
	return "USING " + index.Definition
}

func (c *tableComparison) foreignIndex(got catalog.Index) {
	if slices.ContainsFunc(c.got.Constraints, func(k catalog.Constraint) bool { return k.Name == got.Name }) {
		return // its constraint is listed already
	}
	d := Difference{Object: "index " + c.schema + "." + got.Name, Severity: Notice, Got: "USING " + got.Definition + ", which no migration creates: every write maintains it"}
	switch {
	case !got.Valid:
		d.Got = "invalid: its build was interrupted"
		d.Repair = "DROP INDEX CONCURRENTLY " + c.schema + "." + got.Name + ";"
	case got.Unique:
		d.Got = "UNIQUE, " + d.Got + ", and it can refuse records"
	}
	c.add(d)
}
