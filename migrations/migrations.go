// Package migrations holds the schema's history as goose migrations. sqlc reads the
// same files, so the generated code matches the schema. Package auditmigrate runs
// them.
package migrations

import "embed"

// FS returns the migration files, named 00001_verb_noun.sql.
func FS() embed.FS { return files }

//go:embed *.sql
var files embed.FS
