package auditadmin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
)

// comparePositions finds sequences that would give new rows the numbers of old ones.
// After a restore of the rows alone, or a logical subscription, a sequence is where it
// was before.
func comparePositions(ctx context.Context, tx pgx.Tx, found catalog.Schema, schema string) ([]Difference, error) {
	var differences []Difference
	for _, table := range found.Tables {
		if table.Kind != "r" {
			continue
		}
		for _, column := range table.Columns {
			if column.Sequence == nil || column.Name != "seq" || column.Sequence.Increment <= 0 {
				continue
			}
			d, err := comparePosition(ctx, tx, schema+"."+table.Name, column, sealedIn(found, schema, table.Name))
			if err != nil {
				return nil, err
			}
			differences = append(differences, d...)
		}
	}
	return differences, nil
}

// sealedIn returns where the log says how far a table is sealed, if there is such a column.
func sealedIn(found catalog.Schema, schema, table string) catalog.Sealed {
	columns := map[string]string{
		catalog.Records: "records_through", "coordination_audit_gaps": "gaps_through",
		"coordination_audit_statements": "statements_through", sealPrefix + "events": "events_through",
	}
	checkpoints := found.Table(sealPrefix + "checkpoints")
	if checkpoints == nil || checkpoints.Kind != "r" ||
		!slices.ContainsFunc(checkpoints.Columns, func(c catalog.Column) bool { return c.Name == columns[table] }) {
		return catalog.Sealed{}
	}
	return catalog.Sealed{Checkpoints: schema + "." + checkpoints.Name, Column: columns[table]}
}

func comparePosition(ctx context.Context, tx pgx.Tx, table string, column catalog.Column, sealed catalog.Sealed) ([]Difference, error) {
	sequence := column.Sequence
	d := Difference{Object: "sequence " + sequence.Name, Severity: Error, Want: "a position that no row has passed"}
	var position catalog.Position
	var why string
	err := attempt(ctx, tx, func(tx pgx.Tx) (err error) {
		position, err = catalog.ReadPosition(ctx, tx, table, column.Name, *sequence, sealed)
		return err
	}, &why)
	switch {
	case err != nil:
		return nil, err
	case why != "":
		d.Severity, d.Got, d.Repair = Unchecked, "cannot be checked: "+why, "check it as the owner of "+table
	case !position.Known:
		d.Severity, d.Got = Unchecked, "cannot be checked: permission denied for sequence "+sequence.Name
		d.Repair = "check it as the owner of " + table + ", or GRANT SELECT ON SEQUENCE " + sequence.Name + " to this role"
	case position.Last < position.Highest:
		d.Got = fmt.Sprintf("at %d, and rows go or went up to %d: new records get numbers that are taken", position.Last, position.Highest)
		return []Difference{d.repairedBy(moveForward(table, column.Name, sequence.Name, sealed))}, nil
	case position.Last >= sequence.Max && !sequence.Cycle:
		d.Want, d.Got = "numbers left to give", fmt.Sprintf("exhausted at %d: every record is refused", position.Last)
		d.Repair = "cannot be repaired by moving it back: if no row holds a number that high (SELECT max(" + column.Name + ")), someone moved it there, and setval brings it back to that"
	default:
		return nil, nil
	}
	return []Difference{d}, nil
}

// moveForward never moves a sequence back. The lock keeps new rows out between the
// read and the move.
func moveForward(table, column, sequence string, sealed catalog.Sealed) step {
	return step{order: orderSequence, statements: []string{
		"LOCK TABLE " + table + " IN SHARE ROW EXCLUSIVE MODE",
		fmt.Sprintf("SELECT pg_catalog.setval('%s', greatest(s.last_value, (SELECT pg_catalog.max(t.%s) FROM ONLY %s AS t), %s)) FROM %s AS s",
			strings.ReplaceAll(sequence, "'", "''"), column, table, sealed.Through(), sequence),
	}}
}
