package auditadmin

import (
	"fmt"
)

// compareForeign lists foreign objects on the table, other than columns, constraints,
// triggers and indexes.
func (c *tableComparison) compareForeign() {
	for _, rule := range c.got.Rules {
		d := Difference{
			Object: "rule " + rule.Name + " on " + c.name, Severity: Error, Want: "no rule",
			Got:    "ON " + rule.Event + ": it rewrites statements before a guard sees them, and ON CONFLICT fails on a table with rules",
			Repair: "DROP RULE " + rule.Name + " ON " + c.name + "; it is not ours to drop",
		}
		if !rule.Enabled {
			d.Severity, d.Want, d.Got, d.Repair = Notice, "", "ON "+rule.Event+", disabled", ""
		}
		c.add(d)
	}
	for _, child := range c.got.Children {
		c.add(Difference{
			Object: "table " + child, Severity: Error, Want: "no table that inherits from " + c.name,
			Got:    "its rows are read as records, and no guard stands before them",
			Repair: "ALTER TABLE " + child + " NO INHERIT " + c.name + ";",
		})
	}
	for _, parent := range c.got.Parents {
		c.add(Difference{
			Object: "table " + c.name, Severity: Error, Want: "a table by itself", Got: "a child or partition of " + parent + ", whose changes reach it",
			Repair: fmt.Sprintf("ALTER TABLE %s NO INHERIT %s; or, for a partition: ALTER TABLE %s DETACH PARTITION %s;", c.name, parent, parent, c.name),
		})
	}
	if c.got.RowSecurity {
		c.add(Difference{Object: "row-level security on " + c.name, Severity: Notice, Got: "it is on: a role from which a policy hides records cannot see that they are missing"})
	}
}
