package auditmigrate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
)

// The errors that a caller can distinguish with [errors.Is]. Every error is one line
// that states the cause and, if there is one, the next step. It contains neither a
// password nor the server's DETAIL, which quotes rows.
var (
	// ErrPending means that the database lacks migrations that this program knows. See
	// [PendingError]. Migrate up.
	ErrPending = errors.New("migrations are pending")

	// ErrLocked means that another process was migrating, or another session used a
	// table, for longer than [Config.LockTimeout]. Let it finish, and run again.
	ErrLocked = errors.New("locked by another session")

	// ErrDataLoss means that going down would have dropped records, gaps, statements,
	// or columns in which records have values. Nothing was changed. See [Config.AllowDataLoss].
	ErrDataLoss = errors.New("it would destroy records")

	// ErrSchema means that it is unclear which schema holds the trail, or that the
	// requested schema does not exist. Nothing was changed. See [Config.Schema].
	ErrSchema = errors.New("the trail's schema is not clear")

	// ErrEncoding means that the database's encoding is not UTF8. Such a database
	// cannot store every text that a record may have, or counts characters
	// differently.
	ErrEncoding = errors.New("the database's encoding is not UTF8")

	// ErrUnknownVersion means that this program does not know the requested version.
	ErrUnknownVersion = errors.New("unknown version")
)

// PendingError lists the migrations that the database lacks. It matches [ErrPending].
type PendingError struct {
	// Versions are the pending versions, in ascending order.
	Versions []int64
}

// Error names the versions.
func (e *PendingError) Error() string {
	return fmt.Sprintf("%v: %s", ErrPending, strings.Trim(strings.ReplaceAll(fmt.Sprint(e.Versions), " ", ", "), "[]"))
}

// Is reports whether target is [ErrPending].
func (e *PendingError) Is(target error) bool { return target == ErrPending }

// failure is a failed call. It has its own text, because the texts of its causes span
// several lines or describe the connection after the failure.
type failure struct {
	text   string
	causes []error
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return f.causes }

// failure explains err to the person who has to act on it.
func (m *Migrator) failure(ctx context.Context, doing string, err error) error {
	f := &failure{causes: []error{err}}
	cause, next := m.explain(ctx, f, err)
	f.text = doing + ": " + cause
	if next != "" {
		f.text += ": " + next
	}
	return f
}

// explain returns the cause and the next step. It adds causes that the driver's errors
// do not include.
func (m *Migrator) explain(ctx context.Context, f *failure, err error) (cause, next string) {
	pgErr := pgError(err)
	located, isLocated := errors.AsType[*locationError](err) // without goose's wrapping
	switch {
	case ctx.Err() != nil:
		// The driver's error is then about the connection that it closed.
		f.causes = append(f.causes, context.Cause(ctx))
		return "interrupted: " + context.Cause(ctx).Error(), "run it again"
	case isLocated:
		return located.text, located.next
	case errors.Is(err, ErrEncoding):
		return err.Error(), ""
	case errors.Is(err, ErrLocked):
		return oneLine(err), "let it end, or wait longer by --lock-timeout (Config.LockTimeout), and run it again"
	case pgErr == nil:
		return oneLine(err), nextStepUnconnected(err)
	case pgErr.Code == stateLockNotAvailable:
		f.causes = append(f.causes, ErrLocked)
		return fmt.Sprintf("%v, waited %v: %s", ErrLocked, m.config.LockTimeout, oneLine(pgErr)),
			"let the transactions on this table end, or wait longer by --lock-timeout (Config.LockTimeout), and run it again"
	case pgErr.Code == stateRestrictViolation:
		f.causes = append(f.causes, ErrDataLoss)
		return oneLine(pgErr), "to drop them all the same, pass --allow-data-loss (Config.AllowDataLoss)"
	case pgErr.Code == stateRaiseException && pgErr.Hint != "":
		// Raised by our migrations. The server's own hints are not for operators: one
		// suggests to drop with CASCADE.
		return oneLine(err), sentence(pgErr.Hint)
	case pgErr.Code == stateInsufficientPrivilege && isConnectError(err) && slices.Contains([]string{"", routineConnect}, pgErr.Routine):
		return oneLine(err), "grant this role CONNECT on the database"
	case isConnectError(err) && slices.Contains([]string{stateUndefinedObject, stateInvalidParameter, stateCannotChangeParameter, stateInsufficientPrivilege}, pgErr.Code):
		return oneLine(err), "correct or remove this parameter in the database URL, or in its options"
	default:
		return oneLine(err), nextStep(pgErr.Code)
	}
}

