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

// What a caller can tell apart with [errors.Is]. The text of every error names
// the cause and, where there is one, the next step, in one line. It holds neither
// a password nor the server's DETAIL, which quotes rows.
var (
	// ErrPending: the database lacks migrations that this program knows; see
	// [PendingError]. Migrate up.
	ErrPending = errors.New("migrations are pending")

	// ErrLocked: another process kept migrating, or another session kept a table,
	// for longer than [Config.LockTimeout]. Let it end, and run again.
	ErrLocked = errors.New("locked by another session")

	// ErrDataLoss: going down would have dropped records, gaps, or columns that
	// records have something in. All stands as before. See [Config.AllowDataLoss].
	ErrDataLoss = errors.New("it would destroy records")

	// ErrUnknownVersion: the version asked for is none that this program knows.
	ErrUnknownVersion = errors.New("unknown version")
)

// PendingError says which migrations the database lacks. It matches [ErrPending].
type PendingError struct {
	// Versions are the pending ones, ascending.
	Versions []int64
}

// Error names the versions.
func (e *PendingError) Error() string {
	return fmt.Sprintf("%v: %s", ErrPending, strings.Trim(strings.ReplaceAll(fmt.Sprint(e.Versions), " ", ", "), "[]"))
}

// Is reports whether target is [ErrPending].
func (e *PendingError) Is(target error) bool { return target == ErrPending }

// failure is a failed call. It has a text of its own, as the causes' texts are of
// several lines, or tell what became of the connection afterwards.
type failure struct {
	text   string
	causes []error
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return f.causes }

// failure explains err to the person who has to do something about it.
func (m *Migrator) failure(ctx context.Context, doing string, err error) error {
	f := &failure{causes: []error{err}}
	cause, next := m.explain(ctx, f, err)
	f.text = doing + ": " + cause
	if next != "" {
		f.text += ": " + next
	}
	return f
}

// explain returns the cause and the next step, and adds to the causes what the
// driver's errors do not say.
func (m *Migrator) explain(ctx context.Context, f *failure, err error) (cause, next string) {
	pgErr := pgError(err)
	switch {
	case ctx.Err() != nil:
		// What the driver says then is about the connection that it gave up.
		f.causes = append(f.causes, context.Cause(ctx))
		return "interrupted: " + context.Cause(ctx).Error(), "run it again"
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
		// Raised by our migrations. The server's own hints are not for operators: one is to drop with CASCADE.
		return oneLine(err), sentence(pgErr.Hint)
	case pgErr.Code == stateInsufficientPrivilege && isConnectError(err):
		return oneLine(err), "grant this role CONNECT on the database"
	default:
		return oneLine(err), nextStep(pgErr.Code)
	}
}

// SQLSTATEs that are decided on. The names are PostgreSQL's.
const (
	stateRestrictViolation     = "23001"
	stateReadOnlyTransaction   = "25006"
	stateInvalidAuthorization  = "28000"
	stateInvalidPassword       = "28P01"
	stateInvalidCatalogName    = "3D000"
	stateInvalidSchemaName     = "3F000"
	stateInsufficientPrivilege = "42501"
	stateUndefinedTable        = "42P01"
	stateTooManyConnections    = "53300"
	stateLockNotAvailable      = "55P03"
	stateAdminShutdown         = "57P01"
	stateCannotConnectNow      = "57P03"
	stateRaiseException        = "P0001"
)

// nextStep says what a person can do about what the server answered.
func nextStep(state string) string {
	switch state {
	case stateReadOnlyTransaction:
		return "connect to the primary"
	case stateInvalidPassword, stateInvalidAuthorization:
		return "check user and password in the database URL, and the server's pg_hba.conf"
	case stateInvalidCatalogName:
		return "create the database, or correct its name in the database URL"
	case stateInvalidSchemaName:
		return "create the schema that search_path names, or correct search_path"
	case stateInsufficientPrivilege:
		return "migrate as the owner of the tables, with USAGE and CREATE on their schema; to read the version, SELECT on " + VersionTable + " is enough"
	case stateTooManyConnections, stateCannotConnectNow:
		return "try again later (migrate wait)"
	case stateAdminShutdown:
		return "run it again"
	default:
		return ""
	}
}

// nextStepUnconnected is the same for what kept us from the server.
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

// oneLine is the text of the one error that matters in err, without what goose
// and the driver put around it.
func oneLine(err error) string {
	if locked, ok := errors.AsType[*lockedError](err); ok {
		err = locked
	} else if pgErr := pgError(err); pgErr != nil && !isConnectError(err) {
		err = pgErr
	}
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) { // as pgx says it once with TLS and once without
			lines = append(lines, line)
		}
	}
	return strings.ReplaceAll(strings.Join(lines, "; "), ":; ", ": ")
}

// sentence makes a server's hint the end of our text.
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
