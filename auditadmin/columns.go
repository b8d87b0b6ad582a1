package auditadmin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
)

func (c *tableComparison) compareColumns() {
	for _, want := range c.want.Columns {
		i := slices.IndexFunc(c.got.Columns, func(column catalog.Column) bool { return column.Name == want.Name })
		if i < 0 {
			c.missingColumn(want)
			continue
		}
		c.compareColumn(want, c.got.Columns[i])
	}
	for _, got := range c.got.Columns {
		if !slices.ContainsFunc(c.want.Columns, func(column catalog.Column) bool { return column.Name == got.Name }) {
			c.foreignColumn(got)
		}
	}
}

func (c *tableComparison) column(name string) string { return "column " + c.name + "." + name }

func (c *tableComparison) alter(what string) step {
	return step{order: orderColumn, statements: []string{"ALTER TABLE " + c.name + " " + what}}
}

func (c *tableComparison) missingColumn(want catalog.Column) {
	d := Difference{Object: c.column(want.Name), Severity: Error, Want: want.Type, Got: "missing, with its content"}
	if want.NotNull {
		d.Repair = "cannot be repaired without touching rows: restore the table from a backup"
	} else {
		d.Repair = fmt.Sprintf("restore the table from a backup; or, without its content: ALTER TABLE %s ADD COLUMN %s %s;", c.name, want.Name, want.Type)
	}
	c.add(d)
}

// foreignColumn accepts a column that needs no value, because our INSERTs name only
// our columns.
func (c *tableComparison) foreignColumn(got catalog.Column) {
	d := Difference{Object: c.column(got.Name), Severity: Notice, Got: "a column that no migration creates"}
	if got.NotNull && got.Default == "" && got.Identity == "" && got.Generated == "" {
		d.Severity, d.Want, d.Got = Error, "no column that needs a value", "NOT NULL without a default, so every record is refused"
		d.Repair = fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL; or give it a default: it is not ours to change", c.name, got.Name)
	} else if got.NeedsValue && got.Default == "" && got.Identity == "" && got.Generated == "" {
		d.Severity, d.Want, d.Got = Error, "no column that needs a value", "of the domain "+got.Type+", which accepts no NULL, and without a default, so every record is refused"
		d.Repair = fmt.Sprintf("ALTER DOMAIN %s DROP NOT NULL; or give the column a default: it is not ours to change", got.Type)
	}
	switch {
	case d.Severity == Error:
	case got.Generated != "":
		d.Got += ", GENERATED from others: an expression that fails refuses the record"
	case got.Identity != "" && got.Sequence == nil:
		d.Severity, d.Want = Error, "no column that needs a value"
		c.withoutSequence(d, got)
		return
	}
	c.add(d)
}

// withoutSequence handles an identity column whose sequence is not its own any more, as
// after a change of the catalogs.
func (c *tableComparison) withoutSequence(d Difference, got catalog.Column) {
	d.Got = identityName(got.Identity) + " that owns no sequence, so every record is refused"
	d.Repair = fmt.Sprintf("cannot be repaired by ALTER TABLE, which looks for the sequence: restore the entry in pg_depend as a superuser, or copy the rows of %s into a new table", c.name)
	c.add(d)
}

func (c *tableComparison) compareColumn(want, got catalog.Column) {
	d := Difference{Object: c.column(want.Name), Severity: Error}
	if got.Type != want.Type {
		d.Want, d.Got = want.Type, got.Type
		d.Repair = fmt.Sprintf("cannot be repaired without touching rows: ALTER TABLE %s ALTER COLUMN %s TYPE %s; checks and may rewrite each row", c.name, want.Name, want.Type)
		c.add(d)
	}
	if got.Generated != "" {
		d.Want, d.Got = "a column that is written", "GENERATED from other columns"
		d.Repair = fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s DROP EXPRESSION; its values are not what was recorded", c.name, want.Name)
		c.add(d)
		return
	}
	c.compareCollation(want, got)
	c.compareDefault(want, got)
	switch {
	case want.NotNull && !got.NotNull:
		d.Want, d.Got = "NOT NULL", "accepts NULL"
		set := c.alter("ALTER COLUMN " + want.Name + " SET NOT NULL")
		set.rows = "rows hold NULL there: they are kept, and the column still accepts NULL"
		c.add(d.repairedBy(set))
	case !want.NotNull && got.NotNull:
		d.Want, d.Got = "accepts NULL", "NOT NULL, so records without it are refused"
		c.add(d.repairedBy(c.alter("ALTER COLUMN " + want.Name + " DROP NOT NULL")))
	}
	c.compareIdentity(want, got)
}

func (c *tableComparison) compareDefault(want, got catalog.Column) {
	if got.Default == want.Default || (want.Identity != "" && got.Identity == "") { // or compareIdentity reports it
		return
	}
	d := Difference{Object: c.column(want.Name), Severity: Error, Want: defaultName(want.Default), Got: defaultName(got.Default)}
	if want.Default == "" {
		c.add(d.repairedBy(c.alter("ALTER COLUMN " + want.Name + " DROP DEFAULT")))
	} else {
		c.add(d.repairedBy(c.alter("ALTER COLUMN " + want.Name + " SET DEFAULT " + want.Default)))
	}
}

func defaultName(expression string) string {
	if expression == "" {
		return "no default"
	}
	return "DEFAULT " + expression
}

