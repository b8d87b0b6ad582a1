// Package catalog describes the trail as PostgreSQL's catalogs show it. schema.json,
// which the program in internal/describe/cmd writes, describes it as the migrations
// create it. [Read] describes it as a database has it.
package catalog

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

// Records is the table that determines where the trail is.
const Records = "coordination_audit_records"

// Guard is the name of the trigger of a table that refuses a change: update_delete or
// truncate.
func Guard(table, change string) string {
	return strings.TrimSuffix(table, "_records") + "_refuse_" + change
}

// Schema is the trail's part of a database. Names of PostgreSQL objects are quoted
// where SQL needs it. The trail's own tables and functions never need it.
type Schema struct {
	// Versions are the migrations that create it. They come from the migration files,
	// not from the catalogs.
	Versions  []int64    `json:"versions,omitempty"`
	Functions []Function `json:"functions"`
	Tables    []Table    `json:"tables"`

	// Cluster are the tables that auditadmin.Distribute adds. A trail on one server has none
	// of them.
	Cluster []Table `json:"cluster,omitempty"`

	// Taken are the names of the migrations and what has them. See [ReadTaken].
	Taken []Taken `json:"-"`

	// TenantView is the view of tenant readers, or nil.
	TenantView *TenantView `json:"-"`

	// Members are the roles that have the rights of the owner, or write everywhere.
	Members []Member `json:"-"`

	// Scope is the schema itself. See [ReadScope].
	Scope Scope `json:"-"`
}

// Function is the function of a trigger, or one that expiry and erasure call.
type Function struct {
	Name            string   `json:"name"`
	Arguments       string   `json:"arguments"` // names and types
	Language        string   `json:"language"`
	Returns         string   `json:"returns"`
	Source          string   `json:"source"`
	SecurityDefiner bool     `json:"security_definer"`
	Config          []string `json:"config"`               // in schema.json, [SchemaMark] stands for the schema
	Public          bool     `json:"public"`               // everyone may call it
	Volatility      string   `json:"volatility,omitempty"` // "" is VOLATILE
	Strict          bool     `json:"strict,omitempty"`     // it returns NULL for a NULL, and does nothing
	Owner           *Role    `json:"owner,omitempty"`
}

// SchemaMark stands for the quoted name of the schema in the settings of a function, and in a CHECK that
// calls one.
const SchemaMark = "{schema}"

// Role is the owner of an object.
type Role struct {
	Name      string `json:"name"`
	Superuser bool   `json:"superuser"`
}

// Table is a relation. schema.json omits the fields from Owner on, because the
// migrations create none of them.
type Table struct {
	Name         string    `json:"name"`
	Kind         string    `json:"kind"`
	Persistence  string    `json:"persistence"`
	AccessMethod string    `json:"access_method"`
	Columns      []Column  `json:"columns"`
	Checks       []Check   `json:"checks"`
	Triggers     []Trigger `json:"triggers"`
	Indexes      []Index   `json:"indexes"`

	Owner       *Role        `json:"owner,omitempty"`
	RowSecurity bool         `json:"row_security,omitempty"`
	Constraints []Constraint `json:"constraints,omitempty"`
	Rules       []Rule       `json:"rules,omitempty"`
	Children    []string     `json:"children,omitempty"`
	Parents     []string     `json:"parents,omitempty"`
	Grants      []Grant      `json:"grants,omitempty"`
}

// Column is a table's column.
type Column struct {
	Name             string    `json:"name"`
	Type             string    `json:"type"`
	NotNull          bool      `json:"not_null"`
	Default          string    `json:"default,omitempty"`
	Identity         string    `json:"identity,omitempty"`
	Generated        string    `json:"generated,omitempty"`
	Collation        string    `json:"collation,omitempty"` // "" is the type's default
	Nondeterministic bool      `json:"nondeterministic,omitempty"`
	NeedsValue       bool      `json:"needs_value,omitempty"` // its domain accepts no NULL and has no default
	Sequence         *Sequence `json:"sequence,omitempty"`
}

// Sequence is the sequence of an identity column.
type Sequence struct {
	OID         int64   `json:"oid,omitempty"`
	Name        string  `json:"name,omitempty"` // with its schema
	Persistence string  `json:"persistence"`
	Increment   int64   `json:"increment"`
	Max         int64   `json:"max"`
	Min         int64   `json:"min"`
	Cache       int64   `json:"cache"`
	Cycle       bool    `json:"cycle"`
	Grants      []Grant `json:"grants,omitempty"`
}

