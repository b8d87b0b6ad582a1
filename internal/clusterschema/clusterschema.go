// Package clusterschema holds the table that a trail has on a Citus cluster alone. sqlc reads the
// same file as [auditadmin.Distribute] runs, so the generated code matches it.
package clusterschema

import _ "embed"

// LeavesTable says which rows are sealed, and where in the log.
const LeavesTable = "coordination_audit_seal_leaves"

// Leaves returns the statements that create [LeavesTable] in the first schema of the search_path.
func Leaves() string { return leaves }

//go:embed leaves.sql
var leaves string