// compareCollation matters because a nondeterministic collation can make two tenants
// equal.
func (c *tableComparison) compareCollation(want, got catalog.Column) {
	if got.Collation == want.Collation || got.Type != want.Type {
		return
	}
	d := Difference{Object: c.column(want.Name), Severity: Notice, Want: "the database's collation", Got: "collation " + got.Collation}
	if !got.Nondeterministic {
		c.add(d)
		return
	}
	d.Severity, d.Got = Error, d.Got+", which is nondeterministic: different texts count as equal"
	c.add(d.repairedBy(c.alter(fmt.Sprintf(`ALTER COLUMN %s TYPE %s COLLATE pg_catalog."default"`, want.Name, want.Type))))
}

func (c *tableComparison) compareIdentity(want, got catalog.Column) {
	d := Difference{Object: c.column(want.Name), Severity: Error, Want: identityName(want.Identity), Got: identityName(got.Identity)}
	alter := "ALTER TABLE " + c.name + " ALTER COLUMN " + want.Name
	switch {
	case want.Identity == got.Identity:
	case want.Identity == "":
		d.Repair = alter + " DROP IDENTITY;"
		c.add(d)
	case got.Identity == "":
		statements := []string{alter + " ADD GENERATED ALWAYS AS IDENTITY"}
		if got.Default != "" {
			d.Got += ", " + defaultName(got.Default)
			statements = append([]string{alter + " DROP DEFAULT"}, statements...)
		}
		c.add(d.repairedBy(step{order: orderColumn, statements: append(statements, c.forward(want.Name))}))
	default:
		c.add(d.repairedBy(c.alter("ALTER COLUMN " + want.Name + " SET GENERATED ALWAYS")))
	}
	switch {
	case want.Sequence != nil && got.Sequence != nil:
		c.compareSequence(want, got)
	case want.Sequence != nil && got.Identity != "":
		c.withoutSequence(d, got)
	}
}

func identityName(identity string) string {
	switch identity {
	case "a":
		return "GENERATED ALWAYS AS IDENTITY"
	case "d":
		return "GENERATED BY DEFAULT AS IDENTITY"
	default:
		return "no identity"
	}
}

// forward moves a new identity column's sequence past the rows, in the transaction
// that creates it.
func (c *tableComparison) forward(column string) string {
	return fmt.Sprintf("SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence('%s', '%s'), pg_catalog.max(t.%s)) FROM ONLY %s AS t HAVING pg_catalog.max(t.%s) > 0",
		strings.ReplaceAll(c.name, "'", "''"), column, column, c.name, column)
}

func (c *tableComparison) compareSequence(want, got catalog.Column) {
	d := Difference{Object: "sequence " + got.Sequence.Name, Severity: Error}
	alter := func(what string) step {
		return step{order: orderSequence, statements: []string{"ALTER TABLE " + c.name + " ALTER COLUMN " + want.Name + " SET " + what}}
	}
	w, g := want.Sequence, got.Sequence
	if g.Increment != w.Increment {
		d.Want, d.Got = fmt.Sprintf("INCREMENT %d", w.Increment), fmt.Sprintf("INCREMENT %d", g.Increment)
		c.add(d.repairedBy(alter(d.Want)))
	}
	if g.Cache != w.Cache {
		d.Want, d.Got = fmt.Sprintf("CACHE %d", w.Cache), fmt.Sprintf("CACHE %d: sessions number in blocks, out of order", g.Cache)
		c.add(d.repairedBy(alter(d.Want)))
	}
	if g.Cycle != w.Cycle {
		d.Want, d.Got = "NO CYCLE", "CYCLE: it starts again at its end"
		c.add(d.repairedBy(alter(d.Want)))
	}
	if g.Max != w.Max {
		d.Want, d.Got = fmt.Sprintf("MAXVALUE %d", w.Max), fmt.Sprintf("MAXVALUE %d: no record is stored after it", g.Max)
		c.add(d.repairedBy(step{order: orderSequence, statements: []string{ // a sequence of a narrower type has a lower limit
			fmt.Sprintf("ALTER SEQUENCE %s AS bigint MAXVALUE %d", g.Name, w.Max),
		}}))
	}
	if g.Min != w.Min {
		d.Want, d.Got = fmt.Sprintf("MINVALUE %d", w.Min), fmt.Sprintf("MINVALUE %d: its numbers can come before those of earlier records", g.Min)
		c.add(d.repairedBy(step{order: orderSequence, statements: []string{
			"LOCK TABLE " + c.name + " IN SHARE ROW EXCLUSIVE MODE",
			fmt.Sprintf("SELECT pg_catalog.setval('%s', greatest(s.last_value, m.highest, %d), (s.is_called AND s.last_value >= %d) OR coalesce(m.highest >= %d, false)) FROM %s AS s, (SELECT pg_catalog.max(t.%s) AS highest FROM ONLY %s AS t) AS m",
				strings.ReplaceAll(g.Name, "'", "''"), w.Min, w.Min, w.Min, g.Name, want.Name, c.name),
			fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET MINVALUE %d SET START %d", c.name, want.Name, w.Min, w.Min),
		}}))
	}
	if g.Persistence != w.Persistence {
		d.Want, d.Got = "a sequence that survives a crash", "UNLOGGED: a crash resets it"
		c.add(d.repairedBy(step{order: orderSequence, statements: []string{"ALTER SEQUENCE " + g.Name + " SET LOGGED"}}))
	}
}