// Check is a CHECK constraint.
type Check struct {
	Name       string `json:"name"`
	Expression string `json:"expression"` // in schema.json, [SchemaMark] stands for the schema

	// Restored is the other form of the expression, if it has one. PostgreSQL prints
	// some expressions in a form that it parses to another tree, so a CHECK that went
	// through pg_dump differs from the one that the migration created.
	Restored string `json:"restored,omitempty"`

	Validated bool `json:"validated"`
	NoInherit bool `json:"no_inherit"`
	Enforced  bool `json:"enforced"`
}

// Is reports whether a CHECK found in a database is this one.
func (c Check) Is(found Check) bool {
	return (found.Expression == c.Expression || (c.Restored != "" && found.Expression == c.Restored)) &&
		found.NoInherit == c.NoInherit && found.Enforced == c.Enforced
}

// In returns a CHECK of schema.json as it is in a schema.
func (c Check) In(schema string) Check {
	c.Expression, c.Restored = strings.ReplaceAll(c.Expression, SchemaMark, schema), strings.ReplaceAll(c.Restored, SchemaMark, schema)
	return c
}

// Constraint is a constraint of another kind.
type Constraint struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
}

// The bits of Trigger.Type. Without TriggerRow the trigger is FOR EACH STATEMENT.
// Without TriggerBefore and TriggerInstead it is an AFTER trigger.
const (
	TriggerRow = 1 << iota
	TriggerBefore
	TriggerInsert
	TriggerDelete
	TriggerUpdate
	TriggerTruncate
	TriggerInstead
)

// Trigger is a trigger that is not internal.
type Trigger struct {
	Name     string `json:"name"`
	Type     int    `json:"type"`
	Enabled  string `json:"enabled"`  // A always, O origin, R replica, D disabled
	Function string `json:"function"` // with its schema, except in schema.json
	Special  bool   `json:"special"`  // it has a condition, arguments, columns, transition tables, or is a constraint's
}

// Index is an index. Definition is what follows USING.
type Index struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
	Unique     bool   `json:"unique"`
	Primary    bool   `json:"primary"`
	Deferrable bool   `json:"deferrable"`
	Valid      bool   `json:"valid"`
}

// Rule is a rewrite rule.
type Rule struct {
	Name    string `json:"name"`
	Event   string `json:"event"`
	Enabled bool   `json:"enabled"`
}

// Grant is the rights of a role other than the owner and superusers, on a table or on
// some of its columns.
type Grant struct {
	Role       string   `json:"role"`           // PUBLIC is everyone
	Name       string   `json:"name,omitempty"` // of the role, not quoted
	Privileges []string `json:"privileges"`     // "UPDATE", or "UPDATE (reason)" for a column
}

// Member is a role that has the rights of another one. See [ReadMembers].
type Member struct {
	Role   string `json:"role"`
	Of     string `json:"of"`
	Direct bool   `json:"direct"`
}

//go:embed schema.json
var described []byte

// Described returns the trail as the migrations create it.
func Described() (Schema, error) {
	var s Schema
	if err := json.Unmarshal(described, &s); err != nil {
		return Schema{}, fmt.Errorf("reading the embedded description of the schema: %w", err)
	}
	return s, nil
}

// Table returns the table of a name, or nil.
func (s Schema) Table(name string) *Table {
	for i := range s.Tables {
		if s.Tables[i].Name == name {
			return &s.Tables[i]
		}
	}
	return nil
}

// EveryTableName lists the names of the tables, those of a cluster included.
func (s Schema) EveryTableName() []string {
	names := s.TableNames()
	for _, table := range s.Cluster {
		names = append(names, table.Name)
	}
	return names
}

// TableNames lists the tables.
func (s Schema) TableNames() []string {
	names := make([]string, len(s.Tables))
	for i, t := range s.Tables {
		names[i] = t.Name
	}
	return names
}

// FunctionNames lists the functions.
func (s Schema) FunctionNames() []string {
	names := make([]string, len(s.Functions))
	for i, f := range s.Functions {
		names[i] = f.Name
	}
	return names
}

// PrimaryKey returns the index of the primary key, or nil.
func (t Table) PrimaryKey() *Index {
	for i := range t.Indexes {
		if t.Indexes[i].Primary {
			return &t.Indexes[i]
		}
	}
	return nil
}
