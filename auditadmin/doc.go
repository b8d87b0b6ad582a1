// Package auditadmin checks and repairs a trail's guards: the tables, columns, CHECKs,
// triggers, indexes and sequences that package auditmigrate creates. A restore,
// another program or a person may have removed or disabled some of them since.
//
// [Check] compares a database with what the migrations create and lists each
// difference. [Repair] restores what can be restored without changing a row. The
// program cmd/migrate offers both as migrate validate and migrate repair.
//
//	differences, err := auditadmin.Check(ctx, conn)
//	…
//	for _, d := range differences {
//		fmt.Println(d)
//	}
//
// # What is compared
//
// Check compares only the catalogs, with a description of the schema that is part of
// this package. Session settings, temporary tables and schemas of other names do not
// change the result. It looks at rows only for the highest seq, which reads an index
// or the table once.
//
// # A cluster
//
// [Distribute] moves the rows of a trail to the workers of a Citus cluster. Check and
// Repair work before and after it. See docs/citus.md.
//
// # Requirements
//
// Check needs the right to connect. Without SELECT on the version table, the tables
// and their sequences, a part of the result is [Unchecked]. Repair needs the rights of
// the tables' owner and a direct connection, because the lock has no effect through a
// pooler in transaction mode.
package auditadmin