// The SQLSTATEs that this package acts on. The names are PostgreSQL's.
const (
	stateFeatureNotSupported   = "0A000"
	stateRestrictViolation     = "23001"
	stateReadOnlyTransaction   = "25006"
	stateInvalidParameter      = "22023"
	stateInvalidAuthorization  = "28000"
	stateInvalidPassword       = "28P01"
	stateInvalidCatalogName    = "3D000"
	stateInvalidSchemaName     = "3F000"
	stateInsufficientPrivilege = "42501"
	stateUndefinedTable        = "42P01"
	stateUndefinedObject       = "42704"
	stateCannotChangeParameter = "55P02"
	stateTooManyConnections    = "53300"
	stateLockNotAvailable      = "55P03"
	stateAdminShutdown         = "57P01"
	stateCannotConnectNow      = "57P03"
	stateRaiseException        = "P0001"
)

// routineConnect is the server's function that refuses a role without CONNECT. Others refuse a
// parameter of the connection with the same SQLSTATE. A pooler names none.
const routineConnect = "CheckMyDatabase"

// nextStep returns what a person can do about a server's error.
func nextStep(state string) string {
	switch state {
	case stateReadOnlyTransaction:
		return "connect to the primary; if default_transaction_read_only is set on the role or the database, someone froze it on purpose: reset it first"
	case stateInvalidPassword, stateInvalidAuthorization:
		return "check user and password in the database URL, and the server's pg_hba.conf"
	case stateInvalidCatalogName:
		return "create the database, or correct its name in the database URL"
	case stateInvalidSchemaName:
		return "create the schema that search_path names, or correct search_path"
	case stateInsufficientPrivilege:
		return "migrate as the owner of the tables, with USAGE and CREATE on their schema; to read the version, SELECT on " + VersionTable + " is enough (migrate grants --reader ROLE --apply)"
	case stateTooManyConnections, stateCannotConnectNow:
		return "try again later (migrate wait)"
	case stateAdminShutdown:
		return "run it again"
	default:
		return ""
	}
}

// nextStepUnconnected does the same for errors without a connection.
func nextStepUnconnected(err error) string {
	dnsErr, _ := errors.AsType[*net.DNSError](err)
	switch {
	case dnsErr != nil:
		return "check the host in the database URL"
	case isCertificateError(err):
		return "check sslmode and sslrootcert in the database URL"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return "check host and port in the database URL and that the server runs, or wait for it (migrate wait)"
	case isConnectError(err):
		return "check host and port in the database URL, or wait for the server (migrate wait)"
	default:
		return ""
	}
}

// oneLine returns the text of the error that matters in err, without the wrapping of
// goose and the driver.
func oneLine(err error) string {
	if locked, ok := errors.AsType[*lockedError](err); ok {
		err = locked
	} else if pgErr := pgError(err); pgErr != nil && !isConnectError(err) {
		err = pgErr
	}
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) { // pgx repeats it, once with TLS and once without
			lines = append(lines, line)
		}
	}
	return strings.ReplaceAll(strings.Join(lines, "; "), ":; ", ": ")
}

// sentence turns a server's hint into the end of an error text.
func sentence(hint string) string {
	first, size := utf8.DecodeRuneInString(hint)
	return string(unicode.ToLower(first)) + strings.TrimSuffix(hint[size:], ".")
}

func pgError(err error) *pgconn.PgError {
	pgErr, _ := errors.AsType[*pgconn.PgError](err)
	return pgErr
}

func isConnectError(err error) bool {
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok
}

func isCertificateError(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}
