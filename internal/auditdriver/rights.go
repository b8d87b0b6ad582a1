package auditdriver

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Rights are what a statement needs of its role: privileges on the tables, and the command
// that grants them. A command for other rights could take away what the role has, because
// migrate grants gives a role what it names and no more.
type Rights struct {
	Privileges, Command string
	Instead             string // what to do where they are not to be granted
}

// WriterRights are those of a service.
func WriterRights() Rights {
	return Rights{Privileges: "INSERT and SELECT", Command: "migrate grants --writer ROLE --apply"}
}

// ReaderRights are those of whoever reads, who may be a service.
func ReaderRights() Rights {
	return Rights{Privileges: "SELECT", Command: "migrate grants --reader ROLE --apply, and in the same command what else it is to keep, such as --writer ROLE"}
}

// ReadFailure classifies the error of a statement that changed nothing, or whose transaction
// was rolled back. A nil error stays nil.
func ReadFailure(ctx context.Context, err error) error { return asked(ctx, err) }

// FailureWith is [ReadFailure] of a statement that needs other rights than those of a reader.
func FailureWith(ctx context.Context, err error, needed Rights) error {
	_, named := errors.AsType[*StatementError](err)
	err = asked(ctx, err)
	if failed, ok := errors.AsType[*StatementError](err); ok && !named {
		failed.needed = needed
	}
	return err
}

// The functions of the server that refuse something for a lack of rights which no right on a
// table would repair. Their names are in no language.
const (
	routinePolicy  = "ExecWithCheckOptions" // a policy refused the row
	routineRows    = "check_enable_rls"     // a policy would hide rows
	routineConnect = "CheckMyDatabase"
)

const confirmFunction = "pg_logical_emit_message"

// rightsStep says what a person can do about a lack of rights.
func rightsStep(err error, needed Rights) string {
	pgErr := pgError(err)
	if pgErr == nil {
		return allTables(needed)
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	_, confirming := errors.AsType[*unconfirmedError](err)
	switch {
	case pgErr.Routine == routinePolicy:
		return "give this role a policy that accepts its records (CREATE POLICY … FOR INSERT WITH CHECK …), or turn row-level security off (ALTER TABLE … DISABLE ROW LEVEL SECURITY)"
	case pgErr.Routine == routineRows:
		return "turn row-level security off there (ALTER TABLE … DISABLE ROW LEVEL SECURITY): a policy would hide rows"
	case connecting && (pgErr.Routine == routineConnect || pgErr.Routine == ""): // a pooler names none
		return "grant this role CONNECT on the database"
	case connecting:
		return "correct or remove this parameter in the database URL, or in its options"
	case strings.Contains(pgErr.Message, confirmFunction), confirming && !strings.Contains(pgErr.Message, tablePrefix):
		return "grant this role EXECUTE on function " + confirmFunction + "(boolean, text, text)"
	}
	return objectStep(pgErr.Message, needed)
}

// objectStep is for an object of the trail that the message names, in any language. If it names
// none, the role may lack rights on all tables, and on their schema.
func objectStep(message string, needed Rights) string {
	name := regexp.MustCompile(tablePrefix + `[a-z_]+`).FindString(message)
	name = strings.TrimSuffix(name, "_") // of a shard, a number follows
	switch {
	case name == "":
		return allTables(needed)
	case strings.HasSuffix(name, "_seq_seq"):
		return grant("SELECT on sequence "+name, needed)
	case isFunction(name):
		return grant("EXECUTE on function "+name, needed)
	default:
		return grant(needed.Privileges+" on "+name, needed)
	}
}

func allTables(needed Rights) string {
	return grant(needed.Privileges+" on "+recordsTable+", "+gapsTable+" and "+statementsTable+", and USAGE on their schema", needed)
}

func grant(what string, needed Rights) string {
	if needed.Instead != "" {
		return needed.Instead
	}
	return "grant this role " + what + " (" + needed.Command + ")"
}

// isFunction reports whether an object is one of those that the roles of the retention call.
func isFunction(name string) bool {
	switch strings.TrimPrefix(name, tablePrefix) {
	case "expire", "erase", "place_hold", "release_hold", "sealed_through":
		return true
	default:
		return false
	}
}
