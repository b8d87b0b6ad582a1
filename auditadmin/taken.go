package auditadmin

import (
	"fmt"
	"slices"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
)

// givenNames are the names that the migrations give to indexes and constraints.
func givenNames(s catalog.Schema) []string {
	var names []string
	for _, table := range s.Tables {
		for _, index := range table.Indexes {
			names = append(names, index.Name)
		}
		for _, check := range table.Checks {
			names = append(names, check.Name)
		}
	}
	return names
}

// takenRelation finds what has the name of an index and is no index of this table. It is
// not ours to drop.
func (c *tableComparison) takenRelation(name string) *catalog.Taken {
	return c.takenBy(func(t catalog.Taken) bool { return t.Name == name && t.Kind != "constraint" && t.Of != c.name })
}

// takenConstraint finds a constraint of this table that has a name of ours, and is of
// another type than ours.
func (c *tableComparison) takenConstraint(name, ours string) *catalog.Taken {
	return c.takenBy(func(t catalog.Taken) bool {
		return t.Name == name && t.Kind == "constraint" && t.Of == c.name && t.Type != ours
	})
}

func (c *tableComparison) takenBy(is func(catalog.Taken) bool) *catalog.Taken {
	i := slices.IndexFunc(c.taken, is)
	if i < 0 {
		return nil
	}
	return &c.taken[i]
}

// nameTaken turns a difference into one that a person must repair: they decide what becomes
// of the object that has the name.
func (c *tableComparison) nameTaken(d Difference, by catalog.Taken) {
	d.Got += ", and its name is taken by " + takenName(by, c.schema)
	alter := map[string]string{"i": "INDEX", "I": "INDEX", "S": "SEQUENCE", "v": "VIEW", "m": "MATERIALIZED VIEW", "f": "FOREIGN TABLE", "c": "TYPE"}[by.Kind]
	if alter == "" {
		alter = "TABLE"
	}
	d.Repair = fmt.Sprintf("ALTER %s %s.%s RENAME TO %s_old; then migrate repair", alter, c.schema, by.Name, by.Name)
	if by.Kind == "constraint" {
		d.Repair = fmt.Sprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s_old; then migrate repair", c.name, by.Name, by.Name)
	}
	d.Repair += "; it is not ours to rename or drop"
	c.add(d)
}

func takenName(by catalog.Taken, schema string) string {
	switch by.Kind {
	case "i", "I":
		return "an index of " + by.Of
	case "constraint":
		types := map[string]string{"c": "CHECK", "f": "FOREIGN KEY", "n": "NOT NULL", "p": "PRIMARY KEY", "t": "trigger", "u": "UNIQUE", "x": "EXCLUDE"}
		return "a " + types[by.Type] + " constraint of this table"
	case "S":
		return "sequence " + schema + "." + by.Name
	case "r":
		return "table " + schema + "." + by.Name
	case "c":
		return "type " + schema + "." + by.Name
	default:
		return kindName(by.Kind) + ", " + schema + "." + by.Name
	}
}
